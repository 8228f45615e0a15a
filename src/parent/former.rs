//! Former generations: what is kept of them over a restart, and how they are told to end.

use super::children::Reaped;
use super::{register, Parent};
use crate::host::child_process::{self, reclaim_all};
use crate::host::clock::{self, MS};
use crate::host::pod::{KeptBroadcasts, KeptPod, Order};
use crate::host::pool::Pool;
use crate::host::retained_data::{former, former_pods, KeptGeneration};
use crate::host::scoreboard::{ChildEntry, Quiescing};
use crate::policy::maintenance::bucket_of;
use crate::policy::reload::drain_ms;

/// The former generations that can be told, and how.
fn kept() -> impl Iterator<Item = (i32, KeptBroadcasts)> {
    former().iter().filter_map(KeptGeneration::get)
}

fn tell_where(concerns: impl Fn(i32) -> bool, order: Order) {
    for (_, broadcasts) in kept().filter(|&(generation, _)| concerns(generation)) {
        broadcasts.tell(order);
    }
}

/// A restart that became ungraceful when the former generation had been kept already: nobody else tells it. Waits for its end.
pub(super) fn end_former() {
    if kept().next().is_none() {
        return;
    }
    tell_where(|_| true, Order::End);
    register::put_right();
    reclaim_all::<Reaped>();
}

impl Parent {
    /// Keeps the means to tell this generation, before a graceful restart;
    /// without descriptors to keep it is told at once.
    pub(super) fn keep_generation(&self) {
        let Some(broadcasts) = self.generation.broadcasts else {
            return;
        };
        self.close_former_generations();
        let generation = self.common.generation();
        if self.children_of(generation).next().is_none() {
            return; // a restart came before any was started
        }
        match broadcasts.keep() {
            Ok(kept) => {
                place_for_generation().set(Some((generation, kept)));
                self.keep_pods(generation);
            }
            Err(_) => broadcasts.tell(Order::Finish),
        }
        if self.helpers {
            // A request that they serve later would meet helpers that are dead: newcomers wait for the new children, and
            // what is on its way has this moment.
            broadcasts.tell(Order::Finish);
            self.pause_for_drain();
        }
    }

    /// Those of the newest generation that accepts: others are not told one by one.
    fn keep_pods(&self, generation: i32) {
        let Some(pool) = Pool::global() else { return };
        if !self.accepts(generation) && self.accepts(former_pods().generation()) {
            return;
        }
        let pods: Vec<Option<KeptPod>> = self
            .generation
            .buckets()
            .iter()
            .map(|bucket| bucket.pod.and_then(|pod| pod.keep().ok()))
            .collect();
        former_pods().keep(generation, &pods, pool);
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

    /// Tells all children of former generations.
    pub(super) fn tell_former(&self, order: Order) {
        tell_where(|_| true, order);
    }

    /// Tells one child of this bucket; or, where several generations are left, all but the one that can be told one by one.
    pub(super) fn release_one(&self, bucket: usize) {
        let one_by_one = former_pods().generation();
        let serves = |(_, child): (usize, ChildEntry)| self.accepts_now(child);
        if kept().any(|(g, _)| g != one_by_one && self.children_of(g).any(serves)) {
            return tell_where(|generation| generation != one_by_one, Order::Finish);
        }
        match former_pods().get(bucket) {
            Some(pod) => pod.finish_one(),
            None => self.tell_former(Order::Finish),
        }
    }

    /// Tells what restarts have left that came before a hand-over was done: all generations but the newest one that accepts in
    /// every bucket.
    pub(super) fn release_outdated(&self) {
        let newest = kept().map(|(g, _)| g).filter(|&g| self.accepts(g)).max();
        if let Some(newest) = newest {
            tell_where(|generation| generation != newest, Order::Finish);
        }
    }

    /// Whether a generation accepts in every bucket.
    fn accepts(&self, generation: i32) -> bool {
        let buckets = self.common.num_buckets().max(1);
        let of_bucket = |bucket| {
            self.children_of(generation)
                .filter(move |&(slot, _)| bucket_of(slot, buckets) == bucket)
        };
        (0..buckets as usize)
            .all(|bucket| of_bucket(bucket).any(|(_, child)| self.accepts_now(child)))
    }

    fn accepts_now(&self, child: ChildEntry) -> bool {
        child.quiescing() == Quiescing::No && self.is_up(child)
    }

    /// Closes what was kept for generations that have gone.
    pub(super) fn close_former_generations(&self) {
        for place in former() {
            let Some((generation, kept)) = place.get() else {
                continue;
            };
            if self.children_of(generation).next().is_none() {
                kept.close();
                place.set(None);
                former_pods().close_of(generation);
            }
        }
    }

    /// Whether children of a former generation are still there.
    pub(super) fn former_children(&self) -> bool {
        let current = self.common.generation();
        self.children()
            .any(|(_, child)| child.generation() != current)
    }

    fn children_of(&self, generation: i32) -> impl Iterator<Item = (usize, ChildEntry)> + use<'_> {
        self.children()
            .filter(move |(_, child)| child.generation() == generation)
    }

    /// The children there are, with their slots.
    fn children(&self) -> impl Iterator<Item = (usize, ChildEntry)> {
        (0..self.slots_used()).filter_map(|slot| {
            let entry = ChildEntry::of(slot as i32).filter(|e| e.pid() != 0)?;
            Some((slot, entry))
        })
    }
}

/// A free place, or that of the oldest generation, which is told to finish.
fn place_for_generation() -> &'static KeptGeneration {
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
