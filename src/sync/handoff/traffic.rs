//! How often items are found, and whether it is worth while to have the guard awake for them.
//!
//! The guard costs a switch each tick as long as it is awake, and one or two more to wake it. Calling a worker for the role each
//! time that somebody leaves the poll with an item costs one. So where items come more rarely than ticks, that is cheaper, and
//! nobody waits for a tick either.

use super::TICK;

/// The time between two items, in microseconds, at which both cost the same.
const QUIET_US: u64 = TICK.as_micros() as u64;

/// A pause counts as this long at most, so that it is soon forgotten.
const LONGEST_US: u64 = 3 * QUIET_US;

/// Weight of the last pause: one in so many. One long pause among short ones is an accident, two are not.
const WEIGHT: u64 = 4;

/// The recent time between two items, smoothed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    between_us: u64,
    found_us: u64,
}

impl Traffic {
    /// A poll has found so many items.
    pub(super) fn found(&mut self, items: usize, now_us: u64) {
        if items == 0 {
            return;
        }
        let since_us = now_us.saturating_sub(self.found_us);
        let each_us = (since_us / items as u64).min(LONGEST_US);
        self.found_us = now_us;
        self.between_us = (self.between_us * (WEIGHT - 1) + each_us) / WEIGHT;
    }

    /// Whether items come more rarely than ticks.
    pub(super) fn is_quiet(self) -> bool {
        self.between_us >= QUIET_US
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// After so many polls, each so long after the one before and with so many items.
    fn after(polls: u64, every_us: u64, items: usize, mut traffic: Traffic) -> Traffic {
        for _ in 0..polls {
            let now_us = traffic.found_us + every_us;
            traffic.found(items, now_us);
        }
        traffic
    }

    #[test]
    fn what_is_quiet() {
        // (time between two polls, items found by each, quiet)
        let cases = [
            (20, 1, false),
            (1_999, 1, false),
            (2_100, 1, true),
            (20_000, 1, true),
            (20_000, 4, true),
            (20_000, 9, true),
            (20_000, 11, false),
            (4_000, 30, false),
        ];
        for (every_us, items, expected) in cases {
            let traffic = after(100, every_us, items, Traffic::default());
            assert_eq!(traffic.is_quiet(), expected, "{items} every {every_us} us");
        }
    }

    #[test]
    fn it_is_quiet_after_two_pauses_and_busy_after_a_few_items_without() {
        let busy = after(100, 50, 1, Traffic::default());
        assert!(!after(1, 1_000_000, 1, busy).is_quiet());
        assert!(after(2, 1_000_000, 1, busy).is_quiet());
        let quiet = after(100, 1_000_000, 1, busy);
        assert!(after(3, 50, 1, quiet).is_quiet());
        assert!(!after(4, 50, 1, quiet).is_quiet());
    }

    #[test]
    fn polls_that_find_nothing_say_nothing() {
        let mut traffic = after(100, 50, 1, Traffic::default());
        for second in 1..10 {
            traffic.found(0, traffic.found_us + second * 1_000_000);
        }
        assert!(!traffic.is_quiet());
    }
}
