//! What one operation costs with 100 to 100,000 entries. `ci/micro` runs this and judges the growth.

mod handoff;
mod memory;
mod queues;
mod timers;

use criterion::measurement::WallTime;
use criterion::{criterion_group, criterion_main, BenchmarkGroup};
use std::time::{Duration, Instant};

/// How many entries there are beside those that are measured.
const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];

/// How many operations are timed in one go, since reading the clock costs as much as several of them. Between the goes
/// the former number of entries is restored: while the clock runs it is off by no more than this.
const BATCH: usize = 64;

/// Repeatable random numbers (splitmix64).
struct Random(u64);

impl Random {
    /// One below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// Measures an operation on the books that `fill` makes for each number of entries. `before` prepares a batch of so
/// many, `timed` does it, `after` brings the books back to where they were; the clock runs for `timed` only.
fn growth<S, A>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    fill: impl Fn(usize) -> S,
    mut before: impl FnMut(&mut S, usize) -> A,
    mut timed: impl FnMut(&mut S, &mut A),
    mut after: impl FnMut(&mut S, A),
) {
    for size in SIZES {
        let mut books = fill(size);
        group.bench_function(criterion::BenchmarkId::new(name, size), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut left = iterations;
                let mut sum = Duration::ZERO;
                while left > 0 {
                    let batch = left.min(BATCH as u64);
                    let mut prepared = before(&mut books, batch as usize);
                    let start = Instant::now();
                    timed(&mut books, &mut prepared);
                    sum += start.elapsed();
                    after(&mut books, prepared);
                    left -= batch;
                }
                sum
            });
        });
    }
}

criterion_group!(
    all,
    memory::before,
    timers::all,
    queues::all,
    handoff::all,
    memory::after
);
criterion_main!(all);
