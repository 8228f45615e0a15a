//! The listener buckets of the present configuration, and how its children are
//! told to end.

use super::listener::Bucket;
use super::pod::{Broadcasts, Pod};
use super::pool::Pool;
use super::retained::Common;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What the children of one bucket share.
#[derive(Clone, Copy)]
pub struct ChildBucket {
    /// How one of them is told to finish; none in a single-process server.
    pub pod: Option<Pod>,
    /// Their listening sockets.
    pub listeners: Bucket,
}

/// What the children of a generation share.
#[derive(Clone, Copy)]
pub struct Generation {
    buckets: *const ChildBucket,
    count: usize,
    /// How all of them are told; none in a single-process server.
    pub broadcasts: Option<Broadcasts>,
}

static PRESENT: AtomicPtr<Generation> = AtomicPtr::new(ptr::null_mut());

/// The present generation; `None` before `publish`.
pub fn present() -> Option<&'static Generation> {
    // SAFETY: set by `publish`, in memory of the configuration, and forgotten
    // before that is freed.
    unsafe { PRESENT.load(Ordering::Acquire).as_ref() }
}

impl Generation {
    /// The buckets.
    pub fn buckets(&self) -> &'static [ChildBucket] {
        // SAFETY: set together by `publish`, live as long as the generation.
        unsafe { std::slice::from_raw_parts(self.buckets, self.count) }
    }
}

/// Puts buckets into force, in memory of the configuration's pool.
pub fn publish(
    buckets: &[ChildBucket],
    broadcasts: Option<Broadcasts>,
    pconf: Pool,
    common: Common,
) {
    // SAFETY: every element is written before anybody sees the array.
    let array = unsafe { pconf.alloc_zeroed::<ChildBucket>(buckets.len()) };
    for (i, bucket) in buckets.iter().enumerate() {
        // SAFETY: within the array just allocated.
        unsafe { ptr::write(array.as_ptr().add(i), *bucket) };
    }
    let generation = pconf.alloc(Generation {
        buckets: array.as_ptr(),
        count: buckets.len(),
        broadcasts,
    });
    common.set_num_buckets(buckets.len() as i32);
    PRESENT.store(generation.as_ptr(), Ordering::Release);
}

/// Forgets them: the configuration's pool has been cleared.
pub fn forget() {
    PRESENT.store(ptr::null_mut(), Ordering::Release);
}
