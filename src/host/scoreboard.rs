//! The scoreboard: the shared memory in which parent, children and mod_status
//! meet.
//!
//! Entries are reached only through httpd's own functions: `process_score` has
//! grown between 2.4 releases, so an index computed here could hit another
//! child's entry. Other processes write concurrently, so every access is a
//! relaxed atomic one, and nothing read from here is trusted as an index.

use super::server;
use crate::sys;
use std::ffi::{c_char, c_int};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicI8, AtomicU32, AtomicU8, Ordering::Relaxed};

/// Status of a worker, as mod_status shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WorkerStatus {
    /// No thread.
    Dead = sys::SERVER_DEAD as isize,
    /// Starting up.
    Starting = sys::SERVER_STARTING as isize,
    /// Waiting for work.
    Ready = sys::SERVER_READY as isize,
    /// Reading a request.
    BusyRead = sys::SERVER_BUSY_READ as isize,
    /// Sending a reply.
    BusyWrite = sys::SERVER_BUSY_WRITE as isize,
    /// Between two requests of a connection.
    BusyKeepalive = sys::SERVER_BUSY_KEEPALIVE as isize,
    /// Gracefully finishing.
    Graceful = sys::SERVER_GRACEFUL as isize,
}

/// How far a child is on its way out (`quiescing`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quiescing {
    /// Serving.
    No,
    /// The child has begun to finish; the parent has not counted it yet.
    Begun,
    /// Finishing, and no longer among the active children.
    Counted,
}

/// Numbers of one child's connections, as mod_status shows them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ConnectionCounts {
    /// All open connections.
    pub total: u32,
    /// Waiting for a descriptor on a module's behalf.
    pub wait_io: u32,
    /// Waiting to send the rest of a response.
    pub write_completion: u32,
    /// Idle between two requests.
    pub keep_alive: u32,
    /// Closing.
    pub lingering: u32,
    /// Held by a module.
    pub suspended: u32,
}

/// The entry of one child.
#[derive(Clone, Copy)]
pub struct ChildEntry {
    score: NonNull<sys::process_score>,
    slot: i32,
}

// SAFETY: shared memory, mapped for the life of the process, accessed atomically.
unsafe impl Send for ChildEntry {}
// SAFETY: as above.
unsafe impl Sync for ChildEntry {}

/// Reaches a field of `process_score` or `worker_score` as an atomic.
macro_rules! field {
    ($entry:expr, $name:ident, $atomic:ty) => {
        // SAFETY: the entry is mapped, the field aligned, and every process
        // accesses it as one word.
        unsafe { <$atomic>::from_ptr((&raw mut (*$entry.as_ptr()).$name).cast()) }
    };
}

impl ChildEntry {
    /// Entry of the child in `slot`; `None` outside the scoreboard.
    pub fn of(slot: i32) -> Option<ChildEntry> {
        // SAFETY: returns null for a slot outside, or before there is a scoreboard.
        let score = unsafe {
            if sys::ap_exists_scoreboard_image() == 0 {
                return None;
            }
            sys::ap_get_scoreboard_process(slot)
        };
        NonNull::new(score).map(|score| ChildEntry { score, slot })
    }

    /// Process id; 0 when the slot is free.
    pub fn pid(self) -> i32 {
        field!(self.score, pid, AtomicI32).load(Relaxed)
    }

    /// Takes or frees the slot.
    pub fn set_pid(self, pid: i32) {
        field!(self.score, pid, AtomicI32).store(pid, Relaxed);
    }

    /// Generation the child belongs to.
    pub fn generation(self) -> i32 {
        field!(self.score, generation, AtomicI32).load(Relaxed)
    }

    /// Sets the generation.
    pub fn set_generation(self, generation: i32) {
        field!(self.score, generation, AtomicI32).store(generation, Relaxed);
    }

    /// How far the child is on its way out; an unknown value counts as on its way.
    pub fn quiescing(self) -> Quiescing {
        match field!(self.score, quiescing, AtomicI8).load(Relaxed) {
            0 => Quiescing::No,
            2 => Quiescing::Counted,
            _ => Quiescing::Begun,
        }
    }

    /// Sets how far it is.
    pub fn set_quiescing(self, value: Quiescing) {
        field!(self.score, quiescing, AtomicI8).store(value as i8, Relaxed);
    }

    /// Whether the child has stopped accepting for now.
    pub fn not_accepting(self) -> bool {
        field!(self.score, not_accepting, AtomicI8).load(Relaxed) != 0
    }

    /// Sets it.
    pub fn set_not_accepting(self, value: bool) {
        field!(self.score, not_accepting, AtomicI8).store(value.into(), Relaxed);
    }

    /// Publishes the connection counts.
    pub fn publish(self, counts: &ConnectionCounts) {
        field!(self.score, connections, AtomicU32).store(counts.total, Relaxed);
        field!(self.score, write_completion, AtomicU32).store(counts.write_completion, Relaxed);
        field!(self.score, lingering_close, AtomicU32).store(counts.lingering, Relaxed);
        field!(self.score, keep_alive, AtomicU32).store(counts.keep_alive, Relaxed);
        field!(self.score, suspended, AtomicU32).store(counts.suspended, Relaxed);
        if has_wait_io() {
            // SAFETY: this server's entry has the field, one mapped and aligned word.
            let wait_io =
                unsafe { AtomicU32::from_ptr(sys::mre_process_wait_io(self.score.as_ptr())) };
            wait_io.store(counts.wait_io, Relaxed);
        }
    }

    /// Status byte of one of the child's workers; `None` outside the scoreboard.
    pub fn worker_status(self, thread: i32) -> Option<u8> {
        Some(field!(self.worker(thread)?, status, AtomicU8).load(Relaxed))
    }

    /// Sets the status of one worker.
    pub fn set_worker_status(self, thread: i32, status: WorkerStatus) {
        // SAFETY: httpd checks both indexes; no request is given.
        unsafe {
            sys::ap_update_child_status_from_indexes(
                self.slot,
                thread,
                status as c_int,
                ptr::null_mut(),
            );
        }
    }

    /// Records which thread of which process and generation serves in an entry.
    pub fn claim_worker(self, thread: i32, pid: i32, generation: i32) {
        let Some(worker) = self.worker(thread) else {
            return;
        };
        // SAFETY: the entry is mapped; only this thread writes these fields while it lives.
        unsafe {
            let w = worker.as_ptr();
            (*w).pid = pid;
            (*w).tid = sys::apr_os_thread_current();
            (*w).generation = generation;
        }
    }

    fn worker(self, thread: i32) -> Option<NonNull<sys::worker_score>> {
        // SAFETY: returns null for indexes outside.
        NonNull::new(unsafe { sys::ap_get_scoreboard_worker_from_indexes(self.slot, thread) })
    }
}

/// `wait_io` (and AP_MPMQ_CAN_WAITIO) came with 2.4.63; older servers have a
/// shorter entry, and writing the field would hit the next child's.
pub fn has_wait_io() -> bool {
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    match KNOWN.load(Relaxed) {
        0 => {
            let known = server::revision() >= (2, 4, 63);
            KNOWN.store(1 + u8::from(known), Relaxed);
            known
        }
        known => known == 2,
    }
}

/// Slot of the child with this process id, by httpd's own search.
pub fn find_child(pid: i32) -> Option<i32> {
    let mut proc = super::child_process::apr_proc(pid);
    // SAFETY: only the pid is read.
    let slot = unsafe { sys::ap_find_child_by_pid(&mut proc) };
    (slot >= 0).then_some(slot)
}

/// Publishes the generation that should be serving.
pub fn set_running_generation(generation: i32) {
    // SAFETY: called by the parent after the scoreboard was made; null-checked.
    unsafe {
        let global = sys::ap_get_scoreboard_global();
        if !global.is_null() {
            AtomicI32::from_ptr(&raw mut (*global).running_generation).store(generation, Relaxed);
        }
    }
}

/// Maps the scoreboard into a new child where it needs that.
pub fn reopen(pool: super::pool::Pool) {
    // SAFETY: the pool is the child's own.
    unsafe { sys::ap_reopen_scoreboard(pool.as_ptr(), ptr::null_mut(), 0) };
}

/// A connection's handle on the entry of the worker that serves it.
#[derive(Clone, Copy)]
pub struct Handle(*mut sys::ap_sb_handle_t);

impl Handle {
    /// A handle that lives in `pool`.
    pub fn create(pool: super::pool::Pool, child: i32, thread: i32) -> Handle {
        let mut handle = ptr::null_mut();
        // SAFETY: the pool is live, the result has a place.
        unsafe { sys::ap_create_sb_handle(&mut handle, pool.as_ptr(), child, thread) };
        Handle(handle)
    }

    /// The C handle.
    pub fn as_ptr(self) -> *mut sys::ap_sb_handle_t {
        self.0
    }

    /// Another worker serves the connection now.
    pub fn move_to(self, child: i32, thread: i32) {
        // SAFETY: the handle lives in its connection's pool.
        unsafe { sys::ap_update_sb_handle(self.0, child, thread) }
    }

    /// Status of the worker that serves the connection.
    pub fn set_status(self, status: WorkerStatus) {
        // SAFETY: as above; no request is given.
        unsafe { sys::ap_update_child_status(self.0, status as c_int, ptr::null_mut()) };
    }
}

const _: () = assert!(std::mem::size_of::<c_char>() == 1);
