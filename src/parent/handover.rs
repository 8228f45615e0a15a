//! From the former generation to the new one at a graceful restart.
//!
//! The former children go on accepting while the configuration is read and the
//! new children start, so that nobody waits for a server that is there. They
//! are told to finish when the new ones accept.

use super::{register, Parent};
use crate::host::child_process;
use crate::host::clock::{self, MS, SECOND};
use crate::host::pod::Order;
use crate::host::retained_data::{former, KeptGeneration};
use crate::host::scoreboard::{ChildEntry, WorkerStatus};
use crate::policy::maintenance::bucket_of;
use crate::policy::reload::{drain_ms, next_step, Handover, Step};

/// How often the parent looks whether the new children are ready.
const LOOK_EVERY_US: u64 = 5 * MS;

impl Parent {
    /// Keeps the means to tell this generation, before a graceful restart;
    /// without descriptors to keep it is told at once.
    pub(super) fn keep_generation(&self) {
        let Some(broadcasts) = self.generation.broadcasts else {
            return;
        };
        self.close_former_generations();
        match broadcasts.keep() {
            Ok(kept) => self
                .place_for_generation()
                .set(Some((self.common.generation(), kept))),
            Err(_) => broadcasts.tell(Order::Finish),
        }
        if self.helpers {
            // A request that they serve later would meet helpers that are dead: newcomers wait for the new children, and
            // what is on its way has this moment.
            broadcasts.tell(Order::Finish);
            self.pause_for_drain();
        }
    }

    /// Waits until what is on its way to helpers has been served; not when the server is to stop.
    fn pause_for_drain(&self) {
        let until_us = clock::now_us() + drain_ms(true) * MS;
        while !self.common.shutdown_pending() {
            match until_us.saturating_sub(clock::now_us()) {
                0 => return,
                left => child_process::pause_us(left), // a signal ends it early
            }
        }
    }

    /// A free place, or that of the oldest generation, which is told to finish.
    fn place_for_generation(&self) -> &'static KeptGeneration {
        let former = former();
        if let Some(free) = former.iter().find(|f| f.get().is_none()) {
            return free;
        }
        let age = |f: &&KeptGeneration| f.get().map_or(i32::MAX, |(generation, _)| generation);
        let oldest = former.iter().min_by_key(age).unwrap_or(&former[0]);
        if let Some((_, kept)) = oldest.get() {
            kept.tell(Order::Finish);
            kept.close();
        }
        oldest
    }

    /// Waits until the new children accept, then tells the former ones to finish.
    pub(super) fn hand_over(&mut self) {
        let since_us = clock::now_us();
        let mut tried_ms = 0;
        while !self.interrupted() {
            let waited_ms = (clock::now_us() - since_us) / MS;
            if next_step(&self.progress(waited_ms)) == Step::ReleaseOld {
                break;
            }
            if child_process::any_ended() {
                if let Some(ended) = child_process::wait_or_timeout(self.pconf, self.server) {
                    self.bury(&ended);
                }
            } else {
                child_process::pause_us(LOOK_EVERY_US);
            }
            if waited_ms > tried_ms + SECOND / MS {
                tried_ms = waited_ms;
                self.start_missing();
            }
        }
        // A restart that interrupts leaves them for the next generation to
        // release; a stop tells them itself.
        if !self.interrupted() {
            self.tell_former(Order::Finish);
        }
    }

    /// Tells all children of former generations.
    pub(super) fn tell_former(&self, order: Order) {
        for (_, kept) in former().iter().filter_map(KeptGeneration::get) {
            kept.tell(order);
        }
    }

    /// Closes what was kept for generations that have gone.
    pub(super) fn close_former_generations(&self) {
        for place in former() {
            let Some((generation, kept)) = place.get() else {
                continue;
            };
            let gone = !self
                .children()
                .any(|(_, child)| child.generation() == generation);
            if gone {
                kept.close();
                place.set(None);
            }
        }
    }

    /// Whether children of a former generation are still there.
    pub(super) fn former_children(&self) -> bool {
        let current = self.common.generation();
        self.children()
            .any(|(_, child)| child.generation() != current)
    }

    /// The children there are, with their slots.
    fn children(&self) -> impl Iterator<Item = (usize, ChildEntry)> {
        (0..self.slots_used()).filter_map(|slot| {
            let entry = ChildEntry::of(slot as i32).filter(|e| e.pid() != 0)?;
            Some((slot, entry))
        })
    }

    fn progress(&self, waited_ms: u64) -> Handover {
        register::put_right();
        let num_buckets = self.common.num_buckets();
        let mut ready = vec![false; num_buckets.max(1) as usize];
        let current = self.common.generation();
        let new = |(slot, child): (usize, ChildEntry)| {
            (child.generation() == current).then_some((bucket_of(slot, num_buckets), child))
        };
        for (bucket, child) in self.children().filter_map(new) {
            ready[bucket] |= self.is_ready(child);
        }
        let starting = self
            .children()
            .filter_map(new)
            .filter(|&(bucket, _)| !ready[bucket]);
        let free = self
            .free_slots()
            .filter(|&slot| !ready[bucket_of(slot, num_buckets)]);
        Handover {
            ready_buckets: ready.iter().filter(|&&r| r).count() as i32,
            num_buckets,
            starting_children: starting.count() as i32,
            wanted_children: self.limits.children_to_start(),
            free_slots: free.count() as i32,
            waited_ms,
        }
    }

    /// A child accepts once its last worker waits: the listener comes after.
    fn is_ready(&self, child: ChildEntry) -> bool {
        (0..self.limits.threads_per_child).any(|t| {
            child
                .worker_status(t)
                .is_some_and(|s| s >= WorkerStatus::Ready as u8 && s < WorkerStatus::Graceful as u8)
        })
    }
}
