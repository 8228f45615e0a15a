//! Who polls, who guards, and what they find, where items come more rarely than ticks: the role is handed on with each item, and
//! the guard keeps it where no worker is idle.

use super::role::{
    a_poller_that_leaves_leaves_nothing_behind_in, a_slow_item_holds_up_nothing,
    close_gets_everybody_home_in, close_rings_for_the_guard_in, each_event_exactly_once_in,
    submit_against_taking_the_role_in, the_guard_polls_when_all_are_busy_in,
    tired_workers_take_turns_in, watch_against_going_idle_in,
};
use super::{bounded, Scene};
use crate::sync::handoff::Next;

#[test]
fn each_event_exactly_once() {
    each_event_exactly_once_in(Scene::rare);
}

#[test]
fn tired_workers_take_turns() {
    tired_workers_take_turns_in(Scene::rare);
}

#[test]
fn the_guard_polls_when_all_are_busy() {
    the_guard_polls_when_all_are_busy_in(Scene::rare);
}

#[test]
fn a_poller_that_leaves_leaves_nothing_behind() {
    a_poller_that_leaves_leaves_nothing_behind_in(Scene::rare);
}

#[test]
fn close_gets_everybody_home() {
    close_gets_everybody_home_in(Scene::rare);
}

#[test]
fn close_rings_for_the_guard() {
    close_rings_for_the_guard_in(Scene::rare);
}

#[test]
fn watch_against_going_idle() {
    watch_against_going_idle_in(Scene::rare);
}

#[test]
fn submit_against_taking_the_role() {
    submit_against_taking_the_role_in(Scene::rare);
}

#[test]
fn a_slow_item_does_not_hold_up_what_was_found_with_it() {
    a_slow_item_holds_up_nothing(Scene::rare, true);
}

#[test]
fn a_slow_item_does_not_hold_up_later_events() {
    a_slow_item_holds_up_nothing(Scene::rare, false);
}

/// The only worker idles while the guard polls, and nobody rings. The next event finds it all the same.
#[test]
fn the_guard_keeps_the_role() {
    bounded(2, || {
        let s = Scene::rare(1);
        s.kernel.post(1);
        let w = s.spawn(|s| {
            assert_eq!(s.next(0), Next::Item(1));
            s.kernel.await_polls(2);
            s.next(0)
        });
        let guard = s.spawn(|s| s.guard());
        s.kernel.await_polls(2);
        s.kernel.post(2);
        assert_eq!(w.join().expect("worker"), Next::Item(2));
        s.h.close();
        guard.join().expect("guard");
    });
}

/// The one who was called for the role hears an interrupt and leaves. The guard sleeps, as somebody was on the way; it is to
/// poll now.
#[test]
fn a_called_worker_that_leaves_leaves_nothing_behind() {
    bounded(2, || {
        let s = Scene::rare(2);
        s.kernel.post(1);
        let workers = [0, 1].map(|i| {
            s.spawn(move |s| {
                if s.next(i) == Next::Item(1) {
                    s.h.interrupt_all();
                    s.kernel.await_polls(2);
                    s.h.close();
                }
            })
        });
        s.guard();
        for w in workers {
            w.join().expect("worker");
        }
    });
}
