//! What the control process does once: detach, signals, pid file, banner.

use super::pool::Pool;
use super::server::Server;
use super::status::Status;
use crate::sys;
use std::ptr;

/// Logs faults of the control process (EnableExceptionHook, CoreDumpDirectory).
pub fn catch_faults(pconf: Pool) {
    let server = Server::main().map_or(ptr::null_mut(), Server::as_ptr);
    // SAFETY: httpd takes a null server before there is one.
    unsafe { sys::ap_fatal_signal_setup(server, pconf.as_ptr()) };
}

/// The same in a new child.
pub fn catch_faults_in_child(server: Server) {
    // SAFETY: the server is live.
    unsafe { sys::ap_fatal_signal_child_setup(server.as_ptr()) };
}

/// Detaches from the terminal; in the foreground it only becomes a session leader.
pub fn detach(to_background: bool) -> Status {
    let how = if to_background {
        sys::APR_PROC_DETACH_DAEMONIZE
    } else {
        sys::APR_PROC_DETACH_FOREGROUND
    };
    // SAFETY: there is one thread.
    Status(unsafe { sys::apr_proc_detach(how as i32) })
}

/// Lets httpd's handlers turn signals into the flags of the retained data.
pub fn set_signals(pconf: Pool, one_process: bool) {
    // SAFETY: the pool is live.
    unsafe { sys::ap_unixd_mpm_set_signals(pconf.as_ptr(), one_process.into()) };
}

/// Writes the PidFile.
pub fn write_pid_file(pconf: Pool) {
    // SAFETY: the pool is live, the name httpd's own.
    unsafe { sys::ap_log_pid(pconf.as_ptr(), sys::ap_pid_fname) };
}

/// Removes the PidFile.
pub fn remove_pid_file(pconf: Pool) {
    // SAFETY: as above.
    unsafe { sys::ap_remove_pid(pconf.as_ptr(), sys::ap_pid_fname) };
}

/// Logs the command line (AH00094) and what all MPMs log at start.
pub fn log_command_line(plog: Pool, server: Server) {
    // SAFETY: pool and server are live.
    unsafe {
        sys::ap_log_command_line(plog.as_ptr(), server.as_ptr());
        sys::ap_log_mpm_common(server.as_ptr());
    }
}

/// Gives the main thread of a child its APR identity.
pub fn adopt_main_thread(pool: Pool) -> Status {
    let mut thread = ptr::null_mut();
    // SAFETY: the pool is the child's own, the result has a place.
    Status(unsafe { sys::mre_thread_main_create(&mut thread, pool.as_ptr()) })
}

/// Seeds the C library's random numbers, as event does at every start: modules
/// (mod_lua) rely on it.
pub fn seed_random() {
    let now = super::clock::now_us();
    // SAFETY: the control process has one thread.
    unsafe { libc::srand((now ^ (now >> 32)) as libc::c_uint) };
}
