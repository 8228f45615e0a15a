//! What hooks of requests and of secondary connections change in a slot.

use super::ledger::Also;
use super::slot::{find, timeouts_of, Slot};
use crate::host::c;
use crate::host::connection::Conn;
use crate::host::pool::Pool;
use crate::host::server::Server;
use std::ffi::c_void;
use std::ptr;

/// Makes the slot of a secondary connection (an HTTP/2 stream): it has a state
/// of its own, since it runs at the same time as its master.
pub fn create_secondary(conn: &Conn) {
    let Some(master) = conn.master() else { return };
    let inherits = conn.shared_state().is_null() || conn.shared_state() == master.shared_state();
    let Some(pool) = conn.pool().filter(|_| inherits) else {
        return;
    };
    // SAFETY: the master's slot lives as long as the master; its timeouts may be
    // read from any thread.
    let timeouts = find(&master).map(|m| unsafe { m.as_ref() }.timeouts.get());
    let timeouts = timeouts.unwrap_or_else(|| timeouts_of(Server::main()));
    let _ = Slot::attach(conn, pool, timeouts, None, None, None);
}

/// A request begins on a connection: modules hear of it when the connection is
/// suspended, until `request_ended`. The base server's timeouts hold until its
/// virtual host is known.
pub fn request_begins(conn: &Conn, request: *mut c::request_rec, pool: Pool) {
    let Some(slot) = find(conn) else { return };
    // SAFETY: this thread serves the connection.
    let slot = unsafe { slot.as_ref() };
    slot.request.set(request);
    slot.timeouts.set(timeouts_of(Server::main()));
    // SAFETY: the request's pool goes before the connection's.
    unsafe { pool.on_clear(ptr::from_ref(slot).cast(), request_ended) };
}

/// The server whose timeouts hold from now on.
pub fn use_timeouts_of(conn: &Conn, server: Server) {
    if let Some(slot) = find(conn) {
        // SAFETY: this thread serves the connection.
        unsafe { slot.as_ref() }
            .timeouts
            .set(timeouts_of(Some(server)));
    }
}

/// The answer that begins on a connection is to be its last, to make room for another client, and says so. Whether that
/// could be: not on a connection within another.
pub fn announce_close(conn: &Conn) -> bool {
    let Some(slot) = find(conn) else { return false };
    // SAFETY: this thread serves the connection.
    let slot = unsafe { slot.as_ref() };
    if slot.owner.is_some() {
        slot.count_as(Some(Also::Announced));
    }
    slot.owner.is_some()
}

unsafe extern "C" fn request_ended(data: *mut c_void) -> c::apr_status_t {
    // SAFETY: registered by `request_begins` with a slot that outlives the request.
    unsafe { &*data.cast::<Slot>() }
        .request
        .set(ptr::null_mut());
    0
}
