//! A worker's loop.

use super::{Child, Work};
use crate::conn::slot_handles::Queued;
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

impl Worker {
    fn serve(&self) {
        let child = self.child;
        loop {
            let idle = match child.stage() {
                Stage::Running => WorkerStatus::Ready,
                Stage::Finishing if self.may_leave() => return,
                // The one kept beside the connections' own is not shown.
                Stage::Finishing if self.is_spare() => WorkerStatus::Dead,
                Stage::Finishing => WorkerStatus::Graceful,
                Stage::Ending => return,
            };
            child.entry.set_worker_status(self.index as i32, idle);
            let wake = || child.parking.wake();
            match child.handoff.next_with(self.index, wake) {
                Next::Item(work) => self.perform(work),
                Next::Interrupted => {}
                Next::Closed => return,
            }
        }
    }

    fn perform(&self, work: Work) {
        let child = self.child;
        child.publish_counts_if_due(); // mod_status shows the request that asks
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
                    child.publish_counts_if_due();
                }
            }
        }
        child.publish_counts_if_due();
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
