//! From the former generation to the new one at a graceful restart.
//!
//! The former children go on accepting while the configuration is read and the
//! new children start, so that nobody waits for a server that is there. They
//! are told to finish when the new ones accept: `policy::reload` decides.

use super::{register, Parent};
use crate::host::child_process;
use crate::host::clock::{self, MS};
use crate::host::pod::Order;
use crate::host::retained_data::ever_healthy;
use crate::host::scoreboard::{ChildEntry, Quiescing, WorkerStatus};
use crate::policy::maintenance::{bucket_of, in_starting_order};
use crate::policy::reload::{BucketFacts, Facts, Handover, Step};
use std::sync::atomic::Ordering::Relaxed;

/// How often the parent looks whether the new children are ready.
const LOOK_EVERY_US: u64 = 5 * MS;

impl Parent {
    /// Until the new children accept, and the former ones have been told to finish.
    pub(super) fn hand_over(&mut self) {
        let mut handover = Handover::begin(clock::now_us() / MS);
        // A restart that interrupts leaves the former ones for the next generation to release; a stop tells them itself.
        while !self.interrupted() {
            let facts = self.generations();
            // Whoever makes room meanwhile is replaced.
            self.recent.remaining_to_start = facts.missing();
            match handover.next_step(&facts, clock::now_us() / MS) {
                Step::Wait => self.reap_or_pause(),
                Step::Start(bucket) => self.start_in(bucket),
                Step::ReleaseOne(bucket) => self.release_one(bucket),
                Step::ReleaseAll => self.tell_former(Order::Finish),
                Step::Done => return self.tell_former(Order::Finish),
            }
        }
    }

    fn reap_or_pause(&mut self) {
        if child_process::any_ended() {
            if let Some(ended) = child_process::wait_or_timeout(self.pconf, self.server) {
                self.bury(&ended);
            }
        } else {
            child_process::pause_us(LOOK_EVERY_US);
        }
    }

    /// Starts one child of a bucket.
    fn start_in(&mut self, bucket: usize) {
        let buckets = self.common.num_buckets();
        let slots = in_starting_order(self.free_slots(), buckets);
        if let Some(slot) = slots.into_iter().find(|&s| bucket_of(s, buckets) == bucket) {
            let _ = self.start_child(slot as i32); // a failure has been noted
        }
    }

    /// The children of all generations, by what the hand-over makes of them.
    pub(super) fn generations(&self) -> Facts {
        register::put_right();
        let num_buckets = self.common.num_buckets().max(1);
        let current = self.common.generation();
        let mut buckets = vec![BucketFacts::default(); num_buckets as usize];
        let mut leaving = 0;
        for slot in 0..self.limits.server_limit.max(0) {
            let Some(child) = ChildEntry::of(slot) else {
                continue;
            };
            let bucket = &mut buckets[bucket_of(slot as usize, num_buckets)];
            if child.pid() == 0 {
                bucket.free_slots += 1;
                continue;
            }
            match (child.generation() == current, child.quiescing()) {
                (true, Quiescing::No) if self.is_ready(child) => bucket.ready += 1,
                (true, Quiescing::No) => bucket.starting += 1,
                (true, _) => {}
                (false, Quiescing::No) if self.is_up(child) => bucket.accepting += 1,
                (false, _) => leaving += 1,
            }
        }
        if buckets.iter().any(|b| b.ready + b.accepting > 0) {
            ever_healthy().store(1, Relaxed);
        }
        Facts {
            buckets,
            wanted: self.limits.children_to_start().max(0) as u32,
            leaving,
            short: self.short,
        }
    }

    /// All its threads wait or serve: its workers show that when the listener has begun to accept.
    fn is_ready(&self, child: ChildEntry) -> bool {
        (0..self.limits.threads_per_child).all(|thread| serves(child, thread))
    }

    /// The same of a child that may have had another number of threads.
    pub(super) fn is_up(&self, child: ChildEntry) -> bool {
        (0..self.limits.thread_limit).any(|thread| serves(child, thread))
    }
}

fn serves(child: ChildEntry, thread: i32) -> bool {
    child
        .worker_status(thread)
        .is_some_and(|s| s >= WorkerStatus::Ready as u8 && s < WorkerStatus::Graceful as u8)
}
