//! Who has a connection that a module suspends.
//!
//! A process_connection hook hands its connection to something of its own (a timer, a thread) and returns. The worker lets go
//! after that, the module gives back whenever it likes, perhaps before the hook has even returned. Exactly one of them, the one
//! that comes second, queues the connection again, and what isn't suspended can't be given back.
//!
//! ```text
//!            enter_hook()            leave_hook(true): Kept
//!     Idle ---------------> InHook -------------------------> Suspended
//!      ^  ^                  |  |                                 |
//!      |  +------------------+  | give_back(): GaveFirst          |
//!      |  leave_hook(false)     v                                 |
//!      +-------------------- GivenBack                            |
//!      |  leave_hook(): Returned                                  |
//!      +----------------------------------------------------------+
//!                       give_back(): GaveSecond
//! ```

use super::primitive::{AtomicU8, Ordering};

const IDLE: u8 = 0;
const IN_HOOK: u8 = 1;
const GIVEN_BACK: u8 = 2;
const SUSPENDED: u8 = 3;

/// What the worker finds when the hook has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AfterHook {
    /// Not suspended: the worker goes on with it.
    Mine,
    /// The module has it; it will give it back.
    Kept,
    /// The module has given it back already: the worker queues it.
    Returned,
}

/// What giving back leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum GiveBack {
    /// The hook is still on its way out: the worker will queue the connection.
    First,
    /// The worker has let go: the caller queues it.
    Second,
    /// It is not suspended.
    Refused,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Suspension(AtomicU8);

impl Suspension {
    /// A connection that nobody suspends.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU8::new(IDLE))
    }

    /// The worker is about to call the hooks.
    pub fn enter_hook(&self) {
        // The worker owns the connection: nobody else may change the state of one that is idle.
        self.0.store(IN_HOOK, Ordering::Release);
    }

    /// The hooks have returned; `suspend`: they asked for a suspension. Before this returns `Kept` the worker must have done all
    /// that it does with the connection.
    pub fn leave_hook(&self, suspend: bool) -> AfterHook {
        let (to, answer) = if suspend {
            (SUSPENDED, AfterHook::Kept)
        } else {
            (IDLE, AfterHook::Mine)
        };
        // Release: who gives back later sees what the worker did. Acquire: the worker sees what who gave back did.
        let left = self
            .0
            .compare_exchange(IN_HOOK, to, Ordering::AcqRel, Ordering::Acquire);
        match left {
            Ok(_) => answer,
            Err(_) => {
                self.0.store(IDLE, Ordering::Relaxed); // published by the queue
                AfterHook::Returned
            }
        }
    }

    /// The module gives the connection back.
    pub fn give_back(&self) -> GiveBack {
        let step = |from, to| {
            self.0
                .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        };
        // In this order: the worker only ever goes from InHook to Suspended.
        if step(IN_HOOK, GIVEN_BACK) {
            GiveBack::First
        } else if step(SUSPENDED, IDLE) {
            GiveBack::Second
        } else {
            GiveBack::Refused
        }
    }
}

impl Default for Suspension {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn either_may_come_first() {
        let s = Suspension::new();
        s.enter_hook();
        assert_eq!(s.leave_hook(true), AfterHook::Kept);
        assert_eq!(s.give_back(), GiveBack::Second);

        s.enter_hook();
        assert_eq!(s.give_back(), GiveBack::First);
        assert_eq!(s.leave_hook(true), AfterHook::Returned);
    }

    #[test]
    fn what_is_not_suspended_is_not_given_back() {
        let s = Suspension::new();
        assert_eq!(s.give_back(), GiveBack::Refused);
        s.enter_hook();
        assert_eq!(s.leave_hook(false), AfterHook::Mine);
        assert_eq!(s.give_back(), GiveBack::Refused);
        s.enter_hook();
        assert_eq!(s.give_back(), GiveBack::First);
        assert_eq!(s.give_back(), GiveBack::Refused, "once is enough");
        assert_eq!(s.leave_hook(false), AfterHook::Returned);
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::sync::atomic::AtomicUsize;
    use loom::sync::Arc;
    use loom::thread;

    /// A hook that suspends against a module that gives back: the connection is queued exactly once, whoever comes first, and
    /// whoever queues it sees what the other did before.
    #[test]
    fn suspended_and_given_back_is_queued_once() {
        loom::model(|| {
            let s = Arc::new(Suspension::new());
            let queued = Arc::new(AtomicUsize::new(0));
            let by_worker = Arc::new(AtomicUsize::new(0));
            let by_module = Arc::new(AtomicUsize::new(0));
            s.enter_hook();
            let module = {
                let (s, queued) = (s.clone(), queued.clone());
                let (by_worker, by_module) = (by_worker.clone(), by_module.clone());
                thread::spawn(move || {
                    by_module.store(1, Ordering::Relaxed);
                    match s.give_back() {
                        GiveBack::Second => {
                            assert_eq!(by_worker.load(Ordering::Relaxed), 1);
                            queued.fetch_add(1, Ordering::Relaxed);
                        }
                        GiveBack::First => {}
                        GiveBack::Refused => panic!("it was suspended"),
                    }
                })
            };
            by_worker.store(1, Ordering::Relaxed);
            if s.leave_hook(true) == AfterHook::Returned {
                assert_eq!(by_module.load(Ordering::Relaxed), 1);
                queued.fetch_add(1, Ordering::Relaxed);
            }
            module.join().expect("joined");
            assert_eq!(queued.load(Ordering::Relaxed), 1);
            assert_eq!(s.give_back(), GiveBack::Refused);
        });
    }
}
