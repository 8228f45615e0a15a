//! Connections whose time is over, closed by workers beside their other work.
//!
//! A close may take long (a module's hook), so it is not done by the thread that polls. Thousands of connections may expire
//! at once, so they don't stand in the queue before requests: they form a backlog of their own, and an item in the queue
//! makes a worker close some of them. Then the item goes back behind whatever waits.
//!
//! A close that takes long must not hold up the others: while a worker is busy with one, another item is queued
//! ([`Backlog::wants_worker`]). A request that has arrived on such a connection is queued like any other.

use super::worker::Worker;
use super::{Child, Work};
use crate::conn::slot_handles::Queued;
use crate::host::clock::{self, MS};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a worker closes connections before it looks for other work.
const TURN_US: u64 = 2 * MS;

/// A worker that has taken no connection for this long is held up by one.
const HELD_UP_US: u64 = 5 * MS;

/// The backlog, shared by the child's threads.
#[derive(Default)]
pub(super) struct Closings(Mutex<Backlog<Queued>>);

/// What waits to be closed, and who comes for it.
struct Backlog<T> {
    waiting: VecDeque<T>,
    /// An item in the queue stands for it.
    queued: bool,
    /// Workers that are closing connections.
    at_work: usize,
    /// When one of them last took a connection, microseconds.
    taken_us: u64,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Backlog {
            waiting: VecDeque::new(),
            queued: false,
            at_work: 0,
            taken_us: 0,
        }
    }
}

/// What a worker does after a close.
enum Next<T> {
    /// Close this one.
    Close(T),
    /// Its turn is over: the item is queued again.
    Requeue,
    /// Nothing is left, or somebody else comes for it.
    Done,
}

impl<T> Backlog<T> {
    /// When another worker is needed; `None`: not as things are.
    fn next_worker_us(&self) -> Option<u64> {
        if self.waiting.is_empty() || self.queued {
            return None;
        }
        Some(match self.at_work {
            0 => 0,
            _ => self.taken_us + HELD_UP_US,
        })
    }

    /// Whether an item has to be queued now. It is noted as queued.
    fn wants_worker(&mut self, now_us: u64) -> bool {
        let wants = self.next_worker_us().is_some_and(|at| at <= now_us);
        self.queued |= wants;
        wants
    }

    /// A worker has taken the item.
    fn begin(&mut self, now_us: u64) {
        self.queued = false;
        self.at_work += 1;
        self.taken_us = now_us;
    }

    /// What a worker that began at `begun_us` does next.
    fn next(&mut self, begun_us: u64, now_us: u64) -> Next<T> {
        let over = now_us.saturating_sub(begun_us) >= TURN_US;
        if !over {
            if let Some(item) = self.waiting.pop_front() {
                self.taken_us = now_us;
                return Next::Close(item);
            }
        }
        self.at_work -= 1;
        if self.waiting.is_empty() || self.queued {
            return Next::Done;
        }
        self.queued = true;
        Next::Requeue
    }
}

impl Closings {
    fn backlog(&self) -> MutexGuard<'_, Backlog<Queued>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When whoever polls has to look here again.
    pub(super) fn next_deadline_us(&self) -> Option<u64> {
        self.backlog().next_worker_us()
    }
}

impl Child {
    /// Leaves connections to workers to be closed; [`Child::call_for_closings`] brings a worker to it.
    pub(super) fn close_soon(&self, expired: Vec<Queued>) {
        if !expired.is_empty() {
            self.closings.backlog().waiting.extend(expired);
        }
    }

    /// Adds to `found` what brings a worker to the connections that wait to be closed, if one is needed.
    pub(super) fn call_for_closings(&self, now_us: u64, found: &mut Vec<Work>) {
        if self.closings.backlog().wants_worker(now_us) {
            found.push(Work::Closings);
        }
    }
}

impl Worker {
    /// Closes connections that wait for it, for a while.
    pub(super) fn close_some(&self) {
        let child = self.child;
        let begun_us = clock::now_us();
        let held_up_us = {
            let mut backlog = child.closings.backlog();
            backlog.begin(begun_us);
            // Asked before a connection is taken: only then others can wait behind it.
            (backlog.waiting.len() > 1).then_some(begun_us + HELD_UP_US)
        };
        if let Some(deadline_us) = held_up_us {
            child.parking.wake_for(deadline_us);
        }
        loop {
            let next = child.closings.backlog().next(begun_us, clock::now_us());
            match next {
                Next::Close(queued) => self.close_queued(queued),
                Next::Requeue => return child.submit(Work::Closings),
                Next::Done => return,
            }
        }
    }

    fn close_queued(&self, queued: Queued) {
        match queued.goes_on() {
            Ok(ready) => self.child.submit(Work::Ready(ready)),
            Err(over) => self.serve_queued(over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(items: usize) -> Backlog<usize> {
        Backlog {
            waiting: (0..items).collect(),
            ..Backlog::default()
        }
    }

    fn closes(next: Next<usize>) -> Option<usize> {
        match next {
            Next::Close(item) => Some(item),
            Next::Requeue | Next::Done => None,
        }
    }

    #[test]
    fn one_item_is_queued_for_all() {
        let mut b = backlog(3);
        assert_eq!(b.next_worker_us(), Some(0));
        assert!(b.wants_worker(10));
        assert!(!b.wants_worker(10));
        assert_eq!(b.next_worker_us(), None);
        b.begin(20);
        for item in 0..3 {
            assert_eq!(closes(b.next(20, 30)), Some(item));
        }
        assert!(matches!(b.next(20, 40), Next::Done));
        assert!(!b.wants_worker(1_000_000));
    }

    #[test]
    fn a_turn_is_over_after_a_while_and_the_item_goes_back() {
        let mut b = backlog(3);
        assert!(b.wants_worker(0));
        b.begin(0);
        assert_eq!(closes(b.next(0, TURN_US - 1)), Some(0));
        assert!(matches!(b.next(0, TURN_US), Next::Requeue));
        assert!(!b.wants_worker(1_000_000), "it is queued");
        b.begin(1_000_000);
        assert_eq!(closes(b.next(1_000_000, 1_000_000)), Some(1));
    }

    #[test]
    fn a_close_that_takes_long_holds_up_no_other() {
        let mut b = backlog(4);
        for worker in 1..=3 {
            let now_us = worker * 1_000_000;
            assert!(b.wants_worker(now_us), "worker {worker}");
            b.begin(now_us);
            assert!(closes(b.next(now_us, now_us)).is_some());
            assert_eq!(b.next_worker_us(), Some(now_us + HELD_UP_US));
            assert!(!b.wants_worker(now_us + HELD_UP_US - 1));
        }
        // They come back one after the other; the last one finds what is left.
        assert!(matches!(b.next(1_000_000, 9_000_000), Next::Requeue));
        assert!(matches!(b.next(2_000_000, 9_000_000), Next::Done));
        b.begin(9_000_000);
        assert_eq!(closes(b.next(9_000_000, 9_000_000)), Some(3));
        assert_eq!(b.next_worker_us(), None);
    }

    #[test]
    fn what_comes_while_the_only_worker_is_held_up_gets_another_one() {
        let mut b = backlog(1);
        assert!(b.wants_worker(0));
        b.begin(0);
        assert_eq!(closes(b.next(0, 0)), Some(0));
        b.waiting.push_back(7);
        assert!(!b.wants_worker(HELD_UP_US - 1));
        assert!(b.wants_worker(HELD_UP_US));
    }
}
