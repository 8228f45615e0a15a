//! Newcomers get in beside kept clients, though the child has as many connections as it may have: `policy::turnover` says who
//! makes room; here it is done.

use super::accept::Acceptor;
use super::accept_failure::LOG_GAP_MS;
use super::{current, Child, Work};
use crate::conn::ledger::Also;
use crate::conn::slot_requests;
use crate::host::backlog::Backlogs;
use crate::host::clock::MS;
use crate::host::connection::Conn;
use crate::host::log::{log_server, Level};
use crate::host::scoreboard::{ChildEntry, Quiescing};
use crate::host::status::Status;
use crate::policy::admission::{connection_limit, Load};
use crate::policy::maintenance::bucket_of;
use crate::policy::onset::Onset;
use crate::policy::turnover::{
    in_turn, makes_room, turn, typically_served, Look, Step, Turnover, IDLES_AFTER_MS,
};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// What workers have to know of it: whether the answer that they begin closes its connection.
///
/// Figures of the moment: one that is a little old closes one connection more or less.
#[derive(Default)]
pub(super) struct Answers {
    to_close: AtomicU32,
    announcements: AtomicUsize,
    any: AtomicBool,
    typically_served: AtomicU32,
}

impl Answers {
    fn set(&self, step: &Step) {
        self.any.store(step.any, Relaxed);
        self.to_close.store(step.close_answered, Relaxed);
    }

    /// An answer begins to a client that has had so many before: whether it may be the last.
    fn may_be_last(&self, served: u32) -> bool {
        let typical = self.typically_served.load(Relaxed);
        let next = typically_served(typical, served);
        self.typically_served.store(next, Relaxed);
        self.to_close.load(Relaxed) > 0 && makes_room(served, typical, self.any.load(Relaxed))
    }

    /// It is, unless others have been enough.
    fn announce(&self) -> bool {
        let one_less = |n: u32| n.checked_sub(1);
        let is_last = self
            .to_close
            .fetch_update(Relaxed, Relaxed, one_less)
            .is_ok();
        self.announcements.fetch_add(usize::from(is_last), Relaxed);
        is_last
    }
}

/// Who waits while the child is full, as whoever polls sees it.
pub(super) struct Newcomers {
    backlogs: Backlogs,
    turnover: Turnover,
    looked_us: u64,
    /// How many waited then.
    waiting: u32,
    /// When to look again; `None`: when the pollset tells that somebody comes.
    look_at_us: Option<u64>,
    /// The last look found nobody.
    calm: bool,
    log: Onset,
}

/// While somebody waits, each turn of whoever polls looks, but for those that follow one another within this time.
const LOOK_GAP_US: u64 = 2 * MS;

/// Before the pollset is to tell of newcomers, nobody must have come for this long: where another child accepts, each of its
/// clients would wake this one.
const CALM_US: u64 = 20 * MS;

impl Newcomers {
    pub(super) fn new(child: &Child) -> Newcomers {
        Newcomers {
            backlogs: child.backlogs.clone(),
            turnover: Turnover::default(),
            looked_us: 0,
            waiting: 0,
            look_at_us: None,
            calm: false,
            log: Onset::default(),
        }
    }

    /// The child has stopped accepting for want of room.
    pub(super) fn full(&mut self, child: &Child, now_us: u64) {
        self.turnover.full(open(child));
        self.come(now_us);
    }

    /// Somebody was accepted by the rule.
    pub(super) fn accepted(&mut self) {
        self.turnover.accepted();
    }

    /// Somebody may have come.
    pub(super) fn come(&mut self, now_us: u64) {
        self.look_at_us = Some(now_us);
        self.calm = false;
    }

    /// The child accepts by the rule, or not at all.
    pub(super) fn forget(&mut self, child: &Child) {
        child.answers.set(&Step::default());
        self.look_at_us = None;
        self.waiting = 0;
    }

    /// When whoever polls has to look here.
    pub(super) fn look_at_us(&self) -> Option<u64> {
        self.look_at_us
    }

    /// How many wait, as of the last look.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting
    }

    fn is_due(&self, now_us: u64) -> bool {
        let gap_is_over = self.waiting > 0 && self.looked_us + LOOK_GAP_US <= now_us;
        self.look_at_us
            .is_some_and(|at| at <= now_us || gap_is_over)
    }

    fn log(&mut self, waiting: u32, step: &Step, now_us: u64) {
        let make_room = step.close_answered + step.close_idle > 0;
        if self.log.observe(make_room, now_us / MS, LOG_GAP_MS) {
            log_server!(
                Level::Debug,
                Status::SUCCESS,
                "rust_event: {waiting} new connections wait, kept ones make room for them"
            );
        }
    }
}

fn open(child: &Child) -> u32 {
    let lingering = child.ledger.count(Also::Lingering);
    child.ledger.connections().saturating_sub(lingering)
}

impl Acceptor {
    /// The child is full: lets newcomers in where places are free, and sees to it that some become free. What it accepts is
    /// added to what was `found`.
    pub(super) fn turn_over(
        &mut self,
        child: &Child,
        load: &Load,
        found: &mut Vec<Work>,
        now_us: u64,
    ) {
        if !self.newcomers.is_due(now_us) {
            return;
        }
        let failures = &self.failures;
        let newcomers = &mut self.newcomers;
        newcomers.looked_us = now_us;
        let waiting = newcomers.backlogs.look(|index| failures.is_left_out(index));
        newcomers.waiting = waiting;
        let others = match waiting {
            0 => Others::default(),
            _ => child.others(now_us / MS),
        };
        let mut step = newcomers.turnover.look(&Look {
            now_ms: now_us / MS,
            waiting,
            open: open(child),
            limit: connection_limit(load.threads, load.idle_workers, load.factor),
            idle_workers: load.idle_workers,
            queued: child.handoff.queued() + found.len(),
            served: child.handoff.served(),
            announced: child.ledger.count(Also::Announced),
            announcements: child.answers.announcements.load(Relaxed),
            other_accepts: others.accepts,
            turn: others.turn,
            children: others.children,
        });
        newcomers.log(waiting, &step, now_us);
        newcomers.look_at_us = step.look_again_ms.map(|ms| ms * MS);
        let until_us = now_us.saturating_sub(IDLES_AFTER_MS * MS);
        let idle = child
            .parking
            .take_keep_alives(step.close_idle as usize, until_us);
        if !idle.is_empty() {
            newcomers.come(now_us); // there is room at once
        }
        // Who idled makes room already.
        step.close_answered = step.close_answered.saturating_sub(idle.len() as u32);
        child.answers.set(&step);
        child.close_soon(idle);
        self.accept_waiting(child, step.accept, found, now_us);
        if waiting == 0 {
            self.nobody_waits(child, now_us);
        }
        self.newcomers.calm = waiting == 0;
    }

    fn nobody_waits(&mut self, child: &Child, now_us: u64) {
        self.saturation.nobody_waits();
        match self.newcomers.calm {
            true => {
                // The pollset is to tell when somebody comes. A socket that can't be watched is tried again after its pause.
                let _ = self.failures.listen(child, now_us);
            }
            false => self.newcomers.look_at_us = Some(now_us + CALM_US),
        }
    }

    fn accept_waiting(&mut self, child: &Child, most: u32, found: &mut Vec<Work>, now_us: u64) {
        if most == 0 {
            return;
        }
        // One from each socket in turn, or the clients of one would shut out those of another.
        let mut left = most;
        let mut sockets = self.newcomers.backlogs.with_clients();
        in_turn(&mut sockets, self.next_socket);
        while left > 0 && !sockets.is_empty() {
            sockets.retain(|&index| {
                let accepts = left > 0 && self.accept_one(child, index, found, now_us);
                if accepts {
                    left -= 1;
                }
                accepts
            });
        }
    }
}

/// The other children that serve the same listening sockets.
#[derive(Default)]
struct Others {
    /// One of them accepts.
    accepts: bool,
    /// This child's turn among those that don't, itself included, and how many these are.
    turn: u32,
    children: u32,
}

impl Child {
    fn others(&self, now_ms: u64) -> Others {
        let buckets = self.common.num_buckets();
        let bucket = bucket_of(self.slot.max(0) as usize, buckets);
        let mut others = Others::default();
        let mut rank = 0;
        let slots = (0..self.limits.server_limit)
            .filter(|&slot| bucket_of(slot as usize, buckets) == bucket);
        for slot in slots {
            let Some(entry) = ChildEntry::of(slot).filter(|e| self.is_peer(*e)) else {
                continue;
            };
            if slot != self.slot && !entry.not_accepting() {
                others.accepts = true;
                continue;
            }
            rank += u32::from(slot < self.slot);
            others.children += 1;
        }
        others.turn = turn(rank, others.children, now_ms);
        others
    }

    /// Whether a child serves the same configuration, and goes on.
    fn is_peer(&self, entry: ChildEntry) -> bool {
        entry.pid() != 0
            && entry.generation() == self.generation
            && entry.quiescing() == Quiescing::No
    }
}

/// An answer begins on a connection that is kept, so far: whether it announces the close, to make room for newcomers. A client
/// that has sent its next request already is not told so: it would lose that one. Nor is anybody when those who waited at the last look
/// have been accepted since.
pub fn is_last_answer(conn: &Conn, has_more_input: impl FnOnce() -> bool) -> bool {
    let full = |child: &&Child| !child.accepting.load(Relaxed);
    let Some(child) = current().filter(full) else {
        return false;
    };
    child.answers.may_be_last(conn.answers())
        && !has_more_input()
        && child.backlogs.anybody_waits()
        && child.answers.announce()
        && slot_requests::announce_close(conn)
}

/// Whether an answer may have to announce a close: the child is full, or may be by the time that the answer begins. It has a
/// connection for each thread by then; the question costs time, so it isn't asked where there are fewer.
pub fn asks_before_answers() -> bool {
    current().is_some_and(|child| {
        !child.accepting.load(Relaxed) || child.ledger.connections() >= child.threads()
    })
}
