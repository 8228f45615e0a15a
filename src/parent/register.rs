//! The control process's own register of its children.
//!
//! httpd keeps process ids and generations in the scoreboard, which every child can write to (CVE-2019-0211), and so
//! can a stray pointer of a module. Before the control process acts on a child, the scoreboard is put right from here: none is
//! signalled, reaped or taken for another on the word of a third. What stays a child's own word is that it begins to finish, and
//! what its threads do.

use crate::host::retained_data::{ChildRecord, Retained};
use crate::host::scoreboard::{ChildEntry, Quiescing};
use std::sync::atomic::Ordering::Relaxed;

fn record(slot: i32) -> Option<&'static ChildRecord> {
    Retained::get().records().get(usize::try_from(slot).ok()?)
}

/// A child has been made.
pub(super) fn enter(slot: i32, pid: i32, generation: i32) {
    if let Some(record) = record(slot) {
        record.pid.store(pid, Relaxed);
        record.generation.store(generation, Relaxed);
        record.finishing.store(0, Relaxed);
    }
}

/// It is no longer among the active children.
pub(super) fn mark_finishing(slot: i32) {
    if let Some(record) = record(slot) {
        record.finishing.store(1, Relaxed);
    }
}

/// It has ended.
pub(super) fn leave(slot: i32) {
    if let Some(record) = record(slot) {
        record.pid.store(0, Relaxed);
    }
}

/// Puts the whole scoreboard right.
pub(super) fn put_right() {
    for (slot, record) in Retained::get().records().iter().enumerate() {
        if let Some(entry) = ChildEntry::of(slot as i32) {
            put_entry_right(entry, record);
        }
    }
}

fn put_entry_right(entry: ChildEntry, record: &ChildRecord) {
    let pid = record.pid.load(Relaxed);
    entry.set_pid(pid);
    if pid == 0 {
        return;
    }
    entry.set_generation(record.generation.load(Relaxed));
    // That a child begins to finish is its own to say; that this has been counted is not.
    match (record.finishing.load(Relaxed) != 0, entry.quiescing()) {
        (true, Quiescing::No | Quiescing::Begun) => entry.set_quiescing(Quiescing::Counted),
        (false, Quiescing::Counted) => entry.set_quiescing(Quiescing::Begun),
        _ => {}
    }
}
