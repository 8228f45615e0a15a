//! Hooks that run while the configuration is read.

use crate::config::{check_config, open_logs, post_config, pre_config};
use crate::host::c::{apr_pool_t, c_char, c_int, server_rec, HTTP_INTERNAL_SERVER_ERROR, OK};
use crate::host::guard;
use crate::host::pool::Pool;
use crate::host::retained_data::Retained;
use crate::host::server::{self, Server};

const FAILED: c_int = HTTP_INTERNAL_SERVER_ERROR as c_int;
/// What open_logs returns to stop the server: any value but OK and DECLINED.
const NOT_OK: c_int = 1;

/// # Safety
/// Called by httpd with live pools.
pub unsafe extern "C" fn on_pre_config(
    pconf: *mut apr_pool_t,
    plog: *mut apr_pool_t,
    _ptemp: *mut apr_pool_t,
) -> c_int {
    guard::hook(FAILED, || {
        // SAFETY: live for the call and, as the configuration's, beyond.
        let pools = unsafe { (Pool::from_raw(pconf), Pool::from_raw(plog)) };
        let (Some(pconf), Some(plog)) = pools else {
            return FAILED;
        };
        pre_config::run(pconf, plog).map_or(FAILED, |()| OK)
    })
}

/// In place of the former on a server that can't be served.
///
/// # Safety
/// Called by httpd.
pub unsafe extern "C" fn refuse_config(
    _pconf: *mut apr_pool_t,
    _plog: *mut apr_pool_t,
    _ptemp: *mut apr_pool_t,
) -> c_int {
    guard::hook(FAILED, || {
        if let Some(missing) = server::missing_function() {
            let pre_config::Refused = pre_config::refuse_server(missing);
        }
        FAILED
    })
}

/// # Safety
/// Called by httpd.
pub unsafe extern "C" fn on_check_config(
    _pconf: *mut apr_pool_t,
    _plog: *mut apr_pool_t,
    _ptemp: *mut apr_pool_t,
    _server: *mut server_rec,
) -> c_int {
    guard::hook(FAILED, || {
        check_config::run(Retained::get());
        OK
    })
}

/// # Safety
/// Called by httpd with live pools and the main server.
pub unsafe extern "C" fn on_open_logs(
    pconf: *mut apr_pool_t,
    _plog: *mut apr_pool_t,
    _ptemp: *mut apr_pool_t,
    server: *mut server_rec,
) -> c_int {
    guard::hook(NOT_OK, || {
        // SAFETY: live as long as the configuration.
        let given = unsafe { (Pool::from_raw(pconf), Server::from_raw(server)) };
        let (Some(pconf), Some(server)) = given else {
            return NOT_OK;
        };
        open_logs::run(pconf, server).map_or(NOT_OK, |()| OK)
    })
}

/// # Safety
/// Called by httpd with live pools and the main server.
pub unsafe extern "C" fn on_post_config(
    pconf: *mut apr_pool_t,
    _plog: *mut apr_pool_t,
    _ptemp: *mut apr_pool_t,
    server: *mut server_rec,
) -> c_int {
    guard::hook(FAILED, || {
        if server::is_preflight() {
            return OK; // read once more before anything is served
        }
        // SAFETY: live as long as the configuration.
        let given = unsafe { (Pool::from_raw(pconf), Server::from_raw(server)) };
        let (Some(pconf), Some(server)) = given else {
            return FAILED;
        };
        post_config::run(pconf, server);
        OK
    })
}

/// # Safety
/// Called by httpd.
pub unsafe extern "C" fn on_get_name() -> *const c_char {
    pre_config::name().as_ptr()
}
