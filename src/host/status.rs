//! `apr_status_t` as a value that can't be mistaken for a count.

use crate::policy::accept_failure::{Failure, Lack};
use crate::sys;

/// A status of APR or httpd. `Status::SUCCESS` is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Status(pub sys::apr_status_t);

impl Status {
    /// No error; in a log call: no error text is appended.
    pub const SUCCESS: Status = Status(0);

    /// `Ok` for success, the status itself otherwise.
    pub fn ok(self) -> Result<(), Status> {
        if self.0 == 0 {
            Ok(())
        } else {
            Err(self)
        }
    }

    /// The error that the last failed system call left in `errno`.
    pub fn last_os_error() -> Status {
        Status(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }

    /// The call is not implemented by this MPM (`APR_ENOTIMPL`).
    pub fn not_implemented() -> Status {
        // SAFETY: a constant of the shim.
        Status(unsafe { sys::mre_apr_enotimpl })
    }

    /// An argument is unusable (`APR_EINVAL`).
    pub fn invalid() -> Status {
        // SAFETY: a constant of the shim.
        Status(unsafe { sys::mre_apr_einval })
    }

    /// A failure without a code of its own (`APR_EGENERAL`).
    pub fn general() -> Status {
        // SAFETY: a constant of the shim.
        Status(unsafe { sys::mre_apr_egeneral })
    }

    /// The call would have had to wait.
    pub fn would_block(self) -> bool {
        // SAFETY: compares integers.
        unsafe { sys::mre_status_is_eagain(self.0) != 0 }
    }

    /// A signal or a wake-up ended the call early.
    pub fn interrupted(self) -> bool {
        // SAFETY: compares integers.
        unsafe { sys::mre_status_is_eintr(self.0) != 0 }
    }

    /// The time given for the call has passed.
    pub fn timed_out(self) -> bool {
        // SAFETY: compares integers.
        unsafe { sys::mre_status_is_timeup(self.0) != 0 }
    }

    /// What was to be added is there already.
    pub fn exists(self) -> bool {
        // SAFETY: compares integers.
        unsafe { sys::mre_status_is_eexist(self.0) != 0 }
    }

    /// What was to be removed is not there.
    pub fn not_found(self) -> bool {
        // SAFETY: compares integers.
        unsafe { sys::mre_status_is_notfound(self.0) != 0 }
    }

    /// The process has as many descriptors as it may have.
    pub const NO_DESCRIPTORS: Status = Status(libc::EMFILE);

    /// What it means as the outcome of accept(2).
    pub fn accept_failure(self) -> Failure {
        match self.0 {
            _ if self.would_block() => Failure::NobodyWaits,
            libc::EMFILE => Failure::Lack(Lack::Descriptors),
            libc::ENFILE => Failure::Lack(Lack::SystemDescriptors),
            libc::ENOBUFS | libc::ENOMEM => Failure::Lack(Lack::SystemMemory),
            libc::EBADF | libc::ENOTSOCK => Failure::Broken,
            _ => Failure::Other,
        }
    }
}
