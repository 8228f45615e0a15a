//! The listener thread. Workers poll for themselves; it guards them (`sync::handoff`): it polls when all are busy, calls one
//! when the one at work takes unexpectedly long, and keeps mod_status informed.

use super::duty::Duty;
use super::{accept, worker, Child};
use crate::conn::slot_pollset::Poller;
use crate::host::clock;
use crate::sync::handoff::{Guard, TICK};
use std::sync::atomic::Ordering;

/// Runs until the child has no connection left after it has begun to finish.
pub(super) fn run(child: &'static Child, poller: Poller) {
    let handoff = &child.handoff;
    let mut found = Vec::new();
    let duty = Duty::new(child, poller);
    worker::show_opened(child);
    handoff.open(Box::new(duty));
    loop {
        match handoff.guard() {
            Guard::Tick => {
                child.publish_counts_if_due();
                std::thread::sleep(TICK);
            }
            Guard::Rest => {
                // What has changed since the last time, or nobody would see it.
                child.publish_counts();
                handoff.guard_rest();
            }
            Guard::Poll(mut duty) => {
                child.publish_counts(); // it may sleep for long
                duty.turn(&mut found);
                handoff.guard_polled(duty, &mut found, clock::now_us());
            }
            Guard::Closed => break,
        }
    }
    // In a graceful end a worker has done so, before it closed the hand-off. Else one may still be accepting: the sockets end with
    // the process.
    if !child.accept_closed.swap(true, Ordering::AcqRel) {
        accept::stop(child);
        child.announce_finishing();
    }
}
