//! Output filters: the MPM flushes them, and has one of its own that sees an answer begin.

use super::connection::Conn;
use super::status::Status;
use crate::sys;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// The signature of an output filter.
pub type OutputFilter = unsafe extern "C" fn(
    f: *mut sys::ap_filter_t,
    bb: *mut sys::apr_bucket_brigade,
) -> sys::apr_status_t;

/// Our filter, once it has been registered.
static ANSWER: AtomicPtr<sys::ap_filter_rec_t> = AtomicPtr::new(ptr::null_mut());

/// After all filters of contents, before httpd writes the head and decides whether the connection is kept.
const BEFORE_THE_HEAD: sys::ap_filter_type = sys::AP_FTYPE_PROTOCOL - 1;

/// Registers the filter that [`on_answer`] puts into a request's chain. From register_hooks, each time.
pub fn register_answer(filter: OutputFilter) {
    // SAFETY: called from register_hooks; name and function are static.
    let record = unsafe {
        sys::ap_register_output_filter(
            c"RUST_EVENT_ANSWER".as_ptr(),
            Some(filter),
            None,
            BEFORE_THE_HEAD,
        )
    };
    ANSWER.store(record, Relaxed);
}

/// The registered filter is called when the answer to `r` begins.
///
/// # Safety
/// `r` is a live request of this thread's.
pub unsafe fn on_answer(r: *mut sys::request_rec) {
    let record = ANSWER.load(Relaxed);
    if !record.is_null() {
        // SAFETY: the caller's; the record lives as long as the configuration.
        unsafe { sys::ap_add_output_filter_handle(record, ptr::null_mut(), r, (*r).connection) };
    }
}

/// Whether the filter is called for the first time. A sub-request's chain may lead through it although it has left its own.
///
/// # Safety
/// `f` is a live filter that [`on_answer`] has added, and this thread's.
pub unsafe fn is_first_call(f: *mut sys::ap_filter_t) -> bool {
    // SAFETY: the caller's; the context is the filter's own, and says no more than that it has been called.
    unsafe { std::mem::replace(&mut (*f).ctx, f.cast()).is_null() }
}

/// Whether more has arrived on the connection than the request that is being answered, or has read so far of its body.
///
/// # Safety
/// `f` is a live filter of a request of this thread's.
pub unsafe fn has_more_input(f: *mut sys::ap_filter_t) -> bool {
    // SAFETY: the caller's; the brigade ends here, and its memory with the request. A speculative read of httpd's input filters
    // leaves to the next reader what it finds.
    unsafe {
        let c = (*f).c;
        let bb = sys::apr_brigade_create((*(*f).r).pool, (*c).bucket_alloc);
        let mode = sys::AP_MODE_SPECULATIVE;
        let status = sys::ap_get_brigade((*c).input_filters, bb, mode, sys::APR_NONBLOCK_READ, 1);
        let mut length = 0;
        sys::apr_brigade_length(bb, 0, &mut length);
        sys::apr_brigade_destroy(bb);
        Status(status) == Status::SUCCESS && length != 0
    }
}

/// What the filter does last: it leaves the chain, and the data go on.
///
/// # Safety
/// Called by the filter with what httpd gave it.
pub unsafe fn leave_chain(
    f: *mut sys::ap_filter_t,
    bb: *mut sys::apr_bucket_brigade,
) -> sys::apr_status_t {
    // SAFETY: httpd's own filter and brigade; the next filter stays in the chain.
    unsafe {
        let next = (*f).next;
        sys::ap_remove_output_filter(f);
        sys::ap_pass_brigade(next, bb)
    }
}

/// The connection that a filter works for.
///
/// # Safety
/// `f` is live and this thread's.
pub unsafe fn conn_of(f: *mut sys::ap_filter_t) -> Option<Conn> {
    // SAFETY: the caller's.
    unsafe { Conn::from_raw((*f).c) }
}

/// Writes what the core's output filter holds back, without waiting.
pub fn flush_output(conn: &Conn) -> Status {
    // SAFETY: this thread owns the connection; its chain of filters ends with
    // the core's, which takes a null brigade as the demand to flush.
    unsafe {
        let mut filter = (*conn.as_ptr()).output_filters;
        if filter.is_null() {
            return Status::SUCCESS;
        }
        while !(*filter).next.is_null() {
            filter = (*filter).next;
        }
        match (*(*filter).frec).filter_func.out_func {
            Some(flush) => Status(flush(filter, ptr::null_mut())),
            None => Status::SUCCESS,
        }
    }
}
