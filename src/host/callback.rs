//! A function of another module, to be called later.

use crate::sys;
use std::ffi::c_void;

/// The function and its argument.
pub struct Callback {
    function: unsafe extern "C" fn(*mut c_void),
    baton: *mut c_void,
}

// SAFETY: ap_mpm_register_timed_callback says that the call comes on another
// thread: the module has arranged for that.
unsafe impl Send for Callback {}

impl Callback {
    /// Takes what a module registered; `None` without a function.
    ///
    /// # Safety
    /// The function may be called with `baton` once, from any thread.
    pub unsafe fn new(function: sys::ap_mpm_callback_fn_t, baton: *mut c_void) -> Option<Callback> {
        function.map(|function| Callback { function, baton })
    }

    /// Calls it.
    pub fn call(self) {
        // SAFETY: by the contract of `new`; `self` is gone afterwards.
        unsafe { (self.function)(self.baton) }
    }
}
