//! Parking connections: pollset and timeout queues together.
//!
//! Both change under one lock, so a connection is in both or in neither, and
//! whoever finds it in one may take it out of the other.

use super::queues::{Key, Queues, Wait};
use super::slot_handles::{Parked, Queued, Running};
use super::slot_pollset::{ConnPollset, Event, Poller};
use crate::host::clock;
use crate::host::log::{log_server, Level};
use crate::host::scoreboard::ConnectionCounts;
use crate::host::status::Status;
use crate::sync::deadline::Sleep;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where connections rest between two turns of a worker.
pub struct Parking {
    pollset: ConnPollset,
    queues: Mutex<Queues<Parked>>,
    sleep: Sleep,
}

/// Time that a closing connection is given, in microseconds.
pub const LINGER_US: u64 = 30_000_000;
/// The same when it must be short.
pub const SHORT_LINGER_US: u64 = 2_000_000;

impl Parking {
    /// An empty car park on a pollset.
    pub fn new(pollset: ConnPollset) -> Parking {
        Parking {
            pollset,
            queues: Mutex::new(Queues::new(LINGER_US, SHORT_LINGER_US)),
            sleep: Sleep::new(),
        }
    }

    /// The pollset, for the listening sockets.
    pub fn pollset(&self) -> &ConnPollset {
        &self.pollset
    }

    fn queues(&self) -> MutexGuard<'_, Queues<Parked>> {
        // A panic aborts the child, so a poisoned lock is never seen.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parks a connection, whose interest has been set, until it is ready or
    /// its time is over.
    ///
    /// # Errors
    /// The pollset did not take it (no memory, no descriptor): the caller has it back.
    pub fn park(&self, conn: Running, wait: Wait, now_us: u64) -> Result<(), (Running, Status)> {
        let (timeout, since) = match wait {
            Wait::Io | Wait::Write => (conn.timeouts().io_us, now_us),
            Wait::KeepAlive => (conn.timeouts().keep_alive_us, now_us),
            Wait::Linger => (LINGER_US, conn.lingering_since()),
            Wait::ShortLinger => (SHORT_LINGER_US, conn.lingering_since()),
        };
        let parked = conn.into_parked();
        let deadline = {
            let mut queues = self.queues();
            let key = queues.next_key();
            parked.set_key(key);
            let added = self.pollset.watch(&parked);
            if added != Status::SUCCESS {
                return Err((parked.into_running(), added));
            }
            queues.insert(key, parked, wait, timeout, since)
        };
        // From here on another thread may have the connection.
        self.wake_for(deadline);
        Ok(())
    }

    fn unwatch(&self, parked: &Parked, expired: bool) {
        let removed = self.pollset.unwatch(parked);
        // A kernel forgets closed sockets by itself.
        if removed != Status::SUCCESS && !removed.not_found() {
            let what = match expired {
                true => "AH00473: apr_pollset_remove failed",
                false => "AH03094: pollset remove failed",
            };
            log_server!(Level::Err, removed, "{what}");
        }
    }

    /// Takes out a connection whose socket is ready; `None` when it has gone already.
    pub fn take_ready(&self, key: Key) -> Option<Queued> {
        let mut queues = self.queues();
        let (parked, _) = queues.remove(key)?;
        self.unwatch(&parked, false);
        Some(parked.ready())
    }

    /// Takes out connections whose time is over, at most `max`.
    pub fn take_expired(&self, now_us: u64, max: usize) -> Vec<Queued> {
        let mut queues = self.queues();
        let expired = queues.expire(now_us, max);
        expired
            .into_iter()
            .map(|(parked, wait)| {
                self.unwatch(&parked, true);
                parked.expired(wait)
            })
            .collect()
    }

    /// Takes out the keep-alives that have idled longest, to be closed.
    pub fn take_keep_alives(&self, max: usize) -> Vec<Queued> {
        let mut queues = self.queues();
        let oldest = queues.oldest_keep_alives(max);
        oldest
            .into_iter()
            .map(|parked| {
                self.unwatch(&parked, true);
                parked.expired(Wait::KeepAlive)
            })
            .collect()
    }

    /// A finishing child gives every close the short time only.
    pub fn shorten_linger(&self) {
        self.queues().shorten_linger(SHORT_LINGER_US);
        self.pollset.wake();
    }

    /// How many connections idle between two requests.
    pub fn keep_alives(&self) -> u32 {
        self.queues().count(Wait::KeepAlive)
    }

    /// Adds what is parked to the counts for mod_status.
    pub fn count(&self, counts: &mut ConnectionCounts) {
        let queues = self.queues();
        counts.wait_io = queues.count(Wait::Io);
        counts.write_completion = queues.count(Wait::Write);
        counts.keep_alive = queues.count(Wait::KeepAlive);
    }

    /// When the first parked connection's time is over.
    pub fn next_deadline_us(&self) -> Option<u64> {
        self.queues().next_deadline_us()
    }

    /// Wakes the poller.
    pub fn wake(&self) {
        self.pollset.wake();
    }

    /// Wakes the poller if it would sleep beyond `deadline_us`. Called after
    /// the deadline is where the poller will look.
    pub fn wake_for(&self, deadline_us: u64) {
        if self.sleep.must_wake(deadline_us) {
            self.pollset.wake();
        }
    }

    /// Waits for events until `earliest()` at the latest, and gives each to
    /// `ready`; see `sync::deadline` for the order of the steps.
    ///
    /// For the listener thread alone.
    pub fn poll(
        &self,
        poller: &mut Poller,
        earliest: impl Fn() -> Option<u64>,
        ready: impl FnMut(Event),
    ) -> Status {
        let mut until = earliest();
        loop {
            self.sleep.announce(until);
            let again = earliest();
            if again.unwrap_or(u64::MAX) >= until.unwrap_or(u64::MAX) {
                break;
            }
            until = again;
        }
        let timeout = until.map(|u| u.saturating_sub(clock::now_us()));
        let status = self.pollset.poll(poller, timeout, ready);
        self.sleep.awake();
        status
    }
}
