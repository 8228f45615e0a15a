//! Hooks of the running server: run, query, timed callbacks.

use crate::child;
use crate::config::birth::Birth;
use crate::config::settings::settings;
use crate::host::c::{
    ap_mpm_callback_fn_t, apr_pool_t, apr_status_t, apr_time_t, c_int, c_void, server_rec, DONE, OK,
};
use crate::host::callback::Callback;
use crate::host::guard;
use crate::host::pool::Pool;
use crate::host::retained::Common;
use crate::host::retained_data::Retained;
use crate::host::scoreboard;
use crate::host::server::{self, Server};
use crate::host::status::Status;
use crate::parent::{self, After};
use crate::policy::query::{answer, Facts};
use std::sync::atomic::Ordering::Relaxed;

/// `!OK` as httpd's MPMs return it: the server ends with an error.
const NOT_OK: c_int = 1;

/// # Safety
/// Called by httpd with live pools and the main server.
pub unsafe extern "C" fn on_mpm(
    pconf: *mut apr_pool_t,
    plog: *mut apr_pool_t,
    server: *mut server_rec,
) -> c_int {
    guard::hook(DONE, || {
        // SAFETY: live as long as the configuration.
        let given = unsafe {
            (
                Pool::from_raw(pconf),
                Pool::from_raw(plog),
                Server::from_raw(server),
            )
        };
        let (Some(pconf), Some(plog), Some(server)) = given else {
            return NOT_OK;
        };
        match parent::run(pconf, plog, server, run_child) {
            After::Restart => OK,
            After::Exit => DONE,
            After::Failed => NOT_OK,
        }
    })
}

fn run_child(birth: Birth) -> ! {
    guard::or_abort(|| child::start::run(birth))
}

/// # Safety
/// Called by httpd with places for both results.
pub unsafe extern "C" fn on_mpm_query(
    code: c_int,
    result: *mut c_int,
    status: *mut apr_status_t,
) -> c_int {
    let answered = guard::hook(None, || answer(code, &facts()?));
    // SAFETY: valid places by contract.
    unsafe {
        match answered {
            Some(value) => {
                *result = value;
                *status = Status::SUCCESS.0;
            }
            None => *status = Status::not_implemented().0,
        }
    }
    OK
}

fn facts() -> Option<Facts> {
    let limits = settings().limits();
    let common = Common::get()?;
    Some(Facts {
        max_daemon_used: Retained::get().max_daemon_used.load(Relaxed),
        server_limit: limits.server_limit,
        thread_limit: limits.thread_limit,
        threads_per_child: limits.threads_per_child,
        min_spare_threads: limits.min_spare_threads,
        max_spare_threads: limits.max_spare_threads,
        max_connections_per_child: server::max_connections_per_child(),
        active_children_limit: limits.active_children_limit,
        mpm_state: common.state(),
        generation: common.generation(),
        can_waitio: scoreboard::has_wait_io(),
    })
}

/// # Safety
/// Called by httpd; the function may be called once with the baton, from any thread.
pub unsafe extern "C" fn on_register_timed_callback(
    delay_us: apr_time_t,
    function: ap_mpm_callback_fn_t,
    baton: *mut c_void,
) -> apr_status_t {
    let status = guard::hook(Status::general(), || {
        // SAFETY: by contract.
        match unsafe { Callback::new(function, baton) } {
            None => Status::invalid(),
            Some(callback) => match child::timed::register(delay_us.max(0) as u64, callback) {
                true => Status::SUCCESS,
                // In the control process nobody could call it.
                false => Status::not_implemented(),
            },
        }
    });
    status.0
}
