//! Items come more rarely than ticks.

use super::*;

/// Worker 0 polls, the others are idle, the guard rests; and items have been rare so far.
fn at_rest(workers: usize) -> Small {
    let mut roster = super::at_rest(workers);
    roster.traffic.found(1, 1_000_000);
    roster.traffic.found(1, 2_000_000);
    roster
}

/// The worker with the role has found something, second after second.
fn polled(roster: &mut Small, worker: usize, second: u64, found: &str) -> Step {
    let mut found = found.chars().collect();
    let step = roster.polled(worker, ROLE, &mut found, second * 1_000_000);
    assert_eq!(roster.fault(), None);
    step
}

fn guard_polled(roster: &mut Small, second: u64, found: &str) -> Wakes {
    let mut found = found.chars().collect();
    let wakes = roster.guard_polled(ROLE, &mut found, second * 1_000_000);
    assert_eq!(roster.fault(), None);
    wakes
}

#[test]
fn the_role_is_handed_on_and_the_guard_sleeps() {
    let mut r = at_rest(3);
    let mut poller = 0;
    for second in 3..10 {
        let (next, wakes) = polled(&mut r, poller, second, "a");
        let other = wakes.call.expect("somebody for the role");
        assert_eq!((next, wakes), (item('a'), call(other)));
        assert_eq!(come(&mut r, other), (poll(), quiet()));
        assert_eq!(come(&mut r, poller), (None, quiet()));
        poller = other;
    }
}

#[test]
fn each_item_has_a_worker_at_once() {
    let mut r = at_rest(4);
    assert_eq!(polled(&mut r, 0, 3, "abc"), (item('a'), call(3)));
    assert_eq!(come(&mut r, 3), (item('b'), call(2)));
    assert_eq!(come(&mut r, 2), (item('c'), call(1)));
    assert_eq!(come(&mut r, 1), (poll(), quiet()));
}

#[test]
fn a_short_item_calls_in_vain() {
    let mut r = at_rest(2);
    assert_eq!(polled(&mut r, 0, 3, "a"), (item('a'), call(1)));
    assert_eq!(come(&mut r, 0), (poll(), quiet()));
    assert_eq!(come(&mut r, 1), (None, quiet()));
}

#[test]
fn who_was_called_and_is_interrupted_leaves_it_to_the_guard() {
    let mut r = at_rest(2);
    assert_eq!(polled(&mut r, 0, 3, "a"), (item('a'), call(1)));
    let _ = r.interrupt_all();
    assert_eq!(
        come(&mut r, 1),
        (Some(Next::Interrupted), armed(quiet())),
        "nobody else is idle"
    );
    assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
}

#[test]
fn the_guard_polls_at_once_when_all_are_busy_and_goes_on_when_one_idles() {
    let mut r = at_rest(1);
    assert_eq!(polled(&mut r, 0, 3, "a"), (item('a'), armed(quiet())));
    for second in 4..10 {
        assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
        assert!(!r.is_guarded(), "nobody looks each tick");
        assert_eq!(come(&mut r, 0), (None, quiet()), "as with a listener");
        assert_eq!(guard_polled(&mut r, second, "b"), call(0));
        assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
        assert_eq!(come(&mut r, 0).0, item('b'));
        assert_eq!(come(&mut r, 0), (None, quiet()));
        assert_eq!(guard_polled(&mut r, second, "c"), call(0));
        assert_eq!(come(&mut r, 0).0, item('c'));
    }
}

#[test]
fn the_guard_gives_the_role_back_where_a_worker_is_left_for_it() {
    let mut r = at_rest(2);
    assert_eq!(polled(&mut r, 0, 3, "ab"), (item('a'), call(1)));
    assert_eq!(come(&mut r, 1), (item('b'), armed(quiet())));
    assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
    assert_eq!(come(&mut r, 0), (None, quiet()));
    assert_eq!(come(&mut r, 1), (None, quiet()));
    assert_eq!(guard_polled(&mut r, 4, "c"), call(1));
    assert_eq!(r.guard(), (Guard::Tick, quiet()));
    assert_eq!(come(&mut r, 1), (item('c'), call(0)));
    assert_eq!(come(&mut r, 0), (poll(), quiet()));
    assert_eq!(r.guard(), (Guard::Rest, quiet()));
}

#[test]
fn the_guard_that_comes_late_rests_again() {
    let mut r = at_rest(1);
    assert_eq!(polled(&mut r, 0, 3, "a"), (item('a'), armed(quiet())));
    assert_eq!(come(&mut r, 0), (poll(), quiet()));
    assert_eq!(r.guard(), (Guard::Rest, quiet()));
}

#[test]
fn the_guard_leaves_the_role_to_workers_when_items_come_often() {
    let mut r = at_rest(1);
    assert_eq!(polled(&mut r, 0, 3, "a"), (item('a'), armed(quiet())));
    for _ in 0..10 {
        assert_eq!(r.guard().0, Guard::Poll(ROLE));
        assert_eq!(come(&mut r, 0), (None, quiet()));
        assert_eq!(guard_polled(&mut r, 3, "b"), call(0));
        if !r.traffic.is_quiet() {
            assert_eq!(r.guard(), (Guard::Tick, quiet()), "somebody came by");
            assert_eq!(come(&mut r, 0).0, item('b'));
            assert_eq!(come(&mut r, 0), (poll(), quiet()));
            return;
        }
        assert_eq!(come(&mut r, 0).0, item('b'));
    }
    panic!("it stays quiet");
}

#[test]
fn a_worker_that_idles_answers_the_watch_once_and_the_guard_goes_on() {
    let mut r = at_rest(2);
    assert_eq!(polled(&mut r, 0, 3, "ab"), (item('a'), call(1)));
    assert_eq!(come(&mut r, 1), (item('b'), armed(quiet())));
    for worker in [0, 1] {
        assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
        r.watch(true);
        assert_eq!(come(&mut r, worker), (None, ring()));
        assert_eq!(guard_polled(&mut r, 4, ""), quiet(), "nobody is called");
    }
    assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
    assert_eq!(guard_polled(&mut r, 5, "c"), call(1));
}
