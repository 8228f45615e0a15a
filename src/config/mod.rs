//! L2: directives, and what happens with them between the start of the server
//! and `parent::run`.
//!
//! The order in which httpd calls: `pre_config` (defaults), the directives,
//! `check_config` (limits corrected), `open_logs` (listening sockets),
//! `post_config` (each server's timeouts). It reads the configuration twice at
//! start and once per restart.

mod addresses;
pub mod birth;
pub mod check_config;
pub mod directives;
pub mod open_logs;
pub mod post_config;
pub mod pre_config;
pub mod settings;
