//! The pollset: APR's interface to the kernel's readiness events.

use super::pool::Pool;
use super::status::Status;
use crate::sys;
use std::ffi::{c_void, CStr};
use std::ptr::{self, NonNull};

/// What to wait for on a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Data, a new connection, or the peer's close.
    Readable,
    /// Room for output.
    Writable,
}

/// An entry of a pollset. APR keeps its address, so it stays where it is from
/// `add` to `remove`.
pub type PollEntry = sys::apr_pollfd_t;

/// An entry for `socket` whose events carry `data`.
pub fn entry(socket: *mut sys::apr_socket_t, data: *mut c_void) -> PollEntry {
    sys::apr_pollfd_t {
        p: ptr::null_mut(),
        desc_type: sys::APR_POLL_SOCKET,
        reqevents: 0,
        rtnevents: 0,
        desc: sys::apr_descriptor { s: socket },
        client_data: data,
    }
}

/// The events to ask for.
pub fn request(readiness: Readiness) -> i16 {
    let events = match readiness {
        Readiness::Readable => sys::APR_POLLIN | sys::APR_POLLHUP,
        Readiness::Writable => sys::APR_POLLOUT,
    };
    // Some back ends report errors only when asked to.
    (events | sys::APR_POLLERR) as i16
}

const DAY_US: u64 = 86_400_000_000;

/// A thread-safe pollset that can be woken.
pub struct Pollset(NonNull<sys::apr_pollset_t>);

// SAFETY: created with APR_POLLSET_THREADSAFE: add, remove and wake-up may
// come from any thread; poll is called by one thread at a time (see `poll`).
unsafe impl Send for Pollset {}
// SAFETY: as above.
unsafe impl Sync for Pollset {}

impl Pollset {
    /// A pollset for about `size` descriptors.
    ///
    /// Edge-free kernel back ends only: httpd's older `poll` fallback can't
    /// take a descriptor while another thread waits.
    pub fn create(size: u32, pool: Pool) -> Result<Pollset, Status> {
        let flags = sys::APR_POLLSET_THREADSAFE
            | sys::APR_POLLSET_NOCOPY
            | sys::APR_POLLSET_WAKEABLE
            | sys::APR_POLLSET_NODEFAULT;
        let mut last = Status::not_implemented();
        for method in [
            sys::APR_POLLSET_EPOLL,
            sys::APR_POLLSET_KQUEUE,
            sys::APR_POLLSET_PORT,
        ] {
            let mut set = ptr::null_mut();
            // SAFETY: the pool is live, the result has a place.
            last = Status(unsafe {
                sys::apr_pollset_create_ex(&mut set, size, pool.as_ptr(), flags, method)
            });
            if let (Status::SUCCESS, Some(set)) = (last, NonNull::new(set)) {
                return Ok(Pollset(set));
            }
            if last != Status::not_implemented() {
                break; // this system has it, and says why not now
            }
        }
        Err(last)
    }

    /// Name of the kernel interface in use.
    pub fn method(&self) -> &'static str {
        // SAFETY: the pollset is live; APR returns a static string.
        let name = unsafe { CStr::from_ptr(sys::apr_pollset_method_name(self.0.as_ptr())) };
        name.to_str().unwrap_or("?")
    }

    /// Starts to watch.
    ///
    /// # Safety
    /// `entry` stays at its address, live, until it has been removed.
    pub unsafe fn add(&self, entry: *mut PollEntry) -> Status {
        // SAFETY: the caller's.
        Status(unsafe { sys::apr_pollset_add(self.0.as_ptr(), entry) })
    }

    /// Ends to watch.
    ///
    /// # Safety
    /// `entry` is live.
    pub unsafe fn remove(&self, entry: *mut PollEntry) -> Status {
        // SAFETY: the caller's.
        Status(unsafe { sys::apr_pollset_remove(self.0.as_ptr(), entry) })
    }

    /// Waits for events up to `timeout_us` (`None`: until there is one or a
    /// wake-up) and gives the data of each ready entry to `ready`.
    ///
    /// # Safety
    /// One thread at a time: APR keeps the result in the pollset. Every entry
    /// added is live.
    pub unsafe fn poll(
        &self,
        timeout_us: Option<u64>,
        mut ready: impl FnMut(*mut c_void),
    ) -> Status {
        // APR rounds down to milliseconds; never return before the time, but
        // within what fits into an int of milliseconds.
        let timeout = timeout_us.map_or(-1, |us| (us.min(DAY_US).div_ceil(1000) * 1000) as i64);
        let mut count = 0;
        let mut events = ptr::null();
        // SAFETY: results have places; the caller keeps other pollers out.
        let rv =
            unsafe { sys::apr_pollset_poll(self.0.as_ptr(), timeout, &mut count, &mut events) };
        if rv != 0 {
            return Status(rv);
        }
        for i in 0..count as usize {
            // SAFETY: APR filled `count` entries, untouched until the next poll.
            ready(unsafe { (*events.add(i)).client_data });
        }
        Status::SUCCESS
    }

    /// Makes a waiting or the next `poll` return. Wake-ups add up to one.
    pub fn wake(&self) {
        // SAFETY: the pollset is live and wakeable.
        unsafe { sys::apr_pollset_wakeup(self.0.as_ptr()) };
    }
}
