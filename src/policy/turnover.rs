//! How newcomers get in beside kept clients, where a child has as many connections as it may have.
//!
//! AsyncRequestWorkerFactor lets a child grow while it has workers to spare ([`admission`](super::admission)). While its clients keep
//! workers busy it stops, often with more connections than it would take by now. For as long as they stay active it would
//! take nobody. So a full child keeps its size, and its *places*, the connections that it had when it stopped or as many as the rule
//! allows if that is more, change hands:
//!
//! | newcomers have waited for | what the child does |
//! | --- | --- |
//! | [`PATIENCE_MS`]; [`LONG_PATIENCE_MS`] while another child accepts | accepts as many as places are free |
//! | the same, and its turn among the children | closes kept connections with their next answers, those first that were served most |
//! | [`IDLE_AFTER_MS`] more | closes connections that have been idle for [`IDLES_AFTER_MS`], oldest first |
//!
//! In each case there are as many as newcomers wait, and workers are there for: idle ones, or, where requests wait for
//! workers, as many as came free lately, and with an answer its own worker. An answer announces the close (`Connection: close`), so the client loses no
//! request. It may come back as a newcomer. Within [`LATELY_MS`] newcomers get a free place at once; for a close they are half as
//! patient, so no more change places than wait in 50 ms.
//!
//! Full children share the newcomers; where there are fewer of these, children take turns, a second each, so that not all of them
//! close a connection for one newcomer.

/// How long newcomers wait for a child that may grow, in milliseconds.
const PATIENCE_MS: u64 = 100;

/// The same while another child accepts. It is sure to take them, unless it has been stopped.
const LONG_PATIENCE_MS: u64 = 250;

/// How much later each child in turn closes kept connections, in milliseconds,
const TURN_MS: u64 = 25;
/// and the last one at most.
const LAST_TURN_MS: u64 = 300;

/// How long answers are waited for until idle connections are closed, in milliseconds.
const IDLE_AFTER_MS: u64 = 200;

/// A connection that has been without a request for this long is idle, in milliseconds. One that has just been served may be
/// about to bring the next request, which its end would cross; the answer to that can announce the close.
pub const IDLES_AFTER_MS: u64 = 100;

/// How long the places of idle connections that were closed change hands with answers until more are closed, in milliseconds.
const IDLE_GAP_MS: u64 = 50;

/// How long answers go to the most served clients before any will do, in milliseconds.
const ANY_AFTER_MS: u64 = 50;

/// How long a full child remembers that newcomers have waited, in milliseconds.
const LATELY_MS: u64 = 1_000;

/// Over what time it is counted how many workers come free, in milliseconds: from one to two such spans.
const SPAN_MS: u64 = 100;

/// For how long an answer that has announced the close counts as room that is made, in milliseconds: from one to two such spans.
/// One that takes longer to be sent is no reason to leave others waiting.
const SENT_SOON_MS: u64 = 100;

/// How often the child looks while newcomers wait, in milliseconds.
const LOOK_MS: u64 = 20;

/// What a full child finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// When, in milliseconds.
    pub now_ms: u64,
    /// Newcomers that wait to be accepted. At least 1 if there are any, where the system doesn't tell how many.
    pub waiting: u32,
    /// Open connections, those in lingering close not counted.
    pub open: u32,
    /// How many it may have by the rule of AsyncRequestWorkerFactor.
    pub limit: u64,
    /// Workers with nothing to do.
    pub idle_workers: u32,
    /// Items that wait for a worker.
    pub queued: usize,
    /// How many items workers have been done with, ever (modulo).
    pub served: usize,
    /// Open connections whose last answer has announced the close.
    pub announced: u32,
    /// How many answers have announced it, ever (modulo).
    pub announcements: usize,
    /// Another child accepts.
    pub other_accepts: bool,
    /// This child's turn among the full ones, see [`turn`], and how many these are.
    pub turn: u32,
    /// See `turn`.
    pub children: u32,
}

/// What it does about newcomers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// Accept so many.
    pub accept: u32,
    /// Close so many more kept connections with their next answers.
    pub close_answered: u32,
    /// Any client's answer will do, however little it was served.
    pub any: bool,
    /// Close so many connections that idle; then there is room at once.
    pub close_idle: u32,
    /// When to look again at the latest; `None`: when a newcomer comes.
    pub look_again_ms: Option<u64>,
}

/// Follows who waits for a full child.
#[derive(Debug, Default)]
pub struct Turnover {
    places: u32,
    waiting: Option<Waiting>,
    /// Before this no idle connection is closed again.
    idle_from_ms: u64,
    /// Newcomers that come before this get a free place at once.
    lately_until_ms: u64,
    /// Workers that have come free.
    came_free: Lately<SPAN_MS>,
    /// Answers that have announced the close.
    announced: Lately<SENT_SOON_MS>,
}

/// What has happened lately, out of a count of what has happened ever (modulo).
#[derive(Debug, Default)]
struct Lately<const SPAN_MS: u64> {
    /// When this span began, and the count by then.
    since_ms: u64,
    count: usize,
    /// How often it happened in the span before.
    before: u32,
}

impl<const SPAN_MS: u64> Lately<SPAN_MS> {
    /// How often it has happened in the last whole span, and since then.
    fn look(&mut self, now_ms: u64, count: usize) -> (u32, u32) {
        let since = u32::try_from(count.wrapping_sub(self.count)).unwrap_or(u32::MAX);
        let seen = (self.before, since);
        let span_ms = now_ms.saturating_sub(self.since_ms);
        if span_ms >= SPAN_MS {
            // Of a long time without a look nothing is known.
            let known = span_ms < 2 * SPAN_MS;
            *self = Lately {
                since_ms: now_ms,
                count,
                before: if known { since } else { 0 },
            };
        }
        seen
    }
}

/// Newcomers that have waited longest, as far as one can tell from how many there are.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    since_ms: u64,
    /// How many of them are left. Who comes later has waited less.
    left: u32,
}

impl Waiting {
    /// So many have come; where others were `lately`, they need be half as patient.
    fn begin(now_ms: u64, left: u32, lately: bool) -> Waiting {
        let since_ms = match lately {
            true => now_ms.saturating_sub(PATIENCE_MS / 2),
            false => now_ms,
        };
        Waiting { since_ms, left }
    }

    /// How long they have waited.
    fn waited_ms(self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.since_ms)
    }

    /// For how long this child's kept connections have had to make room for them; `None`: they don't yet.
    fn over_ms(self, look: &Look, patience_ms: u64) -> Option<u64> {
        let turn = look.turn.saturating_sub(self.left.max(1) - 1);
        let turn_ms = (u64::from(turn) * TURN_MS).min(LAST_TURN_MS);
        self.waited_ms(look.now_ms)
            .checked_sub(patience_ms + turn_ms)
    }
}

impl Turnover {
    /// The child has stopped accepting, with so many open connections.
    pub fn full(&mut self, open: u32) {
        // While those who waited before are still there, the places that were made for them are theirs.
        let made = self
            .waiting
            .filter(|w| w.left > 0)
            .map_or(0, |_| self.places);
        self.places = made.max(open);
    }

    /// One of those who waited was accepted by the rule.
    pub fn accepted(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.left = waiting.left.saturating_sub(1);
        }
    }

    /// The child looks who waits.
    pub fn look(&mut self, look: &Look) -> Step {
        let now_ms = look.now_ms;
        let (before, since) = self.came_free.look(now_ms, look.served);
        let came_free = before.max(since);
        let (before, since) = self.announced.look(now_ms, look.announcements);
        let announced = before.saturating_add(since).min(look.announced);
        let lately = now_ms < self.lately_until_ms;
        let Some(waiting) = self.still_waiting(look, lately) else {
            return Step::default();
        };
        let patience_ms = match look.other_accepts {
            true => LONG_PATIENCE_MS,
            false => PATIENCE_MS,
        };
        let mut step = Step {
            look_again_ms: Some(now_ms + LOOK_MS),
            ..Step::default()
        };
        if waiting.waited_ms(now_ms) >= patience_ms {
            self.lately_until_ms = now_ms + LATELY_MS;
        } else if !lately || look.other_accepts {
            return step;
        }
        let workers = match (look.idle_workers, look.queued) {
            (0, 0) => 0,
            (0, _) => came_free,
            (idle, _) => idle,
        };
        let free = self.free_places(look);
        step.accept = free.min(workers).min(look.waiting);
        let waiting = self.let_in(look, waiting, step.accept);
        // This child's share of those who have been patient. Who has come since is not among them: else each client that makes
        // room and comes back would make another one do so at once.
        let share = waiting.left.div_ceil(look.children.max(1));
        let made = announced.saturating_add(free - step.accept);
        let short = |workers: u32| workers.min(share).saturating_sub(made);
        let Some(over_ms) = waiting.over_ms(look, patience_ms) else {
            return step;
        };
        // The worker that answers comes free.
        let answering = look.idle_workers.max(came_free).max(1);
        step.close_answered = short(answering);
        step.any = over_ms >= ANY_AFTER_MS;
        if over_ms >= IDLE_AFTER_MS && now_ms >= self.idle_from_ms {
            step.close_idle = short(workers);
            self.idle_from_ms = now_ms + IDLE_GAP_MS;
        }
        step
    }

    /// By the rule itself, which accepting stays below for one worker's share until it is resumed: who has been patient doesn't
    /// make it flap.
    fn free_places(&self, look: &Look) -> u32 {
        let places = u64::from(self.places).max(look.limit);
        u32::try_from(places.saturating_sub(u64::from(look.open))).unwrap_or(u32::MAX)
    }

    /// So many are accepted; who waits longest then.
    fn let_in(&mut self, look: &Look, mut waiting: Waiting, accept: u32) -> Waiting {
        // As far as the rule allows: a connection that goes on after all makes no place.
        let grown = u64::from(look.open.saturating_add(accept)).min(look.limit);
        self.places = self.places.max(u32::try_from(grown).unwrap_or(u32::MAX));
        waiting.left = waiting.left.saturating_sub(accept);
        if waiting.left == 0 {
            waiting = Waiting::begin(look.now_ms, look.waiting - accept, true);
        }
        self.waiting = Some(waiting);
        waiting
    }

    fn still_waiting(&mut self, look: &Look, lately: bool) -> Option<Waiting> {
        let began = self.waiting.filter(|w| w.left > 0);
        let waiting = began.unwrap_or_else(|| Waiting::begin(look.now_ms, look.waiting, lately));
        let left = waiting.left.min(look.waiting);
        self.waiting = (left > 0).then_some(Waiting { left, ..waiting });
        self.waiting
    }
}

/// Whose turn it is: 0 closes first, then 1. The child is the `rank`th of so many `children`.
#[must_use]
pub fn turn(rank: u32, children: u32, now_ms: u64) -> u32 {
    let second = now_ms / 1_000 % u64::from(children.max(1));
    (rank + second as u32) % children.max(1)
}

/// Puts `sockets`, which have clients, into the order in which they are accepted from: from the `next` one on, then the others.
pub fn in_turn(sockets: &mut [usize], next: usize) {
    sockets.sort_unstable_by_key(|&index| (index < next, index));
}

/// Whether a client that was served so often makes room, where `typical` is how often clients have been.
#[must_use]
pub fn makes_room(served: u32, typical: u32, any: bool) -> bool {
    any || served >= typical
}

/// How often clients have been served, with one more answer in the average.
#[must_use]
pub fn typically_served(typical: u32, served: u32) -> u32 {
    // An eighth of the difference, and at least 1 of it.
    match served.checked_sub(typical) {
        Some(more) => typical + more.div_ceil(8),
        None => typical - (typical - served).div_ceil(8),
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
