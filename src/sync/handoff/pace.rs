//! How fast items are served, and when another worker is worth a wake-up for them.
//!
//! A wake-up costs two switches, more than a small file costs to serve. So whoever is at work anyway takes what waits, as long
//! as that is soon done; the more there is of it, and the longer each takes, the sooner another worker is called.

use super::TICK;

/// What an item may wait for a worker that is at work, in microseconds, while others sleep. Of the order of what it takes to
/// wake one on another core.
const BUDGET_US: u64 = 200;

/// A service counts as this long at most, in microseconds, so that one slow request among fast ones is soon forgotten.
const LONGEST_US: u64 = 10_000;

/// Weight of a service that took longer than the average: one in so many. A slow one may be followed by more, and what is found
/// with it must not wait for it.
const RISE: u64 = 8;

/// The same of a shorter one.
const FALL: u64 = 64;

/// The average is kept in so many parts of a microsecond.
const SCALE: u64 = 64;

/// The recent service time, smoothed. Nothing is known at first: what nobody has seen the end of counts as slow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// `SCALE` times the average, microseconds; 0: nothing has been served yet.
    scaled_us: u64,
}

impl Pace {
    /// As one word, for a gauge.
    pub(super) fn to_bits(self) -> u64 {
        self.scaled_us
    }

    /// The pace out of [`Pace::to_bits`].
    pub(super) fn from_bits(scaled_us: u64) -> Pace {
        Pace { scaled_us }
    }

    /// An item took so long.
    pub(super) fn note(&mut self, served_us: u64) {
        // A service takes some time, if less than a microsecond.
        let served = (served_us.min(LONGEST_US) * SCALE).max(1);
        if self.scaled_us == 0 {
            self.scaled_us = served;
        } else if served > self.scaled_us {
            self.scaled_us += (served - self.scaled_us) / RISE;
        } else {
            self.scaled_us -= (self.scaled_us - served) / FALL;
        }
    }

    /// How many workers so many items take: one each if each is worth a wake-up, else as many as are done with them within a tick
    /// of the guard; one at least.
    pub(super) fn workers_for(self, items: usize) -> usize {
        if self.worth_a_wake(1, 1) {
            return items;
        }
        let ticks = self.work_us(items).div_ceil(TICK.as_micros() as u64);
        items.min(ticks.max(1) as usize)
    }

    /// Whether the last of `waiting` would wait too long for the `active` workers that are at work.
    pub(super) fn worth_a_wake(self, waiting: usize, active: usize) -> bool {
        let unknown = self.scaled_us == 0 && waiting > 0;
        unknown || self.work_us(waiting) > BUDGET_US * active as u64
    }

    /// How long one worker would take for so many.
    fn work_us(self, items: usize) -> u64 {
        items as u64 * self.scaled_us / SCALE
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn steady(us: u64) -> Pace {
        let mut pace = Pace::default();
        for _ in 0..1000 {
            pace.note(us);
        }
        pace
    }

    #[test]
    fn a_wake_up_is_worth_it_when_the_last_one_would_wait_too_long() {
        // (service time, waiting, active, worth it)
        let cases = [
            (20, 0, 1, false),
            (20, 1, 1, false),
            (20, 10, 1, false),
            (20, 11, 1, true),
            (20, 11, 2, false),
            (20, 21, 2, true),
            (199, 1, 1, false),
            (250, 1, 1, true),
            (250, 1, 2, false),
            (1_000_000, 1, 49, true),
            (20, 1, 0, true),
        ];
        for (us, waiting, active, expected) in cases {
            let got = steady(us).worth_a_wake(waiting, active);
            assert_eq!(got, expected, "{us} us, {waiting} wait for {active}");
        }
    }

    #[test]
    fn short_items_share_a_worker() {
        // (service time, items, workers)
        let cases = [
            (20, 0, 0),
            (20, 1, 1),
            (20, 100, 1),
            (20, 101, 2),
            (40, 120, 3),
            (199, 10, 1),
            (199, 100, 10),
            (202, 1, 1),
            (202, 10, 10),
            (1_000_000, 10, 10),
            (0, 10, 1),
        ];
        for (us, items, expected) in cases {
            let got = steady(us).workers_for(items);
            assert_eq!(got, expected, "{items} items of {us} us");
        }
    }

    #[test]
    fn a_slow_one_among_fast_ones_is_remembered_for_a_while() {
        let mut pace = steady(20);
        pace.note(60_000_000);
        assert!(pace.worth_a_wake(1, 1));
        let soon = (1..1000).find(|_| {
            pace.note(20);
            !pace.worth_a_wake(1, 1)
        });
        assert!(soon.is_some_and(|n| (50..250).contains(&n)), "{soon:?}");
    }

    /// What `policy::shift` says of an item that may have been kept from its core.
    #[test]
    fn one_of_half_a_millisecond_wakes_nobody_for_the_next_one_but_a_few_do() {
        let mut pace = steady(20);
        for count in 1..=4 {
            pace.note(500);
            assert_eq!(pace.worth_a_wake(1, 1), count == 4, "{count}");
        }
    }

    #[test]
    fn nothing_is_known_at_first_and_that_counts_as_slow() {
        let mut pace = Pace::default();
        assert!(pace.worth_a_wake(1, 1_000));
        assert!(!pace.worth_a_wake(0, 0));
        assert_eq!(pace.workers_for(10), 10);
        pace.note(0);
        assert!(!pace.worth_a_wake(1_000, 1), "the first one is believed");
        let mut pace = Pace::default();
        pace.note(60_000_000);
        assert!(pace.worth_a_wake(1, 49));
    }
}
