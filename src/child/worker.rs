//! A worker's loop.

use super::{Child, Work};
use crate::conn::slot_handles::Queued;
use crate::host::clock;
use crate::host::scoreboard::WorkerStatus;
use crate::host::thread::Thread;
use crate::policy::admission::surplus_worker_may_exit;
use crate::sync::handoff::Next;
use crate::sync::phase::Stage;
use std::sync::atomic::Ordering;

/// One worker: its thread and its place in the scoreboard.
#[derive(Clone, Copy)]
pub(super) struct Worker {
    pub(super) child: &'static Child,
    pub(super) thread: Thread,
    pub(super) index: usize,
}

/// Runs until the child ends, or finishes with more workers than connections.
pub(super) fn run(child: &'static Child, thread: Thread, index: usize) {
    let worker = Worker {
        child,
        thread,
        index,
    };
    let entry = child.entry;
    let place = index as i32;
    entry.claim_worker(place, child.pid, child.generation);
    entry.set_worker_status(place, WorkerStatus::Starting);
    worker.serve();
    let left = match child.stage() {
        Stage::Running => WorkerStatus::Graceful,
        Stage::Finishing | Stage::Ending => WorkerStatus::Dead,
    };
    entry.set_worker_status(place, left);
    child.thread_ended();
}

/// What a worker has done since it last rested. Times are in microseconds.
#[derive(Default)]
struct Shift {
    since_us: u64,
    begun_us: u64,
    ended_us: u64,
    polled_us: u64,
}

/// A worker that has served for so long without a rest lets another one take its place. Who never rests keeps its core until the
/// kernel's slice is over (4 ms where it ticks 250 times a second), and another process on that core keeps its clients waiting for
/// as long. To sleep is better than sched_yield(2), which gives up the rest of the slice for good.
const LONG_US: u64 = 400;

/// What a poll takes that finds something at once, without the events themselves, which take up to one microsecond each. One
/// that took longer has slept.
const POLL_US: u64 = 10;

impl Shift {
    fn begin(&mut self, now_us: u64) {
        if now_us - self.polled_us.max(self.ended_us) > LONG_US {
            self.since_us = now_us; // it has idled
        }
        self.begun_us = now_us;
    }

    fn polled(&mut self, now_us: u64, found: usize) {
        let took = now_us - self.polled_us.max(self.ended_us);
        if took > POLL_US + found as u64 {
            self.since_us = now_us;
        }
        self.polled_us = now_us;
    }

    fn end(&mut self, now_us: u64) {
        self.ended_us = now_us;
    }

    /// How long the last item took.
    fn served_us(&self) -> u64 {
        self.ended_us - self.begun_us
    }

    fn is_long(&self) -> bool {
        self.ended_us - self.since_us > LONG_US
    }
}

impl Worker {
    fn serve(&self) {
        let handoff = &self.child.handoff;
        let mut found = Vec::new();
        let mut shift = Shift::default();
        loop {
            if !self.show_idle() {
                return handoff.leave(self.index, shift.served_us());
            }
            let mut next = handoff.next(self.index, shift.served_us(), shift.is_long());
            while let Next::Poll(mut duty) = next {
                duty.turn(&mut found);
                shift.polled(clock::now_us(), found.len());
                next = handoff.next_after_poll(self.index, duty, &mut found);
            }
            match next {
                Next::Item(work) => {
                    shift.begin(clock::now_us());
                    self.perform(work);
                    shift.end(clock::now_us());
                }
                Next::Interrupted | Next::Poll(_) => {}
                Next::Closed => return,
            }
        }
    }

    /// Shows in the scoreboard that this worker has nothing to do; `false`: it is to end.
    fn show_idle(&self) -> bool {
        let child = self.child;
        let idle = match child.stage() {
            Stage::Running => WorkerStatus::Ready,
            Stage::Finishing if self.may_leave() => return false,
            // The one kept beside the connections' own is not shown.
            Stage::Finishing if self.is_spare() => WorkerStatus::Dead,
            Stage::Finishing => WorkerStatus::Graceful,
            Stage::Ending => return false,
        };
        child.entry.set_worker_status(self.index as i32, idle);
        true
    }

    fn perform(&self, work: Work) {
        let child = self.child;
        match work {
            Work::Accepted(socket, pool) => self.serve_new(socket, pool),
            Work::Ready(queued) => self.serve_queued(queued),
            Work::Timer(callback) => {
                let place = self.index as i32;
                child
                    .entry
                    .set_worker_status(place, WorkerStatus::BusyWrite);
                callback.call();
            }
            Work::Closings => {
                while let Some(queued) = child.closings.next() {
                    self.serve_queued(queued);
                }
            }
        }
    }

    fn serve_queued(&self, queued: Queued) {
        match queued.if_over() {
            Ok(conn) => self.close(conn),
            Err(queued) => {
                let conn = queued.run(self.thread, self.child.slot, self.index as i32);
                self.serve_connection(conn);
            }
        }
    }

    /// While the child finishes, workers beyond the number of connections go;
    /// one is kept beside them, for timed callbacks and closes.
    fn may_leave(&self) -> bool {
        let child = self.child;
        if !child.accept_closed.load(Ordering::Acquire) || child.handoff.queued() > 0 {
            return false;
        }
        let needed = child.ledger.connections().saturating_add(1);
        child
            .exited_workers
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |exited| {
                surplus_worker_may_exit(needed, child.threads(), exited).then_some(exited + 1)
            })
            .is_ok()
    }

    fn is_spare(&self) -> bool {
        let child = self.child;
        let exited = child.exited_workers.load(Ordering::Acquire);
        surplus_worker_may_exit(child.ledger.connections(), child.threads(), exited)
    }
}
