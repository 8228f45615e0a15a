//! Those parts of the module that need no server, from its own sources, so that benchmarks link without httpd and the
//! module's interface stays as it is.

#[path = "../../../src/sync/mod.rs"]
pub mod sync;

#[path = "../../../src/conn"]
pub mod conn {
    pub mod queues;
}
