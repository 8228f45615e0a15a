//! The phases of a child's end.
//!
//! *Finishing* (graceful): no more accepts; what was accepted is served;
//! responses say `Connection: close`; idle connections may bring one more
//! request for a moment (the drain window), then are closed; workers beyond the
//! number of connections end early. *Ending*: workers that are blocked on a
//! client are woken by shutting its socket down, and the process is gone within
//! moments, whatever a handler does.

use super::Child;
use crate::config::settings::settings;
use crate::host::clock::{self, MS};
use crate::host::retained::MpmState;
use crate::host::scoreboard::{Quiescing, WorkerStatus};
use crate::host::signals;
use crate::host::socket::shut_down_descriptor;
use crate::policy::reload::drain_ms;
use crate::sync::phase::Stage;
use std::sync::atomic::{AtomicU32, Ordering};

/// How long idle connections may bring a request when the child ends for itself: its configuration, and so its helper processes,
/// go on.
pub(super) const DRAIN_US: u64 = drain_ms(false) * MS;

/// How many of the child's threads have still to end.
pub(super) struct Exits(AtomicU32);

impl Exits {
    pub(super) fn new() -> Exits {
        Exits(AtomicU32::new(0))
    }

    /// A thread is about to be made.
    pub(super) fn expect(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// A thread ends. Whether it was the last.
    pub(super) fn one_more(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// All threads have ended.
    pub(super) fn complete(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

impl Child {
    /// Begins to finish gracefully; from any thread. The main thread tells
    /// the modules. Idle connections may bring a request for `drain_us`.
    pub(super) fn finish(&self, drain_us: u64) {
        // The window first: who sees the phase sees it open.
        let until = clock::now_us() + drain_us;
        let _ = self
            .drain_until_us
            .compare_exchange(0, until, Ordering::AcqRel, Ordering::Acquire);
        if self.phase.advance(Stage::Finishing) {
            self.common.set_state(MpmState::Stopping);
            self.parking.wake();
            self.main_wakeup.set();
        }
    }

    /// Ends now; from any thread. The main thread tells the modules.
    pub(super) fn end(&self) {
        if self.phase.advance(Stage::Ending) {
            self.common.set_state(MpmState::Stopping);
            self.handoff.interrupt_all();
            self.handoff.close();
            self.parking.wake();
            self.main_wakeup.set();
            for worker in &self.serving {
                shut_down_descriptor(worker.load(Ordering::SeqCst));
            }
        }
    }

    /// Shows in the scoreboard that the child is finishing.
    pub(super) fn announce_finishing(&self) {
        self.entry.set_quiescing(Quiescing::Begun);
        for worker in 0..self.limits.threads_per_child {
            self.entry.set_worker_status(worker, WorkerStatus::Graceful);
        }
    }

    /// A thread of the child has ended.
    pub(super) fn thread_ended(&self) {
        if self.exits.one_more() {
            self.main_wakeup.set();
            if settings().one_process() {
                // There the main thread waits for a signal.
                signals::raise_terminate();
            }
        }
    }
}
