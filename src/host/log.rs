//! The error log, through httpd's own functions, so that level, format,
//! prefix and destination are what the administrator configured.
//!
//! Messages that stock also has keep its text and `AHnnnnn` id; new ones have
//! no id and begin with `rust_event: `.

use super::connection::Conn;
use super::identity;
use super::server::Server;
use super::status::Status;
use crate::sys;
use std::ffi::{c_char, c_int, CString};
use std::fmt;

/// Severity, as in the LogLevel directive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The server can't go on.
    Emerg = sys::APLOG_EMERG as isize,
    /// Somebody must act at once.
    Alert = sys::APLOG_ALERT as isize,
    /// A critical condition.
    Crit = sys::APLOG_CRIT as isize,
    /// An error.
    Err = sys::APLOG_ERR as isize,
    /// Something an administrator should look at.
    Warning = sys::APLOG_WARNING as isize,
    /// Normal but significant.
    Notice = sys::APLOG_NOTICE as isize,
    /// Information.
    Info = sys::APLOG_INFO as isize,
    /// For debugging.
    Debug = sys::APLOG_DEBUG as isize,
    /// Tracing, coarse.
    Trace1 = sys::APLOG_TRACE1 as isize,
    /// Tracing of decisions.
    Trace5 = sys::APLOG_TRACE5 as isize,
    /// Tracing of connections.
    Trace6 = sys::APLOG_TRACE6 as isize,
    /// Tracing of every step.
    Trace8 = sys::APLOG_TRACE8 as isize,
}

/// Place in our source that a message comes from.
pub struct Site {
    /// NUL-terminated file name.
    pub file: &'static str,
    /// Line number.
    pub line: u32,
}

impl Site {
    fn file_ptr(&self) -> *const c_char {
        debug_assert!(self.file.ends_with('\0'));
        self.file.as_ptr().cast()
    }
}

/// Text for C: an inner NUL, which none of our messages has, would end it.
fn c_text(args: fmt::Arguments<'_>) -> CString {
    let mut bytes = args.to_string().into_bytes();
    bytes.retain(|&b| b != 0);
    CString::new(bytes).unwrap_or_default()
}

/// Whether a message may be written at this LogLevel. What is written is httpd's to say; this only saves the making of
/// texts that it would drop, by the rule of its own macros: notices, which tell of a server's life, pass at each LogLevel.
fn may_be_written(level: Level, configured: impl FnOnce() -> c_int) -> bool {
    level <= Level::Notice || level as c_int <= configured()
}

/// Logs for the main server, or to the console while there is none.
pub fn to_server(level: Level, status: Status, site: Site, args: fmt::Arguments<'_>) {
    let Some(server) = Server::main() else {
        return write(level as c_int, status, &site, std::ptr::null(), args);
    };
    let server = server.as_ptr().cast_const();
    // SAFETY: the main server record is live; the index is ours.
    let configured = || unsafe { sys::ap_get_server_module_loglevel(server, identity::index()) };
    if may_be_written(level, configured) {
        write(level as c_int, status, &site, server, args);
    }
}

/// Logs on the console (standard error of the start-up), whatever ErrorLog says.
pub fn to_console(level: Level, status: Status, site: Site, args: fmt::Arguments<'_>) {
    let flags = level as c_int | sys::APLOG_STARTUP as c_int;
    write(flags, status, &site, std::ptr::null(), args);
}

/// Logs while the configuration is being read, at the level of the command
/// line (`-e`): LogLevel is not in force yet.
pub fn to_reader(level: Level, status: Status, site: Site, args: fmt::Arguments<'_>) {
    write(level as c_int, status, &site, std::ptr::null(), args);
}

fn write(
    level: c_int,
    status: Status,
    site: &Site,
    server: *const sys::server_rec,
    args: fmt::Arguments<'_>,
) {
    let text = c_text(args);
    // SAFETY: file and text are NUL-terminated, the one conversion has its one
    // argument, the server is live or null, both of which httpd takes.
    unsafe {
        sys::ap_log_error_(
            site.file_ptr(),
            site.line as c_int,
            identity::index(),
            level,
            status.0,
            server,
            c"%s".as_ptr(),
            text.as_ptr(),
        );
    }
}

/// Logs about one connection, with its client address.
pub fn to_conn(conn: &Conn, level: Level, status: Status, site: Site, args: fmt::Arguments<'_>) {
    // SAFETY: the connection is live; the index is ours.
    let configured =
        || unsafe { sys::ap_get_conn_module_loglevel(conn.as_ptr(), identity::index()) };
    if !may_be_written(level, configured) {
        return;
    }
    let text = c_text(args);
    // SAFETY: as in `write`; the connection is live.
    unsafe {
        sys::ap_log_cerror_(
            site.file_ptr(),
            site.line as c_int,
            identity::index(),
            level as c_int,
            status.0,
            conn.as_ptr(),
            c"%s".as_ptr(),
            text.as_ptr(),
        );
    }
}

/// The place of the call, for the functions above.
macro_rules! site {
    () => {
        $crate::host::log::Site {
            file: concat!(file!(), "\0"),
            line: line!(),
        }
    };
}

/// `log_server!(Level::Info, status, "AH00000: text {}", value)`
macro_rules! log_server {
    ($level:expr, $status:expr, $($text:tt)+) => {
        $crate::host::log::to_server($level, $status, $crate::host::log::site!(), format_args!($($text)+))
    };
}

/// As `log_server!`, on the console.
macro_rules! log_console {
    ($level:expr, $status:expr, $($text:tt)+) => {
        $crate::host::log::to_console($level, $status, $crate::host::log::site!(), format_args!($($text)+))
    };
}

/// As `log_server!`, while the configuration is being read.
macro_rules! log_reader {
    ($level:expr, $status:expr, $($text:tt)+) => {
        $crate::host::log::to_reader($level, $status, $crate::host::log::site!(), format_args!($($text)+))
    };
}

/// `log_conn!(&conn, Level::Debug, status, "text")`
macro_rules! log_conn {
    ($conn:expr, $level:expr, $status:expr, $($text:tt)+) => {
        $crate::host::log::to_conn($conn, $level, $status, $crate::host::log::site!(), format_args!($($text)+))
    };
}

pub(crate) use {log_conn, log_console, log_reader, log_server, site};
