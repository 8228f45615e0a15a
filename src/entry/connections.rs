//! Hooks that run on connections and requests.

use crate::conn::slot_requests;
use crate::host::c::{c_char, c_int, c_void, conn_rec, request_rec, server_rec, DECLINED, OK};
use crate::host::connection::{of_request, pool_of_request, server_of_request, Conn};
use crate::host::guard;
use crate::host::server::Server;

/// # Safety
/// Called by httpd on the thread that serves `c`.
pub unsafe extern "C" fn on_pre_connection(c: *mut conn_rec, _csd: *mut c_void) -> c_int {
    guard::or_abort(|| {
        // SAFETY: live, and this thread's.
        if let Some(conn) = unsafe { Conn::from_raw(c) } {
            slot_requests::create_secondary(&conn);
        }
        OK
    })
}

/// # Safety
/// Called by httpd on the thread that serves `c`.
pub unsafe extern "C" fn on_pre_read_request(r: *mut request_rec, c: *mut conn_rec) {
    guard::or_abort(|| {
        // SAFETY: live, and this thread's.
        let given = unsafe { (Conn::from_raw(c), pool_of_request(r)) };
        if let (Some(conn), Some(pool)) = given {
            slot_requests::request_begins(&conn, r, pool);
        }
    });
}

/// # Safety
/// Called by httpd on the thread that serves the request.
pub unsafe extern "C" fn on_post_read_request(r: *mut request_rec) -> c_int {
    guard::or_abort(|| {
        // SAFETY: live, and this thread's.
        let given = unsafe { (of_request(r), server_of_request(r)) };
        if let (Some(conn), Some(server)) = given {
            // As all MPMs do: without a KeepAliveTimeout of its own, a virtual
            // host has that of the first one on the address.
            let server = match server.sets_keep_alive_timeout() {
                true => server,
                false => conn.base_server().unwrap_or(server),
            };
            slot_requests::use_timeouts_of(&conn, server);
        }
        OK
    })
}

/// # Safety
/// Called by httpd on the thread that serves `c`.
pub unsafe extern "C" fn on_protocol_switch(
    c: *mut conn_rec,
    r: *mut request_rec,
    s: *mut server_rec,
    _protocol: *const c_char,
) -> c_int {
    guard::or_abort(|| {
        // With a request, on_post_read_request has found the server already.
        if r.is_null() {
            // SAFETY: live, and this thread's; the server is the configuration's.
            let given = unsafe { (Conn::from_raw(c), Server::from_raw(s)) };
            if let (Some(conn), Some(server)) = given {
                slot_requests::use_timeouts_of(&conn, server);
            }
        }
        DECLINED
    })
}
