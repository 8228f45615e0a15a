//! Hooks that run on connections and requests.

use crate::child;
use crate::conn::slot_requests;
use crate::host::c::{
    ap_filter_t, apr_bucket_brigade, apr_status_t, c_char, c_int, c_void, conn_rec, request_rec,
    server_rec, DECLINED, OK,
};
use crate::host::connection::{of_request, pool_of_request, server_of_request, Conn};
use crate::host::server::Server;
use crate::host::{filter, guard};

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
        // SAFETY: live, and this thread's.
        unsafe { ask_before_answer(r) };
        OK
    })
}

/// # Safety
/// Called by httpd on the thread that serves the request.
pub unsafe extern "C" fn on_insert_error_filter(r: *mut request_rec) {
    // SAFETY: live, and this thread's.
    guard::or_abort(|| unsafe { ask_before_answer(r) });
}

/// An answer may have to announce that its connection is closed. Whether it has to shows when it begins.
///
/// # Safety
/// `r` is a live request of this thread's.
unsafe fn ask_before_answer(r: *mut request_rec) {
    // SAFETY: the caller's.
    let conn = unsafe { of_request(r) };
    // A connection within another (a stream of HTTP/2) has no answers of its own.
    if child::turnover::asks_before_answers() && conn.is_some_and(|c| c.master().is_none()) {
        // SAFETY: the caller's.
        unsafe { filter::on_answer(r) };
    }
}

/// # Safety
/// Called by httpd on the thread that serves the request, with the first of an answer's data.
pub unsafe extern "C" fn on_answer(
    f: *mut ap_filter_t,
    bb: *mut apr_bucket_brigade,
) -> apr_status_t {
    guard::or_abort(|| {
        // SAFETY: live, and this thread's.
        let (conn, first) = unsafe { (filter::conn_of(f), filter::is_first_call(f)) };
        if let Some(conn) = conn.filter(|c| first && !c.closes_after_answer()) {
            // SAFETY: as above.
            let has_more_input = || unsafe { filter::has_more_input(f) };
            if child::turnover::is_last_answer(&conn, has_more_input) {
                conn.close_after_answer();
            }
        }
    });
    // SAFETY: what httpd gave; the rest of the chain is not ours to guard.
    unsafe { filter::leave_chain(f, bb) }
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
