//! What the lock of a [`super::Handoff`] protects: who is where, what waits, who polls, and who is owed what. No thread, no
//! lock, no clock: every decision of the protocol is a function on plain data here.
//!
//! ```text
//!   Away --+                                           the role, if it is free
//!          |  next()    an item                    +---------------------------> Polling
//!   Serving+---------> Serving      else, no item: |                               |
//!          |                                       +---> Idle ---> Called          | next_after_poll()
//!   Called +                                              an item or a free role   |
//!          +<----------------------------------------------------------------------+
//! ```
//!
//! What holds whenever the lock is free, and nobody has closed it:
//!
//! 1. If an item waits or the role is free, somebody is on the way, or the guard is armed, or polls.
//! 2. If a worker polls, it has been rung for, or there are at least as many called workers as queued items.
//! 3. If the guard polls and a worker is idle, the guard has been rung for; or it is quiet, and no item waits or somebody is on
//!    the way.

mod guard;

use std::collections::VecDeque;

use super::pace::Pace;
use super::traffic::Traffic;
use super::Next;
use guard::Did;

/// Where a worker is, as far as the roster knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not created yet, gone, or on its way to `next` for another reason than an item.
    Away,
    /// Busy with an item, since this tick of the guard.
    Serving(u64),
    /// Has the role.
    Polling,
    /// On the idle stack. Leaving it is what entitles, and obliges, to one wake-up.
    Idle,
    /// Taken off the stack because there is something to do, and not yet back under the lock.
    Called,
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    place: Place,
    /// Owed one [`Next::Interrupted`].
    interrupted: bool,
}

/// Who has the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// Nobody: it is here, or has not been opened yet.
    Nobody,
    Worker(usize),
    Guard,
}

/// Whom to wake, once the lock is free.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wakes {
    /// This worker, from its bed.
    pub(super) call: Option<usize>,
    /// Whoever polls.
    pub(super) ring: bool,
    /// The guard, from its bed.
    pub(super) guard: bool,
}

/// The state under the lock.
#[derive(Debug)]
pub(super) struct Roster<T, R> {
    queue: VecDeque<T>,
    /// Indexes of idle workers, the most recent last.
    stack: Vec<usize>,
    seats: Box<[Seat]>,
    /// How many seats are `Called`.
    called: usize,
    /// How many ticks the guard has looked for,
    tick: u64,
    /// and how many seats are `Serving` since the tick before the last one, and since the last one. Who is busy for longer is
    /// stuck: nobody knows when it comes back.
    active: [usize; 2],
    /// What the guard has done since it last looked.
    guard_did: Did,
    /// How many the guard has called for, the last time, since an item was served.
    reach: usize,
    /// How many of these are still to be called, each by the one before it.
    relay: usize,
    /// The role, if nobody has it.
    role: Option<R>,
    holder: Holder,
    /// Whoever polls has been rung for.
    rung: bool,
    /// The guard is awake, or its wake-up is on the way.
    armed: bool,
    /// How many items have been served, modulo; and how many when the guard last looked.
    served: usize,
    seen: usize,
    /// The same of how often the role has been taken.
    taken: usize,
    seen_taken: usize,
    pace: Pace,
    traffic: Traffic,
    /// The first worker that comes is owed an interrupt.
    interrupt_next: bool,
    watched: bool,
    closed: bool,
}

impl<T, R> Roster<T, R> {
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
            tick: 0,
            active: [0, 0],
            guard_did: Did::Nothing,
            reach: 0,
            relay: 0,
            role: None,
            holder: Holder::Nobody,
            rung: false,
            armed: false,
            served: 0,
            seen: 0,
            taken: 0,
            seen_taken: 0,
            pace: Pace::default(),
            traffic: Traffic::default(),
            interrupt_next: false,
            watched: false,
            closed: false,
        }
    }

    /// Workers that would take an item at once; see [`super::Handoff::idle`].
    pub(super) fn free(&self) -> usize {
        debug_assert_eq!(self.fault(), None);
        self.at_hand().saturating_sub(self.queue.len())
    }

    /// Workers without an item.
    pub(super) fn at_hand(&self) -> usize {
        let polling = usize::from(matches!(self.holder, Holder::Worker(_)));
        self.stack.len() + self.called + polling
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    pub(super) fn served(&self) -> usize {
        self.served
    }

    /// The guard looks each tick.
    pub(super) fn is_guarded(&self) -> bool {
        self.armed && self.holder != Holder::Guard
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Which of the three rules is broken.
    fn fault(&self) -> Option<&'static str> {
        if self.closed {
            return None;
        }
        let unclaimed = self.queue.len() > self.called;
        let sees_to_it =
            self.traffic.is_quiet() && (self.queue.is_empty() || self.on_the_way() > 0);
        match self.holder {
            _ if self.something_waits() && self.on_the_way() == 0 && !self.armed => {
                Some("something waits, and the guard sleeps")
            }
            Holder::Worker(_) if unclaimed && !self.rung => {
                Some("an item waits although a worker only polls")
            }
            Holder::Guard if !self.stack.is_empty() && !self.rung && !sees_to_it => {
                Some("the guard polls although a worker is idle")
            }
            _ => None,
        }
    }

    fn something_waits(&self) -> bool {
        !self.queue.is_empty() || self.role.is_some()
    }

    /// Threads that come for what there is to do, whatever happens.
    fn on_the_way(&self) -> usize {
        let poller = matches!(self.holder, Holder::Worker(_)) && self.rung;
        self.called + usize::from(poller)
    }

    pub(super) fn watch(&mut self, want: bool) {
        self.watched = want;
    }

    /// The role is to be had from now on.
    pub(super) fn open(&mut self, role: R) -> Wakes {
        self.role = Some(role);
        self.call_if_short()
    }

    /// Queues an item; gives it back if closed.
    pub(super) fn submit(&mut self, item: T) -> Result<Wakes, T> {
        if self.closed {
            return Err(item);
        }
        self.queue.push_back(item);
        Ok(self.call_if_short())
    }

    /// One more thread if there are fewer on their way than there is to do: nobody waits for one that serves.
    fn call_if_short(&mut self) -> Wakes {
        let role_waits = self.queue.is_empty() && self.role.is_some();
        let wanted = self.queue.len() + usize::from(role_waits);
        self.call_if(wanted > self.on_the_way())
    }

    /// One more thread if what there is to do would wait too long for those that serve, or the guard says that it does.
    fn call_if_slow(&mut self) -> Wakes {
        let waiting = self.queue.len() + usize::from(self.role.is_some());
        let [earlier, later] = self.active;
        let slow = self.pace.worth_a_wake(waiting, earlier + later) || self.relay > 0;
        // One at a time: who is on the way calls the next one if need be, and may be waiting for a core itself.
        if waiting == 0 || !slow || self.on_the_way() > 0 {
            return self.call_if(false);
        }
        self.relay = self.relay.saturating_sub(1);
        self.call_if(true)
    }

    fn call_if(&mut self, call: bool) -> Wakes {
        let mut wakes = Wakes::default();
        if call && !self.closed {
            wakes.call = self.stack.pop();
            match wakes.call {
                Some(worker) => {
                    self.seats[worker].place = Place::Called;
                    self.called += 1;
                }
                None => wakes.ring = matches!(self.holder, Holder::Worker(_)) && self.ring(),
            }
        }
        wakes.guard = self.arm_if_needed();
        wakes
    }

    /// Whether the poller must be rung for; once for each poll.
    fn ring(&mut self) -> bool {
        self.holder != Holder::Nobody && !std::mem::replace(&mut self.rung, true)
    }

    /// Whether the guard must be woken. Who is on the way does as well.
    fn arm_if_needed(&mut self) -> bool {
        let needed = self.something_waits() && self.on_the_way() == 0;
        needed && !std::mem::replace(&mut self.armed, true)
    }

    /// `worker` has the lock, from outside or from its bed: what now? If nothing, it is on the stack, and parks.
    pub(super) fn step(
        &mut self,
        worker: usize,
        served_us: Option<u64>,
        tired: bool,
    ) -> (Option<Next<T, R>>, Wakes) {
        self.arrive(worker, served_us);
        let relief = tired.then(|| self.relieve(worker)).flatten();
        match relief {
            Some(wakes) => (None, wakes),
            None => self.choose(worker),
        }
    }

    /// `worker` has the lock, and does not come back.
    pub(super) fn leave(&mut self, worker: usize, served_us: Option<u64>) -> Wakes {
        self.arrive(worker, served_us);
        self.seats[worker].interrupted = false;
        self.call_if_short()
    }

    /// `worker` is where it is seen: neither busy nor on the way any more.
    fn arrive(&mut self, worker: usize, served_us: Option<u64>) {
        let seat = &mut self.seats[worker];
        match std::mem::replace(&mut seat.place, Place::Away) {
            Place::Away => {}
            Place::Called => self.called -= 1,
            Place::Serving(since) => {
                match self.tick - since {
                    0 => self.active[1] -= 1,
                    1 => self.active[0] -= 1,
                    _ => {}
                }
                if let Some(us) = served_us {
                    self.pace.note(us);
                }
                self.served = self.served.wrapping_add(1);
                // Somebody has come by.
                (self.reach, self.relay) = (0, 0);
            }
            place @ (Place::Idle | Place::Polling) => {
                debug_assert!(
                    false,
                    "worker {worker} is {place:?}: two threads with one index?"
                );
            }
        }
    }

    /// Lets another worker take `worker`'s place, if there is something to do, and one to do it.
    fn relieve(&mut self, worker: usize) -> Option<Wakes> {
        let nothing_to_do = self.queue.is_empty() && self.role.is_none();
        let owed = self.seats[worker].interrupted || self.interrupt_next;
        let relief = self.on_the_way() > 0 || !self.stack.is_empty();
        if nothing_to_do || owed || self.closed || !relief {
            return None;
        }
        let called = self.call_if(self.on_the_way() == 0);
        let idled = self.idle(worker);
        Some(Wakes {
            ring: idled.ring,
            ..called
        })
    }

    /// `worker` has polled, and gives the role back with what it has found.
    pub(super) fn polled(
        &mut self,
        worker: usize,
        role: R,
        found: &mut Vec<T>,
        now_us: u64,
    ) -> (Option<Next<T, R>>, Wakes) {
        debug_assert_eq!(self.holder, Holder::Worker(worker));
        self.seats[worker].place = Place::Away;
        self.give_back(role, found, now_us);
        self.choose(worker)
    }

    fn take_role(&mut self) -> Option<R> {
        let role = self.role.take()?;
        self.taken = self.taken.wrapping_add(1);
        Some(role)
    }

    fn give_back(&mut self, role: R, found: &mut Vec<T>, now_us: u64) {
        self.traffic.found(found.len(), now_us);
        self.holder = Holder::Nobody;
        self.rung = false;
        self.role = Some(role);
        self.queue.extend(found.drain(..));
    }

    fn choose(&mut self, worker: usize) -> (Option<Next<T, R>>, Wakes) {
        if self.take_interrupt(worker) {
            // It may have been called, or have been the poller, and nobody knows when it comes back.
            return (Some(Next::Interrupted), self.call_if_short());
        }
        if let Some(item) = self.queue.pop_front() {
            self.seats[worker].place = Place::Serving(self.tick);
            self.active[1] += 1;
            let wakes = if self.traffic.is_quiet() {
                self.call_if_short()
            } else {
                self.call_if_slow()
            };
            return (Some(Next::Item(item)), wakes);
        }
        if self.closed {
            return (Some(Next::Closed), Wakes::default());
        }
        if let Some(role) = self.take_role() {
            self.seats[worker].place = Place::Polling;
            self.holder = Holder::Worker(worker);
            return (Some(Next::Poll(role)), Wakes::default());
        }
        (None, self.idle(worker))
    }

    /// `worker` goes on the stack.
    fn idle(&mut self, worker: usize) -> Wakes {
        self.seats[worker].place = Place::Idle;
        self.stack.push(worker);
        // The guard polls for want of a worker, if it isn't quiet; who polls may wait for another one that is idle (the watch).
        let stands_in = self.holder == Holder::Guard && !self.traffic.is_quiet();
        let awaited = std::mem::take(&mut self.watched) || stands_in;
        Wakes {
            ring: awaited && self.ring(),
            guard: self.arm_if_needed(),
            call: None,
        }
    }

    /// Whether `worker` is owed an interrupt; one look at the world settles all debts.
    fn take_interrupt(&mut self, worker: usize) -> bool {
        let own = std::mem::take(&mut self.seats[worker].interrupted);
        let next = std::mem::take(&mut self.interrupt_next);
        own || next
    }

    /// Owes one worker an interrupt: an idle one, else the one who polls, else the first that comes.
    pub(super) fn interrupt_one(&mut self) -> Wakes {
        let mut wakes = Wakes::default();
        if let Some(worker) = self.stack.pop() {
            self.seats[worker] = Seat {
                place: Place::Away,
                interrupted: true,
            };
            wakes.call = Some(worker);
        } else if let Holder::Worker(worker) = self.holder {
            self.seats[worker].interrupted = true;
            wakes.ring = self.ring();
        } else {
            self.interrupt_next = true;
        }
        wakes
    }

    /// Owes everybody an interrupt; returns also the sleepers to wake.
    pub(super) fn interrupt_all(&mut self) -> (Vec<usize>, Wakes) {
        for seat in &mut self.seats {
            seat.interrupted = true;
        }
        // Each worker has its own now, the one who comes first included.
        self.interrupt_next = false;
        let wakes = Wakes {
            ring: self.ring(),
            ..Wakes::default()
        };
        (self.dismiss(), wakes)
    }

    /// Takes no more items; returns also the sleepers to wake.
    pub(super) fn close(&mut self) -> (Vec<usize>, Wakes) {
        self.closed = true;
        let wakes = Wakes {
            ring: self.ring(),
            guard: !std::mem::replace(&mut self.armed, true),
            call: None,
        };
        (self.dismiss(), wakes)
    }

    /// Empties the stack.
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
