//! A random walk against the rules of the roster.

use super::super::{Holder, Next, Place, Roster, Wakes};
use crate::sync::handoff::Guard;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Submit,
    Come(usize, bool),
    /// So many events, after so many microseconds.
    Find(usize, u64),
    Guard,
    InterruptOne,
    InterruptAll,
    Watch(bool),
    Close,
}

const WORKERS: usize = 4;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Submit),
        20 => (0..WORKERS, any::<bool>()).prop_map(|(w, tired)| Op::Come(w, tired)),
        12 => (0..7_usize, prop_oneof![Just(20), Just(1_000_000)]).prop_map(|(n, us)| Op::Find(n, us)),
        8 => Just(Op::Guard),
        3 => Just(Op::InterruptOne),
        2 => Just(Op::InterruptAll),
        2 => any::<bool>().prop_map(Op::Watch),
        1 => Just(Op::Close),
    ]
}

/// What the outside knows: which workers sleep (and may not act), which of these have been left a token, and where the guard is.
#[derive(Default)]
struct Outside {
    asleep: [bool; WORKERS],
    token: [bool; WORKERS],
    rung: bool,
    guard_rests: bool,
    guard_token: bool,
    submitted: u32,
    served: u32,
    now_us: u64,
}

impl Outside {
    fn wake(&mut self, workers: impl IntoIterator<Item = usize>, wakes: &Wakes) {
        for worker in workers.into_iter().chain(wakes.call) {
            assert!(self.asleep[worker], "woken but not asleep");
            assert!(!self.token[worker], "woken twice");
            self.token[worker] = true;
        }
        self.rung |= wakes.ring;
        if wakes.guard {
            assert!(!self.guard_token, "the guard is woken twice");
            self.guard_token = true;
        }
    }

    fn take(&mut self, worker: usize, (next, wakes): (Option<Next<u32, ()>>, Wakes)) {
        self.wake(None, &wakes);
        match next {
            None => self.asleep[worker] = true,
            Some(Next::Item(item)) => {
                assert_eq!(item, self.served, "in order, once");
                self.served += 1;
            }
            Some(Next::Poll(())) => self.rung = false,
            Some(Next::Interrupted | Next::Closed) => {}
        }
    }

    fn find(&mut self, n: usize, after_us: u64) -> Vec<u32> {
        self.now_us += after_us;
        self.submitted += n as u32;
        (self.submitted - n as u32..self.submitted).collect()
    }
}

/// Whoever polls comes back.
fn find(roster: &mut Roster<u32, ()>, out: &mut Outside, n: usize, after_us: u64) {
    let holder = roster.holder;
    if holder == Holder::Nobody {
        return;
    }
    let mut found = out.find(n, after_us);
    if let Holder::Worker(worker) = holder {
        let step = roster.polled(worker, (), &mut found, out.now_us);
        out.take(worker, step);
    } else {
        let wakes = roster.guard_polled((), &mut found, out.now_us);
        out.wake(None, &wakes);
    }
}

/// One step of the walk.
fn act(roster: &mut Roster<u32, ()>, out: &mut Outside, op: Op) {
    match op {
        Op::Submit => {
            if let Ok(wakes) = roster.submit(out.submitted) {
                out.submitted += 1;
                out.wake(None, &wakes);
            }
        }
        // Whoever polls comes back with so many events; with none only if it was rung for.
        Op::Find(n, after_us) if n > 0 || out.rung => find(roster, out, n, after_us),
        Op::Find(..) => {}
        Op::Guard => {
            let polls = roster.holder == Holder::Guard;
            if polls || (out.guard_rests && !out.guard_token) {
                return;
            }
            if out.guard_rests {
                out.guard_rests = false;
                out.guard_token = false;
            }
            let (next, wakes) = roster.guard();
            out.wake(None, &wakes);
            out.guard_rests = next == Guard::Rest;
            if matches!(next, Guard::Poll(())) {
                out.rung = false;
            }
        }
        Op::InterruptOne => {
            let wakes = roster.interrupt_one();
            out.wake(None, &wakes);
        }
        Op::InterruptAll => {
            let (sleepers, wakes) = roster.interrupt_all();
            out.wake(sleepers, &wakes);
        }
        Op::Watch(want) => roster.watch(want),
        Op::Close => {
            let (sleepers, wakes) = roster.close();
            out.wake(sleepers, &wakes);
        }
        Op::Come(worker, tired) => {
            let polls = roster.holder == Holder::Worker(worker);
            if polls || (out.asleep[worker] && !out.token[worker]) {
                return;
            }
            let was_called = std::mem::take(&mut out.asleep[worker]);
            out.token[worker] = false;
            let step = roster.step(worker, Some(20), tired && !was_called);
            out.take(worker, step);
        }
    }
}

/// The counts are right, and so is where each worker is.
fn check(roster: &Roster<u32, ()>, out: &Outside) {
    assert_eq!(roster.fault(), None);
    let count = |place| roster.seats.iter().filter(|s| s.place == place).count();
    let since = |ticks| count(Place::Serving(roster.tick.wrapping_sub(ticks)));
    assert_eq!(
        (roster.called, roster.active),
        (count(Place::Called), [since(1), since(0)])
    );
    assert_eq!(
        usize::from(matches!(roster.holder, Holder::Worker(_))),
        count(Place::Polling)
    );
    assert_eq!(roster.queued() as u32, out.submitted - out.served);
    // What the roster takes to have been rung for, or to be awake, is.
    assert!(roster.holder == Holder::Nobody || roster.rung == out.rung);
    assert_eq!(roster.armed, !out.guard_rests || out.guard_token);
    for worker in 0..WORKERS {
        let idle = roster.seats[worker].place == Place::Idle;
        assert_eq!(idle, roster.stack.contains(&worker));
        assert_eq!(idle, out.asleep[worker] && !out.token[worker]);
    }
}

proptest! {
    /// Whatever happens in whatever order: items come out in order and once, only sleepers are woken and only once,
    /// the rules hold, and at the end everybody gets home.
    #[test]
    fn a_random_walk_keeps_the_rules(ops in proptest::collection::vec(op(), 0..200)) {
        let mut roster = Roster::new(WORKERS);
        let mut out = Outside { guard_rests: true, ..Outside::default() };
        let wakes = roster.open(());
        out.wake(None, &wakes);
        for op in ops {
            act(&mut roster, &mut out, op);
            check(&roster, &out);
        }
        // What waits is found by guard and workers alone, with no further event.
        for turn in 0..100 {
            for op in [Op::Guard, Op::Find(0, 20), Op::Come(turn % WORKERS, false)] {
                act(&mut roster, &mut out, op);
                check(&roster, &out);
            }
        }
        prop_assert_eq!(out.served, out.submitted);
        let polled = match roster.holder {
            Holder::Worker(_) => true,
            Holder::Guard => roster.traffic.is_quiet(),
            Holder::Nobody => false,
        };
        prop_assert!(roster.closed || polled);
        act(&mut roster, &mut out, Op::Close);
        for turn in 0..10 * WORKERS {
            act(&mut roster, &mut out, Op::Find(0, 20));
            act(&mut roster, &mut out, Op::Come(turn % WORKERS, false));
        }
        prop_assert_eq!(out.asleep, [false; WORKERS]);
        prop_assert_eq!(roster.holder, Holder::Nobody);
        prop_assert!(!out.guard_rests || out.guard_token);
    }
}
