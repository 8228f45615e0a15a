//! Setters of the directives; the table is in include/commands.c.

use crate::config::directives::{set_worker_factor, Numeric};
use crate::host::c::{c_char, c_void, cmd_parms};
use crate::host::command::{argument, leading_number, Command};
use crate::host::guard;
use std::ptr;

/// A setter of a number.
macro_rules! numeric {
    ($($function:ident => $directive:ident;)*) => {$(
        #[doc = concat!("# Safety\nCalled by httpd for ", stringify!($directive), ".")]
        #[no_mangle]
        pub unsafe extern "C" fn $function(
            cmd: *mut cmd_parms,
            _dir: *mut c_void,
            arg: *const c_char,
        ) -> *const c_char {
            // SAFETY: httpd's own arguments.
            let (cmd, arg) = unsafe { (Command::from_raw(cmd), argument(arg)) };
            in_global_context(&cmd, || {
                Numeric::$directive.set(leading_number(arg));
                ptr::null()
            })
        }
    )*};
}

numeric! {
    mre_set_start_servers => StartServers;
    mre_set_server_limit => ServerLimit;
    mre_set_thread_limit => ThreadLimit;
    mre_set_threads_per_child => ThreadsPerChild;
    mre_set_min_spare_threads => MinSpareThreads;
    mre_set_max_spare_threads => MaxSpareThreads;
    mre_set_max_request_workers => MaxRequestWorkers;
    mre_set_max_clients => MaxClients;
}

/// # Safety
/// Called by httpd for AsyncRequestWorkerFactor.
#[no_mangle]
pub unsafe extern "C" fn mre_set_worker_factor(
    cmd: *mut cmd_parms,
    _dir: *mut c_void,
    arg: *const c_char,
) -> *const c_char {
    // SAFETY: httpd's own arguments.
    let (cmd, arg) = unsafe { (Command::from_raw(cmd), argument(arg)) };
    in_global_context(&cmd, || match set_worker_factor(&arg.to_string_lossy()) {
        Ok(()) => ptr::null(),
        Err(text) => cmd.error(text),
    })
}

/// All our directives are the server's as a whole.
fn in_global_context(cmd: &Command, set: impl FnOnce() -> *const c_char) -> *const c_char {
    guard::hook(c"internal error, see the error log".as_ptr(), || {
        let error = cmd.outside_global_context();
        if error.is_null() {
            set()
        } else {
            error
        }
    })
}
