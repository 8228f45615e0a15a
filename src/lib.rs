//! mod_mpm_rust_event.
pub mod policy;
pub mod sync;
#[cfg(not(loom))]
pub mod sys;
#[cfg(not(loom))]
pub mod host;
#[cfg(not(loom))]
pub mod config;
#[cfg(not(loom))]
pub mod conn;
#[cfg(not(loom))]
pub mod child;
#[cfg(not(loom))]
pub mod parent;
#[cfg(not(loom))]
pub mod entry;
#[cfg(not(loom))]
pub mod module;
