//! Upkeep of the spare threads: once a second, for each listener bucket, whether to start or to stop children.

use super::limits::Limits;

/// The most children that one round starts in a bucket.
pub const MAX_SPAWN_RATE: i32 = 32;

/// From this spawn rate on a round that starts children is reported as AH00486.
const BUSY_SPAWN_RATE: i32 = 8;

/// `SERVER_READY` of httpd's scoreboard: the thread waits for a connection. Below it are dead and starting threads.
const SERVER_READY: i32 = 2;

/// `SERVER_GRACEFUL` of httpd's scoreboard: the thread finishes; threads below it serve.
const SERVER_GRACEFUL: i32 = 9;

/// The threads of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Census {
    /// Threads that wait for a connection, or will soon, in children that accept.
    pub idle_threads: i32,
    /// Threads that are up and not finishing, idle or busy.
    pub active_threads: i32,
    /// Free slots of the bucket, counted up to the spawn rate.
    pub free_slots: usize,
}

/// The children of the whole server, and the pace of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Children that are not finishing.
    pub active_children: i32,
    /// All children.
    pub total_children: i32,
    /// Listener buckets (ListenCoresBucketsRatio).
    pub num_buckets: i32,
    /// How many children this bucket may start in this round, 1 to [`MAX_SPAWN_RATE`].
    pub spawn_rate: i32,
    /// For how many more rounds that start children the rate does not grow; 10 after a graceful restart.
    pub hold_off: i32,
}

impl Fleet {
    /// Children that are finishing, which is what AH00486 means to report.
    #[must_use]
    pub fn stopping_children(&self) -> i32 {
        self.total_children
            .saturating_sub(self.active_children)
            .max(0)
    }
}

/// What to do in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Idle threads lie between MinSpareThreads and MaxSpareThreads.
    Nothing,
    /// More idle threads than MaxSpareThreads: tell one child to finish.
    StopOne,
    /// The same, but children are finishing already and ServerLimit leaves too few slots for a restart: wait for them.
    TooManyStopping,
    /// No idle thread left and MaxRequestWorkers reached (AH00484).
    AtMaxWorkers,
    /// Fewer idle threads than MinSpareThreads, but MaxRequestWorkers reached (AH10159).
    NearMaxWorkers,
    /// No slot left, MaxRequestWorkers not reached (AH03490): ServerLimit is too low for the children that finish.
    ScoreboardFull,
    /// As many children serve as MaxRequestWorkers allows, though some threads of them are not up.
    AtActiveLimit,
    /// Start children.
    Spawn {
        /// How many; at least 1.
        count: i32,
        /// The rate has grown so far that AH00486 is due.
        busy: bool,
    },
}

/// What to do in a bucket, and its pace from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Plan {
    /// What to do now.
    pub action: Action,
    /// The bucket's spawn rate of the next round.
    pub spawn_rate: i32,
    /// The server's hold-off of the next round.
    pub hold_off: i32,
}

/// Decides for one bucket (MinSpareThreads, MaxSpareThreads, MaxRequestWorkers, ServerLimit).
///
/// `limits` are those of the running server ([`Limits::for_buckets`]); thread limits are shared evenly by the buckets. The
/// spawn rate doubles with each round in a row that had to start children, and falls back to 1 with any other round.
pub fn maintain(limits: &Limits, census: &Census, fleet: &Fleet) -> Plan {
    let buckets = fleet.num_buckets.max(1);
    let idle = census.idle_threads;
    let quiet = |action| Plan {
        action,
        spawn_rate: 1,
        hold_off: fleet.hold_off,
    };
    if idle > limits.max_spare_threads / buckets {
        quiet(stop_one(limits, fleet))
    } else if idle >= limits.min_spare_threads / buckets {
        quiet(Action::Nothing)
    } else if census.active_threads >= (limits.max_request_workers / buckets).max(1) {
        // At least one: with MaxRequestWorkers below the number of buckets, a bucket that lost its child would get no other.
        quiet(if idle == 0 {
            Action::AtMaxWorkers
        } else {
            Action::NearMaxWorkers
        })
    } else if census.free_slots == 0 {
        quiet(Action::ScoreboardFull)
    } else {
        spawn(limits, census, fleet, buckets)
    }
}

/// Stopping children keep their slots until their last connection is done. While some do, no more are stopped, unless enough
/// slots stay free for a whole new generation.
fn stop_one(limits: &Limits, fleet: &Fleet) -> Action {
    let none_stopping = fleet.active_children == fleet.total_children;
    let slack = limits.server_limit.saturating_sub(fleet.total_children);
    if none_stopping || slack > limits.active_children_limit {
        Action::StopOne
    } else {
        Action::TooManyStopping
    }
}

fn spawn(limits: &Limits, census: &Census, fleet: &Fleet, buckets: i32) -> Plan {
    let rate = fleet.spawn_rate.clamp(1, MAX_SPAWN_RATE);
    let free = i32::try_from(census.free_slots).unwrap_or(i32::MAX);
    let room = limits
        .active_children_limit
        .saturating_sub(fleet.active_children.max(0));
    if room <= 0 {
        // The hold-off stays: this round started none.
        return Plan {
            action: Action::AtActiveLimit,
            spawn_rate: 1,
            hold_off: fleet.hold_off,
        };
    }
    let held = fleet.hold_off > 0;
    let grows = !held && rate < MAX_SPAWN_RATE / buckets;
    Plan {
        action: Action::Spawn {
            count: free.min(rate).min(room),
            busy: rate >= BUSY_SPAWN_RATE,
        },
        spawn_rate: if grows { rate * 2 } else { rate },
        hold_off: if held {
            fleet.hold_off - 1
        } else {
            fleet.hold_off
        },
    }
}

/// The threads of one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Threads {
    /// Dead, starting or waiting. Those that start count, else a slow start would make the parent start ever more children.
    pub idle: i32,
    /// Up and not finishing.
    pub active: i32,
}

/// Counts the threads of one child by their scoreboard states (`SERVER_DEAD` = 0 and so on).
#[must_use]
pub fn count_threads(states: impl IntoIterator<Item = i32>) -> Threads {
    states
        .into_iter()
        .fold(Threads::default(), |sum, state| Threads {
            idle: sum.idle + i32::from(state <= SERVER_READY),
            active: sum.active + i32::from((SERVER_READY..SERVER_GRACEFUL).contains(&state)),
        })
}

/// What the scoreboard says of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SlotFacts {
    /// A child lives here (its pid is not 0); the rest matters only then.
    pub in_use: bool,
    /// The child is finishing.
    pub quiescing: bool,
    /// The child accepts no connections at the moment.
    pub not_accepting: bool,
    /// The child has the configuration of the last restart.
    pub current_generation: bool,
    /// See [`Threads::active`].
    pub active_threads: i32,
    /// See [`Threads::idle`].
    pub idle_threads: i32,
}

/// The bucket that a slot belongs to.
#[must_use]
pub fn bucket_of(slot: usize, num_buckets: i32) -> usize {
    slot % usize::try_from(num_buckets).unwrap_or(1).max(1)
}

/// Free slots in the order in which children are started in them: one for each bucket first, then a second one.
#[must_use]
pub fn in_starting_order(free_slots: impl Iterator<Item = usize>, num_buckets: i32) -> Vec<usize> {
    let mut seen = vec![0_usize; usize::try_from(num_buckets).unwrap_or(1).max(1)];
    let mut ranked: Vec<(usize, usize)> = free_slots
        .map(|slot| {
            let in_bucket = &mut seen[bucket_of(slot, num_buckets)];
            *in_bucket += 1;
            (*in_bucket, slot)
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, slot)| slot).collect()
}

/// The sum over a bucket's slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    threads_per_child: i32,
    wanted_free: usize,
    idle_threads: i32,
    active_threads: i32,
    free: [usize; MAX_SPAWN_RATE as usize],
    free_count: usize,
    last_used: Option<usize>,
    healthy_child: bool,
}

impl Tally {
    /// An empty tally, for ThreadsPerChild and the bucket's spawn rate.
    #[must_use]
    pub fn new(threads_per_child: i32, spawn_rate: i32) -> Tally {
        Tally {
            threads_per_child: threads_per_child.max(1),
            wanted_free: spawn_rate.clamp(1, MAX_SPAWN_RATE) as usize,
            idle_threads: 0,
            active_threads: 0,
            free: [0; MAX_SPAWN_RATE as usize],
            free_count: 0,
            last_used: None,
            healthy_child: false,
        }
    }

    /// Adds a slot. Slots come in rising order.
    pub fn add(&mut self, slot: usize, facts: &SlotFacts) {
        if !facts.in_use {
            if self.free_count < self.wanted_free {
                self.free[self.free_count] = slot;
                self.free_count += 1;
            }
            return;
        }
        self.last_used = Some(slot);
        self.active_threads = self.active_threads.saturating_add(facts.active_threads);
        // Only threads that can take a new connection are spare.
        if facts.current_generation && !facts.quiescing && !facts.not_accepting {
            self.idle_threads = self.idle_threads.saturating_add(facts.idle_threads);
        }
        self.healthy_child |= facts.active_threads >= self.threads_per_child;
    }

    /// Whether slots from `slot` on can't matter: enough free ones are known, and no slot from there was ever used.
    #[must_use]
    pub fn complete(&self, slot: usize, slots_used: usize) -> bool {
        slot >= slots_used && self.free_count == self.wanted_free
    }

    /// The counts for [`maintain`].
    #[must_use]
    pub fn census(&self) -> Census {
        Census {
            idle_threads: self.idle_threads,
            active_threads: self.active_threads,
            free_slots: self.free_count,
        }
    }

    /// The free slots, lowest first, at most as many as the spawn rate.
    #[must_use]
    pub fn free_slots(&self) -> &[usize] {
        &self.free[..self.free_count]
    }

    /// The highest slot in use.
    #[must_use]
    pub fn last_used(&self) -> Option<usize> {
        self.last_used
    }

    /// Whether a child with all its threads up was seen.
    #[must_use]
    pub fn healthy_child(&self) -> bool {
        self.healthy_child
    }
}

/// Adds up a bucket's slots, given as number and facts in rising order.
///
/// `slots_used` is one more than the highest slot ever used (`AP_MPMQ_MAX_DAEMON_USED`): beyond it the iterator is read only
/// until enough free slots are known.
#[must_use]
pub fn count_slots(
    slots: impl IntoIterator<Item = (usize, SlotFacts)>,
    slots_used: usize,
    threads_per_child: i32,
    spawn_rate: i32,
) -> Tally {
    let mut tally = Tally::new(threads_per_child, spawn_rate);
    for (slot, facts) in slots {
        if tally.complete(slot, slots_used) {
            break;
        }
        tally.add(slot, &facts);
    }
    tally
}

#[cfg(test)]
mod tests;
