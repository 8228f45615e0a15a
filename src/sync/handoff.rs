//! The hand-off of ready work to workers.
//!
//! Work is a FIFO, idle workers are a stack, both under one mutex; each worker sleeps in its own bed. *Wake and pop*: who
//! submits an item queues it and wakes one worker, and a worker that is awake takes the oldest item there is. The
//! alternative, to put the item into the woken worker's hands, would let a busy worker that returns a moment later serve a
//! younger item first, while the older one waits for a thread to get going. The price is that a worker now and then wakes
//! up to find its item served; it goes back to sleep.
//!
//! Why no wake-up is lost, and what each state means, is in `README.md`, section "Hand-off". The state machine itself is
//! in `roster.rs`, without a thread in sight; this file adds the lock, the beds and the gauges.
//!
//! The strategy is meant to be replaced (workers that poll for themselves) behind the same interface.

mod roster;

use crossbeam_utils::CachePadded;

use super::parker::Parker;
use super::primitive::{lock, AtomicUsize, Mutex, Ordering};
use roster::Roster;

/// What a worker is to do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an item that is dropped is a request that is lost"]
pub enum Next<T> {
    /// Serve this.
    Item(T),
    /// Look at the world again (phase, roles, limits), then come back. A worker doesn't block anywhere else after this
    /// without having seen to it that [`Handoff::queued`] is zero.
    Interrupted,
    /// The hand-off is closed and nothing is left in it. The same for every later call.
    Closed,
}

/// The figures that are read without the lock. They are written under it only, hence in the order of the events, so the last
/// value written is that of the last event: a reader may be late but not wrong for ever. Relaxed is enough: no data is
/// published through them, and who has to see a certain event has been through the lock since ([`Handoff::set_idle_watch`]).
#[derive(Debug)]
struct Gauges {
    idle: AtomicUsize,
    queued: AtomicUsize,
}

/// Hands items of type `T` to workers, the oldest item first, to the most recently idled worker first.
///
/// Shared by reference between all threads. Dropping it drops what is still queued.
#[derive(Debug)]
pub struct Handoff<T> {
    roster: CachePadded<Mutex<Roster<T>>>,
    gauges: CachePadded<Gauges>,
    beds: Box<[CachePadded<Parker>]>,
}

impl<T: Send> Handoff<T> {
    /// A hand-off for the workers `0..workers`. None of them is idle until it calls [`Handoff::next`].
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            roster: CachePadded::new(Mutex::new(Roster::new(workers))),
            gauges: CachePadded::new(Gauges {
                idle: AtomicUsize::new(0),
                queued: AtomicUsize::new(0),
            }),
            beds: (0..workers)
                .map(|_| CachePadded::new(Parker::new()))
                .collect(),
        }
    }

    /// Queues `item` behind all others and wakes the most recently idled worker for it, if there is one and no worker
    /// is on its way with nothing to do. Never blocks for longer than the lock is held, which is never across a system
    /// call of ours (but a queue that grows allocates).
    ///
    /// # Errors
    ///
    /// Gives the item back once the hand-off is closed.
    pub fn submit(&self, item: T) -> Result<(), T> {
        let mut roster = lock(&self.roster);
        let call = roster.submit(item)?;
        self.gauge(&roster);
        drop(roster);
        self.wake(call);
        Ok(())
    }

    /// What `worker` is to do next: an interrupt first, else the oldest item; if there is neither, the worker is idle
    /// and blocks, without a timeout.
    ///
    /// Each index is used by one thread at a time. A thread may leave between two calls, and another take over its index.
    /// This doesn't answer the idle watch; if that is used, all workers call [`Handoff::next_with`].
    ///
    /// # Panics
    ///
    /// If `worker` is not one of the indexes the hand-off was made for.
    pub fn next(&self, worker: usize) -> Next<T> {
        self.take(worker, None::<fn()>)
    }

    /// As [`Handoff::next`], and answers the idle watch ([`Handoff::set_idle_watch`]): if that is set when the worker becomes
    /// idle, it takes the watch down and runs `on_idle`, after it has been counted as idle and without any lock.
    /// It does so as well when it takes an item that an idle worker was already called for, because that sets the other free.
    /// `on_idle` may use this hand-off, except for `next` with the same index.
    ///
    /// # Panics
    ///
    /// As [`Handoff::next`]. A panic of `on_idle` passes through and leaves the worker counted as idle, or its item
    /// unserved, so it has to end the child.
    pub fn next_with(&self, worker: usize, on_idle: impl FnOnce()) -> Next<T> {
        self.take(worker, Some(on_idle))
    }

    /// How many workers would take an item at once: those that are idle, or on their way for an item that somebody else
    /// has taken since, less the items in the queue. A worker that was woken for an item doesn't count, nor does one that
    /// has not called `next` yet.
    ///
    /// Without the lock, so it may be old by the time it is used.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.gauges.idle.load(Ordering::Relaxed)
    }

    /// How many items are in the queue, under the same condition.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.gauges.queued.load(Ordering::Relaxed)
    }

    /// Sets or takes down the watch for idle workers. Once set, the next worker that calls [`Handoff::next_with`] and finds
    /// or makes [`Handoff::idle`] greater than zero takes it down and runs what it brought; one such call for each time it
    /// was set.
    ///
    /// Whoever waits for an idle worker sets the watch, *then* looks at [`Handoff::idle`] once more, and waits only if it
    /// is zero. A call that is already running is not stopped by taking the watch down.
    pub fn set_idle_watch(&self, want: bool) {
        lock(&self.roster).watch(want);
    }

    /// Makes one worker look at the world again: the most recently idled one, or if none is idle the first that comes
    /// to `next`. Interrupts that wait for a worker to come don't add up.
    pub fn interrupt_one(&self) {
        let mut roster = lock(&self.roster);
        let call = roster.interrupt_one();
        self.gauge(&roster);
        drop(roster);
        self.wake(call);
    }

    /// Makes every worker look at the world again, once: idle ones now, others when they come to `next`. Also those that
    /// have not called it yet.
    pub fn interrupt_all(&self) {
        let mut roster = lock(&self.roster);
        let sleepers = roster.interrupt_all();
        self.gauge(&roster);
        drop(roster);
        self.wake(sleepers);
    }

    /// Takes no more items. What is queued is still handed out; then every call of `next` is answered `Closed`. Interrupts
    /// that are pending still come first.
    pub fn close(&self) {
        let mut roster = lock(&self.roster);
        let sleepers = roster.close();
        self.gauge(&roster);
        drop(roster);
        self.wake(sleepers);
    }

    /// `next` with something to run for the watch, or without.
    fn take<F: FnOnce()>(&self, worker: usize, mut on_idle: Option<F>) -> Next<T> {
        loop {
            let mut roster = lock(&self.roster);
            let step = roster.step(worker, on_idle.is_some());
            self.gauge(&roster);
            drop(roster);
            self.wake(step.call);
            if step.tell {
                if let Some(on_idle) = on_idle.take() {
                    on_idle();
                }
            }
            match step.next {
                Some(next) => return next,
                None => self.beds[worker].park(),
            }
        }
    }

    /// Brings the gauges up to date; the caller still holds the lock.
    fn gauge(&self, roster: &Roster<T>) {
        self.gauges.idle.store(roster.free(), Ordering::Relaxed);
        self.gauges.queued.store(roster.queued(), Ordering::Relaxed);
    }

    /// Wakes workers that were taken off the stack; the caller no longer holds the lock, so they don't wake up into it.
    fn wake(&self, workers: impl IntoIterator<Item = usize>) {
        for worker in workers {
            self.beds[worker].unpark();
        }
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
