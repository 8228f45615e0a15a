//! The listener thread: waits for events, and sees to everything that is due.

use super::accept::{self, Acceptor};
use super::finish::DRAIN_US;
use super::{Child, Work};
use crate::conn::slot_pollset::{Event, Poller};
use crate::host::child_process::pause_us;
use crate::host::clock::{self, MS};
use crate::host::log::{log_server, Level};
use crate::host::status::Status;
use crate::sync::phase::Stage;
use std::sync::atomic::Ordering;

/// A poll that fails is tried again after a pause, so often in a row.
const POLL_ATTEMPTS: u32 = 50;
const POLL_PAUSE_US: u64 = 100 * MS;

/// How many expired connections are taken out under one hold of the lock.
const EXPIRE_BATCH: usize = 256;

struct Listener {
    child: &'static Child,
    poller: Poller,
    acceptor: Acceptor,
    /// The time that the last sleep was to end at. A later one doesn't replace
    /// it: then the next connection that parks needs no wake-up.
    sleep_until_us: Option<u64>,
    /// How many polls in a row have failed.
    failed_polls: u32,
}

/// Runs until the child has no connection left after it has begun to finish.
pub(super) fn run(child: &'static Child, poller: Poller) {
    let mut listener = Listener {
        child,
        poller,
        acceptor: Acceptor::new(child),
        sleep_until_us: None,
        failed_polls: 0,
    };
    listener.acceptor.start(child, clock::now_us());
    while listener.turn() {}
    // Workers take what is queued, then end.
    child.handoff.close();
}

impl Listener {
    /// One turn of the loop; `false` when the child is done.
    fn turn(&mut self) -> bool {
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
            self.close_accept();
            if stage == Stage::Ending || child.ledger.connections() == 0 {
                return false;
            }
        }
        // One time for both: what is not due in the one is waited for in the other.
        let now_us = clock::now_us();
        self.upkeep(now_us);
        self.poll(now_us);
        true
    }

    /// Timers, timeouts, admission: whatever is due.
    fn upkeep(&mut self, now_us: u64) {
        let child = self.child;
        child.fire_timers(now_us);
        loop {
            let expired = child.parking.take_expired(now_us, EXPIRE_BATCH);
            if expired.is_empty() {
                break;
            }
            child.close_soon(expired);
        }
        match child.stage() {
            Stage::Running => {
                self.acceptor.reconsider(child, now_us);
                let shed = self.acceptor.keepalives_to_shed(child, now_us);
                if shed > 0 {
                    log_server!(
                        Level::Trace1,
                        Status::SUCCESS,
                        "All workers are busy, will shutdown {shed} keep-alive connections"
                    );
                    child.close_soon(child.parking.take_keep_alives(shed as usize));
                }
            }
            Stage::Finishing | Stage::Ending => self.drop_idle(now_us),
        }
        child.publish_counts_if_due();
    }

    /// Once the drain window is over, idle connections of a finishing child
    /// are closed; `process` parks no more of them.
    fn drop_idle(&self, now_us: u64) {
        let until = self.child.drain_until_us.load(Ordering::Acquire);
        if now_us < until {
            return;
        }
        let idle = self.child.parking.take_keep_alives(usize::MAX);
        self.child.close_soon(idle);
    }

    fn poll(&mut self, now_us: u64) {
        let child = self.child;
        let drain = self.child.drain_until_us.load(Ordering::Acquire);
        let fixed = [
            self.sleep_until_us.filter(|&until| until > now_us),
            self.acceptor.next_deadline_us(child),
            (drain > now_us).then_some(drain),
        ];
        self.sleep_until_us = child.earliest(&fixed);
        let mut events = Vec::new();
        let status = child.parking.poll(
            &mut self.poller,
            || child.earliest(&fixed),
            |event| events.push(event),
        );
        if status == Status::SUCCESS || status.interrupted() || status.timed_out() {
            self.failed_polls = 0;
        } else {
            self.poll_failed(status);
        }
        let now_us = clock::now_us();
        for event in events {
            self.dispatch(event, now_us);
        }
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

    fn dispatch(&mut self, event: Event, now_us: u64) {
        match event {
            Event::Listening(index) => self.acceptor.accept(self.child, index, now_us),
            Event::Connection(key) => {
                if let Some(ready) = self.child.parking.take_ready(key) {
                    self.child.submit(Work::Ready(ready));
                }
            }
        }
    }

    /// Accepts no more, for good: once.
    fn close_accept(&mut self) {
        let child = self.child;
        if child.accept_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        accept::stop(child);
        child.listeners.close();
        child.announce_finishing();
        child.pools.drop_spare();
        child.parking.shorten_linger();
        child.main_wakeup.set();
        child.handoff.interrupt_all();
    }
}

impl Child {
    /// The first of what is due: given times, timers, timeouts.
    fn earliest(&self, fixed: &[Option<u64>]) -> Option<u64> {
        let changing = [self.timers.next_deadline(), self.parking.next_deadline_us()];
        fixed.iter().copied().chain(changing).flatten().min()
    }
}
