//! Optional functions that other modules can retrieve; see
//! include/mpm_rust_event.h.

use crate::child;
use crate::host::c::{apr_status_t, conn_rec};
use crate::host::connection::Conn;
use crate::host::status::Status;
use crate::host::{guard, optional};

/// # Safety
/// `c` is a connection that the calling module has suspended and doesn't use
/// afterwards.
unsafe extern "C" fn resume_suspended(c: *mut conn_rec) -> apr_status_t {
    let status = guard::hook(Status::general(), || {
        // SAFETY: by contract.
        match unsafe { Conn::from_raw(c) } {
            Some(conn) if child::resume_suspended(&conn) => Status::SUCCESS,
            _ => Status::invalid(),
        }
    });
    status.0
}

/// Offers them.
pub fn offer_all() {
    // SAFETY: the type that the header gives.
    unsafe {
        optional::offer(
            c"mpm_rust_event_resume_suspended",
            resume_suspended as *const _,
        );
    }
}
