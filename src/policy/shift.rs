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
//! The kernel's figures for both are system calls, so they are read only when the clock says that they matter. That a thread has
//! slept shows in its count of voluntary switches, and the next item of its kind is likely to sleep as long.

/// How much CPU time a shift has, in microseconds.
const SHIFT_US: u64 = 300;

/// How many items it has at least.
const SHIFT_ITEMS: u32 = 12;

/// An item that took longer than this, in microseconds, may have been kept from its core. Slices are longer by far.
const SUSPECT_US: u64 = 200;

/// An item that has lost its core for a while, not known to be by its own sleep, counts as this long at most, in microseconds: one
/// alone then wakes nobody for the next request, a few do. The host of a virtual machine takes its time in milliseconds, and most of
/// that looks like CPU time.
const LONGEST_UNSURE_US: u64 = 500;

/// An item that may have slept is followed by others of its kind, as a rule: of so many it is to be known.
const WATCHED_ITEMS: u32 = 100;

/// What a poll takes that finds something at once, in microseconds, without the events themselves, which take up to one each. One
/// that took longer has slept.
const POLL_US: u64 = 10;

/// What the kernel knows of a thread so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, in microseconds.
    pub cpu_us: u64,
    /// How often it has lost its core because it slept; `None` where the system doesn't tell.
    pub sleeps: Option<u64>,
}

/// What a worker has done. Times are in microseconds of the monotonic clock.
#[derive(Debug, Default)]
pub struct Shift {
    begun_us: u64,
    ended_us: u64,
    polled_us: u64,
    /// How many items it has served since it last rested.
    items: u32,
    /// Before this, the shift can't be over.
    look_at_us: u64,
    /// CPU time when the shift began, if it is known.
    cpu_us: Option<u64>,
    /// The last reading,
    usage: Usage,
    /// and when that was.
    read_us: u64,
    /// It may have slept in a poll since.
    stale: bool,
    /// For so many items more it is to be known which of them sleep.
    watched: u32,
}

impl Shift {
    /// An item is to be served.
    pub fn begin(&mut self, now_us: u64, read: impl FnOnce() -> Usage) {
        let idled_us = now_us - self.polled_us.max(self.ended_us);
        if idled_us > POLL_US {
            self.note(now_us, read());
            if idled_us > SHIFT_US {
                self.begin_anew(now_us, Some(self.usage.cpu_us));
            }
        }
        self.begun_us = now_us;
    }

    /// A poll has ended, with so many events.
    pub fn polled(&mut self, now_us: u64, found: usize, read: impl FnOnce() -> Usage) {
        let took_us = now_us - self.polled_us.max(self.ended_us);
        if took_us > POLL_US + found as u64 {
            // With one client that is so each time: no reason for a system call, unless items have slept lately.
            self.stale = true;
            if self.watched > 0 {
                self.note(now_us, read());
            }
            self.begin_anew(now_us, None);
        }
        self.polled_us = now_us;
    }

    /// The item has been served: how long that took as far as it says what others take; `None` if it says nothing.
    pub fn end(&mut self, now_us: u64, read: impl FnOnce() -> Usage) -> Option<u64> {
        self.ended_us = now_us;
        self.items += 1;
        self.watched = self.watched.saturating_sub(1);
        let took_us = now_us - self.begun_us;
        if took_us <= SUSPECT_US {
            return Some(took_us);
        }
        let (before, stale) = (self.usage, self.stale);
        let elsewhere_us = self.begun_us.saturating_sub(self.read_us);
        let now = read();
        self.note(now_us, now);
        let (Some(sleeps), Some(sleeps_before)) = (now.sleeps, before.sleeps) else {
            return Some(took_us);
        };
        let slept = sleeps != sleeps_before;
        if slept {
            self.watched = WATCHED_ITEMS;
            if !stale {
                return Some(took_us);
            }
        }
        // It has used its core for so long at least: before the item, for no longer than it could.
        let cpu_us = now.cpu_us.saturating_sub(before.cpu_us);
        let used_us = cpu_us.saturating_sub(elsewhere_us).min(took_us);
        if used_us >= took_us - took_us / 8 {
            return Some(used_us);
        }
        // If it has slept, it was in the poll, or else now.
        let unsure_us = if slept { took_us } else { used_us };
        (unsure_us > SUSPECT_US).then_some(unsure_us.min(LONGEST_UNSURE_US))
    }

    /// Whether the shift is over, and the next one begins. `cpu_us` reads the thread's CPU time.
    pub fn is_over(&mut self, cpu_us: impl FnOnce() -> u64) -> bool {
        if self.items < SHIFT_ITEMS || self.ended_us < self.look_at_us {
            return false;
        }
        let now_us = cpu_us();
        let worked_us = now_us - *self.cpu_us.get_or_insert(now_us);
        if worked_us < SHIFT_US {
            self.look_at_us = self.ended_us + (SHIFT_US - worked_us);
            return false;
        }
        self.begin_anew(self.ended_us, Some(now_us));
        true
    }

    fn note(&mut self, now_us: u64, usage: Usage) {
        self.usage = usage;
        self.read_us = now_us;
        self.stale = false;
    }

    fn begin_anew(&mut self, now_us: u64, cpu_us: Option<u64>) {
        self.look_at_us = now_us + SHIFT_US;
        self.items = 0;
        self.cpu_us = cpu_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker and its clocks.
    #[derive(Default)]
    struct Bench {
        shift: Shift,
        now_us: u64,
        usage: Usage,
        reads: u32,
    }

    impl Bench {
        /// Nothing is due: the worker idles for a second.
        fn new() -> Bench {
            let mut bench = Bench {
                usage: Usage {
                    cpu_us: 5_000,
                    sleeps: Some(0),
                },
                ..Bench::default()
            };
            bench.idle(1_000_000);
            bench
        }

        fn idle(&mut self, us: u64) {
            self.now_us += us;
            self.sleep();
        }

        fn sleep(&mut self) {
            self.usage.sleeps = self.usage.sleeps.map(|sleeps| sleeps + 1);
        }

        /// A poll that lasts for so long.
        fn poll(&mut self, us: u64, found: usize) {
            self.now_us += us;
            let (reads, usage) = (&mut self.reads, self.usage);
            self.shift.polled(self.now_us, found, || {
                *reads += 1;
                usage
            });
        }

        /// An item, of so much CPU time and so much without a core; what is said of it.
        fn item(&mut self, cpu_us: u64, wait_us: u64) -> Option<u64> {
            let usage = self.usage;
            self.shift.begin(self.now_us, || usage);
            self.now_us += cpu_us + wait_us;
            self.usage.cpu_us += cpu_us;
            let usage = self.usage;
            self.shift.end(self.now_us, || usage)
        }

        fn is_over(&mut self) -> bool {
            let reads = &mut self.reads;
            let cpu_us = self.usage.cpu_us;
            self.shift.is_over(|| {
                *reads += 1;
                cpu_us
            })
        }

        fn serve(&mut self, cpu_us: u64, wait_us: u64) -> bool {
            let _ = self.item(cpu_us, wait_us);
            self.is_over()
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
    fn the_clock_is_read_when_the_shift_may_be_over() {
        for (wait_us, expected) in [(0, 1), (30, 3)] {
            let mut bench = Bench::new();
            let _ = bench.items_in_a_shift(20, wait_us);
            assert_eq!(bench.reads, expected, "{wait_us} us");
        }
    }

    #[test]
    fn a_rest_begins_it_anew() {
        let mut bench = Bench::new();
        let full = |bench: &mut Bench| (0..14).all(|_| !bench.serve(20, 0));
        assert!(full(&mut bench));
        bench.idle(SHIFT_US + 1);
        assert!(full(&mut bench), "it has idled");
        bench.poll(POLL_US + 20, 20);
        assert!(bench.serve(20, 0), "a poll that finds something is no rest");
        assert!(full(&mut bench));
        bench.poll(POLL_US + 2, 1);
        assert!(full(&mut bench), "it has slept in a poll");
        // Since when it has used its core is known only now.
        assert_eq!(bench.items_in_a_shift(20, 0), 1 + 15);
        assert_eq!(bench.items_in_a_shift(20, 0), 15);
    }

    #[test]
    fn who_sleeps_in_each_poll_never_tires() {
        let mut bench = Bench::new();
        for _ in 0..1000 {
            bench.poll(60, 1);
            assert!(!bench.serve(20, 0));
        }
        assert_eq!(bench.reads, 0);
    }

    #[test]
    fn time_without_a_core_is_not_what_an_item_takes() {
        // (CPU time, other time, how often it slept, what is said of it)
        let cases = [
            (100, 100, Some(1), Some(200)), // too short to be looked at
            (20, 5_000, Some(2), Some(5_020)),
            (20, 5_000, Some(1), None),
            (200, 5_000, Some(1), None),
            (201, 5_000, Some(1), Some(201)),
            (5_000, 0, Some(1), Some(5_000)),
            (5_000, 700, Some(1), Some(5_000)),
            (5_000, 720, Some(1), Some(LONGEST_UNSURE_US)),
            (5_000, 4_000, Some(1), Some(LONGEST_UNSURE_US)),
            (5_000, 4_000, Some(3), Some(9_000)),
            (20, 5_000, None, Some(5_020)), // who knows
        ];
        for (cpu_us, wait_us, sleeps, expected) in cases {
            for known_at_first in [sleeps.map(|_| 1), None] {
                let mut bench = Bench::new();
                bench.usage.sleeps = known_at_first;
                let _ = bench.item(20, 0);
                let mut after = bench.usage;
                after.sleeps = sleeps;
                after.cpu_us += cpu_us;
                bench.shift.begin(bench.now_us, || unreachable!());
                let took_us = bench.shift.end(bench.now_us + cpu_us + wait_us, || after);
                let expected = match known_at_first {
                    Some(_) => expected,
                    None => Some(cpu_us + wait_us),
                };
                assert_eq!(took_us, expected, "{after:?}, {wait_us} us");
            }
        }
    }

    #[test]
    fn what_is_known_of_an_item_is_known_since_the_last_reading() {
        let mut bench = Bench::new();
        let _ = bench.item(20, 0);
        // The worker's own sleep is read with the item that follows it.
        bench.idle(POLL_US + 1);
        let _ = bench.item(20, 0);
        assert_eq!(bench.item(20, 4_000), None);
        bench.sleep();
        assert_eq!(bench.item(20, 4_000), Some(4_020));
        assert_eq!(bench.item(20, 4_000), None, "it has not slept again");
        // CPU time may be that of the items before.
        let _ = bench.item(150, 0);
        let _ = bench.item(150, 0);
        assert_eq!(bench.item(150, 4_000), None);
        let _ = bench.item(150, 0);
        assert_eq!(bench.item(300, 0), Some(300));
        // But not of more than there was time for.
        bench.usage.cpu_us += 5_000;
        assert_eq!(bench.item(210, 0), Some(210));
    }

    /// A poll that sleeps, then an item that does so too, or not.
    fn after_a_sleep(bench: &mut Bench, sleeps: bool) -> Option<u64> {
        bench.sleep();
        bench.poll(POLL_US + 2, 1);
        if sleeps {
            bench.sleep();
        }
        bench.item(20, 4_000)
    }

    #[test]
    fn who_has_slept_the_poll_or_the_item_is_known_from_the_next_one_on() {
        for first in [true, false] {
            let mut bench = Bench::new();
            let _ = bench.item(20, 0);
            let unsure = after_a_sleep(&mut bench, first);
            assert_eq!(unsure, Some(LONGEST_UNSURE_US));
            bench.reads = 0;
            for _ in 0..3 {
                assert_eq!(after_a_sleep(&mut bench, true), Some(4_020));
                assert_eq!(after_a_sleep(&mut bench, false), None);
            }
            assert_eq!(bench.reads, 6);
            // It is forgotten again.
            for _ in 0..WATCHED_ITEMS {
                let _ = bench.item(20, 0);
            }
            assert_eq!(after_a_sleep(&mut bench, true), Some(LONGEST_UNSURE_US));
            assert_eq!(bench.reads, 6);
        }
    }

    #[test]
    fn what_is_unsure_may_be_short_or_known_otherwise() {
        let mut bench = Bench::new();
        let _ = bench.item(20, 0);
        bench.poll(POLL_US + 2, 1);
        bench.sleep();
        assert_eq!(bench.item(20, 300), Some(320));
        // It can't have slept: it has used its core.
        let mut bench = Bench::new();
        let _ = bench.item(20, 0);
        bench.poll(POLL_US + 2, 1);
        bench.sleep();
        assert_eq!(bench.item(4_000, 0), Some(4_000 - (POLL_US + 2)));
        // A poll that may have slept, and has not.
        let mut bench = Bench::new();
        let _ = bench.item(20, 0);
        bench.poll(POLL_US + 2, 1);
        assert_eq!(bench.item(20, 4_000), None);
        // A reading when work is taken up says it, too.
        bench.poll(POLL_US + 2, 1);
        bench.idle(POLL_US + 1);
        let _ = bench.item(20, 0);
        bench.sleep();
        assert_eq!(bench.item(20, 4_000), Some(4_020));
    }
}
