//! Accepting connections: when, and how many at a time.
//!
//! The admission rule (AsyncRequestWorkerFactor) is asked before each accept,
//! so a connection that is accepted has an idle worker: nothing is reserved
//! that could be lost again.

use super::{Child, Work};
use crate::conn::ledger::Also;
use crate::host::clock::MS;
use crate::host::listener::{Listening, NotAccepted};
use crate::host::log::{log_server, Level};
use crate::host::server;
use crate::host::status::Status;
use crate::policy::admission::{
    accept_change, admit, keepalives_to_shed, AcceptChange, Pressure, Verdict, SHED_AFTER_MS,
};
use crate::policy::onset::Onset;
use crate::sync::phase::Stage;
use std::sync::atomic::Ordering;

/// The listener thread's view of accepting.
pub(super) struct Acceptor {
    sockets: Vec<Listening>,
    /// Connections until MaxConnectionsPerChild; `None`: no limit.
    remaining: Option<u32>,
    /// For want of descriptors or memory.
    pause: Option<Pause>,
    /// How long the last pause was, microseconds; 0 after a success.
    pause_us: u64,
    out_of_resources: Onset,
    /// Since when accepting has stopped for want of room.
    blocked_since_us: Option<u64>,
    /// Since when no worker has been seen idle, but for moments, while accepting has stopped.
    busy_since_us: Option<u64>,
    /// When it was last looked whether accepting can go on.
    looked_us: u64,
    /// Since when a worker has been seen free.
    free_since_us: Option<u64>,
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
const LOG_GAP_MS: u64 = 60_000;
/// How often a child that has stopped accepting looks whether to close idle connections.
const SHED_EVERY_US: u64 = SHED_AFTER_MS * MS;
/// Workers that were free for less than this, in microseconds, have been busy all the time.
const CALM_US: u64 = 100 * MS;
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
            blocked_since_us: None,
            busy_since_us: None,
            looked_us: 0,
            free_since_us: None,
        }
    }

    /// Begins to accept.
    pub(super) fn start(&mut self, child: &Child, now_us: u64) {
        self.listen(child, now_us);
    }

    /// When the listener must look here again.
    pub(super) fn next_deadline_us(&self, child: &Child) -> Option<u64> {
        if child.stage() != Stage::Running || child.accepting.load(Ordering::Acquire) {
            return None;
        }
        let look = self.looked_us + SHED_EVERY_US;
        Some(self.pause.map_or(look, |p| p.until_us.min(look)))
    }

    /// MaxConnectionsPerChild has been reached.
    pub(super) fn used_up(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Accepts what waits at one listening socket, as admission allows.
    pub(super) fn accept(&mut self, child: &Child, index: usize, now_us: u64) {
        let Some(&socket) = self.sockets.get(index) else {
            return;
        };
        for turn in 0..BATCH {
            let accepting = child.accepting.load(Ordering::Acquire);
            if !accepting || self.used_up() || child.stage() != Stage::Running {
                return;
            }
            match admit(&child.load()) {
                Verdict::Accept => {
                    if !self.accept_one(child, socket, now_us) {
                        return;
                    }
                }
                why if turn == 0 => return self.block(child, why, now_us),
                // Perhaps nobody is waiting; the next event will tell.
                _ => return,
            }
        }
    }

    fn accept_one(&mut self, child: &Child, socket: Listening, now_us: u64) -> bool {
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
                child.submit(Work::Accepted(client, pool));
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
        stop(child);
    }

    /// Stops accepting until there is room again.
    fn block(&mut self, child: &Child, why: Verdict, now_us: u64) {
        log_stop(child, why);
        stop(child);
        self.blocked_since_us.get_or_insert(now_us);
        self.reconsider(child, now_us);
    }

    /// Resumes accepting when there is room again.
    pub(super) fn reconsider(&mut self, child: &Child, now_us: u64) {
        if child.accepting.load(Ordering::Acquire) || child.stage() != Stage::Running {
            return;
        }
        self.looked_us = now_us;
        if self.pause.is_some_and(|pause| pause.holds(child, now_us)) {
            return;
        }
        // The watch first: a worker that idles after this look wakes the listener.
        child.handoff.set_idle_watch(true);
        let load = child.load();
        self.note_workers(load.idle_workers, now_us);
        if accept_change(&load) == AcceptChange::Resume {
            return self.resume(child, now_us);
        }
        self.pause = None;
    }

    /// Sees whether workers stay busy.
    fn note_workers(&mut self, idle: u32, now_us: u64) {
        if idle > 0 {
            self.free_since_us.get_or_insert(now_us);
            return;
        }
        let free_since = self.free_since_us.take();
        if free_since.is_some_and(|since| now_us.saturating_sub(since) >= CALM_US) {
            // Accepting has stopped all the same: both times begin anew.
            self.blocked_since_us = Some(now_us);
            self.busy_since_us = None;
        }
        self.busy_since_us.get_or_insert(now_us);
    }

    /// How many idle keep-alive connections to close for others' sake, now
    /// that workers stay busy.
    pub(super) fn keepalives_to_shed(&mut self, child: &Child, now_us: u64) -> u32 {
        if child.accepting.load(Ordering::Acquire) || self.free_since_us.is_some() {
            return 0;
        }
        let for_ms = |since: Option<u64>| since.map_or(0, |s| now_us.saturating_sub(s) / MS);
        let busy_for_ms = for_ms(self.busy_since_us);
        if busy_for_ms < SHED_AFTER_MS {
            return 0;
        }
        let shed = keepalives_to_shed(&Pressure {
            busy_for_ms,
            accept_blocked_for_ms: for_ms(self.blocked_since_us),
            keepalives: child.parking.keep_alives(),
            threads: child.threads(),
        });
        self.busy_since_us = Some(now_us);
        shed
    }

    fn resume(&mut self, child: &Child, now_us: u64) {
        self.pause = None;
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
            child.handoff.idle()
        );
        self.listen(child, now_us);
    }

    fn listen(&mut self, child: &Child, now_us: u64) {
        match child.parking.pollset().listen() {
            Ok(()) => {
                child.accepting.store(true, Ordering::Release);
                child.entry.set_not_accepting(false);
            }
            Err(status) => {
                log_server!(
                    Level::Err,
                    status,
                    "rust_event: can't watch the listening sockets: has each Listen address been bound (see the \
                     messages of the start)?"
                );
                self.rest(child, now_us);
            }
        }
    }
}

/// Stops to watch the listening sockets.
pub(super) fn stop(child: &Child) {
    if child.accepting.swap(false, Ordering::AcqRel) {
        child.parking.pollset().ignore_listening();
    }
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
