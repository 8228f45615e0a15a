//! Tests of what items take and when a shift is over.

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
