//! mod_mpm_rust_event: Apache httpd's event MPM, in Rust.
//!
//! httpd loads this library in place of `mod_mpm_event.so`; see README.md for
//! what it is, ARCHITECTURE.md for why it is so. Folders are layers: a file
//! uses its own folder and those below.
//!
//! | layer | module | what |
//! | --- | --- | --- |
//! | 4 | [`module`], [`entry`] | what C calls |
//! | 3 | [`parent`], [`child`] | the control process; one child process |
//! | 2 | [`config`], [`conn`] | directives; connections between two turns of a worker |
//! | 1 | [`host`] | safe wrappers of httpd and APR |
//! | 0 | [`policy`], [`sync`], [`sys`] | pure decisions; hand-off of work; bindings |

pub mod policy;
pub mod sync;

// Loom's models need the two layers above only, and no httpd.
#[cfg(not(loom))]
pub mod child;
#[cfg(not(loom))]
pub mod config;
#[cfg(not(loom))]
pub mod conn;
#[cfg(not(loom))]
pub mod host;
#[cfg(not(loom))]
pub mod parent;
#[cfg(not(loom))]
pub mod sys;

// What C looks up by name would draw the whole server into a unit test, which
// is linked without one.
#[cfg(not(any(loom, test)))]
pub mod entry;
#[cfg(not(any(loom, test)))]
pub mod module;
