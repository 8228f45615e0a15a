//! The roster alone: single cases that are hard to reach with threads, and a random walk against the rules.

use super::{Next, Place, Roster, Step};
use proptest::prelude::*;

const SLEEP: Step<char> = Step {
    call: None,
    tell: false,
    next: None,
};

const SLEEP_AND_TELL: Step<char> = Step {
    tell: true,
    ..SLEEP
};

fn returns(next: Next<char>) -> Step<char> {
    Step {
        next: Some(next),
        ..SLEEP
    }
}

/// `worker` comes and has nothing to tell anybody.
fn come(roster: &mut Roster<char>, worker: usize) -> Step<char> {
    roster.step(worker, false)
}

/// A roster whose workers are idle, the last one on top of the stack.
fn idle(workers: usize) -> Roster<char> {
    let mut roster = Roster::new(workers);
    for worker in 0..workers {
        assert_eq!(come(&mut roster, worker), SLEEP);
    }
    assert_eq!(roster.free(), workers);
    roster
}

#[test]
fn a_returning_worker_gets_the_oldest_item_not_the_called_one() {
    let mut r = Roster::new(2);
    assert_eq!(come(&mut r, 0), SLEEP);
    assert_eq!(r.submit('a'), Ok(Some(0)));
    assert_eq!(r.submit('b'), Ok(None));
    assert_eq!(come(&mut r, 1), returns(Next::Item('a')));
    assert_eq!(come(&mut r, 0), returns(Next::Item('b')));
}

#[test]
fn the_most_recently_idled_is_called_first() {
    let mut r = idle(3);
    assert_eq!(r.submit('a'), Ok(Some(2)));
    assert_eq!(r.submit('b'), Ok(Some(1)));
    assert_eq!(come(&mut r, 2), returns(Next::Item('a')));
    assert_eq!(come(&mut r, 2), returns(Next::Item('b')));
    assert_eq!(come(&mut r, 2), SLEEP);
    assert_eq!(
        r.submit('c'),
        Ok(None),
        "worker 1 is on its way for nothing"
    );
}

#[test]
fn a_called_worker_is_not_free_until_its_item_is_taken_by_another() {
    let mut r = Roster::new(2);
    assert_eq!(come(&mut r, 0), SLEEP);
    assert_eq!(r.free(), 1);
    assert_eq!(r.submit('a'), Ok(Some(0)));
    assert_eq!((r.free(), r.queued()), (0, 1));
    assert_eq!(come(&mut r, 1), returns(Next::Item('a')));
    assert_eq!((r.free(), r.queued()), (1, 0));
    assert_eq!(come(&mut r, 0), SLEEP);
    assert_eq!((r.free(), r.queued()), (1, 0));
}

#[test]
fn items_beyond_the_workers_make_nobody_free() {
    let mut r = idle(1);
    for item in ['a', 'b', 'c'] {
        assert!(r.submit(item).is_ok());
        assert_eq!(r.free(), 0);
    }
    assert_eq!(r.queued(), 3);
}

#[test]
fn an_interrupted_called_worker_passes_the_call_on() {
    let mut r = Roster::new(2);
    assert_eq!(come(&mut r, 0), SLEEP);
    assert_eq!(r.submit('a'), Ok(Some(0)));
    assert_eq!(r.interrupt_all(), []);
    assert_eq!(come(&mut r, 1), returns(Next::Interrupted));
    assert_eq!(come(&mut r, 1), returns(Next::Item('a')));
    assert_eq!(come(&mut r, 1), SLEEP);
    // Worker 0 is called with nothing to do, so nobody is woken for this one...
    assert_eq!(r.submit('b'), Ok(None));
    // ...but then it has to look at the world first.
    let pass = Step {
        call: Some(1),
        ..returns(Next::Interrupted)
    };
    assert_eq!(come(&mut r, 0), pass);
    assert_eq!(come(&mut r, 1), returns(Next::Item('b')));
}

#[test]
fn an_interrupt_without_an_idle_worker_waits_for_the_first_that_comes() {
    let mut r = Roster::new(2);
    assert_eq!(r.interrupt_one(), None);
    assert_eq!(r.interrupt_one(), None);
    assert_eq!(come(&mut r, 1), returns(Next::Interrupted));
    assert_eq!(come(&mut r, 0), SLEEP);
    assert_eq!(come(&mut r, 1), SLEEP);
    assert_eq!(r.interrupt_one(), Some(1));
    assert_eq!(r.free(), 1);
    assert_eq!(come(&mut r, 1), returns(Next::Interrupted));
}

#[test]
fn all_are_interrupted_once() {
    let mut r = Roster::new(3);
    assert_eq!(come(&mut r, 0), SLEEP);
    assert_eq!(come(&mut r, 1), SLEEP);
    assert_eq!(r.interrupt_one(), Some(1));
    assert_eq!(r.interrupt_all(), [0]);
    assert_eq!(r.free(), 0);
    for worker in 0..3 {
        assert_eq!(come(&mut r, worker), returns(Next::Interrupted));
        assert_eq!(come(&mut r, worker), SLEEP);
    }
}

#[test]
fn closing_hands_out_what_is_left() {
    let mut r = idle(2);
    assert_eq!(r.submit('a'), Ok(Some(1)));
    assert_eq!(r.submit('b'), Ok(Some(0)));
    assert_eq!(r.interrupt_one(), None);
    assert_eq!(r.close(), []);
    assert_eq!(r.submit('c'), Err('c'));
    assert_eq!(come(&mut r, 0), returns(Next::Interrupted));
    assert_eq!(come(&mut r, 0), returns(Next::Item('a')));
    assert_eq!(come(&mut r, 0), returns(Next::Item('b')));
    assert_eq!(come(&mut r, 0), returns(Next::Closed));
    assert_eq!(come(&mut r, 1), returns(Next::Closed));
    assert_eq!(come(&mut r, 1), returns(Next::Closed));
    assert_eq!((r.free(), r.queued()), (0, 0));
}

#[test]
fn the_watch_is_answered_once_and_not_by_the_silent() {
    let mut r = Roster::new(3);
    r.watch(true);
    assert_eq!(r.step(0, false), SLEEP);
    assert_eq!(r.step(1, true), SLEEP_AND_TELL);
    assert_eq!(r.step(2, true), SLEEP);
    r.watch(true);
    r.watch(false);
    assert_eq!(r.interrupt_one(), Some(2));
    assert_eq!(r.step(2, true), returns(Next::Interrupted));
    assert_eq!(r.step(2, true), SLEEP);
}

#[test]
fn who_takes_the_item_of_a_called_worker_tells_that_this_one_is_free() {
    let mut r = Roster::new(3);
    r.watch(true);
    assert_eq!(r.step(0, true), SLEEP_AND_TELL);
    assert_eq!(r.submit('a'), Ok(Some(0)));
    assert_eq!(r.submit('b'), Ok(None));
    r.watch(true);
    assert_eq!(r.free(), 0);
    assert_eq!(r.step(1, true), returns(Next::Item('a')));
    assert_eq!(r.free(), 0);
    let tell = Step {
        tell: true,
        ..returns(Next::Item('b'))
    };
    assert_eq!(r.step(2, true), tell);
    assert_eq!(r.free(), 1);
    // It has told before and can't again; nor need it.
    assert_eq!(r.step(0, false), SLEEP);
    assert_eq!(r.free(), 1);
}

#[derive(Clone, Debug)]
enum Op {
    Submit,
    Come(usize),
    InterruptOne,
    InterruptAll,
    Watch(bool),
    Close,
}

const WORKERS: usize = 4;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => Just(Op::Submit),
        20 => (0..WORKERS).prop_map(Op::Come),
        3 => Just(Op::InterruptOne),
        2 => Just(Op::InterruptAll),
        2 => any::<bool>().prop_map(Op::Watch),
        1 => Just(Op::Close),
    ]
}

/// What the outside knows: which workers sleep (and may not act), and which of these have been left a token.
struct Outside {
    asleep: [bool; WORKERS],
    token: [bool; WORKERS],
}

impl Outside {
    fn wake(&mut self, workers: impl IntoIterator<Item = usize>) {
        for worker in workers {
            assert!(self.asleep[worker], "woken but not asleep");
            assert!(!self.token[worker], "woken twice");
            self.token[worker] = true;
        }
    }
}

proptest! {
    /// Whatever happens in whatever order: items come out in order and once, only sleepers are woken and only once,
    /// the invariant holds, and at the end everybody gets home.
    #[test]
    fn a_random_walk_keeps_the_rules(ops in proptest::collection::vec(op(), 0..150)) {
        let mut roster = Roster::new(WORKERS);
        let mut out = Outside { asleep: [false; WORKERS], token: [false; WORKERS] };
        let (mut submitted, mut served) = (0_u32, 0_u32);
        let mut closed = false;
        // Whether a worker would be in its first step since it called `next`; taken to have told in that one.
        let mut fresh = [true; WORKERS];
        let finale = std::iter::once(Op::Close).chain((0..WORKERS).map(Op::Come).cycle().take(1000));
        for op in ops.into_iter().chain(finale) {
            match op {
                Op::Submit => match roster.submit(submitted) {
                    Ok(call) => { prop_assert!(!closed); submitted += 1; out.wake(call); }
                    Err(item) => { prop_assert!(closed); prop_assert_eq!(item, submitted); }
                },
                Op::InterruptOne => out.wake(roster.interrupt_one()),
                Op::InterruptAll => {
                    out.wake(roster.interrupt_all());
                    prop_assert!(roster.stack.is_empty());
                }
                Op::Watch(want) => roster.watch(want),
                Op::Close => { closed = true; out.wake(roster.close()); }
                Op::Come(worker) => {
                    if out.asleep[worker] && !out.token[worker] { continue; }
                    out.asleep[worker] = false;
                    out.token[worker] = false;
                    let before = roster.free();
                    let step = roster.step(worker, fresh[worker]);
                    // Only a call that has not told yet can make a worker free, so no watch is left unanswered (until
                    // the end, when nobody waits for a free worker any more).
                    prop_assert!(fresh[worker] || closed || roster.free() <= before);
                    prop_assert!(!(fresh[worker] && roster.watched && roster.free() > 0));
                    out.wake(step.call);
                    fresh[worker] = step.next.is_some();
                    match step.next {
                        None => { prop_assert!(!closed); out.asleep[worker] = true; }
                        Some(Next::Item(item)) => { prop_assert_eq!(item, served); served += 1; }
                        Some(Next::Interrupted) => {}
                        Some(Next::Closed) => prop_assert!(closed && served == submitted),
                    }
                }
            }
            let called = roster.seats.iter().filter(|s| s.place == Place::Called).count();
            prop_assert_eq!(called, roster.called);
            prop_assert_eq!(roster.queued() as u32, submitted - served);
            if !roster.stack.is_empty() {
                prop_assert!(roster.queued() <= called, "an item waits although a worker is idle");
            }
            for worker in 0..WORKERS {
                let idle = roster.seats[worker].place == Place::Idle;
                prop_assert_eq!(idle, roster.stack.contains(&worker));
                prop_assert_eq!(idle, out.asleep[worker] && !out.token[worker]);
            }
        }
        prop_assert_eq!(served, submitted);
        prop_assert_eq!((roster.free(), out.asleep), (0, [false; WORKERS]));
    }
}
