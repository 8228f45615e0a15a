//! Which of our two module records httpd has loaded.
//!
//! The file can be loaded as `mpm_rust_event_module` or as `mpm_event_module`.
//! Log levels, per-server and per-connection data hang on the index that httpd
//! gave to the record it loaded.

use crate::sys;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void, CStr};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A module record in static memory that httpd itself fills in (index, link,
/// load handle).
#[repr(transparent)]
pub struct ModuleRecord(UnsafeCell<sys::module>);

// SAFETY: Rust code reads only `module_index`, after httpd wrote it, in the
// single-threaded phase in which modules are registered; httpd alone writes.
unsafe impl Sync for ModuleRecord {}

impl ModuleRecord {
    /// A record named `event.c`, so that `<IfModule event.c>` holds and
    /// mod_http2 recognises an MPM that can do without its own threads.
    pub const fn new(register_hooks: unsafe extern "C" fn(*mut sys::apr_pool_t)) -> Self {
        const NAME: &CStr = c"event.c";
        ModuleRecord(UnsafeCell::new(sys::module {
            version: sys::MODULE_MAGIC_NUMBER_MAJOR as c_int,
            minor_version: sys::MODULE_MAGIC_NUMBER_MINOR as c_int,
            module_index: -1,
            name: NAME.as_ptr(),
            dynamic_load_handle: ptr::null_mut(),
            next: ptr::null_mut(),
            magic: sys::MODULE_MAGIC_COOKIE as _,
            rewrite_args: None,
            create_dir_config: None,
            merge_dir_config: None,
            create_server_config: None,
            merge_server_config: None,
            cmds: (&raw const sys::mre_commands).cast(),
            register_hooks: Some(register_hooks),
            flags: 0,
        }))
    }

    /// The C record.
    pub const fn as_ptr(&self) -> *mut sys::module {
        self.0.get()
    }

    /// Whether httpd has taken this record into its list.
    fn is_loaded(&self) -> bool {
        // SAFETY: httpd writes the index before it calls register_hooks, from
        // which alone this is called, on the same thread.
        unsafe { (*self.as_ptr()).module_index >= 0 }
    }
}

static LOADED: AtomicPtr<sys::module> = AtomicPtr::new(ptr::null_mut());

/// Records which of `records` httpd is registering.
pub fn settle(records: [&'static ModuleRecord; 2]) {
    let loaded = records
        .iter()
        .find(|r| r.is_loaded())
        .unwrap_or(&records[0]);
    LOADED.store(loaded.as_ptr(), Ordering::Release);
}

/// The loaded record; null before `settle`.
pub fn loaded() -> *mut sys::module {
    LOADED.load(Ordering::Acquire)
}

/// Index of the loaded record in httpd's per-module vectors;
/// `APLOG_NO_MODULE` (-1) before it is known.
pub fn index() -> c_int {
    let module = loaded();
    if module.is_null() {
        return -1;
    }
    // SAFETY: non-null only after `settle`, points at one of our statics, and
    // httpd writes the index no more until the module is unloaded.
    unsafe { (*module).module_index }
}

/// Our pointer in one of httpd's per-module vectors.
///
/// # Safety
/// `vector` is a live `ap_conf_vector_t`.
pub(super) unsafe fn get_config(vector: *const sys::ap_conf_vector_t) -> *mut c_void {
    // SAFETY: the caller vouches for the vector; the record is ours.
    unsafe { sys::ap_get_module_config(vector, loaded()) }
}

/// Sets our pointer in one of httpd's per-module vectors.
///
/// # Safety
/// `vector` is a live `ap_conf_vector_t` that no other thread uses now.
pub(super) unsafe fn set_config(vector: *mut sys::ap_conf_vector_t, value: *mut c_void) {
    // SAFETY: the caller vouches for the vector; the record is ours.
    unsafe { sys::ap_set_module_config(vector, loaded(), value) }
}
