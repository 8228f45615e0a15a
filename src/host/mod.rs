//! L1: safe wrappers of APR and httpd, one C subsystem a file.
//!
//! Everything above this layer sees httpd through these types. The opaque C
//! types that signatures of hooks need are re-exported here, so that `entry`
//! and `module` need not import `sys`.

pub mod backlog;
pub mod blocks;
pub mod bucket;
pub mod callback;
pub mod child_process;
pub mod clock;
pub mod command;
pub mod connection;
pub mod filter;
pub mod guard;
pub mod helpers;
pub mod hooks;
pub mod identity;
pub mod listener;
pub mod log;
pub mod optional;
mod pipe;
pub mod pod;
pub mod pollset;
pub mod pool;
pub mod retained;
pub mod retained_data;
pub mod scoreboard;
pub mod server;
pub mod signals;
pub mod socket;
pub mod startup;
pub mod status;
pub mod thread;

/// C types and constants that hook signatures mention.
pub mod c {
    pub use crate::sys::{
        ap_filter_t, ap_mpm_callback_fn_t, apr_bucket_brigade, apr_pool_t, apr_socket_t,
        apr_status_t, apr_thread_t, apr_time_t, cmd_parms, conn_rec, module, request_rec,
        server_rec, DECLINED, DONE, HTTP_INTERNAL_SERVER_ERROR,
    };
    pub use std::ffi::{c_char, c_int, c_long, c_void};

    /// A hook did its part (`OK` of httpd.h).
    pub const OK: c_int = crate::sys::OK as c_int;
}
