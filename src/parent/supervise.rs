//! The loop: wait for a child to end, or a second; react; keep the number right.

use super::children::note_stopped;
use super::{register, Parent};
use crate::host::child_process::{self, Ended};
use crate::host::clock::{self, MS};
use crate::host::log::{log_server, Level};
use crate::host::scoreboard::{self, ChildEntry};
use crate::host::status::Status;
use crate::policy::child_exit::{child_died, tick, Death, Outcome};
use crate::policy::maintenance::bucket_of;
use std::sync::atomic::Ordering::Relaxed;

impl Parent {
    /// Until a restart or a stop is asked for.
    pub(super) fn supervise(&mut self) {
        while !self.interrupted() {
            match child_process::wait_or_timeout(self.pconf, self.server) {
                Some(ended) => self.bury(&ended),
                None => self.second_passed(),
            }
        }
    }

    /// A restart or a stop has been asked for.
    pub(super) fn interrupted(&self) -> bool {
        self.common.restart_pending() || self.common.shutdown_pending()
    }

    fn second_passed(&mut self) {
        register::put_right();
        self.close_former_generations();
        self.count_quiescing();
        self.retry_missing();
        let tick = tick(self.recent);
        self.recent = tick.recent;
        let mut made = 0;
        if tick.start_now > 0 {
            made = self.start_up_to(tick.start_now);
        }
        if tick.maintain || made == 0 {
            self.maintain();
        }
    }

    /// Tries again, with growing pauses, children of StartServers that failed to start. Upkeep wouldn't where one of them
    /// has spare threads enough.
    fn retry_missing(&mut self) {
        if !self.incomplete {
            return;
        }
        let facts = self.generations();
        self.incomplete = !facts.complete();
        let due = self.retries.due(clock::now_us() / MS);
        if due && facts.missing() > 0 && self.recent.remaining_to_start == 0 {
            self.recent.remaining_to_start = 1;
        }
    }

    /// Starts children, within MaxRequestWorkers. How many it made; those for
    /// which there was no room because of a former generation, or no process
    /// because fork failed, are tried again after a second.
    fn start_up_to(&mut self, wanted: i32) -> i32 {
        let active = self.retained.active_children.load(Relaxed);
        let room = self.limits.may_start(wanted, active);
        let made = self.start_children(room);
        let wait_for = match self.former_children() {
            true => wanted,
            false => room,
        };
        self.recent.remaining_to_start += wait_for - made;
        made
    }

    /// A child, or another process of the server's, has ended.
    pub(super) fn bury(&mut self, ended: &Ended) {
        register::put_right();
        let slot = scoreboard::find_child(ended.pid);
        let entry = slot.and_then(ChildEntry::of);
        let generation = self.common.generation();
        if self.incomplete && entry.is_some_and(|e| e.generation() != generation) {
            // It makes room: what this generation lacks is started in its place, whatever attempts have failed so far.
            let missing = self.generations().missing();
            let due = &mut self.recent.remaining_to_start;
            *due = (*due).max(missing.min(1));
        }
        let outcome = child_died(
            &Death {
                fatal: ended.fatal,
                sick: ended.sick,
                signalled: ended.signalled,
                slot: slot.map(|s| s as usize),
                current_generation: entry.is_some_and(|e| e.generation() == generation),
            },
            self.recent,
        );
        if outcome.shut_down {
            self.common.set_shutdown_pending(true);
            self.child_fatal = true;
            return;
        }
        if outcome.ignored_fatal {
            log_server!(
                Level::Warning,
                Status::SUCCESS,
                "AH00487: Ignoring fatal error in child of previous generation (pid {}).",
                ended.pid
            );
        }
        match slot {
            Some(slot) => note_stopped(slot, 0, 0),
            None => self.disown(ended),
        }
        self.follow(outcome, slot);
    }

    /// Not one of our children: somebody else's, or one we have lost.
    fn disown(&self, ended: &Ended) {
        if child_process::offer_to_other_owners(ended) {
            return;
        }
        if self.common.was_graceful() {
            log_server!(
                Level::Warning,
                Status::SUCCESS,
                "AH00488: long lost child came home! (pid {})",
                ended.pid
            );
        }
    }

    fn follow(&mut self, outcome: Outcome, slot: Option<i32>) {
        self.recent = outcome.recent;
        if outcome.sick_detected {
            self.retained.sick_child_detected.store(1, Relaxed);
            self.short = true;
        }
        let Some(slot) = slot else { return };
        if outcome.minimal_spawn_rate {
            let bucket = bucket_of(slot.max(0) as usize, self.common.num_buckets());
            if let Some(rate) = self.retained.spawn_rates().get(bucket) {
                rate.store(1, Relaxed);
            }
        }
        if outcome.replace_in_slot && self.start_child(slot).is_err() {
            self.recent.remaining_to_start += 1;
        }
        if outcome.warn_successive {
            log_server!(
                Level::Warning,
                Status::SUCCESS,
                "AH10392: children are killed successively!"
            );
        }
        if outcome.start_now > 0 {
            let _ = self.start_up_to(outcome.start_now);
        }
    }
}
