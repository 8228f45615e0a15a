//! One child is made, one has ended.

use super::{register, Parent};
use crate::config::birth::Birth;
use crate::config::settings::settings;
use crate::host::child_process::{self, Forked, ReapedChild};
use crate::host::clock::{self, MS, SECOND};
use crate::host::hooks::{run_child_status, ChildEvent};
use crate::host::log::{log_server, Level};
use crate::host::retained::Common;
use crate::host::retained_data::{Condition, Retained};
use crate::host::scoreboard::{ChildEntry, Quiescing, WorkerStatus};
use crate::host::server::Server;
use crate::host::status::Status;
use crate::policy::maintenance::{bucket_of, in_starting_order};
use crate::policy::reload::drain_ms;
use std::sync::atomic::Ordering::Relaxed;

/// The child could not be made.
pub(super) struct NotMade;

impl Parent {
    /// Slots without a child.
    pub(super) fn free_slots(&self) -> impl Iterator<Item = usize> {
        (0..self.limits.server_limit.max(0) as usize)
            .filter(|&slot| ChildEntry::of(slot as i32).is_some_and(|entry| entry.pid() == 0))
    }

    /// Starts up to `count` children in free slots. How many it made.
    pub(super) fn start_children(&mut self, count: i32) -> i32 {
        let slots = in_starting_order(self.free_slots(), self.common.num_buckets());
        let mut made = 0;
        for slot in slots.into_iter().take(count.max(0) as usize) {
            if self.start_child(slot as i32).is_err() {
                break;
            }
            made += 1;
        }
        made
    }

    /// Starts a child in a slot.
    pub(super) fn start_child(&mut self, slot: i32) -> Result<(), NotMade> {
        let used = &self.retained.max_daemon_used;
        used.fetch_max(slot + 1, Relaxed);
        let entry = ChildEntry::of(slot).ok_or(NotMade)?;
        if entry.pid() != 0 {
            log_server!(
                Level::Err,
                Status::SUCCESS,
                "AH03455: BUG: Scoreboard slot {slot} should be empty but is in use by pid {}",
                entry.pid()
            );
            return Err(NotMade);
        }
        // Whatever a child has left there: the new one neither finishes nor rests.
        entry.set_quiescing(Quiescing::No);
        entry.set_not_accepting(false);
        if settings().one_process() {
            note_started(slot, child_process::own_pid());
            (self.child_main)(self.birth(slot, None));
        }
        let parent_pid = child_process::own_pid();
        match child_process::fork() {
            Ok(Forked::Child) => (self.child_main)(self.birth(slot, Some(parent_pid))),
            Ok(Forked::Parent(pid)) => {
                let _ = Condition::ForkFails.observe(false, 0, 0);
                note_started(slot, pid);
                Ok(())
            }
            Err(status) => {
                // The next turn of the loop tries again; meanwhile children
                // that end are reaped, which may be what fork waits for.
                let now_ms = clock::now_us() / MS;
                self.short = true;
                if Condition::ForkFails.observe(true, now_ms, 10 * SECOND / MS) {
                    log_server!(
                        Level::Err,
                        status,
                        "AH00481: fork: Unable to fork new process"
                    );
                }
                Err(NotMade)
            }
        }
    }

    /// `parent_pid`: none in a single-process server.
    fn birth(&self, slot: i32, parent_pid: Option<i32>) -> Birth {
        Birth {
            pconf: self.pconf,
            server: self.server,
            common: self.common,
            limits: self.limits,
            generation: self.generation,
            slot,
            bucket: bucket_of(slot.max(0) as usize, self.common.num_buckets()),
            drain_us: drain_ms(self.helpers) * MS,
            parent_pid,
            before_exit: parent_pid.is_none().then_some(single_process_ends as fn()),
        }
    }
}

fn single_process_ends() {
    note_stopped(0, 0, 0);
}

/// The counts as debug messages print them: active/limit, total/used/ServerLimit.
fn counts() -> String {
    let retained = Retained::get();
    let limits = settings().limits();
    format!(
        "active {}/{}, total {}/{}/{}",
        retained.active_children.load(Relaxed),
        limits.active_children_limit,
        retained.total_children.load(Relaxed),
        retained.max_daemon_used.load(Relaxed),
        limits.server_limit
    )
}

fn note_started(slot: i32, pid: i32) {
    let (Some(entry), Some(common), Some(server)) =
        (ChildEntry::of(slot), Common::get(), Server::main())
    else {
        return;
    };
    let retained = Retained::get();
    let generation = common.generation();
    retained.total_children.fetch_add(1, Relaxed);
    retained.active_children.fetch_add(1, Relaxed);
    entry.set_generation(generation);
    entry.set_pid(pid);
    register::enter(slot, pid, generation);
    run_child_status(server, pid, generation, slot, ChildEvent::Started);
    log_server!(
        Level::Debug,
        Status::SUCCESS,
        "Child {slot} started: pid {pid}, gen {generation}, {}",
        counts()
    );
}

/// A child has begun to finish: it no longer counts as active.
pub(super) fn note_quiescing(slot: i32, entry: ChildEntry) {
    entry.set_quiescing(Quiescing::Counted);
    register::mark_finishing(slot);
    Retained::get().active_children.fetch_sub(1, Relaxed);
    log_server!(
        Level::Debug,
        Status::SUCCESS,
        "Child {slot} quiescing: pid {}, gen {}, {}",
        entry.pid(),
        entry.generation(),
        counts()
    );
}

/// A child has ended; `slot` -1: it had none, then pid and generation say which.
pub(super) fn note_stopped(slot: i32, pid: i32, generation: i32) {
    let Some(server) = Server::main() else { return };
    let Some(entry) = ChildEntry::of(slot) else {
        run_child_status(server, pid, generation, -1, ChildEvent::Exited);
        return;
    };
    let retained = Retained::get();
    let (pid, generation) = (entry.pid(), entry.generation());
    // By ThreadLimit: the child may be of a time with more threads.
    for thread in 0..settings().limits().thread_limit {
        if entry
            .worker_status(thread)
            .is_some_and(|s| s != WorkerStatus::Dead as u8)
        {
            entry.set_worker_status(thread, WorkerStatus::Dead);
        }
    }
    run_child_status(server, pid, generation, slot, ChildEvent::Exited);
    let quiescing = entry.quiescing();
    if quiescing != Quiescing::Counted {
        retained.active_children.fetch_sub(1, Relaxed);
    }
    retained.total_children.fetch_sub(1, Relaxed);
    log_server!(
        Level::Debug,
        Status::SUCCESS,
        "Child {slot} stopped: pid {pid}, gen {generation}, {}, quiescing {}",
        counts(),
        quiescing as i32
    );
    entry.set_not_accepting(false);
    entry.set_quiescing(Quiescing::No);
    entry.publish(&Default::default());
    entry.set_pid(0);
    register::leave(slot);
}

/// Told by httpd when it reaps on our behalf.
pub(super) struct Reaped;

impl ReapedChild for Reaped {
    fn reaped(slot: i32, pid: i32, generation: i32) {
        note_stopped(slot, pid, generation);
    }
}
