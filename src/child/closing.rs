//! Connections whose time is over, closed by workers beside their other work.
//!
//! A close may wait (a last flush, a module's hook), so it is not done beside
//! polling; thousands may expire at once, so they don't stand in the queue before
//! requests either: one item in the queue stands for the whole heap.

use super::{Child, Work};
use crate::conn::slot_handles::Queued;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The heap.
#[derive(Default)]
pub(super) struct Closings(Mutex<Heap>);

#[derive(Default)]
struct Heap {
    waiting: VecDeque<Queued>,
    /// Workers at it, and items in the queue for more.
    at_work: usize,
}

impl Closings {
    fn heap(&self) -> std::sync::MutexGuard<'_, Heap> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next connection to close; `None` ends this worker's part.
    pub(super) fn next(&self) -> Option<Queued> {
        let mut heap = self.heap();
        let next = heap.waiting.pop_front();
        if next.is_none() {
            heap.at_work -= 1;
        }
        next
    }
}

impl Child {
    /// Leaves connections to workers to be closed, and adds to `found` what brings workers to it.
    pub(super) fn close_soon(&self, expired: Vec<Queued>, found: &mut Vec<Work>) {
        if expired.is_empty() {
            return;
        }
        // With several at it, one close that waits doesn't hold up the others.
        const MOST: usize = 4;
        let more = {
            let mut heap = self.closings.heap();
            heap.waiting.extend(expired);
            let wanted = heap.waiting.len().min(MOST).min(self.handoff.idle().max(1));
            let more = wanted.saturating_sub(heap.at_work);
            heap.at_work += more;
            more
        };
        found.extend((0..more).map(|_| Work::Closings));
    }
}
