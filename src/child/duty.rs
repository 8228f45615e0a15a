//! The duty of whoever has the role: to see to everything that is due, then to wait for events.
//!
//! Workers take it in turns, and the listener thread takes it when all of them are busy. Only who has it takes connections out
//! of the queues.

use super::accept::{self, Acceptor};
use super::finish::DRAIN_US;
use super::{Child, Work};
use crate::conn::slot_pollset::{ConnPollset, Event, Poller};
use crate::conn::slot_watch::WatchName;
use crate::host::child_process::pause_us;
use crate::host::clock::{self, MS};
use crate::host::log::{log_server, Level};
use crate::host::status::Status;
use crate::sync::handoff::Ring;
use crate::sync::phase::Stage;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// A poll that fails is tried again after a pause, so often in a row.
const POLL_ATTEMPTS: u32 = 50;
const POLL_PAUSE_US: u64 = 100 * MS;

/// How many timers or expired connections are taken out under one hold of their lock.
const BATCH: usize = 256;

/// Makes whoever polls return.
pub(super) struct PollsetBell(pub(super) Arc<ConnPollset>);

impl Ring for PollsetBell {
    fn ring(&self) {
        self.0.wake();
    }
}

/// The role; there is one in a child.
pub(super) struct Duty {
    child: &'static Child,
    poller: Poller,
    acceptor: Acceptor,
    /// The time that the last sleep was to end at. A later one doesn't replace it: then the next connection that parks needs
    /// no wake-up.
    sleep_until_us: Option<u64>,
    /// How many polls in a row have failed.
    failed_polls: u32,
    /// The last poll's events; empty between two polls.
    ready: Vec<WatchName>,
}

impl Duty {
    /// The duty of a child that begins to accept.
    pub(super) fn new(child: &'static Child, poller: Poller) -> Duty {
        let mut acceptor = Acceptor::new(child);
        acceptor.start(child, clock::now_us());
        Duty {
            child,
            poller,
            acceptor,
            sleep_until_us: None,
            failed_polls: 0,
            ready: Vec::new(),
        }
    }

    /// One turn. Puts what there is to do into `found`, behind what is there; waits only if there is nothing.
    pub(super) fn turn(&mut self, found: &mut Vec<Work>) {
        let child = self.child;
        if self.acceptor.used_up() && child.stage() == Stage::Running {
            log_server!(
                Level::Trace1,
                Status::SUCCESS,
                "Stopping process due to MaxConnectionsPerChild"
            );
            child.finish(DRAIN_US);
        }
        let stage = child.stage();
        if stage != Stage::Running {
            child.close_accept();
            if stage == Stage::Ending || child.ledger.connections() == 0 {
                // Workers take what is queued, then end.
                return child.handoff.close();
            }
        }
        // One time for both: what is not due in the one is waited for in the other.
        let now_us = clock::now_us();
        self.upkeep(now_us, found);
        self.poll(now_us, found);
    }

    /// Timers, timeouts, admission: whatever is due.
    fn upkeep(&mut self, now_us: u64, found: &mut Vec<Work>) {
        let child = self.child;
        let due = child.timers.pop_due(now_us, BATCH);
        found.extend(due.into_iter().map(Work::Timer));
        loop {
            let expired = child.parking.take_expired(now_us, BATCH);
            if expired.is_empty() {
                break;
            }
            child.close_soon(expired);
        }
        match child.stage() {
            Stage::Running => {
                self.acceptor.reconsider(child, found, now_us);
                self.acceptor.shed_keep_alives(child, now_us);
            }
            Stage::Finishing | Stage::Ending => self.drop_idle(now_us),
        }
        child.call_for_closings(now_us, found);
    }

    /// Once the drain window is over, idle connections of a finishing child are closed; `process` parks no more of them.
    fn drop_idle(&self, now_us: u64) {
        let until = self.child.drain_until_us.load(Ordering::Acquire);
        if now_us < until {
            return;
        }
        let idle = self.child.parking.take_keep_alives(usize::MAX, u64::MAX);
        self.child.close_soon(idle);
    }

    fn poll(&mut self, now_us: u64, found: &mut Vec<Work>) {
        let child = self.child;
        let drain = child.drain_until_us.load(Ordering::Acquire);
        let at_once = (!found.is_empty()).then_some(now_us);
        let fixed = [
            at_once,
            self.sleep_until_us.filter(|&until| until > now_us),
            self.acceptor.next_deadline_us(child),
            (drain > now_us).then_some(drain),
        ];
        let until = child.earliest(&fixed);
        if at_once.is_none() {
            self.sleep_until_us = until;
        }
        let mut listening = Vec::new();
        let ready = &mut self.ready;
        let status = child.parking.poll(
            &mut self.poller,
            || child.earliest(&fixed),
            |event| match event {
                Event::Connection(watch) => ready.push(watch),
                Event::Listening(index) => listening.push(index),
            },
        );
        if status == Status::SUCCESS || status.interrupted() || status.timed_out() {
            self.failed_polls = 0;
        } else {
            self.poll_failed(status);
        }
        child
            .parking
            .take_ready(&self.ready, |queued| found.push(Work::Ready(queued)));
        self.ready.clear();
        let now_us = clock::now_us();
        self.acceptor.look(child, found.len(), now_us);
        self.acceptor.accept(child, listening, found, now_us);
    }

    /// The child finishes, in peace: requests are in their handlers. It ends when even that can't be done.
    fn poll_failed(&mut self, status: Status) {
        let child = self.child;
        if self.failed_polls == 0 {
            log_server!(
                Level::Crit,
                status,
                "apr_pollset_poll failed.  Attempting to shutdown process gracefully"
            );
        }
        self.failed_polls += 1;
        child.finish(DRAIN_US);
        if self.failed_polls > POLL_ATTEMPTS {
            child.end();
        }
        pause_us(POLL_PAUSE_US);
    }
}

impl Child {
    /// Accepts no more, for good: once.
    pub(super) fn close_accept(&self) {
        if self.accept_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        accept::stop(self);
        self.listeners.close();
        self.announce_finishing();
        self.pools.drop_spare();
        self.parking.shorten_linger();
        self.main_wakeup.set();
        self.handoff.interrupt_all();
    }

    /// The first of what is due: given times, timers, timeouts.
    fn earliest(&self, fixed: &[Option<u64>]) -> Option<u64> {
        let changing = [
            self.timers.next_deadline(),
            self.parking.next_deadline_us(),
            self.closings.next_deadline_us(),
        ];
        fixed.iter().copied().chain(changing).flatten().min()
    }
}
