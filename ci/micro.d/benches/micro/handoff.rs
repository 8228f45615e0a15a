//! The hand-off of work: `src/sync/handoff.rs`.

use crate::growth;
use criterion::{Bencher, BenchmarkId, Criterion};
use micro::sync::handoff::{Next, Ring};
use std::thread::scope;
use std::time::Instant;

/// As large as what a child hands over.
type Work = [usize; 3];

/// Nobody polls: all items are submitted.
struct NoBell;

impl Ring for NoBell {
    fn ring(&self) {}
}

type Handoff = micro::sync::handoff::Handoff<Work, (), NoBell>;

/// The next item for the only worker; `None` when the hand-off is closed.
fn take(handoff: &Handoff) -> Option<Work> {
    loop {
        match handoff.next(0, Some(1), false) {
            Next::Item(item) => return Some(item),
            Next::Interrupted | Next::Poll(()) => {}
            Next::Closed => return None,
        }
    }
}

fn submit(handoff: &Handoff, item: Work) {
    assert!(handoff.submit(item).is_ok());
}

fn filled(size: usize) -> Handoff {
    let handoff = Handoff::new(1, NoBell);
    for _ in 0..size {
        submit(&handoff, [0; 3]);
    }
    handoff
}

/// `in_flight` items go to a second thread and come back; one iteration is the way of one item. With a single one in
/// flight each thread sleeps while the other has it.
fn to_and_fro(bencher: &mut Bencher<'_>, in_flight: usize) {
    let there = filled(in_flight);
    let back = filled(0);
    scope(|threads| {
        threads.spawn(|| {
            while let Some(item) = take(&there) {
                submit(&back, item);
            }
        });
        bencher.iter_custom(|iterations| {
            // Each item makes as many turns as the others: a few could be had from what has already come back.
            let turns = iterations.div_ceil(in_flight as u64);
            let ways = turns * in_flight as u64;
            let start = Instant::now();
            for _ in 0..ways {
                if let Some(item) = take(&back) {
                    submit(&there, item);
                }
            }
            start.elapsed().mul_f64(iterations as f64 / ways as f64)
        });
        there.close();
    });
}

pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hand-off");
    growth(
        &mut group,
        "submit and next, one thread",
        filled,
        |_, batch| batch,
        |handoff, batch| {
            for _ in 0..*batch {
                submit(handoff, [0; 3]);
                take(handoff);
            }
        },
        |_, _| (),
    );
    let name = "to a thread and back";
    for size in crate::SIZES {
        group.bench_function(BenchmarkId::new(name, size), |bencher| {
            to_and_fro(bencher, size);
        });
    }
    group.bench_function(BenchmarkId::new(name, 1), |bencher| to_and_fro(bencher, 1));
}
