//! Parking connections: pollset and timeout queues together.
//!
//! Both change under one lock, so what is parked is watched. What is not parked may still be watched (see `slot_watch`); only the
//! queues tell whether it is there, and its watch since when.

use super::queues::{Queues, Wait};
use super::slot_handles::{Parked, Queued, Running};
use super::slot_pollset::{ConnPollset, Event, Poller};
use super::slot_watch::{WatchName, Watches};
use crate::host::clock;
use crate::host::log::{log_server, Level};
use crate::host::scoreboard::ConnectionCounts;
use crate::host::status::Status;
use crate::sync::deadline::Sleep;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where connections rest between two turns of a worker.
pub struct Parking {
    pollset: Arc<ConnPollset>,
    places: Mutex<Places>,
    sleep: Sleep,
}

struct Places {
    queues: Queues<Parked>,
    watches: Watches,
}

/// Time that a closing connection is given, in microseconds.
pub const LINGER_US: u64 = 30_000_000;
/// The same when it must be short.
pub const SHORT_LINGER_US: u64 = 2_000_000;

impl Parking {
    /// An empty car park on a pollset.
    pub fn new(pollset: Arc<ConnPollset>) -> Parking {
        Parking {
            pollset,
            places: Mutex::new(Places {
                queues: Queues::new(LINGER_US, SHORT_LINGER_US),
                watches: Watches::default(),
            }),
            sleep: Sleep::new(),
        }
    }

    /// The pollset, for the listening sockets.
    pub fn pollset(&self) -> &ConnPollset {
        &self.pollset
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // A panic aborts the child, so a poisoned lock is never seen.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parks a connection, whose interest has been set, until it is ready or
    /// its time is over.
    ///
    /// # Errors
    /// The pollset did not take it (no memory, no descriptor): the caller has it back.
    pub fn park(&self, conn: Running, wait: Wait) -> Result<(), (Running, Status)> {
        let (timeout, began) = match wait {
            Wait::Io | Wait::Write => (conn.timeouts().io_us, None),
            Wait::KeepAlive => (conn.timeouts().keep_alive_us, None),
            Wait::Linger => (LINGER_US, Some(conn.lingering_since())),
            Wait::ShortLinger => (SHORT_LINGER_US, Some(conn.lingering_since())),
        };
        let parked = conn.into_parked();
        let deadline = {
            let mut places = self.places();
            let watch = parked.watch_or(|socket| places.watches.take(socket));
            let added = self.pollset.watch(watch.get(), parked.interest());
            if added != Status::SUCCESS {
                return Err((parked.into_running(), added));
            }
            // Read under the lock: the queues want what comes later not to have begun earlier.
            let since = began.unwrap_or_else(clock::now_us);
            let key = places.queues.next_key();
            watch.get().park(key, places.watches.polls());
            places.queues.insert(key, parked, wait, timeout, since)
        };
        // From here on another thread may have the connection.
        self.wake_for(deadline);
        Ok(())
    }

    /// A connection is about to be closed: the pollset forgets it.
    pub fn forget(&self, conn: &Running) {
        if let Some(watch) = conn.take_watch() {
            let mut places = self.places();
            let removed = self.pollset.unwatch(watch.get());
            places.watches.retire(watch);
            drop(places);
            complain(removed, "AH00473: apr_pollset_remove failed");
        }
    }

    /// Takes out the connections whose sockets are ready, as the last poll has found.
    ///
    /// For whoever polls alone.
    pub fn take_ready(&self, found: &[WatchName], mut ready: impl FnMut(Queued)) {
        let mut places = self.places();
        let polls = places.watches.polls();
        for name in found {
            let watch = name.get();
            if watch.parked_since(polls) {
                continue;
            }
            let parked = places.queues.remove(watch.key());
            if parked.is_none() {
                watch.note_early();
            }
            if watch.leaves() {
                let removed = self.pollset.unwatch(watch);
                complain(removed, "AH03094: pollset remove failed");
            }
            if let Some((parked, _)) = parked {
                ready(parked.ready());
            }
        }
        places.watches.poll_ended();
    }

    /// Takes out connections whose time is over, at most `max`.
    pub fn take_expired(&self, now_us: u64, max: usize) -> Vec<Queued> {
        let expired = self.places().queues.expire(now_us, max);
        expired
            .into_iter()
            .map(|(parked, wait)| parked.expired(wait))
            .collect()
    }

    /// Takes out the keep-alives that have idled longest, to be closed: at most `max`, and only those that have idled since
    /// `until_us`.
    pub fn take_keep_alives(&self, max: usize, until_us: u64) -> Vec<Queued> {
        let oldest = self.places().queues.oldest_keep_alives(max, until_us);
        oldest
            .into_iter()
            .map(|parked| parked.expired(Wait::KeepAlive))
            .collect()
    }

    /// A finishing child gives every close the short time only.
    pub fn shorten_linger(&self) {
        self.places().queues.shorten_linger(SHORT_LINGER_US);
        self.pollset.wake();
    }

    /// Adds what is parked to the counts for mod_status.
    pub fn count(&self, counts: &mut ConnectionCounts) {
        let queues = &self.places().queues;
        counts.wait_io = queues.count(Wait::Io);
        counts.write_completion = queues.count(Wait::Write);
        counts.keep_alive = queues.count(Wait::KeepAlive);
    }

    /// When the first parked connection's time is over.
    pub fn next_deadline_us(&self) -> Option<u64> {
        self.places().queues.next_deadline_us()
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

    /// Waits for events until `earliest()` at the latest, and gives each to `ready`; then comes [`Parking::take_ready`]. For the
    /// order of the steps, see `sync::deadline`.
    ///
    /// For one thread at a time.
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
        self.places().watches.poll_begins();
        let timeout = until.map(|u| u.saturating_sub(clock::now_us()));
        let status = self.pollset.poll(poller, timeout, ready);
        self.sleep.awake();
        status
    }
}

fn complain(removed: Status, what: &str) {
    // A kernel forgets closed sockets by itself.
    if removed != Status::SUCCESS && !removed.not_found() {
        log_server!(Level::Err, removed, "{what}");
    }
}
