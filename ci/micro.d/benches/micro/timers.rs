//! Timed callbacks: `src/sync/timers.rs`.

use crate::{growth, Random, BATCH};
use criterion::Criterion;
use micro::sync::timers::Timers;
use std::hint::black_box;

/// As large as a callback: a function and its argument.
type What = [usize; 2];

/// How far ahead timers are set, microseconds.
const AHEAD_US: u64 = 10_000_000;

/// The books, with a clock that stands at the last timer that has fired.
struct Books {
    timers: Timers<What>,
    random: Random,
    now_us: u64,
}

impl Books {
    /// `size` timers, in the state that long use leaves.
    fn new(size: usize) -> Self {
        let mut books = Books {
            timers: Timers::new(),
            random: Random(1),
            now_us: AHEAD_US,
        };
        books.add(size);
        for _ in 0..size / BATCH + 1 {
            books.fire(BATCH);
            books.add(BATCH);
        }
        books
    }

    fn deadline(&mut self) -> u64 {
        self.now_us + self.random.below(AHEAD_US)
    }

    fn add(&mut self, count: usize) {
        for _ in 0..count {
            let deadline = self.deadline();
            let _ = self.timers.insert(deadline, [0; 2]);
        }
    }

    fn fire(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(first) = self.timers.next_deadline() {
                self.now_us = first;
            }
            assert_eq!(self.timers.pop_due(self.now_us, 1).len(), 1);
        }
    }
}

pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    growth(
        &mut group,
        "insert",
        Books::new,
        |books, batch| (0..batch).map(|_| books.deadline()).collect(),
        |books, deadlines: &mut Vec<u64>| {
            for &mut deadline in deadlines {
                black_box(books.timers.insert(deadline, [0; 2]));
            }
        },
        |books, deadlines| books.fire(deadlines.len()),
    );
    // The way up is longest for it.
    growth(
        &mut group,
        "insert as earliest",
        Books::new,
        |_, batch| batch as u64,
        |books, batch| {
            for earlier in 1..=*batch {
                assert!(books.timers.insert(AHEAD_US - earlier, [0; 2]));
            }
        },
        |books, batch| {
            let gone = books.timers.pop_due(AHEAD_US - 1, usize::MAX);
            assert_eq!(gone.len() as u64, batch);
        },
    );
    growth(
        &mut group,
        "pop_due",
        Books::new,
        |books, batch| {
            books.add(batch);
            batch
        },
        |books, batch| {
            for _ in 0..*batch {
                black_box(books.timers.pop_due(u64::MAX, 1));
            }
        },
        // What has been popped was earlier than what is left, so time has passed.
        |books, _| books.now_us = books.timers.next_deadline().unwrap_or(books.now_us),
    );
    growth(
        &mut group,
        "pop_due with nothing due",
        Books::new,
        |_, batch| batch,
        |books, batch| {
            for _ in 0..*batch {
                assert!(books.timers.pop_due(black_box(0), usize::MAX).is_empty());
            }
        },
        |_, _| (),
    );
    growth(
        &mut group,
        "next_deadline",
        Books::new,
        |_, batch| batch,
        |books, batch| {
            for _ in 0..*batch {
                black_box(books.timers.next_deadline());
            }
        },
        |_, _| (),
    );
}
