//! Signals of a child process.

use super::status::Status;
use crate::sys;
use std::ffi::c_int;

extern "C" fn ignore(_: c_int) {}

/// Blocks every signal in this thread and those it makes; the ones that report
/// faults stay.
pub fn block_all() -> Status {
    // SAFETY: changes only the signal mask of the calling thread.
    Status(unsafe { sys::apr_setup_signal_thread() })
}

/// SIGTERM runs `handler`, which must be async-signal-safe or end the process.
pub fn on_terminate(handler: extern "C" fn(c_int)) {
    // SAFETY: the handler is a function of the process.
    unsafe { sys::apr_signal(libc::SIGTERM, Some(handler)) };
}

/// SIGTERM has no effect: children end on the word of the parent alone.
pub fn ignore_terminate() {
    on_terminate(ignore);
}

/// In a single-process server: waits for SIGTERM or SIGINT.
pub fn wait_for_terminate() {
    unsafe extern "C" fn ends(signal: c_int) -> c_int {
        c_int::from(signal == libc::SIGTERM || signal == libc::SIGINT)
    }
    // SAFETY: the signals are blocked in all threads; the function touches no memory.
    unsafe { sys::apr_signal_thread(Some(ends)) };
}

/// Sends SIGTERM to this process.
pub fn raise_terminate() {
    // SAFETY: touches no memory.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
}
