//! The one boundary at which a Rust panic stops.
//!
//! A panic may not unwind into C. What it means depends on who was running: a
//! hook reports failure, a child ends at once and is replaced by the parent,
//! the parent's loop shuts down in order.

use super::log::{log_server, Level};
use super::status::Status;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

/// Logs panics through httpd. No backtrace: unwinding tables read for one in
/// the parent cost tens of megabytes at every reload.
pub fn install_panic_log() {
    // A plain function as hook: boxing it allocates nothing, so nothing is
    // lost when httpd unloads the module.
    panic::set_hook(Box::new(log_panic));
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info.location();
    let text = info
        .payload()
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| info.payload().downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    log_server!(
        Level::Emerg,
        Status::SUCCESS,
        "rust_event: bug: panic at {}:{}: {}; please report it with the lines before this one",
        place.map_or("?", |l| l.file()),
        place.map_or(0, |l| l.line()),
        text
    );
}

/// Runs `body`; after a panic (which the hook above has logged) yields `fallback`.
pub fn hook<R>(fallback: R, body: impl FnOnce() -> R) -> R {
    // Unwind safety: after a panic in a hook the server refuses to start or
    // answers the one call with an error; state shared with other calls is atomic.
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// Runs `body` in a child's thread; a panic there ends the child: its state can't be trusted.
pub fn or_abort<R>(body: impl FnOnce() -> R) -> R {
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| std::process::abort())
}
