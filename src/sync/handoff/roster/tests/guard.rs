//! The guard, where items come often.

use super::*;

/// Worker 0 has taken the first of `found`. They are too few of short ones for anybody but the guard to call others.
fn short_ones_before(workers: usize, found: &str) -> Small {
    let mut r = at_rest(workers);
    assert_eq!(polled(&mut r, 0, found), (item('a'), armed(quiet())));
    wake_guard(&mut r);
    r
}

/// The worker that was called arrives, takes an item, and calls the next one, and so on: how many have arrived.
fn arrive_one_by_one(r: &mut Small, mut called: Option<usize>) -> usize {
    let mut arrived = 0;
    while let Some(worker) = called {
        let (next, wakes) = come(r, worker);
        assert!(matches!(next, Some(Next::Item(_))));
        arrived += 1;
        called = wakes.call;
    }
    arrived
}

#[test]
fn the_guard_calls_a_worker_when_nobody_comes_by() {
    let mut r = at_rest(3);
    assert_eq!(polled(&mut r, 0, "ab"), (item('a'), armed(quiet())));
    wake_guard(&mut r);
    assert_eq!(r.guard(), (Guard::Tick, call(2)));
    assert_eq!(come(&mut r, 2).0, item('b'));
    assert_eq!(r.guard(), (Guard::Tick, call(1)), "for the role");
    assert_eq!(r.guard(), (Guard::Tick, quiet()), "it is on the way");
    assert_eq!(come(&mut r, 1).0, poll());
    assert_eq!(r.guard(), (Guard::Rest, quiet()));
}

#[test]
fn the_guard_calls_twice_as_many_each_tick_in_which_nobody_comes_by() {
    let mut r = short_ones_before(20, "abcdefghij");
    for expected in [1, 2, 4] {
        let (next, wakes) = r.guard();
        assert_eq!(next, Guard::Tick);
        assert_eq!(arrive_one_by_one(&mut r, wakes.call), expected);
    }
    assert_eq!(r.queued(), 2);
}

#[test]
fn whoever_comes_by_ends_the_guards_calls() {
    let mut r = short_ones_before(20, "abcdefghij");
    for _ in 0..2 {
        let (_, wakes) = r.guard();
        arrive_one_by_one(&mut r, wakes.call);
    }
    let (_, wakes) = r.guard();
    let called = wakes.call.expect("for four");
    assert_eq!(come(&mut r, 0), (item('e'), quiet()), "one is on the way");
    assert_eq!(come(&mut r, called), (item('f'), quiet()), "no more");
    assert_eq!(r.guard(), (Guard::Tick, quiet()), "somebody came by");
    let (_, wakes) = r.guard();
    assert_eq!(arrive_one_by_one(&mut r, wakes.call), 1, "from the start");
}

#[test]
fn the_guard_calls_nobody_while_the_last_one_waits_for_a_core() {
    let mut r = short_ones_before(20, "abcdefghij");
    let (_, wakes) = r.guard();
    for _ in 0..100 {
        assert_eq!(r.guard(), (Guard::Tick, quiet()));
    }
    assert_eq!(arrive_one_by_one(&mut r, wakes.call), 1);
    let (_, wakes) = r.guard();
    assert_eq!(arrive_one_by_one(&mut r, wakes.call), 2, "once more");
}

#[test]
fn the_guards_calls_are_over_when_it_rests() {
    let mut r = short_ones_before(20, "abcd");
    for _ in 0..2 {
        let (_, wakes) = r.guard();
        arrive_one_by_one(&mut r, wakes.call);
    }
    let (_, wakes) = r.guard();
    let poller = wakes.call.expect("for the role, and more");
    assert_eq!(come(&mut r, poller), (poll(), quiet()));
    assert_eq!(r.guard(), (Guard::Rest, quiet()));
    assert_eq!(polled(&mut r, poller, "e"), (item('e'), armed(quiet())));
}

#[test]
fn who_polls_often_makes_nobody_stuck() {
    let mut r = at_rest(1);
    assert_eq!(polled(&mut r, 0, "a").0, item('a'));
    wake_guard(&mut r);
    for _ in 0..10 {
        assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
        assert_eq!(r.guard_polled(ROLE, &mut vec![], 0), quiet());
    }
    assert_eq!(r.active, [1, 0]);
}

#[test]
fn a_service_that_outlasts_the_guard_wakes_nobody_at_its_end() {
    let mut r = at_rest(2);
    assert_eq!(polled(&mut r, 0, "a").0, item('a'));
    wake_guard(&mut r);
    assert_eq!(r.guard(), (Guard::Tick, call(1)));
    assert!(r.is_guarded());
    assert_eq!(come(&mut r, 1).0, poll());
    assert_eq!(r.guard(), (Guard::Rest, quiet()));
    assert!(!r.is_guarded());
    assert_eq!(come(&mut r, 0), (None, quiet()));
}

#[test]
fn the_guard_polls_when_all_are_busy_and_gives_the_role_to_who_idles() {
    let mut r = at_rest(1);
    assert_eq!(polled(&mut r, 0, "a").0, item('a'));
    wake_guard(&mut r);
    assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
    assert_eq!(r.free(), 0);
    assert_eq!(r.guard_polled(ROLE, &mut vec!['b'], 0), quiet());
    assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
    assert_eq!(r.submit('c'), Ok(quiet()));
    assert_eq!(come(&mut r, 0).0, item('b'));
    assert_eq!(come(&mut r, 0).0, item('c'));
    assert_eq!(
        come(&mut r, 0),
        (None, ring()),
        "idle: the guard is to come back"
    );
    assert_eq!(r.guard_polled(ROLE, &mut vec![], 0), call(0));
    assert_eq!(r.guard(), (Guard::Tick, quiet()), "three were served");
    assert_eq!(
        r.guard(),
        (Guard::Tick, quiet()),
        "it leaves the role to who is on the way"
    );
    assert_eq!(come(&mut r, 0).0, poll());
}

#[test]
fn the_guard_polls_also_when_workers_find_items_all_the_time() {
    let mut r = at_rest(1);
    assert_eq!(polled(&mut r, 0, "abcd").0, item('a'));
    wake_guard(&mut r);
    assert_eq!(
        r.guard(),
        (Guard::Poll(ROLE), quiet()),
        "one tick, nobody came by"
    );
    assert_eq!(r.guard_polled(ROLE, &mut vec![], 0), quiet());
    assert_eq!(come(&mut r, 0).0, item('b'));
    assert_eq!(
        r.guard(),
        (Guard::Tick, quiet()),
        "somebody did, and it was polled"
    );
    assert_eq!(come(&mut r, 0).0, item('c'));
    assert_eq!(
        r.guard(),
        (Guard::Poll(ROLE), quiet()),
        "nobody polled for a tick"
    );
}

#[test]
fn closing_rings_for_a_guard_that_polls_and_wakes_one_that_rests() {
    let mut r = at_rest(1);
    assert_eq!(polled(&mut r, 0, "a").0, item('a'));
    wake_guard(&mut r);
    assert_eq!(r.guard(), (Guard::Poll(ROLE), quiet()));
    assert_eq!(r.close(), (vec![], ring()));
    assert_eq!(r.guard_polled(ROLE, &mut vec![], 0), quiet());
    assert_eq!(r.guard(), (Guard::Closed, quiet()));

    let mut r = at_rest(1);
    assert_eq!(r.close(), (vec![], armed(ring())));
}

#[test]
fn who_is_stuck_is_not_counted_on() {
    let mut r = at_rest(4);
    for _ in 0..1000 {
        let _ = polled(&mut r, 0, "a");
        assert_eq!(r.step(0, Some(150), false).0, poll());
    }
    assert_eq!(polled(&mut r, 0, "a"), (item('a'), quiet()));
    wake_guard(&mut r);
    assert_eq!(r.active, [0, 1], "no tick is over");
    assert_eq!(r.guard(), (Guard::Tick, call(3)));
    assert_eq!(r.active, [1, 0], "it may have begun just now");
    assert_eq!(r.guard(), (Guard::Tick, quiet()), "one is on the way");
    assert_eq!(r.active, [0, 0]);
    assert_eq!(come(&mut r, 3), (poll(), quiet()));
    // One more and the role would wait 300 us for worker 3, and 150 us each if worker 0 came back.
    assert_eq!(polled(&mut r, 3, "bc"), (item('b'), call(2)));
    assert_eq!(r.step(0, Some(9_000), false).0, item('c'));
    assert_eq!(r.active, [0, 2], "it is back");
}
