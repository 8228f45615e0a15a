//! When a worker has served for long enough, and another one is to take its place.
//!
//! Who never sleeps keeps its core until the kernel's slice is over (4 ms where it ticks 250 times a second), and another process
//! on that core keeps its clients waiting for as long. To sleep is better than sched_yield(2), which gives up the rest of the slice
//! for good. But relief costs two switches, so a shift is worth several requests at least.
//!
//! What counts is CPU time: a worker that was kept waiting for its core, or for something else, is not to be relieved for that. To
//! read that clock is a system call, so it is read only when the other one says that a shift may be over.

/// How much CPU time a shift has, in microseconds.
const SHIFT_US: u64 = 400;

/// How many items it has at least.
const SHIFT_ITEMS: u32 = 12;

/// What a poll takes that finds something at once, in microseconds, without the events themselves, which take up to one each. One
/// that took longer has slept.
const POLL_US: u64 = 10;

/// What a worker has done since it last rested. Times are in microseconds of the monotonic clock.
#[derive(Debug, Default)]
pub struct Shift {
    begun_us: u64,
    ended_us: u64,
    polled_us: u64,
    /// How many items it has served in this shift.
    items: u32,
    /// Before this, the shift can't be over.
    look_at_us: u64,
    /// CPU time when the last shift was over.
    cpu_us: u64,
}

impl Shift {
    /// An item is to be served.
    pub fn begin(&mut self, now_us: u64) {
        if now_us - self.polled_us.max(self.ended_us) > SHIFT_US {
            self.rested(now_us); // it has idled
        }
        self.begun_us = now_us;
    }

    /// A poll has ended, with so many events.
    pub fn polled(&mut self, now_us: u64, found: usize) {
        let took = now_us - self.polled_us.max(self.ended_us);
        if took > POLL_US + found as u64 {
            self.rested(now_us);
        }
        self.polled_us = now_us;
    }

    /// The item has been served.
    pub fn end(&mut self, now_us: u64) {
        self.ended_us = now_us;
        self.items = self.items.saturating_add(1);
    }

    /// How long the last item took.
    #[must_use]
    pub fn served_us(&self) -> u64 {
        self.ended_us - self.begun_us
    }

    /// Whether the shift is over, and the next one begins. `cpu_us` reads the thread's CPU time.
    pub fn is_over(&mut self, cpu_us: impl FnOnce() -> u64) -> bool {
        if self.items < SHIFT_ITEMS || self.ended_us < self.look_at_us {
            return false;
        }
        let now_us = cpu_us();
        let worked_us = now_us - self.cpu_us;
        if worked_us < SHIFT_US {
            self.look_at_us = self.ended_us + (SHIFT_US - worked_us);
            return false;
        }
        self.cpu_us = now_us;
        self.rested(self.ended_us);
        true
    }

    fn rested(&mut self, now_us: u64) {
        self.look_at_us = now_us + SHIFT_US;
        self.items = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves items of `cpu_us`, each after waiting for `wait_us`, and returns how many it took to the end of the shift.
    struct Bench {
        shift: Shift,
        now_us: u64,
        cpu_us: u64,
        reads: u32,
    }

    impl Bench {
        fn new() -> Bench {
            let mut bench = Bench {
                shift: Shift::default(),
                now_us: 1_000_000,
                cpu_us: 5_000,
                reads: 0,
            };
            // The first reading is of all that the thread has done so far.
            let _ = bench.items_in_a_shift(50, 0);
            bench.reads = 0;
            bench
        }

        fn serve(&mut self, cpu_us: u64, wait_us: u64) -> bool {
            self.shift.begin(self.now_us);
            self.now_us += cpu_us + wait_us;
            self.cpu_us += cpu_us;
            self.shift.end(self.now_us);
            let reads = &mut self.reads;
            let cpu_us = self.cpu_us;
            self.shift.is_over(|| {
                *reads += 1;
                cpu_us
            })
        }

        fn items_in_a_shift(&mut self, cpu_us: u64, wait_us: u64) -> usize {
            (1..10_000)
                .find(|_| self.serve(cpu_us, wait_us))
                .expect("an end")
        }
    }

    #[test]
    fn a_shift_has_its_time_and_its_items() {
        // (CPU time of an item, waiting in it, items)
        let cases = [
            (20, 0, 20),
            (39, 0, 12),
            (200, 0, 12),
            (20, 30, 20),
            (10, 400, 40),
        ];
        for (cpu_us, wait_us, expected) in cases {
            let mut bench = Bench::new();
            for _ in 0..3 {
                let items = bench.items_in_a_shift(cpu_us, wait_us);
                assert_eq!(items, expected, "{cpu_us} us, {wait_us} us");
            }
        }
    }

    #[test]
    fn the_clock_is_read_once_in_a_shift_that_is_not_kept_waiting() {
        let mut bench = Bench::new();
        let _ = bench.items_in_a_shift(20, 0);
        assert_eq!(bench.reads, 1);
    }

    #[test]
    fn a_rest_begins_it_anew() {
        let mut bench = Bench::new();
        for _ in 0..19 {
            assert!(!bench.serve(20, 0));
        }
        bench.now_us += POLL_US + 2;
        bench.shift.polled(bench.now_us, 1);
        for _ in 0..19 {
            assert!(!bench.serve(20, 0), "it has slept in a poll");
        }
        bench.now_us += SHIFT_US + 1;
        for _ in 0..19 {
            assert!(!bench.serve(20, 0), "it has idled");
        }
        bench.now_us += POLL_US;
        bench.shift.polled(bench.now_us, 1);
        assert!(bench.serve(20, 0), "a poll that finds something is no rest");
    }

    #[test]
    fn who_polls_in_vain_all_the_time_never_tires() {
        let mut bench = Bench::new();
        for _ in 0..1000 {
            bench.now_us += 60;
            bench.shift.polled(bench.now_us, 1);
            assert!(!bench.serve(20, 0));
        }
        assert_eq!(bench.reads, 0);
    }
}
