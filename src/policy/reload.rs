//! A graceful restart's hand-over: when children of the new generation are started, and when those of the former ones go.
//!
//! Children that are told to finish close their listening sockets at once. If the new ones are not ready by then, newcomers wait
//! in the kernel's backlog. So the new generation is started first, and the former ones are released when it accepts.
//!
//! Slots, tasks or memory may not suffice for two generations. Then children are exchanged one for one: one of the former is told to
//! finish, and a new one is tried in its room. The last one that accepts is told only when nothing else can make room. A
//! bucket (ListenCoresBucketsRatio) has its own sockets and is served by its own children only, so all this holds for each.

/// How long the former generations are kept at most for a new one that does not get ready, in milliseconds.
pub const MAX_WAIT_MS: u64 = 10_000;

/// After so long without room for a new child even the last former children are told to finish.
pub const LAST_GOES_MS: u64 = 2_000;

/// One more former child is told to finish this long after the one before: most have ended by then, see [`drain_ms`].
pub const NEXT_GOES_MS: u64 = 1_100;

/// A shortage that passes by itself costs nobody anything: former children go after so many attempts that failed.
const ATTEMPTS_BEFORE_RELEASE: u32 = 2;

const FIRST_PAUSE_MS: u64 = 50;
const LONGEST_PAUSE_MS: u64 = 1_000;

/// How long idle connections of a finishing child may still bring a request, in milliseconds.
///
/// With helper processes (a CGI daemon, programs that take the log) it is short: they end with the configuration, and a request
/// that is served later would miss them. The control process waits for that time before it gives the configuration up.
#[must_use]
pub const fn drain_ms(helpers: bool) -> u64 {
    if helpers {
        150
    } else {
        1_000
    }
}

/// The children of one listener bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BucketFacts {
    /// Children of the new generation that accept, all their threads up.
    pub ready: u32,
    /// Those that have been started and are not that far.
    pub starting: u32,
    /// Children of former generations that accept.
    pub accepting: u32,
    /// Slots in which a child could be started (ServerLimit).
    pub free_slots: u32,
}

impl BucketFacts {
    fn lacks_child(&self) -> bool {
        self.ready == 0
    }

    /// Former children that can go without leaving the bucket to nobody.
    fn spare(&self) -> u32 {
        self.accepting.saturating_sub(u32::from(self.lacks_child()))
    }
}

/// How far the hand-over has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Each listener bucket.
    pub buckets: Vec<BucketFacts>,
    /// How many children the new generation is to begin with (StartServers, at most what the limits allow).
    pub wanted: u32,
    /// Former children that don't accept: they finish, so their room is on its way, or have not come so far.
    pub leaving: u32,
    /// A new child lacked a resource, or could not be forked.
    pub short: bool,
}

impl Facts {
    /// New children that are neither there nor on their way.
    #[must_use]
    pub fn missing(&self) -> i32 {
        let there: u32 = self.buckets.iter().map(|b| b.ready + b.starting).sum();
        self.wanted.saturating_sub(there) as i32
    }

    /// All children of StartServers accept.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.buckets.iter().map(|b| b.ready).sum::<u32>() >= self.wanted
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Look again in a moment.
    Wait,
    /// Start one more child, of this bucket.
    Start(usize),
    /// Tell one former child of this bucket to finish.
    ReleaseOne(usize),
    /// Tell all of them, and go on trying.
    ReleaseAll,
    /// The same, and the hand-over is over.
    Done,
}

/// A hand-over under way.
#[derive(Clone, Copy, Debug)]
pub struct Handover {
    begun_ms: u64,
    /// How often children have been started.
    attempts: u32,
    pause_ms: u64,
    /// Since when the buckets without a ready child have none on its way either.
    failed_ms: Option<u64>,
    /// Since when there is no room.
    stuck_ms: Option<u64>,
    released_ms: Option<u64>,
    released_all: bool,
}

impl Handover {
    /// The new generation's first children have just been started.
    #[must_use]
    pub fn begin(now_ms: u64) -> Handover {
        Handover {
            begun_ms: now_ms,
            attempts: 1,
            pause_ms: FIRST_PAUSE_MS,
            failed_ms: None,
            stuck_ms: None,
            released_ms: None,
            released_all: false,
        }
    }

    /// Decides; to be asked again every few milliseconds. The caller does what it says.
    ///
    /// It is over once every bucket has a new child that accepts, or after [`MAX_WAIT_MS`]: a restart that never ends is worse
    /// than a gap.
    pub fn next_step(&mut self, facts: &Facts, now_ms: u64) -> Step {
        // Fewer children than buckets can't fill them all, whatever the wait.
        let needed = facts.buckets.len().min(facts.wanted as usize);
        let ready = facts.buckets.iter().filter(|b| !b.lacks_child()).count();
        if ready >= needed || now_ms.saturating_sub(self.begun_ms) >= MAX_WAIT_MS {
            return Step::Done;
        }
        let lacking = || facts.buckets.iter().filter(|b| b.lacks_child());
        if lacking().any(|b| b.starting > 0) {
            self.failed_ms = None;
            return Step::Wait;
        }
        let failed_ms = *self.failed_ms.get_or_insert(now_ms);
        let no_slot = lacking().all(|b| b.free_slots == 0);
        if no_slot || facts.short && self.attempts >= ATTEMPTS_BEFORE_RELEASE {
            if let Some(step) = self.make_room(facts, no_slot, now_ms) {
                return step;
            }
        }
        let place = facts
            .buckets
            .iter()
            .position(|b| b.lacks_child() && b.free_slots > 0);
        match place {
            Some(bucket) if now_ms.saturating_sub(failed_ms) >= self.pause_ms => {
                self.attempts = self.attempts.saturating_add(1);
                self.pause_ms = (self.pause_ms * 2).min(LONGEST_PAUSE_MS);
                self.failed_ms = None;
                Step::Start(bucket)
            }
            _ => Step::Wait,
        }
    }

    /// Whether a former child is to go, and which: only they can make room now.
    fn make_room(&mut self, facts: &Facts, no_slot: bool, now_ms: u64) -> Option<Step> {
        let stuck_ms = *self.stuck_ms.get_or_insert(now_ms);
        if self.released_all || facts.buckets.iter().all(|b| b.accepting == 0) {
            return None;
        }
        let spare = bucket_with_spare(&facts.buckets, no_slot);
        // No slot comes free by waiting, unless with the end of a child that finishes already.
        let hopeless = no_slot && spare.is_none() && facts.leaving == 0;
        if hopeless || now_ms.saturating_sub(stuck_ms) >= LAST_GOES_MS {
            self.released_all = true;
            self.pause_ms = FIRST_PAUSE_MS;
            return Some(Step::ReleaseAll);
        }
        let bucket = spare?;
        if self
            .released_ms
            .is_some_and(|released_ms| now_ms.saturating_sub(released_ms) < NEXT_GOES_MS)
        {
            return None;
        }
        self.released_ms = Some(now_ms);
        self.pause_ms = FIRST_PAUSE_MS;
        Some(Step::ReleaseOne(bucket))
    }
}

/// The bucket with most former children that may go; one that lacks a child, where slots are short, which others can't give.
fn bucket_with_spare(buckets: &[BucketFacts], no_slot: bool) -> Option<usize> {
    let may_give = |b: &BucketFacts| b.spare() > 0 && (b.lacks_child() || !no_slot);
    let candidates = buckets.iter().enumerate().filter(|(_, b)| may_give(b));
    candidates
        .max_by_key(|(index, b)| (b.spare(), std::cmp::Reverse(*index)))
        .map(|(index, _)| index)
}

/// When to try again to start what the new generation still lacks after the hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Retries {
    failures: u32,
    next_ms: u64,
}

impl Retries {
    /// Children of this generation have failed to start.
    pub fn failed(&mut self, now_ms: u64) {
        let pause_ms = (LONGEST_PAUSE_MS << self.failures.min(3)).min(MAX_WAIT_MS);
        self.failures = self.failures.saturating_add(1);
        self.next_ms = now_ms.saturating_add(pause_ms);
    }

    /// Whether the pause after a failure is over.
    #[must_use]
    pub fn due(&self, now_ms: u64) -> bool {
        self.failures > 0 && now_ms >= self.next_ms
    }
}

#[cfg(test)]
mod tests;
