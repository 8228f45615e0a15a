//! Addresses that children of former generations may still listen on.

use crate::host::child_process::{has_ended, pause_us};
use crate::host::clock::{self, MS, SECOND};
use crate::host::listener;
use crate::host::pod::Order;
use crate::host::retained::Common;
use crate::host::retained_data::{former, KeptGeneration};
use crate::host::scoreboard::{ChildEntry, Quiescing};
use crate::policy::limits::Limits;

const LONGEST_WAIT_US: u64 = 2 * SECOND;
const LOOK_EVERY_US: u64 = 5 * MS;

/// Before listening sockets are opened: makes those former generations give up theirs that can stand in the way.
///
/// This process has the sockets of the configuration that has just been given up. An older one that has not been told, because a restart came before its
/// successor was ready, may hold an address that has gone from the configuration since, and is now asked for again. After a
/// restart that is not graceful nobody has use for any of them.
pub(super) fn make_free(common: Common, limits: Limits) {
    let generations = || former().iter().filter_map(KeptGeneration::get);
    let graceful = common.was_graceful();
    if graceful && !listener::any_new() || generations().next().is_none() {
        return;
    }
    let given_up = common.generation() - 1;
    let in_the_way = |generation| generation < given_up || !graceful;
    for (generation, broadcasts) in generations() {
        if in_the_way(generation) {
            broadcasts.tell(if graceful { Order::Finish } else { Order::End });
        }
    }
    let until_us = clock::now_us() + LONGEST_WAIT_US;
    let holds = |child: ChildEntry| {
        in_the_way(child.generation())
            && (!graceful || child.quiescing() == Quiescing::No)
            && !has_ended(child.pid())
    };
    let children = || {
        (0..limits.server_limit)
            .filter_map(ChildEntry::of)
            .filter(|child| child.pid() != 0)
    };
    while children().any(holds) && clock::now_us() < until_us {
        pause_us(LOOK_EVERY_US);
    }
}
