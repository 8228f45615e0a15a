//! Timeout queues: `src/conn/queues.rs`.

use crate::{growth, Random, BATCH};
use criterion::Criterion;
use micro::conn::queues::{Key, Queues, Wait};
use std::hint::black_box;

const TIMEOUT_US: u64 = 5_000_000;

/// How far a lingering close may be older than the one that was parked before it.
const AGE_US: u64 = 1_000_000;

/// Queues of which all items wait for the same.
struct Parked {
    queues: Queues<usize>,
    keys: Vec<Key>,
    wait: Wait,
    now_us: u64,
    random: Random,
}

impl Parked {
    /// `size` items, whose order in memory has nothing to do with that of their arrival.
    fn new(size: usize, wait: Wait) -> Self {
        let mut parked = Parked {
            queues: Queues::new(TIMEOUT_US, TIMEOUT_US),
            keys: Vec::new(),
            wait,
            now_us: AGE_US,
            random: Random(1),
        };
        parked.add(size);
        for _ in 0..2 * size / BATCH + 1 {
            let keys = parked.choose(BATCH);
            parked.take(&keys);
            parked.add(BATCH);
        }
        parked
    }

    /// Since when the next item waits.
    fn since(&mut self) -> u64 {
        self.now_us += 1;
        match self.wait {
            Wait::Linger | Wait::ShortLinger => self.now_us - self.random.below(AGE_US),
            Wait::Io | Wait::Write | Wait::KeepAlive => self.now_us,
        }
    }

    fn insert(&mut self, since_us: u64) -> Key {
        let key = self.queues.next_key();
        black_box(
            self.queues
                .insert(key, 0, self.wait, TIMEOUT_US, black_box(since_us)),
        );
        key
    }

    fn add(&mut self, count: usize) {
        for _ in 0..count {
            let since = self.since();
            let key = self.insert(since);
            self.keys.push(key);
        }
    }

    /// Some of the keys, in no order.
    fn choose(&mut self, count: usize) -> Vec<Key> {
        let choice = (0..count).map(|_| {
            let at = self.random.below(self.keys.len() as u64);
            self.keys.swap_remove(at as usize)
        });
        choice.collect()
    }

    fn take(&mut self, keys: &[Key]) {
        for &key in keys {
            assert!(self.queues.remove(key).is_some());
        }
    }
}

/// The operations whose cost may depend on how a kind of queue is kept: as a list, or as a tree.
fn for_wait(criterion: &mut Criterion, name: &str, wait: Wait) {
    let mut group = criterion.benchmark_group(name);
    let fill = |size| Parked::new(size, wait);
    growth(
        &mut group,
        "insert",
        fill,
        |parked, batch| (0..batch).map(|_| parked.since()).collect(),
        |parked, times: &mut Vec<u64>| {
            for &mut since in times {
                let key = parked.insert(since);
                parked.keys.push(key);
            }
        },
        |parked, times| {
            let keys = parked.choose(times.len());
            parked.take(&keys);
        },
    );
    growth(
        &mut group,
        "remove any",
        fill,
        |parked, batch| {
            parked.add(batch);
            parked.choose(batch)
        },
        |parked, keys| parked.take(keys),
        |_, _| (),
    );
    growth(
        &mut group,
        "expire",
        fill,
        |parked, batch| {
            parked.add(batch);
            (batch, Vec::new())
        },
        |parked, (batch, gone)| *gone = parked.queues.expire(u64::MAX, *batch),
        |parked, (batch, gone)| {
            assert_eq!(gone.len(), batch);
            parked.keys.clear();
        },
    );
    growth(
        &mut group,
        "expire with nothing due",
        fill,
        |_, batch| batch,
        |parked, batch| {
            for _ in 0..*batch {
                assert!(parked.queues.expire(black_box(0), BATCH).is_empty());
            }
        },
        |_, _| (),
    );
    growth(
        &mut group,
        "next_deadline",
        fill,
        |_, batch| batch,
        |parked, batch| {
            for _ in 0..*batch {
                black_box(parked.queues.next_deadline_us());
            }
        },
        |_, _| (),
    );
    if wait == Wait::KeepAlive {
        growth(
            &mut group,
            "oldest",
            fill,
            |parked, batch| {
                parked.add(batch);
                (batch, Vec::new())
            },
            |parked, (batch, gone)| *gone = parked.queues.oldest_keep_alives(*batch, u64::MAX),
            |parked, (batch, gone)| {
                assert_eq!(gone.len(), batch);
                parked.keys.clear();
            },
        );
    }
}

pub fn all(criterion: &mut Criterion) {
    for_wait(criterion, "keep-alives", Wait::KeepAlive);
    for_wait(criterion, "lingering closes", Wait::Linger);
}
