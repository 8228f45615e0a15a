//! What must outlive the unloading of the module at a restart.
//!
//! Plain integers in httpd's retained memory, reached as relaxed atomics: the
//! parent writes on its one thread, children inherit a copy. The key carries
//! the layout's version: a new build of this module that is put in place under
//! a running server and loaded by a graceful restart starts afresh rather than
//! misread an older layout.

use super::pod::KeptBroadcasts;
use super::pool::Pool;
use super::retained::{get_or_create, Common};
use crate::policy::limits::FirstSeen;
use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering::Relaxed};

const KEY: &CStr = c"mpm_rust_event_module:1";

/// Former generations that can be told separately; with more overlapping
/// restarts than that, the oldest one's place is taken.
pub const KEPT_GENERATIONS: usize = 32;

/// How a former generation is told to finish or to end.
#[repr(C)]
pub struct KeptGeneration {
    /// Descriptors plus one; 0: unused.
    finish: AtomicI32,
    end: AtomicI32,
    generation: AtomicI32,
}

impl KeptGeneration {
    /// Generation and descriptors, when in use.
    pub fn get(&self) -> Option<(i32, KeptBroadcasts)> {
        let broadcasts = KeptBroadcasts {
            finish: self.finish.load(Relaxed) - 1,
            end: self.end.load(Relaxed) - 1,
        };
        (broadcasts.finish >= 0).then(|| (self.generation.load(Relaxed), broadcasts))
    }

    /// Takes or (with `None`) frees the place.
    pub fn set(&self, value: Option<(i32, KeptBroadcasts)>) {
        let (generation, finish, end) = value.map_or((0, 0, 0), |(generation, b)| {
            (generation, b.finish + 1, b.end + 1)
        });
        self.generation.store(generation, Relaxed);
        self.finish.store(finish, Relaxed);
        self.end.store(end, Relaxed);
    }
}

/// The retained data; all-zero is its first state.
#[repr(C)]
pub struct Retained {
    first_server_limit: AtomicI32,
    first_thread_limit: AtomicI32,
    /// A child exited for want of a resource; cleared when one is healthy.
    pub sick_child_detected: AtomicI32,
    /// One past the highest slot in use.
    pub max_daemon_used: AtomicI32,
    /// All children, finishing ones included.
    pub total_children: AtomicI32,
    /// Children that are not finishing.
    pub active_children: AtomicI32,
    /// Maintenance rounds left without exponential growth, after a reload.
    pub hold_off: AtomicI32,
    spawn_rates: AtomicPtr<AtomicI32>,
    spawn_rates_len: AtomicI32,
    /// Former generations that may still have children.
    pub former: [KeptGeneration; KEPT_GENERATIONS],
}

impl Retained {
    /// The data, made on first use.
    pub fn get() -> &'static Retained {
        // SAFETY: integers and null pointers: all-zero is valid; the pointer it
        // can hold is to memory of httpd's global pool; the key names the layout.
        let (data, _) = unsafe { get_or_create::<Retained>(KEY) };
        // SAFETY: lives as long as the process; every field is atomic.
        unsafe { data.as_ref() }
    }

    /// Address that marks httpd's own retained data as ours.
    pub fn owner_mark(&self) -> NonNull<u8> {
        NonNull::from(self).cast()
    }

    /// Limits of the first start, which can't change until the server is stopped.
    pub fn first_seen(&self) -> FirstSeen {
        FirstSeen {
            server_limit: self.first_server_limit.load(Relaxed),
            thread_limit: self.first_thread_limit.load(Relaxed),
        }
    }

    /// Records them.
    pub fn set_first_seen(&self, first: FirstSeen) {
        self.first_server_limit.store(first.server_limit, Relaxed);
        self.first_thread_limit.store(first.thread_limit, Relaxed);
    }

    /// Whether the configuration is read for the first time in this process,
    /// when messages go to the console.
    pub fn is_first_load(&self) -> bool {
        Common::get().is_some_and(|c| c.module_loads() == 1)
    }

    /// Spawn rate per bucket. Empty before `resize_spawn_rates`.
    pub fn spawn_rates(&self) -> &[AtomicI32] {
        let rates = self.spawn_rates.load(Relaxed);
        if rates.is_null() {
            return &[];
        }
        // SAFETY: set together with its length by `resize_spawn_rates`, in memory of the global pool.
        unsafe { std::slice::from_raw_parts(rates, self.spawn_rates_len.load(Relaxed) as usize) }
    }

    /// Makes room for `buckets` rates. New buckets begin with the highest rate
    /// so far, so that they fill as fast as the others.
    pub fn resize_spawn_rates(&self, buckets: usize, pool: Pool) {
        let old = self.spawn_rates();
        if old.len() >= buckets {
            return;
        }
        let highest = old.iter().map(|r| r.load(Relaxed)).max().unwrap_or(1);
        // SAFETY: all-zero is a valid AtomicI32.
        let new = unsafe { pool.alloc_zeroed::<AtomicI32>(buckets) };
        for i in 0..buckets {
            let rate = old.get(i).map_or(highest, |r| r.load(Relaxed));
            // SAFETY: within the memory just allocated, which nobody else knows yet.
            unsafe { ptr::write(new.as_ptr().add(i), AtomicI32::new(rate)) };
        }
        self.spawn_rates.store(new.as_ptr(), Relaxed);
        self.spawn_rates_len.store(buckets as i32, Relaxed);
    }
}
