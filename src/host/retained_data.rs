//! What must outlive the unloading of the module at a restart.
//!
//! Plain integers in httpd's retained memory, reached as relaxed atomics: the
//! parent writes on its one thread, children inherit a copy. A newer build of
//! this module may be put in place under a running server and loaded by a
//! graceful restart, and has to find the children of the older one. So what
//! stands under a key keeps its layout: what a later version needs besides gets
//! a key of its own.

use super::pod::{KeptBroadcasts, KeptPod};
use super::pool::Pool;
use super::retained::{get_or_create, Common};
use crate::policy::limits::FirstSeen;
use crate::policy::onset::Onset;
use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering::Relaxed};

const KEY: &CStr = c"mpm_rust_event_module";

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

/// What the control process knows of the child in a slot, whatever a child has made of the scoreboard.
#[repr(C)]
pub struct ChildRecord {
    /// Process id; 0: the slot is free.
    pub pid: AtomicI32,
    /// Its generation.
    pub generation: AtomicI32,
    /// 1: finishing, and no longer among the active children.
    pub finishing: AtomicI32,
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
    spawn_rates: RetainedArray<AtomicI32>,
    records: RetainedArray<ChildRecord>,
}

/// An array in memory of the global pool; all-zero is the empty one.
#[repr(C)]
struct RetainedArray<T> {
    first: AtomicPtr<T>,
    len: AtomicI32,
}

impl<T> RetainedArray<T> {
    fn get(&self) -> &[T] {
        let first = self.first.load(Relaxed);
        if first.is_null() {
            return &[];
        }
        // SAFETY: set together with its length by `set`, in memory that lives as long as the process.
        unsafe { std::slice::from_raw_parts(first, self.len.load(Relaxed) as usize) }
    }

    /// # Safety
    /// `first` begins `len` initialised values in memory of the global pool.
    unsafe fn set(&self, first: NonNull<T>, len: usize) {
        self.first.store(first.as_ptr(), Relaxed);
        self.len.store(len as i32, Relaxed);
    }
}

const FORMER_KEY: &CStr = c"mpm_rust_event_module:former";

/// Former generations that may still have children.
pub fn former() -> &'static [KeptGeneration; KEPT_GENERATIONS] {
    // SAFETY: integers: all-zero is valid; the key names the layout.
    let (data, _) = unsafe { get_or_create::<[KeptGeneration; KEPT_GENERATIONS]>(FORMER_KEY) };
    // SAFETY: lives as long as the process; every field is atomic.
    unsafe { data.as_ref() }
}

/// How single children of a former generation, the newest that accepts, are told to finish: its pipes of death.
#[repr(C)]
pub struct KeptPods {
    generation: AtomicI32,
    /// Descriptors plus one, one for each bucket; 0: unused.
    ends: RetainedArray<AtomicI32>,
}

const PODS_KEY: &CStr = c"mpm_rust_event_module:former-pods";

/// Those that are kept.
pub fn former_pods() -> &'static KeptPods {
    // SAFETY: integers and a null pointer: all-zero is valid; the pointer it can hold is to memory of httpd's global
    // pool; the key names the layout.
    let (data, _) = unsafe { get_or_create::<KeptPods>(PODS_KEY) };
    // SAFETY: lives as long as the process; every field is atomic.
    unsafe { data.as_ref() }
}

impl KeptPods {
    fn open(&self) -> impl Iterator<Item = (&AtomicI32, KeptPod)> {
        self.ends.get().iter().filter_map(|end| {
            let kept = KeptPod(end.load(Relaxed) - 1);
            (kept.0 >= 0).then_some((end, kept))
        })
    }

    /// Whose they are; meaningful while there are any.
    pub fn generation(&self) -> i32 {
        self.generation.load(Relaxed)
    }

    /// That of a bucket.
    pub fn get(&self, bucket: usize) -> Option<KeptPod> {
        let kept = KeptPod(self.ends.get().get(bucket)?.load(Relaxed) - 1);
        (kept.0 >= 0).then_some(kept)
    }

    /// Closes what is kept, in this process.
    pub fn close(&self) {
        for (end, kept) in self.open() {
            kept.close();
            end.store(0, Relaxed);
        }
    }

    /// The same, if they are of this generation.
    pub fn close_of(&self, generation: i32) {
        if self.generation() == generation {
            self.close();
        }
    }

    /// Keeps a generation's in place of the former ones.
    pub fn keep(&self, generation: i32, pods: &[Option<KeptPod>], pool: Pool) {
        self.close();
        if self.ends.get().len() < pods.len() {
            // SAFETY: all-zero is a valid AtomicI32.
            let ends = unsafe { pool.alloc_zeroed::<AtomicI32>(pods.len()) };
            // SAFETY: just allocated from the global pool, which the caller gives.
            unsafe { self.ends.set(ends, pods.len()) };
        }
        self.generation.store(generation, Relaxed);
        for (end, pod) in self.ends.get().iter().zip(pods) {
            end.store(pod.map_or(0, |pod| pod.0 + 1), Relaxed);
        }
    }
}

const HEALTHY_KEY: &CStr = c"mpm_rust_event_module:healthy";

/// Whether a child has ever had all its threads up, in whatever generation: not 0.
pub fn ever_healthy() -> &'static AtomicI32 {
    // SAFETY: an integer: all-zero is valid; the key names the layout.
    let (data, _) = unsafe { get_or_create::<AtomicI32>(HEALTHY_KEY) };
    // SAFETY: lives as long as the process; atomic.
    unsafe { data.as_ref() }
}

/// A lasting condition that is logged when it begins, see [`Onset`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// AH00484
    AtMaxWorkers,
    /// AH10159
    NearMaxWorkers,
    /// AH03490
    ScoreboardFull,
    /// AH00481
    ForkFails,
}

const CONDITIONS: usize = 4;
const CONDITIONS_KEY: &CStr = c"mpm_rust_event_module:conditions";

impl Condition {
    fn words(self) -> &'static [AtomicU32; Onset::WORDS] {
        // SAFETY: integers: all-zero is valid; the key names the layout.
        let (data, _) =
            unsafe { get_or_create::<[[AtomicU32; Onset::WORDS]; CONDITIONS]>(CONDITIONS_KEY) };
        // SAFETY: lives as long as the process; every field is atomic.
        let all = unsafe { data.as_ref() };
        &all[self as usize]
    }

    /// Takes note whether it holds; whether that is to be logged. A restart changes nothing: it doesn't begin anew.
    #[must_use]
    pub fn observe(self, holds: bool, now_ms: u64, min_gap_ms: u64) -> bool {
        let words = self.words();
        let mut onset = Onset::from_words(words.each_ref().map(|word| word.load(Relaxed)));
        let begins = onset.observe(holds, now_ms, min_gap_ms);
        for (word, value) in words.iter().zip(onset.to_words()) {
            word.store(value, Relaxed);
        }
        begins
    }
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
        self.spawn_rates.get()
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
        // SAFETY: just allocated from the global pool, which the caller gives, and written.
        unsafe { self.spawn_rates.set(new, buckets) };
    }

    /// A record for each slot. Empty before `make_records`.
    pub fn records(&self) -> &[ChildRecord] {
        self.records.get()
    }

    /// Makes the records at the first start; ServerLimit can't change after it.
    pub fn make_records(&self, slots: usize, pool: Pool) {
        if !self.records().is_empty() {
            return;
        }
        // SAFETY: all-zero is a valid record; the caller gives the global pool.
        unsafe {
            self.records
                .set(pool.alloc_zeroed::<ChildRecord>(slots), slots)
        };
    }
}
