//! Spare threads, once a second: `policy::maintenance` decides.

use super::children::note_quiescing;
use super::Parent;
use crate::host::child_process::any_ended;
use crate::host::clock::{self, MS, SECOND};
use crate::host::log::{log_server, Level};
use crate::host::retained_data::{ever_healthy, Condition};
use crate::host::scoreboard::{ChildEntry, Quiescing};
use crate::host::status::Status;
use crate::policy::child_exit::{health, Health};
use crate::policy::maintenance::{
    bucket_of, count_slots, count_threads, maintain, Action, Fleet, SlotFacts, Tally,
};
use std::sync::atomic::Ordering::Relaxed;

/// A lasting condition that comes and goes is logged once in this time.
const LOG_GAP_MS: u64 = 60 * SECOND / MS;

impl Parent {
    /// Looks at every bucket.
    pub(super) fn maintain(&mut self) {
        let buckets = self.common.num_buckets().max(1);
        let mut used = 0;
        for bucket in 0..buckets as usize {
            let tally = self.count(bucket);
            used = used.max(tally.last_used().map_or(0, |s| s as i32 + 1));
            if tally.healthy_child() {
                ever_healthy().store(1, Relaxed);
            }
            match self.health(bucket as i32 == buckets - 1) {
                Health::Hopeless => return self.give_up(),
                Health::Undecided => continue,
                Health::Recovered => {
                    self.retained.sick_child_detected.store(0, Relaxed);
                    self.retries.failed(clock::now_us() / MS);
                }
                Health::Fine => {}
            }
            let last_started = self.maintain_bucket(bucket, &tally);
            used = used.max(last_started.map_or(0, |s| s + 1));
        }
        self.retained.max_daemon_used.store(used, Relaxed);
    }

    fn health(&self, last_bucket: bool) -> Health {
        let sick = self.retained.sick_child_detected.load(Relaxed) != 0;
        let had_healthy_child = ever_healthy().load(Relaxed) != 0;
        health(sick, had_healthy_child, last_bucket)
    }

    fn give_up(&mut self) {
        self.common.set_shutdown_pending(true);
        self.child_fatal = true;
        log_server!(
            Level::Alert,
            Status::SUCCESS,
            "AH02324: A resource shortage or other unrecoverable failure was encountered before \
             any child process initialized successfully... httpd is exiting!"
        );
    }

    /// Children that have begun to finish are no longer active ones.
    pub(super) fn count_quiescing(&self) {
        for slot in 0..self.slots_used() as i32 {
            if let Some(entry) = ChildEntry::of(slot) {
                if entry.pid() != 0 && entry.quiescing() == Quiescing::Begun {
                    note_quiescing(slot, entry);
                }
            }
        }
    }

    pub(super) fn slots_used(&self) -> usize {
        self.retained.max_daemon_used.load(Relaxed).max(0) as usize
    }

    fn count(&self, bucket: usize) -> Tally {
        let buckets = self.common.num_buckets();
        let slots = (0..self.limits.server_limit.max(0) as usize)
            .filter(|&slot| bucket_of(slot, buckets) == bucket)
            .map(|slot| (slot, self.facts(slot)));
        let threads = self.limits.threads_per_child;
        count_slots(slots, self.slots_used(), threads, self.spawn_rate(bucket))
    }

    fn facts(&self, slot: usize) -> SlotFacts {
        let Some(entry) = ChildEntry::of(slot as i32).filter(|e| e.pid() != 0) else {
            return SlotFacts::default();
        };
        let threads = count_threads(
            (0..self.limits.threads_per_child)
                .filter_map(|t| entry.worker_status(t).map(i32::from)),
        );
        SlotFacts {
            in_use: true,
            quiescing: entry.quiescing() != Quiescing::No,
            not_accepting: entry.not_accepting(),
            current_generation: entry.generation() == self.common.generation(),
            active_threads: threads.active,
            idle_threads: threads.idle,
        }
    }

    fn spawn_rate(&self, bucket: usize) -> i32 {
        self.retained
            .spawn_rates()
            .get(bucket)
            .map_or(1, |r| r.load(Relaxed))
    }

    /// Does what is to be done in a bucket. The last slot in which it started a child.
    fn maintain_bucket(&mut self, bucket: usize, tally: &Tally) -> Option<i32> {
        let census = tally.census();
        let fleet = Fleet {
            active_children: self.retained.active_children.load(Relaxed),
            total_children: self.retained.total_children.load(Relaxed),
            num_buckets: self.common.num_buckets(),
            spawn_rate: self.spawn_rate(bucket),
            hold_off: self.retained.hold_off.load(Relaxed),
        };
        let plan = maintain(&self.limits, &census, &fleet);
        if let Some(rate) = self.retained.spawn_rates().get(bucket) {
            rate.store(plan.spawn_rate, Relaxed);
        }
        self.retained.hold_off.store(plan.hold_off, Relaxed);
        self.log_limits(plan.action);
        match plan.action {
            // A child that has ended and was not buried passes for one with spare threads: then the one that is too much
            // may be the only one that serves.
            Action::StopOne if any_ended() => None,
            Action::StopOne => {
                if let Some(pod) = self.generation.buckets().get(bucket).and_then(|b| b.pod) {
                    pod.finish_one();
                }
                None
            }
            Action::Spawn { count, busy } => {
                if busy {
                    log_busy(count, census.idle_threads, &fleet);
                }
                self.spawn(tally, count)
            }
            _ => None,
        }
    }

    fn spawn(&mut self, tally: &Tally, count: i32) -> Option<i32> {
        let mut last = None;
        for &slot in tally.free_slots().iter().take(count.max(0) as usize) {
            if self.start_child(slot as i32).is_err() {
                break;
            }
            last = Some(slot as i32);
        }
        last
    }

    /// Says once for each time that it happens that a limit has been reached.
    fn log_limits(&self, action: Action) {
        let now_ms = clock::now_us() / MS;
        let begins = |condition: Condition, is| condition.observe(is, now_ms, LOG_GAP_MS);
        if begins(Condition::AtMaxWorkers, action == Action::AtMaxWorkers) {
            log_server!(
                Level::Err,
                Status::SUCCESS,
                "AH00484: server reached MaxRequestWorkers setting, consider raising the \
                 MaxRequestWorkers setting"
            );
        }
        if begins(Condition::NearMaxWorkers, action == Action::NearMaxWorkers) {
            log_server!(
                Level::Err,
                Status::SUCCESS,
                "AH10159: server is within MinSpareThreads of MaxRequestWorkers, consider \
                 raising the MaxRequestWorkers setting"
            );
        }
        if begins(Condition::ScoreboardFull, action == Action::ScoreboardFull) {
            log_server!(
                Level::Err,
                Status::SUCCESS,
                "AH03490: scoreboard is full, not at MaxRequestWorkers.Increase ServerLimit."
            );
        }
    }
}

fn log_busy(count: i32, idle_threads: i32, fleet: &Fleet) {
    log_server!(
        Level::Info,
        Status::SUCCESS,
        "AH00486: server seems busy, (you may need to increase StartServers, ThreadsPerChild or \
         Min/MaxSpareThreads), spawning {count} children, there are around {idle_threads} idle \
         threads, {} active children, and {} children that are shutting down",
        fleet.active_children,
        fleet.stopping_children()
    );
}
