//! Who polls, who guards, and what they find.

use super::{bounded, Role, Scene, Tally, Work};
use crate::sync::handoff::Next;
use loom::sync::Arc;

/// An item from outside finds the only worker on its way to poll, polling, or coming back: it doesn't wait for an event.
pub(super) fn submit_against_taking_the_role_in(scene: fn(usize) -> Scene) {
    loom::model(move || {
        let s = scene(1);
        let w = s.spawn(|s| (s.next(0), s.next(0)));
        assert_eq!(s.h.submit(1), Ok(()));
        assert_eq!(s.h.submit(2), Ok(()));
        let served = w.join().expect("worker");
        assert_eq!(served, (Next::Item(1), Next::Item(2)));
    });
}

#[test]
fn submit_against_taking_the_role() {
    submit_against_taking_the_role_in(Scene::new);
}

/// Either finds the only worker on its way to poll or polling, with nothing else that would end the poll.
#[test]
fn interrupts_reach_the_poller() {
    for interrupt in [Work::interrupt_all, Work::interrupt_one] {
        loom::model(move || {
            let s = Scene::new(1);
            let w = s.spawn(|s| s.next(0));
            interrupt(&s.h);
            assert_eq!(w.join().expect("worker"), Next::Interrupted);
        });
    }
}

/// Opening the role finds a worker that idles or is about to.
#[test]
fn opening_against_going_idle() {
    loom::model(|| {
        let s = Scene::closed_role(1);
        let w = s.spawn(|s| s.next(0));
        s.kernel.post(1);
        s.h.open(Role);
        assert_eq!(w.join().expect("worker"), Next::Item(1));
    });
}

/// What becomes ready while workers poll, park and hand the role over is served once, and everybody gets home.
pub(super) fn each_event_exactly_once_in(scene: fn(usize) -> Scene) {
    bounded(2, move || {
        let s = scene(2);
        let served = Tally::new();
        let workers = s.two_workers(&served, |_, served, item| served.add(item));
        s.kernel.post(1);
        s.kernel.post(2);
        assert_eq!(s.h.submit(4), Ok(()));
        assert_eq!(served.await_sum(7), 7);
        s.h.close();
        for w in workers {
            w.join().expect("worker");
        }
        assert_eq!(served.await_sum(0), 7);
    });
}

#[test]
fn each_event_exactly_once() {
    each_event_exactly_once_in(Scene::new);
}

/// A tired worker leaves what it has found to the other, which may be idle, about to, or busy; the two take turns.
pub(super) fn tired_workers_take_turns_in(scene: fn(usize) -> Scene) {
    bounded(2, move || {
        let s = scene(2);
        let served = Tally::new();
        let workers = [0, 1].map(|i| {
            let served = Arc::clone(&served);
            s.spawn(move |s| {
                let mut tired = false;
                loop {
                    match s.next_as(i, tired) {
                        Next::Item(item) => served.add(item),
                        Next::Interrupted => {
                            tired = false;
                            continue;
                        }
                        _ => break,
                    }
                    tired = true;
                }
            })
        });
        s.kernel.post(1);
        s.kernel.post(2);
        assert_eq!(served.await_sum(3), 3);
        s.kernel.post(4);
        assert_eq!(served.await_sum(7), 7);
        s.h.close();
        for w in workers {
            w.join().expect("worker");
        }
    });
}

#[test]
fn tired_workers_take_turns() {
    tired_workers_take_turns_in(Scene::new);
}

/// The first item is slow: it lasts until the second has been served. The guard sees to that.
pub(super) fn a_slow_item_holds_up_nothing(scene: fn(usize) -> Scene, found_together: bool) {
    bounded(2, move || {
        let s = scene(2);
        let served = Tally::new();
        s.kernel.post(1);
        if found_together {
            s.kernel.post(2);
        }
        let workers = s.two_workers(&served, move |s, served, item| {
            if item == 1 {
                if !found_together {
                    s.kernel.post(2);
                }
                served.await_sum(2);
                return;
            }
            served.add(item);
            s.h.close();
        });
        s.guard();
        for w in workers {
            w.join().expect("worker");
        }
        assert_eq!(served.await_sum(0), 2);
    });
}

/// Of two events found together the first is slow.
#[test]
fn a_slow_item_does_not_hold_up_what_was_found_with_it() {
    a_slow_item_holds_up_nothing(Scene::new, true);
}

/// The poller's own item is slow, and the next event comes while it is served: an idle worker is called for the role.
#[test]
fn a_slow_item_does_not_hold_up_later_events() {
    a_slow_item_holds_up_nothing(Scene::new, false);
}

/// The only worker is busy for as long as nobody has seen the next event: the guard polls. Then it serves that one, too.
pub(super) fn the_guard_polls_when_all_are_busy_in(scene: fn(usize) -> Scene) {
    bounded(3, move || {
        let s = scene(1);
        s.kernel.post(1);
        let w = s.spawn(|s| {
            assert_eq!(s.next(0), Next::Item(1));
            s.kernel.await_polls(2); // the guard
            s.kernel.post(2);
            s.next(0)
        });
        let guard = s.spawn(|s| s.guard());
        assert_eq!(w.join().expect("worker"), Next::Item(2));
        s.h.close();
        guard.join().expect("guard");
    });
}

#[test]
fn the_guard_polls_when_all_are_busy() {
    the_guard_polls_when_all_are_busy_in(Scene::new);
}

/// A worker that idles while the guard polls gets the role, with no event to help: it is the one who may accept again.
#[test]
fn the_guard_gives_the_role_to_a_worker_that_idles() {
    bounded(3, || {
        let s = Scene::new(1);
        s.kernel.post(1);
        let w = s.spawn(|s| {
            assert_eq!(s.next(0), Next::Item(1));
            s.kernel.await_polls(2);
            assert_eq!(s.h.next(0, None, false), Next::Poll(Role));
        });
        let guard = s.spawn(|s| s.guard());
        w.join().expect("worker");
        s.h.close();
        guard.join().expect("guard");
    });
}

/// A worker gives the role back, with or without an item found, hears an interrupt, and leaves for good. Nothing is left behind.
pub(super) fn a_poller_that_leaves_leaves_nothing_behind_in(scene: fn(usize) -> Scene) {
    bounded(2, move || {
        let s = scene(2);
        let served = Tally::new();
        s.kernel.post(1);
        let serve = |served: &Tally, s: &Scene, item| {
            if item == 1 {
                s.kernel.post(2);
            }
            served.add(item);
            if served.await_sum(0) == 3 {
                s.h.close();
            }
        };
        let leaver = {
            let served = Arc::clone(&served);
            s.spawn(move |s| {
                if let Next::Item(item) = s.next(0) {
                    serve(&served, s, item);
                }
            })
        };
        let stayer = {
            let served = Arc::clone(&served);
            s.spawn(move |s| s.serve_each(1, |item| serve(&served, s, item)))
        };
        s.h.interrupt_all();
        s.guard();
        leaver.join().expect("leaver");
        stayer.join().expect("stayer");
    });
}

#[test]
fn a_poller_that_leaves_leaves_nothing_behind() {
    a_poller_that_leaves_leaves_nothing_behind_in(Scene::new);
}

/// Close finds workers and guard wherever they are: idle, polling, at rest, ticking.
pub(super) fn close_gets_everybody_home_in(scene: fn(usize) -> Scene) {
    bounded(1, move || {
        let s = scene(2);
        let workers = [0, 1].map(|i| s.spawn(move |s| s.serve(i)));
        let closer = s.spawn(|s| s.h.close());
        s.kernel.post(1);
        s.guard();
        let served: usize = workers
            .map(|w| w.join().expect("worker").1)
            .into_iter()
            .sum();
        assert!(served <= 1);
        closer.join().expect("closer");
    });
}

#[test]
fn close_gets_everybody_home() {
    close_gets_everybody_home_in(Scene::new);
}

/// Close finds the guard polling, and the only worker busy.
pub(super) fn close_rings_for_the_guard_in(scene: fn(usize) -> Scene) {
    bounded(3, move || {
        let s = scene(1);
        s.kernel.post(1);
        let guard = s.spawn(|s| s.guard());
        let w = s.spawn(|s| {
            assert_eq!(s.next(0), Next::Item(1));
            s.kernel.await_polls(2);
            s.h.close();
            s.next(0)
        });
        assert_eq!(w.join().expect("worker"), Next::Closed);
        guard.join().expect("guard");
    });
}

#[test]
fn close_rings_for_the_guard() {
    close_rings_for_the_guard_in(Scene::new);
}

/// Who polls and waits for another idle worker (it has stopped accepting) hears of it.
pub(super) fn watch_against_going_idle_in(scene: fn(usize) -> Scene) {
    loom::model(move || {
        let s = scene(2);
        let poller = s.spawn(|s| {
            let Next::Poll(role) = s.h.next(0, None, false) else {
                panic!("the role is free");
            };
            s.h.set_idle_watch(true);
            let mut found = Vec::new();
            if s.h.idle() < 2 {
                role.poll(&s.kernel, &mut found);
                assert_eq!(s.h.idle(), 2);
            }
            s.h.close();
            assert_eq!(s.h.next_after_poll(0, role, &mut found, 0), Next::Closed);
        });
        s.kernel_role_is_taken();
        assert_eq!(s.h.next(1, None, false), Next::Closed);
        poller.join().expect("poller");
    });
}

#[test]
fn watch_against_going_idle() {
    watch_against_going_idle_in(Scene::new);
}
