//! The two clocks: monotonic for everything that waits, wall time only where
//! httpd's interfaces take it.

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
