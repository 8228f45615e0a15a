//! Output filters: all the MPM does with them is to flush.

use super::connection::Conn;
use super::status::Status;
use std::ptr;

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
