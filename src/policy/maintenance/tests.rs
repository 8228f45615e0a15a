//! Tests of the spare-thread upkeep.

use super::*;
use proptest::prelude::*;

/// 16 slots, 25 threads each, MaxRequestWorkers 200: 8 children may serve.
fn limits() -> Limits {
    Limits {
        max_request_workers: 200,
        active_children_limit: 8,
        ..Limits::default()
    }
    .for_buckets(1)
}

fn fleet(active_children: i32, spawn_rate: i32, hold_off: i32) -> Fleet {
    Fleet {
        active_children,
        total_children: active_children,
        num_buckets: 1,
        spawn_rate,
        hold_off,
    }
}

fn census(idle_threads: i32, active_threads: i32, free_slots: usize) -> Census {
    Census {
        idle_threads,
        active_threads,
        free_slots,
    }
}

fn plan(action: Action, spawn_rate: i32, hold_off: i32) -> Plan {
    Plan {
        action,
        spawn_rate,
        hold_off,
    }
}

fn start(count: i32, busy: bool) -> Action {
    Action::Spawn { count, busy }
}

#[test]
fn each_branch() {
    // (idle and active threads, free slots), (active children, rate, hold-off), (action, rate, hold-off)
    let cases = [
        ((75, 100, 4), (4, 4, 3), (Action::Nothing, 1, 3)),
        ((250, 250, 4), (8, 4, 0), (Action::Nothing, 1, 0)),
        ((251, 260, 4), (8, 4, 0), (Action::StopOne, 1, 0)),
        ((0, 200, 4), (8, 4, 0), (Action::AtMaxWorkers, 1, 0)),
        ((74, 200, 4), (8, 4, 0), (Action::NearMaxWorkers, 1, 0)),
        ((0, 175, 0), (7, 4, 0), (Action::ScoreboardFull, 1, 0)),
        ((0, 175, 4), (8, 4, 2), (Action::AtActiveLimit, 1, 2)),
        ((0, 175, 4), (9, 4, 2), (Action::AtActiveLimit, 1, 2)),
        ((0, 75, 1), (3, 1, 0), (start(1, false), 2, 0)),
        ((0, 75, 3), (3, 4, 0), (start(3, false), 8, 0)),
        ((0, 75, 8), (3, 8, 0), (start(5, true), 16, 0)),
        ((0, 75, 8), (3, 8, 1), (start(5, true), 8, 0)),
        ((0, 75, 9), (3, 32, 0), (start(5, true), 32, 0)),
    ];
    for (threads, children, expected) in cases {
        let census = census(threads.0, threads.1, threads.2);
        let fleet = fleet(children.0, children.1, children.2);
        let expected = plan(expected.0, expected.1, expected.2);
        assert_eq!(
            maintain(&limits(), &census, &fleet),
            expected,
            "{census:?} {fleet:?}"
        );
    }
}

#[test]
fn stopping_waits_for_slots() {
    // (active, total, expected): 8 may be active, 16 slots.
    let cases = [
        (5, 5, Action::StopOne),
        (5, 7, Action::StopOne),
        (5, 8, Action::TooManyStopping),
        (5, 16, Action::TooManyStopping),
        (8, 8, Action::StopOne),
    ];
    for (active_children, total_children, expected) in cases {
        let fleet = Fleet {
            active_children,
            total_children,
            ..fleet(0, 1, 0)
        };
        assert_eq!(
            maintain(&limits(), &census(300, 300, 0), &fleet).action,
            expected
        );
    }
    assert_eq!(
        Fleet {
            active_children: 5,
            total_children: 8,
            ..fleet(0, 1, 0)
        }
        .stopping_children(),
        3
    );
}

#[test]
fn buckets_share_the_limits() {
    let limits = Limits {
        max_request_workers: 200,
        active_children_limit: 8,
        ..Limits::default()
    }
    .for_buckets(4);
    let fleet = Fleet {
        num_buckets: 4,
        ..fleet(4, 8, 0)
    };
    // MinSpareThreads is raised to 79, so 19 for each; MaxRequestWorkers 50 for each.
    assert_eq!(
        maintain(&limits, &census(19, 25, 8), &fleet).action,
        Action::Nothing
    );
    assert_eq!(
        maintain(&limits, &census(18, 50, 8), &fleet).action,
        Action::NearMaxWorkers
    );
    // 32 / 4 = 8: no further growth.
    let expected = plan(
        Action::Spawn {
            count: 4,
            busy: true,
        },
        8,
        0,
    );
    assert_eq!(maintain(&limits, &census(0, 25, 8), &fleet), expected);
}

#[test]
fn a_bucket_without_a_child_gets_one() {
    let limits = Limits {
        threads_per_child: 1,
        max_request_workers: 2,
        active_children_limit: 2,
        min_spare_threads: 1,
        max_spare_threads: 1,
        ..Limits::default()
    }
    .for_buckets(4);
    let fleet = Fleet {
        num_buckets: 4,
        ..fleet(3, 1, 0)
    };
    let expected = Action::Spawn {
        count: 1,
        busy: false,
    };
    assert_eq!(maintain(&limits, &census(0, 0, 1), &fleet).action, expected);
}

#[test]
fn thread_states() {
    assert_eq!(count_threads(0..=10), Threads { idle: 3, active: 7 });
    assert_eq!(count_threads([]), Threads::default());
}

fn child(threads: i32) -> SlotFacts {
    SlotFacts {
        in_use: true,
        current_generation: true,
        active_threads: threads,
        idle_threads: threads,
        ..SlotFacts::default()
    }
}

#[test]
fn only_accepting_children_of_this_generation_have_spare_threads() {
    let slots = [
        child(25),
        SlotFacts {
            quiescing: true,
            ..child(25)
        },
        SlotFacts::default(),
        SlotFacts {
            not_accepting: true,
            ..child(25)
        },
        SlotFacts {
            current_generation: false,
            ..child(25)
        },
    ];
    let tally = count_slots((0..).zip(slots), 5, 25, 4);
    assert_eq!(tally.census(), census(25, 100, 1));
    assert_eq!(tally.free_slots(), [2]);
    assert_eq!(tally.last_used(), Some(4));
    assert!(tally.healthy_child());
}

#[test]
fn a_child_that_still_starts_is_not_healthy() {
    let starting = SlotFacts {
        active_threads: 24,
        ..child(25)
    };
    assert!(!count_slots([(0, starting)], 1, 25, 1).healthy_child());
    assert!(!count_slots([], 0, 0, 1).healthy_child());
}

#[test]
fn counting_stops_when_the_rest_is_unused() {
    let mut read = 0;
    let slots = (0..1000usize).map(|slot| {
        read += 1;
        (
            slot,
            if slot == 3 {
                child(25)
            } else {
                SlotFacts::default()
            },
        )
    });
    let tally = count_slots(slots, 4, 25, 5);
    assert_eq!(tally.free_slots(), [0, 1, 2, 4, 5]);
    assert_eq!(read, 7);
    assert_eq!(
        count_slots((0..1000).map(|s| (s, SlotFacts::default())), 0, 1, 999)
            .free_slots()
            .len(),
        32
    );
}

#[test]
fn buckets_take_slots_in_turn() {
    for (slot, buckets, expected) in [
        (0, 1, 0),
        (7, 1, 0),
        (7, 4, 3),
        (8, 4, 0),
        (5, 0, 0),
        (5, -3, 0),
    ] {
        assert_eq!(bucket_of(slot, buckets), expected);
    }
}

proptest! {
    #[test]
    fn a_plan_never_exceeds_a_limit(
        numbers: [i32; 12], free_slots in prop_oneof![0..64usize, any::<usize>()],
    ) {
        let [a, b, c, d, e, f, g, idle, active, children, total, rate] = numbers;
        let limits = Limits {
            server_limit: a, thread_limit: b, threads_per_child: c, max_request_workers: d, start_servers: 1,
            min_spare_threads: e, max_spare_threads: f, active_children_limit: g,
        };
        let fleet = Fleet {
            active_children: children, total_children: total, num_buckets: total, spawn_rate: rate, hold_off: b,
        };
        let result = maintain(&limits, &census(idle, active, free_slots), &fleet);
        prop_assert!((1..=MAX_SPAWN_RATE).contains(&result.spawn_rate));
    }

    #[test]
    fn spawning_respects_slots_rate_and_limit(
        active_children in 0..20i32, spawn_rate in 1..33i32, hold_off in 0..12i32, idle in 0..75i32,
        threads in 0..200i32, free_slots in 0..33usize, num_buckets in 1..5i32,
    ) {
        let limits = Limits { max_request_workers: 400, ..limits() };
        let fleet = Fleet { num_buckets, ..fleet(active_children, spawn_rate, hold_off) };
        let result = maintain(&limits, &census(idle, threads, free_slots), &fleet);
        if let Action::Spawn { count, .. } = result.action {
            prop_assert!(count >= 1 && count <= spawn_rate && count as usize <= free_slots);
            prop_assert!(active_children + count <= limits.active_children_limit);
            prop_assert_eq!(result.hold_off, (hold_off - 1).max(0));
        } else {
            prop_assert_eq!((result.spawn_rate, result.hold_off), (1, hold_off));
        }
    }
}

#[test]
fn children_are_started_in_every_bucket_before_any_gets_a_second() {
    let order = |free: &[usize], buckets| in_starting_order(free.iter().copied(), buckets);
    assert_eq!(order(&[0, 1, 2, 3], 1), [0, 1, 2, 3]);
    assert_eq!(order(&[0, 1, 2, 3, 4], 2), [0, 1, 2, 3, 4]);
    assert_eq!(
        order(&[0, 2, 4, 5], 2),
        [0, 5, 2, 4],
        "the lowest free slots are all of bucket 0"
    );
    assert_eq!(
        order(&[3, 6, 9], 3),
        [3, 6, 9],
        "other buckets have no room"
    );
    assert_eq!(order(&[], 2), []);
}
