//! Timed callbacks: what has been registered to happen at a time.
//!
//! A heap behind a mutex, ordered by deadline and then by registration, so that several timers in one microsecond all
//! fire, in the order in which they were registered (stock event's skip list once lost the second of them).
//!
//! The mutex is held for O(log n) for each timer that goes in or out, and never while a callback runs:
//! [`Timers::pop_due`] hands the callbacks out. Who has to be woken for a timer that is earlier than all others is the
//! business of [`super::deadline`].

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::primitive::{lock, Mutex};

/// One timer. Ordered by time, then by registration; what is to be done plays no part.
#[derive(Debug)]
struct Entry<T> {
    deadline_us: u64,
    sequence: u64,
    what: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (u64, u64) {
        (self.deadline_us, self.sequence)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[derive(Debug)]
struct Books<T> {
    // `BinaryHeap` has the greatest on top, we want the earliest.
    heap: BinaryHeap<Reverse<Entry<T>>>,
    // At one timer a nanosecond this lasts five hundred years.
    next_sequence: u64,
}

/// Timed callbacks, or whatever `T` is, by deadline in monotonic microseconds.
#[derive(Debug)]
pub struct Timers<T> {
    books: Mutex<Books<T>>,
}

impl<T> Timers<T> {
    /// No timers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            books: Mutex::new(Books {
                heap: BinaryHeap::new(),
                next_sequence: 0,
            }),
        }
    }

    /// Registers `what` for `deadline_us`. True if it is now the earliest of all, and earlier than what was the earliest:
    /// then the thread that sleeps until that one may have to be woken ([`super::deadline::Sleep::must_wake`]).
    #[must_use = "a new earliest deadline may have to wake the sleeper"]
    pub fn insert(&self, deadline_us: u64, what: T) -> bool {
        let mut books = lock(&self.books);
        let sequence = books.next_sequence;
        books.next_sequence += 1;
        books.heap.push(Reverse(Entry {
            deadline_us,
            sequence,
            what,
        }));
        // Of equal deadlines the older one stays on top, so a tie is not news.
        books
            .heap
            .peek()
            .is_some_and(|Reverse(first)| first.sequence == sequence)
    }

    /// Takes out those that are due at `now_us`, deadline included, earliest first and at most `max` of them. The caller
    /// runs them without any lock. With `u64::MAX` as the time it empties the books, for a child that ends.
    #[must_use = "what is taken out fires nowhere else"]
    pub fn pop_due(&self, now_us: u64, max: usize) -> Vec<T> {
        let mut due = Vec::new();
        let mut books = lock(&self.books);
        while due.len() < max {
            match books.heap.peek() {
                Some(Reverse(first)) if first.deadline_us <= now_us => {}
                _ => break,
            }
            if let Some(Reverse(entry)) = books.heap.pop() {
                due.push(entry.what);
            }
        }
        due
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let books = lock(&self.books);
        books.heap.peek().map(|Reverse(first)| first.deadline_us)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.books).heap.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Timers;
    use proptest::prelude::*;

    #[test]
    fn one_microsecond_keeps_the_order_of_registration() {
        let timers = Timers::new();
        for i in 0..1000 {
            let news = timers.insert(7, i);
            assert_eq!(news, i == 0);
        }
        assert!(timers.pop_due(6, usize::MAX).is_empty());
        assert_eq!(timers.pop_due(7, usize::MAX), (0..1000).collect::<Vec<_>>());
        assert!(timers.is_empty());
    }

    #[test]
    fn an_earlier_one_is_news() {
        let timers = Timers::default();
        assert!(timers.insert(10, 'a'));
        assert!(!timers.insert(10, 'b'));
        assert!(!timers.insert(11, 'c'));
        assert!(timers.insert(9, 'd'));
        assert_eq!(timers.next_deadline(), Some(9));
        assert_eq!(timers.len(), 4);
    }

    #[test]
    fn at_most_max_and_the_rest_later() {
        let timers = Timers::new();
        for i in (0..10_u64).rev() {
            let _ = timers.insert(i, i);
        }
        assert!(timers.pop_due(5, 0).is_empty());
        assert_eq!(timers.pop_due(5, 4), [0, 1, 2, 3]);
        assert_eq!(timers.pop_due(5, 4), [4, 5]);
        assert_eq!(timers.next_deadline(), Some(6));
        assert_eq!(timers.pop_due(u64::MAX, usize::MAX), [6, 7, 8, 9]);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn what_is_left_is_dropped() {
        let witness = std::sync::Arc::new(());
        let timers = Timers::new();
        let _ = timers.insert(1, std::sync::Arc::clone(&witness));
        let _ = timers.insert(2, std::sync::Arc::clone(&witness));
        drop(timers.pop_due(1, 1));
        drop(timers);
        assert_eq!(std::sync::Arc::strong_count(&witness), 1);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u64),
        Pop { now: u64, max: usize },
    }

    /// Few distinct times, so that ties are the rule.
    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => prop_oneof![0..6_u64, Just(u64::MAX)].prop_map(Op::Insert),
            2 => (prop_oneof![0..6_u64, Just(u64::MAX)], 0..5_usize)
                .prop_map(|(now, max)| Op::Pop { now, max }),
        ]
    }

    proptest! {
        /// The model is a list that is sorted (stably) each time it is asked.
        #[test]
        fn like_a_sorted_list(ops in proptest::collection::vec(op(), 0..120)) {
            let timers = Timers::new();
            let mut model: Vec<(u64, usize)> = Vec::new();
            for (i, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Insert(deadline) => {
                        let earliest = model.iter().all(|&(d, _)| deadline < d);
                        model.push((deadline, i));
                        model.sort_by_key(|&(d, _)| d);
                        prop_assert_eq!(timers.insert(deadline, i), earliest);
                    }
                    Op::Pop { now, max } => {
                        let due = model.iter().take_while(|&&(d, _)| d <= now).count().min(max);
                        let expected: Vec<usize> = model.drain(..due).map(|(_, i)| i).collect();
                        prop_assert_eq!(timers.pop_due(now, max), expected);
                    }
                }
                prop_assert_eq!(timers.len(), model.len());
                prop_assert_eq!(timers.is_empty(), model.is_empty());
                prop_assert_eq!(timers.next_deadline(), model.first().map(|&(d, _)| d));
            }
        }
    }
}
