//! The configuration check: what ServerLimit, ThreadLimit, ThreadsPerChild, MaxRequestWorkers, StartServers and the spare
//! thread settings become.
//!
//! Values come straight from `atoi`, so any `i32` is possible. The outcome for each equals event's, and so does the order of
//! the messages.

use super::admission::WorkerFactor;
pub use super::correction::{Correction, MAX_SERVER_LIMIT, MAX_THREAD_LIMIT};

const DEFAULT_SERVER_LIMIT: i32 = 16;
const DEFAULT_THREAD_LIMIT: i32 = 64;
const DEFAULT_THREADS_PER_CHILD: i32 = 25;
const DEFAULT_START_SERVERS: i32 = 3;
const DEFAULT_MIN_SPARE_THREADS: i32 = 3 * DEFAULT_THREADS_PER_CHILD;
const DEFAULT_MAX_SPARE_THREADS: i32 = 10 * DEFAULT_THREADS_PER_CHILD;

/// The settings as the configuration gives them, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// ServerLimit, in processes.
    pub server_limit: i32,
    /// ThreadLimit, in threads of one process.
    pub thread_limit: i32,
    /// ThreadsPerChild, in threads.
    pub threads_per_child: i32,
    /// MaxRequestWorkers (or its old name MaxClients), in threads of all processes.
    pub max_request_workers: i32,
    /// StartServers, in processes.
    pub start_servers: i32,
    /// MinSpareThreads, in idle threads of all processes.
    pub min_spare_threads: i32,
    /// MaxSpareThreads, in idle threads of all processes.
    pub max_spare_threads: i32,
}

impl Default for Wanted {
    /// What holds for directives that the configuration does not contain.
    fn default() -> Self {
        Wanted {
            server_limit: DEFAULT_SERVER_LIMIT,
            thread_limit: DEFAULT_THREAD_LIMIT,
            threads_per_child: DEFAULT_THREADS_PER_CHILD,
            max_request_workers: DEFAULT_SERVER_LIMIT * DEFAULT_THREADS_PER_CHILD,
            start_servers: DEFAULT_START_SERVERS,
            min_spare_threads: DEFAULT_MIN_SPARE_THREADS,
            max_spare_threads: DEFAULT_MAX_SPARE_THREADS,
        }
    }
}

/// The limits of the first start, to which the scoreboard is cut: a restart can't change them. 0 = not yet recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FirstSeen {
    /// ServerLimit of the first start, in processes.
    pub server_limit: i32,
    /// ThreadLimit of the first start, in threads.
    pub thread_limit: i32,
}

/// The settings after the check; with [`Limits::for_buckets`], those of a running server.
///
/// All are at least 1, except that `max_spare_threads` is whatever was configured until `for_buckets` has raised it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// ServerLimit: slots of the scoreboard, in processes, whether serving or finishing.
    pub server_limit: i32,
    /// ThreadLimit, in threads of one process.
    pub thread_limit: i32,
    /// ThreadsPerChild, in threads; at most `thread_limit`.
    pub threads_per_child: i32,
    /// MaxRequestWorkers, in threads; a multiple of `threads_per_child`.
    ///
    /// It stays above `server_limit * threads_per_child` when ServerLimit is too low for it (AH00515), although that message
    /// announces a decrease: so a server whose slots are all taken says that the scoreboard is full (AH03490), which is the
    /// limit that the administrator has to raise, and not that it reached MaxRequestWorkers (AH00484).
    pub max_request_workers: i32,
    /// StartServers, in processes. May exceed `active_children_limit`: see [`Limits::children_to_start`].
    pub start_servers: i32,
    /// MinSpareThreads, in idle threads of all processes.
    pub min_spare_threads: i32,
    /// MaxSpareThreads, in idle threads of all processes.
    pub max_spare_threads: i32,
    /// How many children may serve at a time, those that are finishing not counted: MaxRequestWorkers / ThreadsPerChild, at
    /// most ServerLimit.
    pub active_children_limit: i32,
}

impl Default for Limits {
    /// The limits of an empty configuration.
    fn default() -> Self {
        check(Wanted::default(), FirstSeen::default()).limits
    }
}

impl Limits {
    /// The limits of a server that runs with `num_buckets` listener buckets (ListenCoresBucketsRatio).
    ///
    /// A child serves one bucket only, so there must be a child for each (StartServers, the active limit). Spare threads
    /// must leave room for that as well: MinSpareThreads for one thread in the last bucket when the others hold a child each,
    /// and MaxSpareThreads for one child a bucket above that, else a child just started would be stopped again.
    #[must_use]
    pub fn for_buckets(self, num_buckets: i32) -> Limits {
        let buckets = num_buckets.max(1);
        let threads = self.threads_per_child;
        let least_min_spare = threads.saturating_mul(buckets - 1).saturating_add(buckets);
        let min_spare_threads = self.min_spare_threads.max(least_min_spare);
        let margin = threads.saturating_add(1).saturating_mul(buckets);
        Limits {
            start_servers: self.start_servers.max(buckets),
            active_children_limit: self.active_children_limit.max(buckets),
            min_spare_threads,
            max_spare_threads: self
                .max_spare_threads
                .max(min_spare_threads.saturating_add(margin)),
            ..self
        }
    }

    /// How many children to start with: StartServers, but never more than may be active.
    #[must_use]
    pub fn children_to_start(&self) -> i32 {
        self.start_servers.min(self.active_children_limit)
    }

    /// How many of `wanted` further children may be started when `active_children` are serving.
    ///
    /// For children started outside the maintenance of spare threads (start-up, replacement of killed ones), which must not
    /// lift the server above MaxRequestWorkers either.
    #[must_use]
    pub fn may_start(&self, wanted: i32, active_children: i32) -> i32 {
        let room = self
            .active_children_limit
            .saturating_sub(active_children.max(0));
        wanted.min(room).max(0)
    }
}

impl Wanted {
    /// These settings, in force together with a limit of active children.
    #[must_use]
    pub fn in_force(self, active_children_limit: i32) -> Limits {
        Limits {
            server_limit: self.server_limit,
            thread_limit: self.thread_limit,
            threads_per_child: self.threads_per_child,
            max_request_workers: self.max_request_workers,
            start_servers: self.start_servers,
            min_spare_threads: self.min_spare_threads,
            max_spare_threads: self.max_spare_threads,
            active_children_limit,
        }
    }
}

/// What the check found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Checked {
    /// The settings to run with.
    pub limits: Limits,
    /// To be kept for the checks of later restarts.
    pub first: FirstSeen,
    /// What had to be corrected, in the order in which it is to be reported.
    pub corrections: Vec<Correction>,
}

/// Checks the settings. `first` is what the check of the first start returned, or zeros.
pub fn check(wanted: Wanted, first: FirstSeen) -> Checked {
    let mut corrections = Vec::new();
    let notes = &mut corrections;
    let server_limit = SERVER_LIMIT.check(wanted.server_limit, first.server_limit, notes);
    let thread_limit = THREAD_LIMIT.check(wanted.thread_limit, first.thread_limit, notes);
    let threads_per_child = check_threads_per_child(wanted.threads_per_child, thread_limit, notes);
    let max_request_workers =
        check_max_workers(wanted.max_request_workers, threads_per_child, notes);
    let active_children_limit =
        check_active_limit(max_request_workers, threads_per_child, server_limit, notes);
    let start_servers = at_least_one(wanted.start_servers, notes, |asked| {
        Correction::StartServersTooLow { asked }
    });
    let min_spare_threads = at_least_one(wanted.min_spare_threads, notes, |asked| {
        Correction::MinSpareThreadsTooLow { asked }
    });
    Checked {
        limits: Limits {
            server_limit,
            thread_limit,
            threads_per_child,
            max_request_workers,
            start_servers,
            min_spare_threads,
            max_spare_threads: wanted.max_spare_threads,
            active_children_limit,
        },
        first: FirstSeen {
            server_limit,
            thread_limit,
        },
        corrections,
    }
}

fn at_least_one(asked: i32, notes: &mut Vec<Correction>, note: fn(i32) -> Correction) -> i32 {
    if asked < 1 {
        notes.push(note(asked));
    }
    asked.max(1)
}

/// The value of the first start, if one has been recorded. What can't have been recorded (retained memory is plain bytes)
/// counts as not recorded, so that nobody divides by it.
fn recorded(first: i32, max: i32) -> Option<i32> {
    (1..=max).contains(&first).then_some(first)
}

/// What to say of a limit that holds from the first start until the server is stopped.
struct FixedLimit {
    max: i32,
    too_high: fn(asked: i32) -> Correction,
    too_low: fn(asked: i32) -> Correction,
    changed: fn(asked: i32, kept: i32) -> Correction,
}

const SERVER_LIMIT: FixedLimit = FixedLimit {
    max: MAX_SERVER_LIMIT,
    too_high: |asked| Correction::ServerLimitTooHigh { asked },
    too_low: |asked| Correction::ServerLimitTooLow { asked },
    changed: |asked, kept| Correction::ServerLimitChanged { asked, kept },
};

const THREAD_LIMIT: FixedLimit = FixedLimit {
    max: MAX_THREAD_LIMIT,
    too_high: |asked| Correction::ThreadLimitTooHigh { asked },
    too_low: |asked| Correction::ThreadLimitTooLow { asked },
    changed: |asked, kept| Correction::ThreadLimitChanged { asked, kept },
};

impl FixedLimit {
    fn check(&self, asked: i32, first: i32, notes: &mut Vec<Correction>) -> i32 {
        if asked > self.max {
            notes.push((self.too_high)(asked));
        } else if asked < 1 {
            notes.push((self.too_low)(asked));
        }
        let asked = asked.clamp(1, self.max);
        let kept = recorded(first, self.max).unwrap_or(asked);
        if kept != asked {
            notes.push((self.changed)(asked, kept));
        }
        kept
    }
}

fn check_threads_per_child(asked: i32, thread_limit: i32, notes: &mut Vec<Correction>) -> i32 {
    if asked > thread_limit {
        notes.push(Correction::ThreadsPerChildTooHigh {
            asked,
            thread_limit,
        });
        return thread_limit;
    }
    at_least_one(asked, notes, |asked| Correction::ThreadsPerChildTooLow {
        asked,
    })
}

fn check_max_workers(asked: i32, threads_per_child: i32, notes: &mut Vec<Correction>) -> i32 {
    if asked < threads_per_child {
        notes.push(Correction::MaxRequestWorkersTooLow {
            asked,
            threads_per_child,
        });
        return threads_per_child;
    }
    let servers = asked / threads_per_child;
    let lowered = servers * threads_per_child; // at most `asked`
    if lowered != asked {
        notes.push(Correction::MaxRequestWorkersNotMultiple {
            asked,
            threads_per_child,
            lowered,
            servers,
        });
    }
    lowered
}

fn check_active_limit(
    max_request_workers: i32,
    threads_per_child: i32,
    server_limit: i32,
    notes: &mut Vec<Correction>,
) -> i32 {
    let servers = max_request_workers / threads_per_child;
    if servers > server_limit {
        notes.push(Correction::MaxRequestWorkersNeedsServers {
            asked: max_request_workers,
            servers,
            server_limit,
            possible: server_limit.saturating_mul(threads_per_child),
        });
    }
    servers.min(server_limit)
}

/// Reads the argument of AsyncRequestWorkerFactor: a positive decimal number, fraction and exponent allowed.
///
/// # Errors
///
/// The text that httpd is to show to the administrator.
pub fn parse_worker_factor(text: &str) -> Result<WorkerFactor, &'static str> {
    const NOT_POSITIVE: &str = "AsyncRequestWorkerFactor argument must be a positive number";
    if text.is_empty() {
        return Err(NOT_POSITIVE); // strtod reads it as 0
    }
    let number = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let value: f64 = number.parse().map_err(|_| "error parsing value")?;
    WorkerFactor::new(value).ok_or(NOT_POSITIVE)
}

#[cfg(test)]
mod tests;
