//! What the guard does.

use super::super::Guard;
use super::{Holder, Roster, Wakes};

/// What the guard has done since it last looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// This is its first look.
    Nothing,
    Tick,
    Rest,
    Poll,
}

impl<T, R> Roster<T, R> {
    /// The guard looks, a tick after it last did, or having polled, or from its bed.
    pub(in super::super) fn guard(&mut self) -> (Guard<R>, Wakes) {
        let did = self.guard_did;
        if did == Did::Tick {
            self.tick += 1;
            self.active = [self.active[1], 0];
        }
        let (next, wakes) = self.look(did);
        self.guard_did = match next {
            Guard::Tick | Guard::Closed => Did::Tick,
            Guard::Rest => Did::Rest,
            Guard::Poll(_) => Did::Poll,
        };
        (next, wakes)
    }

    fn look(&mut self, did: Did) -> (Guard<R>, Wakes) {
        let nothing = Wakes::default();
        if self.closed {
            return (Guard::Closed, nothing);
        }
        let quiet = self.traffic.is_quiet();
        // As a listener does: a worker that idles doesn't take it from the guard.
        let goes_on = did == Did::Poll && self.queue.is_empty();
        if quiet && self.role.is_some() && (goes_on || self.stack.is_empty()) {
            return self.poll_as_guard();
        }
        let came_by = std::mem::replace(&mut self.seen, self.served) != self.served;
        let polled = std::mem::replace(&mut self.seen_taken, self.taken) != self.taken;
        // Who armed it has just begun with an item: most are served before a tick is over.
        if did == Did::Rest && self.something_waits() {
            return (Guard::Tick, nothing);
        }
        // Workers that come by see to what there is to do. But while they find items all the time, nobody polls.
        let unpolled = self.role.is_some() && !polled && self.stack.is_empty();
        if came_by && !unpolled && !quiet {
            return (Guard::Tick, nothing);
        }
        if !self.something_waits() {
            self.armed = false;
            (self.reach, self.relay) = (0, 0);
            return (Guard::Rest, nothing);
        }
        // Who is on the way and doesn't arrive waits for a core: a second one would only wait beside it. And it takes the
        // role, or else guard and worker might go on taking it from each other.
        if self.on_the_way() > 0 {
            return (Guard::Tick, nothing);
        }
        if !self.stack.is_empty() {
            // All that were called before have arrived, and nobody has come back since.
            self.reach = (2 * self.reach).clamp(1, self.seats.len());
            self.relay = self.reach - 1;
            return (Guard::Tick, self.call_if(true));
        }
        self.poll_as_guard()
    }

    fn poll_as_guard(&mut self) -> (Guard<R>, Wakes) {
        let next = match self.take_role() {
            Some(role) => {
                self.holder = Holder::Guard;
                Guard::Poll(role)
            }
            None => Guard::Tick,
        };
        (next, Wakes::default())
    }

    /// The guard has polled.
    pub(in super::super) fn guard_polled(
        &mut self,
        role: R,
        found: &mut Vec<T>,
        now_us: u64,
    ) -> Wakes {
        debug_assert_eq!(self.holder, Holder::Guard);
        self.give_back(role, found, now_us);
        if self.traffic.is_quiet() && self.queue.is_empty() {
            // It goes on. A worker called for the role would come in vain, idle, and perhaps ring for it again, without end.
            return Wakes::default();
        }
        self.call_if_short()
    }
}
