//! What the caches do to the figures: one read of an entry that the read before has named.

use crate::{growth, Random};
use criterion::Criterion;
use std::hint::black_box;

/// As large as a place in the timeout queues; the first word is the index of the next one.
type Entry = [usize; 5];

/// A cycle through all entries, in no order (Sattolo's algorithm).
fn cycle(size: usize) -> Vec<Entry> {
    let mut random = Random(1);
    let mut entries: Vec<Entry> = (0..size).map(|i| [i; 5]).collect();
    for i in (1..size).rev() {
        let other = random.below(i as u64) as usize;
        entries.swap(i, other);
    }
    entries
}

pub fn before(criterion: &mut Criterion) {
    reads(criterion, "read of any entry, before");
}

/// What else the machine does to the caches changes while the others are measured.
pub fn after(criterion: &mut Criterion) {
    reads(criterion, "read of any entry, after");
}

fn reads(criterion: &mut Criterion, name: &str) {
    let mut group = criterion.benchmark_group("memory");
    growth(
        &mut group,
        name,
        |size| (cycle(size), 0),
        |_, batch| batch,
        |(entries, at), batch| {
            for _ in 0..*batch {
                *at = black_box(entries[*at][0]);
            }
        },
        |_, _| (),
    );
}
