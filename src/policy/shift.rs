//! A worker's time: what its items took, and when it has served for long enough and another one is to take its place.
//!
//! Who never sleeps keeps its core until the kernel's slice is over (4 ms where it ticks 250 times a second), and another process
//! on that core keeps its clients waiting for as long. To sleep is better than sched_yield(2), which gives up the rest of the slice
//! for good. But relief costs two switches, so a shift is worth several requests at least. What counts for it is CPU time: a
//! worker that was kept waiting for its core, or for something else, is not to be relieved for that.
//!
//! What an item takes tells how long those behind it would wait, and whether to wake another worker for them. Time in which the
//! worker was kept from its core tells nothing of the kind. Where cores are scarce it would wake more workers, who make cores
//! scarcer: twenty in one core's queue, each for a slice, keep a request waiting for a tenth of a second.
//!
//! The kernel's figures for both are system calls, so they are read only when the clock says that they matter.

/// How much CPU time a shift has, in microseconds.
const SHIFT_US: u64 = 300;

/// How many items it has at least.
const SHIFT_ITEMS: u32 = 12;

/// An item that took longer than this, in microseconds, may have been kept from its core. Slices are longer by far.
const SUSPECT_US: u64 = 200;

/// What a poll takes that finds something at once, in microseconds, without the events themselves, which take up to one each. One
/// that took longer has slept.
const POLL_US: u64 = 10;

/// How often a thread has lost its core so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// Because it slept.
    pub voluntary: u64,
    /// Because another one was to have it.
    pub involuntary: u64,
}

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
    /// When they were last looked at.
    switches: Switches,
    /// How often it has slept since, other than in an item.
    rests: u64,
}

impl Shift {
    /// An item is to be served.
    pub fn begin(&mut self, now_us: u64) {
        let idled_us = now_us - self.polled_us.max(self.ended_us);
        if idled_us > POLL_US {
            self.rests += 1;
        }
        if idled_us > SHIFT_US {
            self.begin_anew(now_us);
        }
        self.begun_us = now_us;
    }

    /// A poll has ended, with so many events.
    pub fn polled(&mut self, now_us: u64, found: usize) {
        let took_us = now_us - self.polled_us.max(self.ended_us);
        if took_us > POLL_US + found as u64 {
            self.rests += 1;
            self.begin_anew(now_us);
        }
        self.polled_us = now_us;
    }

    /// The item has been served: how long that took, if it is known. `switches` reads the thread's.
    pub fn end(&mut self, now_us: u64, switches: impl FnOnce() -> Switches) -> Option<u64> {
        self.ended_us = now_us;
        self.items = self.items.saturating_add(1);
        let took_us = now_us - self.begun_us;
        if took_us <= SUSPECT_US {
            return Some(took_us);
        }
        let now = switches();
        let before = std::mem::replace(&mut self.switches, now);
        let rests = std::mem::take(&mut self.rests);
        // Between the two readings there may be other items, but each of them was a short one.
        let slept = now.voluntary - before.voluntary > rests;
        let preempted = now.involuntary != before.involuntary;
        (slept || !preempted).then_some(took_us)
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
        self.begin_anew(self.ended_us);
        true
    }

    fn begin_anew(&mut self, now_us: u64) {
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
            let took_us = self.shift.end(self.now_us, Switches::default);
            assert_eq!(took_us, Some(cpu_us + wait_us));
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
            (20, 0, 15),
            (29, 0, 12),
            (200, 0, 12),
            (20, 30, 15),
            (10, 180, 30),
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
        for _ in 0..14 {
            assert!(!bench.serve(20, 0));
        }
        bench.now_us += POLL_US + 2;
        bench.shift.polled(bench.now_us, 1);
        for _ in 0..14 {
            assert!(!bench.serve(20, 0), "it has slept in a poll");
        }
        bench.now_us += SHIFT_US + 1;
        for _ in 0..14 {
            assert!(!bench.serve(20, 0), "it has idled");
        }
        bench.now_us += POLL_US + 20;
        bench.shift.polled(bench.now_us, 20);
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
    /// An item that takes so long, after the worker has idled for so long; and the thread's switches at its end.
    fn serve(shift: &mut Shift, idle_us: u64, item_us: u64, switches: Switches) -> Option<u64> {
        let begin_us = shift.ended_us + idle_us;
        shift.begin(begin_us);
        shift.end(begin_us + item_us, || switches)
    }

    fn switches(voluntary: u64, involuntary: u64) -> Switches {
        Switches {
            voluntary,
            involuntary,
        }
    }

    #[test]
    fn time_without_a_core_is_not_what_an_item_takes() {
        // (idle before it, the item, voluntary and involuntary switches since the last reading, whether its time counts)
        let cases = [
            (0, 200, (0, 1), true),   // too short to be looked at
            (0, 5_000, (0, 0), true), // busy all the time
            (0, 5_000, (0, 1), false),
            (0, 5_000, (1, 0), true),   // it has slept
            (0, 5_000, (1, 1), true),   // both
            (50, 5_000, (1, 1), false), // it was the worker that slept
            (50, 5_000, (2, 1), true),
        ];
        for (idle_us, item_us, (voluntary, involuntary), counts) in cases {
            let mut shift = Shift::default();
            let _ = serve(&mut shift, 1_000_000, 1_000, switches(7, 7));
            let after = switches(7 + voluntary, 7 + involuntary);
            let took_us = serve(&mut shift, idle_us, item_us, after);
            assert_eq!(took_us.is_some(), counts, "{idle_us} {item_us} {after:?}");
            assert!(took_us.is_none_or(|us| us == item_us));
        }
    }

    #[test]
    fn what_happened_before_a_reading_is_settled_with_it() {
        let mut shift = Shift::default();
        let _ = serve(&mut shift, 50, 1_000, switches(9, 9));
        let _ = serve(&mut shift, 50, 20, switches(0, 0));
        shift.polled(shift.ended_us + POLL_US + 2, 1);
        // Three rests, each a switch: this item was preempted, and has not slept.
        assert_eq!(serve(&mut shift, 100, 1_000, switches(12, 10)), None);
        assert_eq!(serve(&mut shift, 0, 1_000, switches(13, 11)), Some(1_000));
    }
}
