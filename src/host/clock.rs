//! Clocks: monotonic time for everything that waits, and what a thread has used of its core. Wall time is only where httpd's
//! interfaces take it, not here.

use crate::policy::shift::Usage;

/// Microseconds of the monotonic clock. It does not jump when an
/// administrator or NTP sets the time.
#[must_use]
pub fn now_us() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// CPU time that this thread has used, in microseconds. A system call.
#[must_use]
pub fn thread_cpu_us() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// What the kernel knows of this thread. Two system calls.
#[must_use]
pub fn thread_usage() -> Usage {
    Usage {
        cpu_us: thread_cpu_us(),
        sleeps: thread_sleeps(),
    }
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn thread_sleeps() -> Option<u64> {
    // SAFETY: a structure of integers, for which all zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the result.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) } != 0;
    // Where a system has the field and doesn't count, it is always 0: a worker has slept before its first item.
    (!failed && usage.ru_nvcsw > 0).then_some(usage.ru_nvcsw as u64)
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn thread_sleeps() -> Option<u64> {
    None
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `ts` is a valid place for the result; both clocks exist on every platform of httpd 2.4.
    unsafe { libc::clock_gettime(clock, &mut ts) };
    (ts.tv_sec as u64) * 1_000_000 + (ts.tv_nsec as u64) / 1_000
}

/// Microseconds in a millisecond.
pub const MS: u64 = 1_000;
/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;
