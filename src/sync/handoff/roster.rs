//! What the lock of a [`super::Handoff`] protects: who is where, what waits, and who is owed what. No thread, no lock, no
//! clock: every decision of the protocol is a function on plain data here.
//!
//! ```text
//!            step(): nothing to do              submit(), step(): an item for it
//!   Away ----------------------------> Idle ------------------------------------> Called
//!    ^  ^                               |                                           |
//!    |  +-------------------------------+                                           |
//!    |      interrupt_*(), close()                                                  |
//!    +------------------------------------------------------------------------------+
//!                        step(): it has arrived, whatever it finds
//! ```
//!
//! The invariant, which holds whenever the lock is free:
//!
//! > if a worker is idle, there are at least as many called workers as queued items.
//!
//! So an item waits only for a worker that is already on its way, or for a busy one because none is idle.

use std::collections::VecDeque;

use super::Next;

/// Where a worker is, as far as the roster knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not created yet, busy, or woken for another reason than an item.
    Away,
    /// On the idle stack. Leaving it is what entitles, and obliges, to one wake-up.
    Idle,
    /// Taken off the stack because of an item, and not yet back under the lock.
    Called,
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    place: Place,
    /// Owed one [`Next::Interrupted`].
    interrupted: bool,
}

/// What a worker that held the lock is to do now that it has let go of it, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<T> {
    /// Wake this one, which takes the worker's place.
    pub(super) call: Option<usize>,
    /// Tell the one who watches that there is an idle worker.
    pub(super) tell: bool,
    /// Return this; or else the worker is on the idle stack, and parks.
    pub(super) next: Option<Next<T>>,
}

/// The state under the lock. Methods that return workers have taken these off the stack: the caller wakes each of them
/// exactly once, after it has released the lock.
#[derive(Debug)]
pub(super) struct Roster<T> {
    queue: VecDeque<T>,
    /// Indexes of idle workers, the most recent last.
    stack: Vec<usize>,
    seats: Box<[Seat]>,
    /// How many seats are `Called`.
    called: usize,
    /// The first worker that comes is owed an interrupt.
    interrupt_next: bool,
    watched: bool,
    closed: bool,
}

impl<T> Roster<T> {
    pub(super) fn new(workers: usize) -> Self {
        let seat = Seat {
            place: Place::Away,
            interrupted: false,
        };
        Self {
            queue: VecDeque::new(),
            stack: Vec::with_capacity(workers),
            seats: vec![seat; workers].into_boxed_slice(),
            called: 0,
            interrupt_next: false,
            watched: false,
            closed: false,
        }
    }

    /// Workers that would take an item at once; see [`super::Handoff::idle`].
    pub(super) fn free(&self) -> usize {
        debug_assert!(
            self.stack.is_empty() || self.queue.len() <= self.called,
            "an item waits although a worker is idle"
        );
        (self.stack.len() + self.called).saturating_sub(self.queue.len())
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn watch(&mut self, want: bool) {
        self.watched = want;
    }

    /// Queues an item and says whom to wake; gives it back if closed.
    pub(super) fn submit(&mut self, item: T) -> Result<Option<usize>, T> {
        if self.closed {
            return Err(item);
        }
        self.queue.push_back(item);
        Ok(self.call_if_short())
    }

    /// One more called worker if there are fewer of them than items. It is called for at most one item at a time
    /// because no event adds more than one item or takes away more than one called worker.
    fn call_if_short(&mut self) -> Option<usize> {
        if self.queue.len() <= self.called {
            return None;
        }
        let worker = self.stack.pop()?;
        self.seats[worker].place = Place::Called;
        self.called += 1;
        Some(worker)
    }

    /// `worker` has the lock, coming from outside or from its bed: what now? `teller`: it has something to run if there
    /// is something to tell.
    pub(super) fn step(&mut self, worker: usize, teller: bool) -> Step<T> {
        self.arrive(worker);
        let (next, call) = self.choose(worker);
        // The one who watches wants to know of a free worker, not of this one in particular. It makes a difference if this
        // one has taken the item that another was called for: that one is free from now on, and may have told before,
        // in the same call of `next`, and have nothing left to run.
        let tell = teller && self.watched && self.free() > 0;
        if tell {
            self.watched = false;
        }
        Step { call, tell, next }
    }

    /// `worker` is awake and here; if it was called, it is no longer on its way.
    fn arrive(&mut self, worker: usize) {
        let place = std::mem::replace(&mut self.seats[worker].place, Place::Away);
        debug_assert!(
            place != Place::Idle,
            "worker {worker} is idle already: two threads with one index?"
        );
        if place == Place::Called {
            self.called -= 1;
        }
    }

    /// What `worker` returns with, if it doesn't go idle, and whom it wakes.
    fn choose(&mut self, worker: usize) -> (Option<Next<T>>, Option<usize>) {
        if self.take_interrupt(worker) {
            // It may have been called for an item, and nobody knows when it comes back: pass the call on.
            return (Some(Next::Interrupted), self.call_if_short());
        }
        if let Some(item) = self.queue.pop_front() {
            return (Some(Next::Item(item)), None);
        }
        if self.closed {
            return (Some(Next::Closed), None);
        }
        self.stack.push(worker);
        self.seats[worker].place = Place::Idle;
        (None, None)
    }

    /// Whether `worker` is owed an interrupt; one look at the world settles all debts.
    fn take_interrupt(&mut self, worker: usize) -> bool {
        let own = std::mem::take(&mut self.seats[worker].interrupted);
        let next = std::mem::take(&mut self.interrupt_next);
        own || next
    }

    /// Owes one worker an interrupt and says whom to wake for it.
    pub(super) fn interrupt_one(&mut self) -> Option<usize> {
        let Some(worker) = self.stack.pop() else {
            self.interrupt_next = true;
            return None;
        };
        let seat = &mut self.seats[worker];
        seat.place = Place::Away;
        seat.interrupted = true;
        Some(worker)
    }

    /// Owes everybody an interrupt and says whom to wake.
    pub(super) fn interrupt_all(&mut self) -> Vec<usize> {
        for seat in &mut self.seats {
            seat.interrupted = true;
        }
        // Each worker has its own now, the one who comes first included.
        self.interrupt_next = false;
        self.dismiss()
    }

    /// Takes no more items, and says whom to wake.
    pub(super) fn close(&mut self) -> Vec<usize> {
        self.closed = true;
        self.dismiss()
    }

    /// Empties the stack. The invariant then holds trivially.
    fn dismiss(&mut self) -> Vec<usize> {
        let capacity = self.seats.len();
        let sleepers = std::mem::replace(&mut self.stack, Vec::with_capacity(capacity));
        for &worker in &sleepers {
            self.seats[worker].place = Place::Away;
        }
        sleepers
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
