use super::*;
use proptest::prelude::*;

const LINGER: u64 = 30;
const SHORT: u64 = 2;

fn waits() -> [Wait; KINDS] {
    [
        Wait::Io,
        Wait::Write,
        Wait::KeepAlive,
        Wait::Linger,
        Wait::ShortLinger,
    ]
}

fn put<T>(q: &mut Queues<T>, item: T, wait: Wait, timeout: u64, since: u64) -> Key {
    let key = q.next_key();
    let _ = q.insert(key, item, wait, timeout, since);
    key
}

#[test]
fn first_in_first_out_within_a_timeout() {
    let mut q = Queues::new(LINGER, SHORT);
    for (item, since) in [("a", 1), ("b", 2), ("c", 2)] {
        let _ = put(&mut q, item, Wait::KeepAlive, 10, since);
    }
    assert_eq!(q.next_deadline_us(), Some(11));
    assert_eq!(q.expire(10, 9), []);
    assert_eq!(q.expire(11, 9), [("a", Wait::KeepAlive)]);
    assert_eq!(
        q.expire(12, 9),
        [("b", Wait::KeepAlive), ("c", Wait::KeepAlive)]
    );
    assert_eq!(q.next_deadline_us(), None);
}

#[test]
fn a_key_is_good_once() {
    let mut q = Queues::new(LINGER, SHORT);
    let a = put(&mut q, 'a', Wait::Io, 5, 0);
    assert_eq!(q.remove(a), Some(('a', Wait::Io)));
    let b = put(&mut q, 'b', Wait::Io, 5, 0);
    assert_eq!(q.remove(a), None, "the place has another tenant");
    assert_eq!(q.remove(Key::NONE), None);
    assert_eq!(q.remove(b), Some(('b', Wait::Io)));
}

#[test]
fn lingering_counts_from_its_start_even_when_parked_again() {
    let mut q = Queues::new(LINGER, SHORT);
    let _ = put(&mut q, "younger", Wait::Linger, 0, 5);
    let _ = put(&mut q, "older, back from reading", Wait::Linger, 0, 1);
    assert_eq!(
        q.expire(31, 9),
        [("older, back from reading", Wait::Linger)]
    );
    q.shorten_linger(SHORT);
    assert_eq!(q.next_deadline_us(), Some(7));
    let key = q.next_key();
    assert_eq!(q.insert(key, "late", Wait::Linger, LINGER, 6), 8);
}

#[test]
fn the_oldest_keep_alives_of_all_timeouts_go_first() {
    let mut q = Queues::new(LINGER, SHORT);
    let _ = put(&mut q, 2, Wait::KeepAlive, 5, 2);
    let _ = put(&mut q, 1, Wait::KeepAlive, 60, 1);
    let _ = put(&mut q, 3, Wait::KeepAlive, 60, 3);
    let _ = put(&mut q, 0, Wait::Write, 60, 0);
    assert!(q.oldest_keep_alives(9, 0).is_empty());
    assert_eq!(q.oldest_keep_alives(1, 2), [1]);
    assert_eq!(q.oldest_keep_alives(9, 2), [2]);
    assert_eq!(q.oldest_keep_alives(9, u64::MAX), [3]);
    assert_eq!(q.count(Wait::Write), 1);
}

/// The naive model: a list that is searched.
#[derive(Default)]
struct Model(Vec<(u32, Wait, u64, u64)>);

impl Model {
    fn expire(&mut self, now: u64) -> Vec<u32> {
        let mut out: Vec<u32> = Vec::new();
        self.0.retain(|&(id, _, timeout, since)| {
            let stays = since + timeout > now;
            if !stays {
                out.push(id);
            }
            stays
        });
        out.sort_unstable();
        out
    }
}

#[derive(Debug, Clone)]
enum Op {
    Insert { wait: usize, timeout: u64, age: u64 },
    Remove(usize),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (
            0..KINDS,
            prop_oneof![Just(3u64), Just(7), Just(20)],
            0..3u64
        )
            .prop_map(|(wait, timeout, age)| Op::Insert { wait, timeout, age }),
        any::<usize>().prop_map(Op::Remove),
        (0..10u64).prop_map(Op::Pass),
    ]
}

proptest! {
    #[test]
    fn behaves_as_the_model(ops in proptest::collection::vec(op(), 1..200)) {
        let mut q = Queues::new(LINGER, SHORT);
        let mut model = Model::default();
        let mut keys = Vec::new();
        let mut now = 100;
        for (id, op) in ops.into_iter().enumerate() {
            let id = id as u32;
            match op {
                Op::Insert { wait, timeout, age } => {
                    let wait = waits()[wait];
                    // Only lingering may come back with an old stamp.
                    let since = if sorted_index(wait).is_some() { now - age } else { now };
                    let timeout = match wait {
                        Wait::Linger => LINGER,
                        Wait::ShortLinger => SHORT,
                        _ => timeout,
                    };
                    keys.push((id, put(&mut q, id, wait, timeout, since)));
                    model.0.push((id, wait, timeout, since));
                }
                Op::Remove(n) if !keys.is_empty() => {
                    let (id, key) = keys[n % keys.len()];
                    let known = model.0.iter().position(|m| m.0 == id);
                    prop_assert_eq!(q.remove(key).map(|r| r.0), known.map(|_| id));
                    if let Some(i) = known {
                        model.0.remove(i);
                    }
                }
                Op::Remove(_) => {}
                Op::Pass(time) => {
                    now += time;
                    let mut gone: Vec<u32> =
                        q.expire(now, usize::MAX).into_iter().map(|e| e.0).collect();
                    gone.sort_unstable();
                    prop_assert_eq!(gone, model.expire(now));
                }
            }
            let first = model.0.iter().map(|m| m.2 + m.3).min();
            prop_assert_eq!(q.next_deadline_us(), first);
            for wait in waits() {
                let n = model.0.iter().filter(|m| m.1 == wait).count();
                prop_assert_eq!(q.count(wait) as usize, n);
            }
        }
    }
}
