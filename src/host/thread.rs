//! Threads, made by APR: modules find their `apr_thread_t` through httpd.

use super::guard;
use super::pool::Pool;
use super::status::Status;
use crate::sys;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

/// A thread of APR.
#[derive(Clone, Copy)]
pub struct Thread(NonNull<sys::apr_thread_t>);

// SAFETY: a name of a thread; only joining and passing on use it.
unsafe impl Send for Thread {}

impl Thread {
    /// The C thread.
    pub fn as_ptr(self) -> *mut sys::apr_thread_t {
        self.0.as_ptr()
    }

    /// Waits until the thread has ended.
    pub fn join(self) -> Status {
        let mut rv = 0;
        // SAFETY: the thread was made joinable and is joined once, by its maker.
        Status(unsafe { sys::apr_thread_join(&mut rv, self.as_ptr()) })
    }
}

/// What threads are made with.
pub struct ThreadAttributes(NonNull<sys::apr_threadattr_t>);

impl ThreadAttributes {
    /// Joinable threads. `stack_size` in bytes, 0 for the system's default;
    /// the status says whether it was taken.
    pub fn create(pool: Pool, stack_size: usize) -> Result<(ThreadAttributes, Status), Status> {
        let mut attr = ptr::null_mut();
        // SAFETY: the pool is live, the result has a place.
        unsafe {
            Status(sys::apr_threadattr_create(&mut attr, pool.as_ptr())).ok()?;
            Status(sys::apr_threadattr_detach_set(attr, 0)).ok()?;
        }
        let attr = NonNull::new(attr).ok_or_else(Status::general)?;
        let taken = match stack_size {
            0 => Status::SUCCESS,
            // SAFETY: just created.
            n => Status(unsafe {
                sys::apr_threadattr_stacksize_set(attr.as_ptr(), n as sys::apr_size_t)
            }),
        };
        Ok((ThreadAttributes(attr), taken))
    }
}

type Body = Box<dyn FnOnce(Thread) + Send>;

/// Starts a thread that runs `body` and returns. A panic in it ends the process.
pub fn spawn(
    attributes: &ThreadAttributes,
    pool: Pool,
    body: impl FnOnce(Thread) + Send + 'static,
) -> Result<Thread, Status> {
    let data: *mut Body = Box::into_raw(Box::new(Box::new(body)));
    let mut thread = ptr::null_mut();
    // SAFETY: attributes and pool are live; `run` takes the box exactly once.
    let rv = unsafe {
        sys::mre_thread_create(
            &mut thread,
            attributes.0.as_ptr(),
            Some(run),
            data.cast(),
            pool.as_ptr(),
        )
    };
    match NonNull::new(thread) {
        Some(thread) if rv == 0 => Ok(Thread(thread)),
        _ => {
            // SAFETY: no thread was made, so the box is still ours.
            drop(unsafe { Box::from_raw(data) });
            Err(Status(rv))
        }
    }
}

/// # Safety
/// `data` is a `Box<Body>` from `spawn`, given to one thread.
unsafe extern "C" fn run(thread: *mut sys::apr_thread_t, data: *mut c_void) -> *mut c_void {
    guard::or_abort(|| {
        // SAFETY: by contract.
        let body = unsafe { Box::from_raw(data.cast::<Body>()) };
        if let Some(thread) = NonNull::new(thread) {
            body(Thread(thread));
        }
    });
    ptr::null_mut()
}
