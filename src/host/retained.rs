//! Memory that outlives the unloading of the module over a restart.

use crate::sys;
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// State of the MPM, as modules see it (AP_MPMQ_MPM_STATE).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MpmState {
    /// Reading the configuration, or a child starting.
    Starting = sys::AP_MPMQ_STARTING as isize,
    /// Serving.
    Running = sys::AP_MPMQ_RUNNING as isize,
    /// Ending; responses say `Connection: close`.
    Stopping = sys::AP_MPMQ_STOPPING as isize,
}

/// Plain data under `key`, zeroed when first asked for. Whether it is new.
///
/// # Safety
/// All-zero bytes are a valid `T`, which holds no pointer into this module and
/// nothing to drop; no other layout is ever used under the key.
pub unsafe fn get_or_create<T>(key: &'static CStr) -> (NonNull<T>, bool) {
    const { assert!(!std::mem::needs_drop::<T>()) };
    // SAFETY: the key is a C string; httpd returns zeroed memory that lives as long as the process.
    unsafe {
        let old = sys::ap_retained_data_get(key.as_ptr()).cast::<T>();
        if let Some(old) = NonNull::new(old) {
            return (old, false);
        }
        let new =
            sys::ap_retained_data_create(key.as_ptr(), std::mem::size_of::<T>() as sys::apr_size_t);
        (NonNull::new_unchecked(new.cast::<T>()), true)
    }
}

/// The data that httpd itself retains for the MPM; signal handlers write here.
#[derive(Clone, Copy)]
pub struct Common(NonNull<sys::ap_unixd_mpm_retained_data>);

// SAFETY: memory for the life of the process, accessed as relaxed atomics.
unsafe impl Send for Common {}
// SAFETY: as above.
unsafe impl Sync for Common {}

macro_rules! int {
    ($self:ident, $name:ident) => {
        // SAFETY: an aligned int in memory for the life of the process;
        // signal handlers of this process write it as one word.
        unsafe { AtomicI32::from_ptr((&raw mut (*$self.0.as_ptr()).$name).cast()) }
    };
}

impl Common {
    /// httpd's retained data.
    pub fn get() -> Option<Common> {
        // SAFETY: returns memory that lives as long as the process.
        NonNull::new(unsafe { sys::ap_unixd_mpm_get_retained_data() }).map(Common)
    }

    /// Marks the data as ours; whether another MPM had them before.
    pub fn adopt(self, owner: NonNull<u8>) -> bool {
        // SAFETY: one thread; only MPMs touch the field.
        unsafe {
            let data = self.0.as_ptr();
            let owner = owner.as_ptr().cast();
            let foreign = (*data).baton != owner;
            (*data).baton = owner;
            foreign
        }
    }

    /// State as modules see it.
    pub fn state(self) -> i32 {
        int!(self, mpm_state).load(Relaxed)
    }

    /// Sets the state.
    pub fn set_state(self, state: MpmState) {
        int!(self, mpm_state).store(state as i32, Relaxed);
    }

    /// A stop was asked for.
    pub fn shutdown_pending(self) -> bool {
        int!(self, shutdown_pending).load(Relaxed) != 0
    }

    /// Asks for a stop, or takes the demand back.
    pub fn set_shutdown_pending(self, value: bool) {
        int!(self, shutdown_pending).store(value.into(), Relaxed);
    }

    /// A restart was asked for.
    pub fn restart_pending(self) -> bool {
        int!(self, restart_pending).load(Relaxed) != 0
    }

    /// The stop or restart is not graceful.
    pub fn is_ungraceful(self) -> bool {
        int!(self, is_ungraceful).load(Relaxed) != 0
    }

    /// This run began with a graceful restart.
    pub fn was_graceful(self) -> bool {
        int!(self, was_graceful).load(Relaxed) != 0
    }

    /// Forgets it: the former run was not ours.
    pub fn clear_was_graceful(self) {
        int!(self, was_graceful).store(0, Relaxed);
    }

    /// The current generation.
    pub fn generation(self) -> i32 {
        int!(self, my_generation).load(Relaxed)
    }

    /// Goes on to the next generation.
    pub fn next_generation(self) -> i32 {
        int!(self, my_generation).fetch_add(1, Relaxed) + 1
    }

    /// How often an MPM has been loaded in this process.
    pub fn module_loads(self) -> i32 {
        int!(self, module_loads).load(Relaxed)
    }

    /// Counts one more.
    pub fn count_module_load(self) -> i32 {
        int!(self, module_loads).fetch_add(1, Relaxed) + 1
    }

    /// Number of listener buckets.
    pub fn num_buckets(self) -> i32 {
        int!(self, num_buckets).load(Relaxed)
    }

    /// Sets the number of listener buckets.
    pub fn set_num_buckets(self, n: i32) {
        int!(self, num_buckets).store(n, Relaxed);
    }
}
