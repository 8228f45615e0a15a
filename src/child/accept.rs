//! Accepting connections: when, and how many at a time.
//!
//! The admission rule (AsyncRequestWorkerFactor) is asked before each accept, so a connection that is accepted has an idle
//! worker, as far as one can know: nothing is reserved that could be lost again. A child that is full by this rule lets newcomers
//! take others' places (`turnover`).

use super::accept_failure::Failures;
use super::turnover::Newcomers;
use super::{Child, Work};
use crate::conn::ledger::Also;
use crate::host::clock::MS;
use crate::host::log::{log_server, Level};
use crate::host::server;
use crate::host::status::Status;
use crate::policy::admission::{
    accept_change, admit, idle_workers_would_help, AcceptChange, Load, Verdict,
};
use crate::policy::saturation::{Look, Saturation, SHED_IDLE_MS};
use crate::policy::turnover::in_turn;
use crate::sync::phase::Stage;
use std::sync::atomic::Ordering;

/// Accepting, as whoever has the duty sees it.
pub(super) struct Acceptor {
    /// Connections until MaxConnectionsPerChild; `None`: no limit.
    remaining: Option<u32>,
    pub(super) failures: Failures,
    /// The listening socket that is first to be accepted from: the one after the last.
    pub(super) next_socket: usize,
    /// A failure holds accepting up.
    held_up: bool,
    pub(super) saturation: Saturation,
    pub(super) newcomers: Newcomers,
}

/// Accepts per wake-up: enough to batch a burst, few enough that other
/// children and other events have their turn.
const BATCH: usize = 16;

impl Acceptor {
    pub(super) fn new(child: &Child) -> Acceptor {
        let limit = server::max_connections_per_child();
        Acceptor {
            remaining: (limit > 0).then_some(limit as u32),
            failures: Failures::new(child),
            next_socket: 0,
            held_up: false,
            saturation: Saturation::default(),
            newcomers: Newcomers::new(child),
        }
    }

    /// Begins to accept.
    pub(super) fn start(&mut self, child: &Child, now_us: u64) {
        self.listen(child, now_us);
    }

    /// When whoever polls must look here again.
    pub(super) fn next_deadline_us(&self, child: &Child) -> Option<u64> {
        if child.stage() != Stage::Running {
            return None;
        }
        let failures = self.failures.next_deadline_us();
        if child.accepting.load(Ordering::Acquire) {
            return failures;
        }
        let look = self.saturation.next_look_ms().map(|ms| ms * MS);
        [failures, self.newcomers.look_at_us(), look]
            .into_iter()
            .flatten()
            .min()
    }

    /// MaxConnectionsPerChild has been reached.
    pub(super) fn used_up(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Accepts what waits at these listening sockets, as admission allows, and adds it to what was `found`. Each is the first in
    /// turn: where there is room for one at a time, the clients of one socket would shut out those of another.
    pub(super) fn accept(
        &mut self,
        child: &Child,
        mut sockets: Vec<usize>,
        found: &mut Vec<Work>,
        now_us: u64,
    ) {
        in_turn(&mut sockets, self.next_socket);
        for index in sockets {
            self.accept_from(child, index, found, now_us);
        }
    }

    fn accept_from(&mut self, child: &Child, index: usize, found: &mut Vec<Work>, now_us: u64) {
        if !child.accepting.load(Ordering::Acquire) {
            return self.newcomer(child, now_us);
        }
        for turn in 0..BATCH {
            if !child.accepting.load(Ordering::Acquire) {
                return;
            }
            match admit(&child.load(found.len())) {
                Verdict::Accept => {
                    if !self.accept_one(child, index, found, now_us) {
                        return;
                    }
                    self.newcomers.accepted();
                }
                why if turn == 0 && found.is_empty() => {
                    return self.block(child, why, found, now_us)
                }
                // Perhaps nobody is waiting; the next event will tell.
                _ => return,
            }
        }
    }

    /// The child is full and wanted to be told that somebody comes.
    fn newcomer(&mut self, child: &Child, now_us: u64) {
        child.parking.pollset().ignore_listening();
        if !self.failures.hold_up(child) {
            self.newcomers.come(now_us);
        }
    }

    /// Whether somebody was accepted from the listening socket of this index.
    pub(super) fn accept_one(
        &mut self,
        child: &Child,
        index: usize,
        found: &mut Vec<Work>,
        now_us: u64,
    ) -> bool {
        if self.used_up() || child.stage() != Stage::Running {
            return false;
        }
        let Some((client, pool)) = self.failures.accept(child, index, now_us) else {
            // If it has stopped for that: when the pause is over somebody has to look who waits.
            self.held_up |= !child.accepting.load(Ordering::Acquire);
            return false;
        };
        if let Some(n) = &mut self.remaining {
            *n -= 1;
        }
        // Counted from here, so that the next admission knows of it.
        child.ledger.opened();
        child.ledger.enter(Also::Arriving);
        self.next_socket = index + 1;
        found.push(Work::Accepted(client, pool));
        true
    }

    /// Stops accepting until there is room again.
    fn block(&mut self, child: &Child, why: Verdict, found: &mut Vec<Work>, now_us: u64) {
        log_stop(child, why);
        stop(child);
        self.failures.stops_for_another_reason();
        self.newcomers.full(child, now_us);
        self.reconsider(child, found, now_us);
    }

    /// Resumes accepting when there is room again, or lets newcomers take others' places; adds what it accepts to what was
    /// `found`.
    pub(super) fn reconsider(&mut self, child: &Child, found: &mut Vec<Work>, now_us: u64) {
        if child.stage() != Stage::Running {
            return;
        }
        let a_pause_is_over = self.failures.expire(child, now_us);
        if child.accepting.load(Ordering::Acquire) {
            self.look(child, found.len(), now_us);
            return;
        }
        if self.failures.hold_up(child) {
            self.held_up = true;
            self.newcomers.forget(child);
            self.look(child, found.len(), now_us);
            return;
        }
        if std::mem::take(&mut self.held_up) {
            self.newcomers.full(child, now_us); // nobody has looked who waits
        } else if a_pause_is_over {
            self.newcomers.come(now_us);
        }
        // The watch first: a worker that idles after this look rings for whoever polls. Not where that changes nothing.
        child.awaits_idle.store(false, Ordering::SeqCst);
        let awaits_idle =
            self.newcomers.waiting() > 0 || idle_workers_would_help(&child.load(found.len()));
        child.awaits_idle.store(awaits_idle, Ordering::SeqCst);
        child.handoff.set_idle_watch(awaits_idle);
        let load = self.look(child, found.len(), now_us);
        match accept_change(&load) {
            AcceptChange::Resume => self.resume(child, &load, now_us),
            _ => self.turn_over(child, &load, found, now_us),
        }
    }

    /// Sees how busy workers are, or will be with so many items that were `found`. For saturation each item takes a worker, as
    /// it does in the count of busy spells.
    pub(super) fn look(&mut self, child: &Child, found: usize, now_us: u64) -> Load {
        // In this order; see there.
        let busy_spells = child.handoff.busy_spells();
        let load = child.load(found);
        self.saturation.look(Look {
            now_ms: now_us / MS,
            accepting: load.accepting,
            idle_workers: child.idle_without(found) as u32,
            busy_spells,
        });
        load
    }

    /// Closes idle keep-alive connections for others' sake, if the last look says so.
    pub(super) fn shed_keep_alives(&mut self, child: &Child, now_us: u64) {
        if !self.saturation.sheds() {
            return;
        }
        let most = child.threads().min(self.newcomers.waiting());
        let until_us = now_us.saturating_sub(SHED_IDLE_MS * MS);
        let oldest = child.parking.take_keep_alives(most as usize, until_us);
        if oldest.is_empty() {
            return;
        }
        log_server!(
            Level::Trace1,
            Status::SUCCESS,
            "All workers are busy, will shutdown {} keep-alive connections",
            oldest.len()
        );
        child.close_soon(oldest);
    }

    fn resume(&mut self, child: &Child, load: &Load, now_us: u64) {
        child.handoff.set_idle_watch(false);
        log_server!(
            Level::Debug,
            Status::SUCCESS,
            "AH00457: Accepting new connections again: {} active conns ({} lingering/{} \
             clogged/{} suspended), {} idle workers",
            child.ledger.connections(),
            child.ledger.count(Also::Lingering),
            child.ledger.count(Also::Clogged),
            child.ledger.count(Also::Suspended),
            load.idle_workers
        );
        self.listen(child, now_us);
    }

    fn listen(&mut self, child: &Child, now_us: u64) {
        self.newcomers.forget(child);
        if self.failures.listen(child, now_us) {
            child.accepting.store(true, Ordering::Release);
            child.entry.set_not_accepting(false);
            self.look(child, 0, now_us);
        } else {
            stop(child);
        }
    }
}

/// Stops to watch the listening sockets.
pub(super) fn stop(child: &Child) {
    child.accepting.store(false, Ordering::Release);
    // Also if it doesn't accept: a full child may want to be told of newcomers.
    child.parking.pollset().ignore_listening();
    child.entry.set_not_accepting(true);
}

fn log_stop(child: &Child, why: Verdict) {
    match why {
        Verdict::AllBusy => log_server!(
            Level::Debug,
            Status::SUCCESS,
            "All workers busy, not accepting new conns in this process"
        ),
        Verdict::TooManyConnections | Verdict::Accept => log_server!(
            Level::Debug,
            Status::SUCCESS,
            "Too many open connections ({}), not accepting new conns in this process",
            child.ledger.connections()
        ),
    }
}
