//! The roster alone: single cases that are hard to reach with threads; `guard.rs` has those of the guard, `rare.rs` those of a child
//! with little to do, `walk.rs` a random walk against the rules.

mod guard;
mod rare;
mod walk;

use super::{Next, Roster, Wakes};
use crate::sync::handoff::Guard;

type Small = Roster<char, &'static str>;
type Step = (Option<Next<char, &'static str>>, Wakes);

const ROLE: &str = "the role";

fn quiet() -> Wakes {
    Wakes::default()
}

fn call(worker: usize) -> Wakes {
    Wakes {
        call: Some(worker),
        ..quiet()
    }
}

fn ring() -> Wakes {
    Wakes {
        ring: true,
        ..quiet()
    }
}

fn armed(wakes: Wakes) -> Wakes {
    Wakes {
        guard: true,
        ..wakes
    }
}

fn item(item: char) -> Option<Next<char, &'static str>> {
    Some(Next::Item(item))
}

fn poll() -> Option<Next<char, &'static str>> {
    Some(Next::Poll(ROLE))
}

fn come(roster: &mut Small, worker: usize) -> Step {
    let step = roster.step(worker, Some(20), false);
    assert_eq!(roster.fault(), None);
    step
}

fn polled(roster: &mut Small, worker: usize, found: &str) -> Step {
    let step = roster.polled(worker, ROLE, &mut found.chars().collect(), 0);
    assert_eq!(roster.fault(), None);
    step
}

/// The role is free, its guard awake, and nobody has come yet. What has been served so far was short.
fn open(workers: usize) -> Small {
    let mut roster = Roster::new(workers);
    roster.pace.note(20);
    assert_eq!(roster.open(ROLE), armed(quiet()));
    roster
}

/// Worker 0 polls, the others are idle, the last one on top of the stack, and the guard rests.
fn at_rest(workers: usize) -> Small {
    let mut roster = open(workers);
    assert_eq!(come(&mut roster, 0), (poll(), quiet()));
    for worker in 1..workers {
        assert_eq!(come(&mut roster, worker), (None, quiet()));
    }
    assert_eq!(roster.guard(), (Guard::Rest, quiet()));
    assert_eq!(roster.free(), workers);
    roster
}

/// The guard comes from its bed, and leaves things to the one who woke it for a tick.
fn wake_guard(roster: &mut Small) {
    assert_eq!(roster.guard(), (Guard::Tick, quiet()), "from its bed");
}

#[test]
fn one_client_is_served_by_the_one_who_polls() {
    let mut r = at_rest(3);
    assert_eq!(polled(&mut r, 0, "a"), (item('a'), armed(quiet())));
    for _ in 0..3 {
        assert_eq!(come(&mut r, 0), (poll(), quiet()));
        assert_eq!(r.guard(), (Guard::Tick, quiet()), "somebody came by");
        assert_eq!(polled(&mut r, 0, "a"), (item('a'), quiet()));
    }
    assert_eq!(come(&mut r, 0), (poll(), quiet()));
    assert_eq!(r.guard(), (Guard::Tick, quiet()));
    assert_eq!(r.guard(), (Guard::Rest, quiet()));
}

#[test]
fn a_few_short_ones_are_served_by_the_one_who_found_them() {
    let mut r = at_rest(3);
    assert_eq!(polled(&mut r, 0, "abc").0, item('a'));
    assert_eq!(come(&mut r, 0), (item('b'), quiet()));
    assert_eq!(come(&mut r, 0), (item('c'), quiet()));
    assert_eq!(come(&mut r, 0), (poll(), quiet()));
    // Eleven wait and the role does: beyond the budget with one at work, within it with two.
    let (next, wakes) = polled(&mut r, 0, "abcdefghijkl");
    assert_eq!((next, wakes.call), (item('a'), Some(2)));
    assert_eq!(come(&mut r, 2), (item('b'), quiet()));
    assert_eq!(come(&mut r, 0), (item('c'), quiet()));
}

#[test]
fn while_items_are_slow_the_role_does_not_wait() {
    let mut r = at_rest(3);
    let _ = polled(&mut r, 0, "a");
    let (next, _) = r.step(0, Some(5_000), false);
    assert_eq!(next, poll());
    let (next, wakes) = polled(&mut r, 0, "a");
    assert_eq!((next, wakes.call), (item('a'), Some(2)));
    assert_eq!(come(&mut r, 2), (poll(), quiet()));
}

#[test]
fn what_is_slow_calls_one_worker_at_a_time() {
    let mut r = at_rest(4);
    let _ = polled(&mut r, 0, "a");
    assert_eq!(r.step(0, Some(5_000), false).0, poll());
    let (next, wakes) = polled(&mut r, 0, "abc");
    assert_eq!((next, wakes.call), (item('a'), Some(3)));
    assert_eq!(r.step(0, Some(5_000), false), (item('b'), quiet()));
    assert_eq!(come(&mut r, 3), (item('c'), call(2)), "in its turn");
}

#[test]
fn an_item_from_outside_waits_for_nobody() {
    let mut r = at_rest(3);
    assert_eq!(r.submit('a'), Ok(call(2)));
    assert_eq!(r.submit('b'), Ok(call(1)));
    assert_eq!(r.submit('c'), Ok(ring()));
    assert_eq!(r.submit('d'), Ok(quiet()), "all are on the way");
    assert_eq!((r.free(), r.queued()), (0, 4));
    assert_eq!(polled(&mut r, 0, "e").0, item('a'));
    assert_eq!(come(&mut r, 2).0, item('b'));
    assert_eq!(come(&mut r, 1).0, item('c'));
    assert_eq!(come(&mut r, 1).0, item('d'));
    assert_eq!(come(&mut r, 1).0, item('e'));
    assert_eq!(come(&mut r, 1).0, poll());
}

#[test]
fn a_poller_that_was_rung_for_is_on_the_way() {
    let mut r = at_rest(2);
    r.watch(true);
    assert_eq!(r.submit('a'), Ok(call(1)));
    assert_eq!(come(&mut r, 1).0, item('a'));
    assert_eq!(come(&mut r, 1), (None, ring()));
    assert_eq!(r.submit('b'), Ok(quiet()), "nobody else is called");
    assert_eq!(polled(&mut r, 0, "").0, item('b'));
}

#[test]
fn a_returning_worker_gets_the_oldest_item_not_the_called_one() {
    let mut r = at_rest(3);
    assert_eq!(polled(&mut r, 0, "x").0, item('x'));
    assert_eq!(r.submit('a'), Ok(call(2)));
    assert_eq!(r.submit('b'), Ok(call(1)));
    assert_eq!(come(&mut r, 0).0, item('a'));
    assert_eq!((r.free(), r.queued()), (1, 1));
    assert_eq!(come(&mut r, 1).0, item('b'));
    assert_eq!(
        come(&mut r, 2).0,
        poll(),
        "in vain, and of use all the same"
    );
}

#[test]
fn who_was_called_in_vain_is_on_the_way_for_the_next_item() {
    let mut r = at_rest(3);
    assert_eq!(polled(&mut r, 0, "a").0, item('a'));
    assert_eq!(r.submit('b'), Ok(call(2)));
    assert_eq!(come(&mut r, 0).0, item('b'));
    assert_eq!(r.submit('c'), Ok(quiet()), "the role can wait");
}

#[test]
fn a_tired_worker_is_relieved_by_another() {
    let mut r = at_rest(2);
    assert_eq!(polled(&mut r, 0, "ab").0, item('a'));
    assert_eq!(r.step(0, Some(20), true), (None, call(1)));
    assert_eq!(come(&mut r, 1).0, item('b'));
    assert_eq!(r.step(1, Some(20), true), (None, call(0)), "the role waits");
    assert_eq!(come(&mut r, 0).0, poll());
    wake_guard(&mut r);
    assert_eq!(r.guard().0, Guard::Rest);
}

#[test]
fn a_tired_worker_goes_on_without_relief_or_with_an_interrupt() {
    let mut r = at_rest(1);
    assert_eq!(polled(&mut r, 0, "ab").0, item('a'));
    assert_eq!(r.step(0, Some(20), true).0, item('b'));
    let mut r = at_rest(2);
    assert_eq!(polled(&mut r, 0, "ab").0, item('a'));
    r.seats[0].interrupted = true;
    assert_eq!(r.step(0, Some(20), true).0, Some(Next::Interrupted));
}

#[test]
fn a_tired_worker_calls_nobody_for_nothing_and_goes_on_after_a_close() {
    let mut r = at_rest(3);
    assert_eq!(r.submit('a'), Ok(call(2)));
    assert_eq!(come(&mut r, 2).0, item('a'));
    assert_eq!(r.step(2, Some(20), true), (None, quiet()));

    let mut r = at_rest(2);
    assert_eq!(polled(&mut r, 0, "ab").0, item('a'));
    assert_eq!(r.submit('c'), Ok(call(1)));
    let _ = r.close();
    // Nobody would wake it if it idled now, although the other is on its way.
    assert_eq!(r.step(0, Some(20), true).0, item('b'));
}

#[test]
fn at_first_each_calls_the_next() {
    let mut r = at_rest(5);
    r.pace = Default::default();
    let (next, wakes) = polled(&mut r, 0, "abcd");
    assert_eq!((next, wakes.call), (item('a'), Some(4)));
    assert_eq!(come(&mut r, 4), (item('b'), call(3)));
    assert_eq!(come(&mut r, 3), (item('c'), call(2)));
    assert_eq!(come(&mut r, 2), (item('d'), call(1)), "for the role");
}

#[test]
fn a_worker_that_leaves_is_not_at_work_any_more() {
    let mut r = at_rest(2);
    assert_eq!(polled(&mut r, 0, "a").0, item('a'));
    assert_eq!(r.leave(0, Some(20)), call(1), "it might have polled");
    assert_eq!(r.active, [0, 0]);
    assert_eq!(come(&mut r, 1).0, poll());
    assert_eq!(r.guard().0, Guard::Tick, "an item was served");
    assert_eq!(r.guard().0, Guard::Rest);
}

#[test]
fn an_interrupted_called_worker_passes_the_call_on() {
    let mut r = at_rest(3);
    assert_eq!(r.submit('a'), Ok(call(2)));
    let (sleepers, wakes) = r.interrupt_all();
    assert_eq!((sleepers, wakes), (vec![1], ring()));
    assert_eq!(come(&mut r, 1).0, Some(Next::Interrupted));
    assert_eq!(come(&mut r, 1).0, item('a'));
    assert_eq!(r.submit('b'), Ok(quiet()), "two are on the way");
    assert_eq!(come(&mut r, 2), (Some(Next::Interrupted), quiet()));
    assert_eq!(
        polled(&mut r, 0, ""),
        (Some(Next::Interrupted), armed(quiet())),
        "nobody is, any more"
    );
    assert_eq!(come(&mut r, 0).0, item('b'));
}

#[test]
fn an_interrupted_called_worker_passes_the_call_on_to_the_poller() {
    let mut r = at_rest(2);
    assert_eq!(r.submit('a'), Ok(call(1)));
    r.seats[1].interrupted = true;
    assert_eq!(come(&mut r, 1), (Some(Next::Interrupted), ring()));
    assert_eq!(polled(&mut r, 0, "").0, item('a'));
}

#[test]
fn an_interrupt_for_one() {
    let mut r = at_rest(2);
    assert_eq!(r.interrupt_one(), call(1));
    assert_eq!(r.interrupt_one(), ring(), "nobody idles: who polls");
    assert_eq!(
        polled(&mut r, 0, ""),
        (Some(Next::Interrupted), armed(quiet()))
    );
    assert_eq!(r.interrupt_one(), quiet(), "nobody at all: who comes first");
    assert_eq!(come(&mut r, 0).0, Some(Next::Interrupted));
    assert_eq!(come(&mut r, 0).0, poll());
    assert_eq!(come(&mut r, 1).0, Some(Next::Interrupted));
    assert_eq!(come(&mut r, 1).0, None);

    let mut r = open(1);
    let _ = r.interrupt_all();
    assert_eq!(r.interrupt_one(), quiet());
    assert_eq!(come(&mut r, 0).0, Some(Next::Interrupted), "both");
    assert_eq!(come(&mut r, 0).0, poll());
}

#[test]
fn closing_hands_out_what_is_left() {
    let mut r = at_rest(3);
    assert_eq!(r.submit('a'), Ok(call(2)));
    assert_eq!(r.close(), (vec![1], armed(ring())));
    assert_eq!(r.submit('c'), Err('c'));
    assert_eq!(polled(&mut r, 0, "b").0, item('a'));
    assert_eq!(come(&mut r, 1).0, item('b'));
    for worker in [0, 1, 2, 2] {
        assert_eq!(come(&mut r, worker), (Some(Next::Closed), quiet()));
    }
    assert_eq!(r.guard(), (Guard::Closed, quiet()));
}

#[test]
fn the_watch_is_answered_once_by_who_idles() {
    let mut r = at_rest(3);
    assert_eq!(polled(&mut r, 0, "ab").0, item('a'));
    wake_guard(&mut r);
    assert_eq!(r.guard().1, call(2));
    assert_eq!(come(&mut r, 2).0, item('b'));
    assert_eq!(r.guard().1, call(1));
    assert_eq!(come(&mut r, 1).0, poll());
    r.watch(true);
    assert_eq!(
        polled(&mut r, 1, ""),
        (poll(), quiet()),
        "who polls again doesn't answer"
    );
    assert_eq!(come(&mut r, 2), (None, ring()));
    assert_eq!(come(&mut r, 0), (None, quiet()));
    assert_eq!(polled(&mut r, 1, "").0, poll());
    assert_eq!(r.submit('c'), Ok(call(0)));
    assert_eq!(come(&mut r, 0).0, item('c'));
    assert_eq!(come(&mut r, 0), (None, quiet()), "once");
}

#[test]
fn a_tired_worker_that_idles_answers_the_watch() {
    let mut r = at_rest(3);
    assert_eq!(r.submit('a'), Ok(call(2)));
    assert_eq!(come(&mut r, 2).0, item('a'));
    assert_eq!(r.submit('b'), Ok(call(1)));
    r.watch(true);
    assert_eq!(r.step(2, Some(20), true), (None, ring()));
}
