//! Optional functions: httpd's registry of functions found by name.

use super::identity;
use crate::sys;
use std::ffi::{c_char, c_void, CStr};
use std::sync::atomic::{AtomicPtr, Ordering};

type FindModule = unsafe extern "C" fn(*mut sys::server_rec, *const c_char) -> *mut sys::module;

/// mod_so's own look-up, which ours asks first.
static PREVIOUS: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

const FIND_MODULE: &CStr = c"ap_find_loaded_module_symbol";

/// Lets both our symbol names find the loaded record, so that
/// `<IfModule mpm_event_module>` and `LogLevel mpm_event:debug` hold under
/// either LoadModule line.
///
/// mod_so offers a look-up by symbol; ours stands before it and delegates.
pub fn answer_to_both_names() {
    // SAFETY: the registry takes a name and returns what was registered under it.
    unsafe {
        let registered = sys::apr_dynamic_fn_retrieve(FIND_MODULE.as_ptr());
        let Some(registered) = registered else {
            return; // no mod_so: a statically linked server, nobody looks up by symbol
        };
        let registered = registered as *mut c_void;
        // Still our own when the file stayed mapped over a restart.
        if registered != find_module as FindModule as *mut c_void {
            PREVIOUS.store(registered, Ordering::Release);
        }
        let ours: unsafe extern "C" fn() = std::mem::transmute(find_module as FindModule);
        sys::apr_dynamic_fn_register(FIND_MODULE.as_ptr(), Some(ours));
    }
}

/// # Safety
/// Called by httpd with a live server and a C string.
unsafe extern "C" fn find_module(
    server: *mut sys::server_rec,
    symbol: *const c_char,
) -> *mut sys::module {
    let previous = PREVIOUS.load(Ordering::Acquire);
    if !previous.is_null() {
        // SAFETY: registered by mod_so under a name that fixes its type.
        let found =
            unsafe { std::mem::transmute::<*mut c_void, FindModule>(previous)(server, symbol) };
        if !found.is_null() {
            return found;
        }
    }
    // SAFETY: a C string by contract.
    let symbol = unsafe { CStr::from_ptr(symbol) };
    if symbol == c"mpm_event_module" || symbol == c"mpm_rust_event_module" {
        identity::loaded()
    } else {
        std::ptr::null_mut()
    }
}

/// Offers a function to other modules under `name`.
///
/// # Safety
/// `function` has the type that include/mpm_rust_event.h gives for `name`.
pub unsafe fn offer(name: &'static CStr, function: *const c_void) {
    // SAFETY: a function pointer by contract. The registry keeps both pointers;
    // httpd empties it at a restart before it unloads this library.
    unsafe {
        let function: unsafe extern "C" fn() = std::mem::transmute(function);
        sys::apr_dynamic_fn_register(name.as_ptr(), Some(function));
    }
}
