//! The only door to `std::sync` in this layer, so that `--cfg loom` can replace what is behind it by loom's model of it.
//!
//! A lock here is never treated as poisoned. A panic in a child aborts that child (see `host`'s guard), so a poisoned lock is seen
//! by nobody except a thread that is about to die with it; reporting it would only turn one panic into two.

#[cfg(not(loom))]
pub(super) use std::sync::{
    atomic::{fence, AtomicBool, AtomicU64, AtomicU8, AtomicUsize, Ordering},
    Condvar, Mutex, MutexGuard,
};

#[cfg(loom)]
pub(super) use loom::sync::{
    atomic::{fence, AtomicBool, AtomicU64, AtomicU8, AtomicUsize, Ordering},
    Condvar, Mutex, MutexGuard,
};

use std::sync::PoisonError;

/// Locks `mutex`, poisoned or not.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks on `condvar` without a timeout; may wake up spuriously, so the caller loops on its condition.
pub(super) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
