//! Who has to wake the thread that sleeps in the pollset when an earlier deadline turns up.
//!
//! One thread (the *sleeper*) polls until the earliest deadline it knows of. Another (a *registrant*) may put an earlier one
//! into the books at any moment. Writing to the wake-up pipe on each registration would be right and wasteful: two system
//! calls and a switch for each keep-alive timeout. [`Sleep`] lets the registrant see whether it has to.
//!
//! Each side writes first and looks second; the order is the whole of the protocol:
//!
//! ```text
//!   sleeper                                     registrant
//!   1. awake(), drain the pipe                  1. insert the deadline
//!   2. d = earliest deadline                    2. must_wake(deadline)?
//!   3. announce(d)                              3. if so, write to the pipe, at once
//!   4. e = earliest deadline; if e is before d, go back to 1
//!   5. poll until d or until the pipe is readable
//! ```
//!
//! Steps 2 to 4 may be one instead: read and announce under the lock that registrants insert under. Draining comes before
//! looking, never between looking and polling: a write that is drained after its deadline was missed is a lost wake-up.
//!
//! # Memory ordering
//!
//! The sleeper stores `until` (3) and then loads the books (4); the registrant stores to the books (1) and then loads `until`
//! (2). If both loads could miss the other's store, nobody would act. Both sides therefore have a sequentially consistent
//! fence between their store and their load. The fences have one order. If the sleeper's comes first, the registrant's load
//! of `until` sees the announcement (or something later) and it wakes the sleeper; if the registrant's comes first, the
//! sleeper's second look at the books sees the deadline. With books behind a mutex (as [`super::timers::Timers`]) the two
//! critical sections give the same order without the fences; with books in an atomic they don't. The fences are there so
//! that this file is right on its own.
//!
//! "Or something later" is one of two things. A later *announcement*: then the same argument holds for that one.
//! `AWAKE`: either the sleeper's own, and it passes through 3 and 4 again before it sleeps, or that of another registrant,
//! which has taken it upon itself to write to the pipe.
//!
//! `until` itself carries no data, so its own accesses are relaxed.

use super::primitive::{fence, AtomicU64, Ordering};

/// Not asleep, or somebody is already on the way to the pipe: no deadline is before it, so nobody needs to wake it.
const AWAKE: u64 = 0;

/// Asleep without a deadline: every deadline is before it.
const FOR_EVER: u64 = u64::MAX;

/// Until when the one sleeper sleeps. Times are monotonic microseconds.
#[derive(Debug)]
pub struct Sleep {
    until: AtomicU64,
}

impl Sleep {
    /// A sleeper that is awake.
    #[must_use]
    pub fn new() -> Self {
        Self {
            until: AtomicU64::new(AWAKE),
        }
    }

    /// The sleeper is about to poll until `until`, or for ever if `None`. It then looks at the earliest deadline *once
    /// more* before it polls (or calls this under the registrants' lock). May be called again without [`Sleep::awake`]
    /// in between, with an earlier time.
    ///
    /// Only one thread at a time is the sleeper.
    pub fn announce(&self, until: Option<u64>) {
        self.until
            .store(until.unwrap_or(FOR_EVER), Ordering::Relaxed);
        // Between our store and our second look; pairs with the fence in `must_wake`.
        fence(Ordering::SeqCst);
    }

    /// The sleeper doesn't sleep any more; nobody needs to wake it until it announces again. It calls this as soon as it
    /// returns from polling, *before* it drains the pipe and looks at the deadlines.
    pub fn awake(&self) {
        // Late is harmless (a needless wake-up), early impossible: the same thread announces again before it sleeps,
        // and a thread's stores to one atomic stay in order.
        self.until.store(AWAKE, Ordering::Relaxed);
    }

    /// Whether the registrant of `deadline_us` has to wake the sleeper: it sleeps, or is about to, beyond that time, and
    /// nobody else has promised to wake it. Called *after* the deadline is where the sleeper will look.
    ///
    /// True is a promise: the caller now writes to the wake-up pipe, before it does anything that blocks. Others who
    /// ask meanwhile are told false, whatever their deadline, because the sleeper is going to look at all of them.
    #[must_use = "true is a promise to write to the wake-up pipe"]
    pub fn must_wake(&self, deadline_us: u64) -> bool {
        // Between the caller's insertion and our load; pairs with the fence in `announce`.
        fence(Ordering::SeqCst);
        let mut until = self.until.load(Ordering::Relaxed);
        while deadline_us < until {
            // Taking the sleep away makes one burst of registrations one wake-up. If the sleeper has meanwhile gone
            // through another round to the very same time, this is a needless wake-up and nothing worse.
            match self.until.compare_exchange_weak(
                until,
                AWAKE,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => until = now,
            }
        }
        false
    }
}

impl Default for Sleep {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Sleep;

    #[test]
    fn only_a_sleep_beyond_the_deadline_is_ended() {
        // (announced, deadline, must wake)
        let table = [
            (Some(100), 99, true),
            (Some(100), 100, false),
            (Some(100), 101, false),
            (None, 100, true),
            (None, u64::MAX, false),
            (Some(0), 0, false),
            (Some(u64::MAX), 5, true),
        ];
        for (until, deadline, expected) in table {
            let sleep = Sleep::new();
            sleep.announce(until);
            assert_eq!(sleep.must_wake(deadline), expected, "{until:?} {deadline}");
        }
    }

    #[test]
    fn nobody_wakes_who_is_awake() {
        let sleep = Sleep::default();
        assert!(!sleep.must_wake(0));
        sleep.announce(None);
        sleep.awake();
        assert!(!sleep.must_wake(1));
    }

    #[test]
    fn one_burst_is_one_wake_up() {
        let sleep = Sleep::new();
        sleep.announce(Some(100));
        assert!(sleep.must_wake(50));
        assert!(!sleep.must_wake(40), "the first has promised to");
        sleep.awake();
        sleep.announce(Some(40));
        assert!(!sleep.must_wake(50));
        assert!(sleep.must_wake(30), "a new sleep, a new promise");
    }

    #[test]
    fn a_second_announcement_replaces_the_first() {
        let sleep = Sleep::new();
        sleep.announce(None);
        sleep.announce(Some(10));
        assert!(!sleep.must_wake(20));
        assert!(sleep.must_wake(5));
    }
}
