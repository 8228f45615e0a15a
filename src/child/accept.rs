//! Accepting connections: when, and how many at a time.
//!
//! The admission rule (AsyncRequestWorkerFactor) is asked before each accept,
//! so a connection that is accepted has an idle worker, as far as one can
//! know: nothing is reserved that could be lost again.

use super::turnover::Newcomers;
use super::{Child, Work};
use crate::conn::ledger::Also;
use crate::host::clock::MS;
use crate::host::listener::{Listening, NotAccepted};
use crate::host::log::{log_server, Level};
use crate::host::server;
use crate::host::status::Status;
use crate::policy::admission::{accept_change, admit, AcceptChange, Load, Verdict};
use crate::policy::onset::Onset;
use crate::policy::saturation::{Look, Saturation};
use crate::sync::phase::Stage;
use std::sync::atomic::Ordering;

/// Accepting, as whoever has the duty sees it.
pub(super) struct Acceptor {
    sockets: Vec<Listening>,
    /// Connections until MaxConnectionsPerChild; `None`: no limit.
    remaining: Option<u32>,
    /// For want of descriptors or memory.
    pause: Option<Pause>,
    /// How long the last pause was, microseconds; 0 after a success.
    pause_us: u64,
    out_of_resources: Onset,
    saturation: Saturation,
    pub(super) newcomers: Newcomers,
}

/// Accepting rests while the system is out of a resource.
#[derive(Clone, Copy)]
struct Pause {
    until_us: u64,
    /// Open connections when it began: with fewer there is room again.
    connections: u32,
}

impl Pause {
    fn holds(self, child: &Child, now_us: u64) -> bool {
        now_us < self.until_us && child.ledger.connections() >= self.connections
    }
}

/// How long accepting rests when the system is out of a resource, at first.
const RESOURCE_PAUSE_US: u64 = 50 * MS;
/// The same after repeated failures.
const LONGEST_PAUSE_US: u64 = 1_000 * MS;
/// A lack that comes and goes is logged once in this time.
pub(super) const LOG_GAP_MS: u64 = 60_000;
/// Accepts per wake-up: enough to batch a burst, few enough that other
/// children and other events have their turn.
const BATCH: usize = 16;

impl Acceptor {
    pub(super) fn new(child: &Child) -> Acceptor {
        let limit = server::max_connections_per_child();
        let sockets: Vec<Listening> = child.listeners.sockets().collect();
        for socket in &sockets {
            socket.prepare();
        }
        Acceptor {
            sockets,
            remaining: (limit > 0).then_some(limit as u32),
            pause: None,
            pause_us: 0,
            out_of_resources: Onset::default(),
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
        if child.stage() != Stage::Running || child.accepting.load(Ordering::Acquire) {
            return None;
        }
        let look = self.saturation.next_look_ms() * MS;
        let pause = self.pause.map(|p| p.until_us);
        [pause, self.newcomers.look_at_us(), Some(look)]
            .into_iter()
            .flatten()
            .min()
    }

    /// MaxConnectionsPerChild has been reached.
    pub(super) fn used_up(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Accepts what waits at one listening socket, as admission allows, and adds it to what was `found`.
    pub(super) fn accept(
        &mut self,
        child: &Child,
        index: usize,
        found: &mut Vec<Work>,
        now_us: u64,
    ) {
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
        if self.pause.is_none() {
            self.newcomers.come(now_us);
        }
    }

    /// Accepts from one listening socket; whether it did.
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
        let Some(&socket) = self.sockets.get(index) else {
            return false;
        };
        let pool = match child.pools.take() {
            Ok(pool) => pool,
            Err(status) => {
                log_server!(
                    Level::Crit,
                    status,
                    "AH03097: Failed to create transaction pool"
                );
                self.rest(child, now_us);
                return false;
            }
        };
        match socket.accept(pool.name()) {
            Ok(client) => {
                if let Some(n) = &mut self.remaining {
                    *n -= 1;
                }
                self.pause_us = 0;
                let _ = self
                    .out_of_resources
                    .observe(false, now_us / MS, LOG_GAP_MS);
                // Counted from here, so that the next admission knows of it.
                child.ledger.opened();
                child.ledger.enter(Also::Arriving);
                found.push(Work::Accepted(client, pool));
                true
            }
            Err(why) => {
                child.pools.give_back_unused(pool);
                if matches!(why, NotAccepted::Resources) {
                    self.rest(child, now_us);
                }
                false
            }
        }
    }

    /// Out of descriptors or memory: what is there goes on being served, and
    /// what ends gives its descriptor back.
    fn rest(&mut self, child: &Child, now_us: u64) {
        if self.out_of_resources.observe(true, now_us / MS, LOG_GAP_MS) {
            log_server!(
                Level::Err,
                Status::SUCCESS,
                "rust_event: can't accept new connections for now (see the message before this \
                 one); raise the limit of open files (ulimit -n) or lower MaxRequestWorkers"
            );
        }
        // httpd logs each attempt, so attempts become rarer.
        self.pause_us = (self.pause_us * 2).clamp(RESOURCE_PAUSE_US, LONGEST_PAUSE_US);
        self.pause = Some(Pause {
            until_us: now_us + self.pause_us,
            connections: child.ledger.connections(),
        });
        self.newcomers.forget(child);
        stop(child);
    }

    /// Stops accepting until there is room again.
    fn block(&mut self, child: &Child, why: Verdict, found: &mut Vec<Work>, now_us: u64) {
        log_stop(child, why);
        stop(child);
        self.newcomers.full(child, now_us);
        self.reconsider(child, found, now_us);
    }

    /// Resumes accepting when there is room again, or lets newcomers take others' places; adds what it accepts to what was
    /// `found`.
    pub(super) fn reconsider(&mut self, child: &Child, found: &mut Vec<Work>, now_us: u64) {
        if child.stage() != Stage::Running {
            return;
        }
        if child.accepting.load(Ordering::Acquire) {
            self.look(child, found.len(), now_us);
            return;
        }
        let paused = self.pause.is_some_and(|pause| pause.holds(child, now_us));
        if !paused {
            if self.pause.take().is_some() {
                // Nobody has looked who waits.
                self.newcomers.full(child, now_us);
            }
            // The watch first: a worker that idles after this look rings for whoever polls.
            child.handoff.set_idle_watch(true);
        }
        let load = self.look(child, found.len(), now_us);
        if paused {
            return;
        }
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

    /// How many idle keep-alive connections to close for others' sake, as of the last look.
    pub(super) fn keepalives_to_shed(&mut self, child: &Child) -> u32 {
        let most = child.threads().min(self.newcomers.waiting());
        self.saturation
            .keepalives_to_shed(|| child.parking.keep_alives(), most)
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
        match child.parking.pollset().listen() {
            Ok(()) => {
                self.newcomers.forget(child);
                child.accepting.store(true, Ordering::Release);
                child.entry.set_not_accepting(false);
                self.look(child, 0, now_us);
            }
            Err(status) => self.cannot_listen(child, status, now_us),
        }
    }

    /// The child is full, and nobody waits.
    pub(super) fn note_nobody_waits(&mut self) {
        self.saturation.nobody_waits();
    }

    /// The pollset is to tell when somebody comes.
    pub(super) fn tell_of_newcomers(&mut self, child: &Child, now_us: u64) {
        if let Err(status) = child.parking.pollset().listen() {
            self.cannot_listen(child, status, now_us);
        }
    }

    fn cannot_listen(&mut self, child: &Child, status: Status, now_us: u64) {
        log_server!(
            Level::Err,
            status,
            "rust_event: can't watch the listening sockets: has each Listen address been bound (see the \
             messages of the start)?"
        );
        self.rest(child, now_us);
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
