//! A worker's loop.

use super::{Child, Work};
use crate::conn::ledger::Also;
use crate::conn::slot_handles::Queued;
use crate::host::clock;
use crate::host::scoreboard::WorkerStatus;
use crate::host::thread::Thread;
use crate::policy::admission::surplus_worker_may_exit;
use crate::policy::shift::Shift;
use crate::sync::handoff::Next;
use crate::sync::phase::Stage;
use std::sync::atomic::{fence, Ordering};

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

/// The child accepts from now on: workers that are up show that they wait. Others will do so themselves.
///
/// The parent takes a child for ready once all of them do.
pub(super) fn show_opened(child: &'static Child) {
    child.opened.store(true, Ordering::SeqCst);
    // Against the one in `shows_starting`: either this sees that a worker is up, or that one sees that accepting has begun.
    fence(Ordering::SeqCst);
    for place in 0..child.threads() as i32 {
        if child.entry.worker_status(place) == Some(WorkerStatus::Starting as u8) {
            child.entry.set_worker_status(place, WorkerStatus::Ready);
        }
    }
}

impl Worker {
    fn serve(&self) {
        let handoff = &self.child.handoff;
        let mut found = Vec::new();
        let mut shift = Shift::default();
        let mut served_us = None;
        loop {
            if !self.show_idle() {
                return handoff.leave(self.index, served_us);
            }
            let tired = shift.is_over(clock::thread_cpu_us);
            let mut next = handoff.next(self.index, served_us.take(), tired);
            while let Next::Poll(mut duty) = next {
                self.publish_if_unguarded(); // it may sleep for long
                duty.turn(&mut found);
                let now_us = clock::now_us();
                shift.polled(now_us, found.len(), clock::thread_usage);
                next = handoff.next_after_poll(self.index, duty, &mut found, now_us);
            }
            match next {
                Next::Item(work) => {
                    // How long callbacks and closes take tells nothing of requests.
                    let is_usual = matches!(work, Work::Accepted(..) | Work::Ready(_));
                    shift.begin(clock::now_us(), clock::thread_usage);
                    self.perform(work);
                    let took_us = shift.end(clock::now_us(), clock::thread_usage);
                    served_us = took_us.filter(|_| is_usual);
                    self.publish_if_unguarded();
                }
                Next::Interrupted | Next::Poll(_) => {}
                Next::Closed => return,
            }
        }
    }

    /// The guard publishes the figures of mod_status while it is awake.
    fn publish_if_unguarded(&self) {
        if !self.child.handoff.is_guarded() {
            self.child.publish_counts();
        }
    }

    /// Shows in the scoreboard that this worker has nothing to do; `false`: it is to end.
    fn show_idle(&self) -> bool {
        let child = self.child;
        let idle = match child.stage() {
            Stage::Running if self.shows_starting() => return true,
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

    /// Whether the child doesn't accept yet; then the worker shows that it starts.
    fn shows_starting(&self) -> bool {
        let child = self.child;
        if child.opened.load(Ordering::Acquire) {
            return false;
        }
        child
            .entry
            .set_worker_status(self.index as i32, WorkerStatus::Starting);
        fence(Ordering::SeqCst); // see `show_opened`
        !child.opened.load(Ordering::SeqCst)
    }

    fn perform(&self, work: Work) {
        let child = self.child;
        match work {
            Work::Accepted(socket, pool) => {
                child.ledger.leave(Also::Arriving);
                self.serve_new(socket, pool);
            }
            Work::Ready(queued) => self.serve_queued(queued),
            Work::Timer(callback) => {
                let place = self.index as i32;
                child
                    .entry
                    .set_worker_status(place, WorkerStatus::BusyWrite);
                callback.call();
            }
            Work::Closings => self.close_some(),
        }
    }

    /// Serves a connection that is ready, or closes it.
    pub(super) fn serve_queued(&self, queued: Queued) {
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
