//! The hand-off of ready work to workers, and of the right to poll for more.
//!
//! Workers poll for themselves (leader/followers). Polling is a *role*, a value of type `R` that one thread at a time has. A worker
//! that is done takes the oldest item; if there is none, the role; if that is taken, it idles. Who polls comes back with what
//! it has found, gives the role back, and serves the first item itself. Others are woken when what waits would wait too long
//! for those that are at work (`pace.rs`), and for what is submitted from outside at once, most recently idled first.
//!
//! A *guard*, a thread that serves nothing, bounds the error of that estimate. It ticks while there is work; if nobody has come
//! by for a tick although something waits, it calls a worker, and if all are busy it polls itself. It rests while a worker
//! polls and nothing else is going on, so an idle child is woken by nobody.
//!
//! *Wake and pop*: items are queued, and a worker that is awake takes the oldest there is. The alternative, to put the item into
//! the woken worker's hands, would let a busy worker that returns a moment later serve a younger item first.
//!
//! Why no wake-up is lost, and what each state means, is in `../README.md`, section "Hand-off". The state machine itself is
//! in `roster.rs`, without a thread in sight; this file adds the lock, the beds, the bell and the gauges.

mod pace;
mod roster;
mod traffic;

use crossbeam_utils::CachePadded;
use std::time::Duration;

use super::parker::Parker;
use super::primitive::{lock, AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};
use pace::Pace;
use roster::{Roster, Wakes};

/// How long the guard sleeps between two looks.
pub const TICK: Duration = Duration::from_millis(2);

/// Makes whoever polls return: now, or from its next poll if it doesn't poll yet.
pub trait Ring {
    /// Rings; from any thread.
    fn ring(&self);
}

/// What a worker is to do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an item that is dropped is a request that is lost"]
pub enum Next<T, R> {
    /// Serve this.
    Item(T),
    /// Poll, then give the role back with [`Handoff::next_after_poll`].
    Poll(R),
    /// Look at the world again (phase, limits), then come back or leave.
    Interrupted,
    /// The hand-off is closed and nothing is left in it. The same for every later call.
    Closed,
}

/// What the guard is to do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the role must come back"]
pub enum Guard<R> {
    /// Nothing is going on: [`Handoff::guard_rest`].
    Rest,
    /// Sleep for a [`TICK`].
    Tick,
    /// No worker comes for the role: poll, then give the role back with [`Handoff::guard_polled`].
    Poll(R),
    /// The hand-off is closed.
    Closed,
}

/// The figures that are read without the lock. They are written under it only, hence in the order of the events, so the last
/// value written is that of the last event: a reader may be late but not wrong for ever. Relaxed is enough: no data is
/// published through them, and who has to see a certain event has been through the lock since ([`Handoff::set_idle_watch`]).
#[derive(Debug)]
struct Gauges {
    idle: AtomicUsize,
    at_hand: AtomicUsize,
    queued: AtomicUsize,
    served: AtomicUsize,
    pace: AtomicU64,
    busy_spells: AtomicU64,
    guarded: AtomicBool,
}

/// Hands items of type `T` to workers, the oldest item first, and the role `R` to one thread at a time.
///
/// Shared by reference between all threads. Dropping it drops what is still queued.
#[derive(Debug)]
pub struct Handoff<T, R, B> {
    roster: CachePadded<Mutex<Roster<T, R>>>,
    gauges: CachePadded<Gauges>,
    beds: Box<[CachePadded<Parker>]>,
    guard_bed: Parker,
    bell: B,
}

impl<T: Send, R: Send, B: Ring> Handoff<T, R, B> {
    /// A hand-off for the workers `0..workers`. None of them is idle until it calls [`Handoff::next`]. Nobody polls until
    /// [`Handoff::open`].
    #[must_use]
    pub fn new(workers: usize, bell: B) -> Self {
        Self {
            roster: CachePadded::new(Mutex::new(Roster::new(workers))),
            gauges: CachePadded::new(Gauges {
                idle: AtomicUsize::new(0),
                at_hand: AtomicUsize::new(0),
                queued: AtomicUsize::new(0),
                served: AtomicUsize::new(0),
                pace: AtomicU64::new(0),
                busy_spells: AtomicU64::new(0),
                guarded: AtomicBool::new(false),
            }),
            beds: (0..workers)
                .map(|_| CachePadded::new(Parker::new()))
                .collect(),
            guard_bed: Parker::new(),
            bell,
        }
    }

    /// Puts the role where workers take it. Once.
    pub fn open(&self, role: R) {
        let mut roster = lock(&self.roster);
        let wakes = roster.open(role);
        self.let_go(roster, wakes);
    }

    /// Queues `item` behind all others. Wakes the most recently idled worker for it, if there is one and nobody is on the way
    /// with nothing to do; without one, the worker that polls, if one does. Never blocks for longer than the lock is held,
    /// which is never across a system call of ours (but a queue that grows allocates).
    ///
    /// # Errors
    ///
    /// Gives the item back once the hand-off is closed.
    pub fn submit(&self, item: T) -> Result<(), T> {
        let mut roster = lock(&self.roster);
        let wakes = roster.submit(item)?;
        self.let_go(roster, wakes);
        Ok(())
    }

    /// What `worker` is to do next: an interrupt first, else the oldest item, else the role; if there is none of them, the
    /// worker is idle and blocks, without a timeout. `served_us`: how long it took to serve the item that the last call gave, if
    /// it gave one and that is known. `tired`: the worker has had its core for long, and idles if another one can take its place.
    ///
    /// Each index is used by one thread at a time, until it calls [`Handoff::leave`].
    ///
    /// # Panics
    ///
    /// If `worker` is not one of the indexes the hand-off was made for.
    pub fn next(&self, worker: usize, served_us: Option<u64>, tired: bool) -> Next<T, R> {
        let mut roster = lock(&self.roster);
        let (next, wakes) = roster.step(worker, served_us, tired);
        self.let_go(roster, wakes);
        next.unwrap_or_else(|| self.idle_until_called(worker))
    }

    /// As [`Handoff::next`] for the worker that has polled: it gives the role back and queues all of `found`, in that order.
    /// `now_us`: the time, of any clock that only goes forward.
    pub fn next_after_poll(
        &self,
        worker: usize,
        role: R,
        found: &mut Vec<T>,
        now_us: u64,
    ) -> Next<T, R> {
        let mut roster = lock(&self.roster);
        let (next, wakes) = roster.polled(worker, role, found, now_us);
        self.let_go(roster, wakes);
        next.unwrap_or_else(|| self.idle_until_called(worker))
    }

    /// `worker` doesn't come back, after an item or an interrupt. Its index may be used again.
    pub fn leave(&self, worker: usize, served_us: Option<u64>) {
        let mut roster = lock(&self.roster);
        let wakes = roster.leave(worker, served_us);
        self.let_go(roster, wakes);
    }

    /// `worker` is on the stack. It may be called in vain several times.
    fn idle_until_called(&self, worker: usize) -> Next<T, R> {
        loop {
            self.beds[worker].park();
            let mut roster = lock(&self.roster);
            let (next, wakes) = roster.step(worker, None, false);
            self.let_go(roster, wakes);
            if let Some(next) = next {
                return next;
            }
        }
    }

    /// How many workers would take an item at once: those that are idle, or on their way for an item that somebody else
    /// has taken since, or only poll, less the items in the queue. A worker that was woken for an item doesn't count, nor does one
    /// that has not called `next` yet.
    ///
    /// Without the lock, so it may be old by the time it is used.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.gauges.idle.load(Ordering::Relaxed)
    }

    /// How many workers have no item: the same as [`Handoff::idle`] with an empty queue.
    #[must_use]
    pub fn at_hand(&self) -> usize {
        self.gauges.at_hand.load(Ordering::Relaxed)
    }

    /// How many of them so many items take, if those are like the last ones: one each while each is worth a wake-up, else as many
    /// as are done with them within a [`TICK`].
    #[must_use]
    pub fn workers_for(&self, items: usize) -> usize {
        Pace::from_bits(self.gauges.pace.load(Ordering::Relaxed)).workers_for(items)
    }

    /// How many items are in the queue. It may be old, as [`Handoff::idle`].
    #[must_use]
    pub fn queued(&self) -> usize {
        self.gauges.queued.load(Ordering::Relaxed)
    }

    /// How many items workers have been done with, modulo. It may be old, as [`Handoff::idle`].
    #[must_use]
    pub fn served(&self) -> usize {
        self.gauges.served.load(Ordering::Relaxed)
    }

    /// How often [`Handoff::idle`] has fallen to zero. Two looks that find workers idle have found them idle all the time in
    /// between if this is the same at both, and only then; each reads it before [`Handoff::idle`].
    #[must_use]
    pub fn busy_spells(&self) -> u64 {
        // Acquire: what is read of `idle` afterwards is no older than the fall that was counted last.
        self.gauges.busy_spells.load(Ordering::Acquire)
    }

    /// Whether the guard looks each tick. This is false before [`Handoff::guard`] tells it to rest or to poll: what somebody changes
    /// who then finds this true is seen by the guard after that answer.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.gauges.guarded.load(Ordering::SeqCst)
    }

    /// Sets or takes down the watch for idle workers. Once set, the next worker that idles takes it down and rings for whoever
    /// polls.
    ///
    /// For who has the role: it sets the watch, *then* looks at [`Handoff::idle`] once more, and polls if that is still too few.
    pub fn set_idle_watch(&self, want: bool) {
        lock(&self.roster).watch(want);
    }

    /// Makes one worker look at the world again: the most recently idled one, or if none is idle the one that polls, or else
    /// the first that comes to `next`. Interrupts that wait for a worker to come don't add up.
    pub fn interrupt_one(&self) {
        let mut roster = lock(&self.roster);
        let wakes = roster.interrupt_one();
        self.let_go(roster, wakes);
    }

    /// Makes every worker look at the world again, once: idle ones and the poller now, others when they come to `next`. Also
    /// those that have not called it yet.
    pub fn interrupt_all(&self) {
        let mut roster = lock(&self.roster);
        let (sleepers, wakes) = roster.interrupt_all();
        self.let_go(roster, wakes);
        self.wake(sleepers);
    }

    /// Takes no more items, and gives the role to nobody. What is queued is still handed out; then every call of `next` is
    /// answered `Closed`. Interrupts that are pending still come first.
    pub fn close(&self) {
        let mut roster = lock(&self.roster);
        let (sleepers, wakes) = roster.close();
        self.let_go(roster, wakes);
        self.wake(sleepers);
    }

    /// What the guard is to do next. For one thread.
    pub fn guard(&self) -> Guard<R> {
        let mut roster = lock(&self.roster);
        let (next, wakes) = roster.guard();
        self.let_go(roster, wakes);
        next
    }

    /// Blocks the guard until something goes on again.
    pub fn guard_rest(&self) {
        self.guard_bed.park();
    }

    /// The guard has polled: it gives the role back and queues all of `found`. `now_us` as in [`Handoff::next_after_poll`].
    pub fn guard_polled(&self, role: R, found: &mut Vec<T>, now_us: u64) {
        let mut roster = lock(&self.roster);
        let wakes = roster.guard_polled(role, found, now_us);
        self.let_go(roster, wakes);
    }

    /// Brings the gauges up to date, unlocks, and only then wakes others, so that they don't wake up into the lock.
    fn let_go(&self, roster: MutexGuard<'_, Roster<T, R>>, wakes: Wakes) {
        self.gauge(&roster);
        drop(roster);
        self.wake(wakes.call);
        if wakes.ring {
            self.bell.ring();
        }
        if wakes.guard {
            self.guard_bed.unpark();
        }
    }

    fn gauge(&self, roster: &Roster<T, R>) {
        let gauges = &self.gauges;
        let (before, now) = (gauges.idle.load(Ordering::Relaxed), roster.free());
        gauges.idle.store(now, Ordering::Relaxed);
        gauges.at_hand.store(roster.at_hand(), Ordering::Relaxed);
        gauges.queued.store(roster.queued(), Ordering::Relaxed);
        gauges.served.store(roster.served(), Ordering::Relaxed);
        gauges
            .pace
            .store(roster.pace().to_bits(), Ordering::Relaxed);
        let guarded = roster.is_guarded();
        if gauges.guarded.load(Ordering::Relaxed) != guarded {
            gauges.guarded.store(guarded, Ordering::SeqCst);
        }
        if before > 0 && now == 0 {
            let spells = gauges.busy_spells.load(Ordering::Relaxed);
            gauges.busy_spells.store(spells + 1, Ordering::Release);
        }
    }

    /// Wakes workers that were taken off the stack.
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
