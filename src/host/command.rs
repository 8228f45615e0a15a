//! A directive being read.

use super::pool::Pool;
use crate::sys;
use std::ffi::{c_char, CStr};

/// The place of a directive (`cmd_parms`).
pub struct Command(*mut sys::cmd_parms);

impl Command {
    /// Names the parameters that httpd gave to a directive's setter.
    ///
    /// # Safety
    /// Called within the setter, with its own argument.
    pub unsafe fn from_raw(cmd: *mut sys::cmd_parms) -> Command {
        Command(cmd)
    }

    /// httpd's error text when the directive stands within a section or a
    /// virtual host, else null.
    pub fn outside_global_context(&self) -> *const c_char {
        // SAFETY: the parameters are live.
        unsafe { sys::ap_check_cmd_context(self.0, sys::mre_global_only as u32) }
    }

    /// An error text for httpd to print; lives as long as the configuration.
    pub fn error(&self, text: &str) -> *const c_char {
        let bytes: Vec<u8> = text.bytes().filter(|&b| b != 0).chain([0]).collect();
        // SAFETY: the pool is live; the bytes end with the one NUL.
        unsafe {
            match Pool::from_raw((*self.0).pool) {
                Some(pool) => sys::apr_pstrdup(pool.as_ptr(), bytes.as_ptr().cast()),
                None => c"out of memory".as_ptr(),
            }
        }
    }
}

/// A directive's argument.
///
/// # Safety
/// `arg` is the C string that httpd gave to a setter.
pub unsafe fn argument<'a>(arg: *const c_char) -> &'a CStr {
    // SAFETY: the caller's.
    unsafe { CStr::from_ptr(arg) }
}

/// Leading number of an argument, as C's `atoi` reads it: 0 where there is none.
pub fn leading_number(arg: &CStr) -> i32 {
    // SAFETY: a C string.
    unsafe { libc::atoi(arg.as_ptr()) }
}
