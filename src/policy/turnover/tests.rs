use super::*;

/// A full child of 24 places; one newcomer waits, two workers have nothing to do.
const FULL: Look = Look {
    now_ms: 0,
    waiting: 1,
    open: 24,
    limit: 12,
    idle_workers: 2,
    queued: 0,
    served: 0,
    announced: 0,
    announcements: 0,
    other_accepts: false,
    turn: 0,
    children: 1,
};

fn full() -> Turnover {
    let mut turnover = Turnover::default();
    turnover.full(24);
    turnover
}

/// What a child does that finds the same at the beginning and at one of these times.
fn course(look: Look, times: &[u64]) -> Vec<(u32, u32, u32)> {
    let at = |&now_ms: &u64| {
        let mut turnover = full();
        let _ = turnover.look(&Look { now_ms: 0, ..look });
        let step = turnover.look(&Look { now_ms, ..look });
        (step.accept, step.close_answered, step.close_idle)
    };
    times.iter().map(at).collect()
}

#[test]
fn newcomers_are_patient_then_answers_make_room_then_idle_ones_do() {
    let times = [0, 99, 100, 299, 300, 2_000];
    let expected = [
        (0, 0, 0),
        (0, 0, 0),
        (0, 1, 0),
        (0, 1, 0),
        (0, 1, 1),
        (0, 1, 1),
    ];
    assert_eq!(course(FULL, &times), expected);
}

#[test]
fn a_free_place_needs_no_close() {
    let look = Look { open: 23, ..FULL };
    assert_eq!(
        course(look, &[0, 100, 500]),
        [(0, 0, 0), (1, 0, 0), (1, 0, 0)]
    );
}

#[test]
fn what_the_rule_allows_needs_no_close_either() {
    let look = Look {
        limit: 26,
        waiting: 3,
        idle_workers: 3,
        ..FULL
    };
    assert_eq!(
        course(look, &[0, 100, 300]),
        [(0, 0, 0), (2, 1, 0), (2, 1, 1)]
    );
}

#[test]
fn no_more_change_hands_than_wait_and_than_workers_are_there_for() {
    // (waiting, open, idle workers, accepted, closed)
    let cases = [
        (5, 24, 2, 0, 2),
        (1, 24, 2, 0, 1),
        (5, 23, 2, 1, 2),
        (5, 20, 2, 2, 0),
        (5, 14, 8, 5, 0),
        (9, 20, 8, 4, 5),
        (5, 20, 0, 0, 0),
        // More than it had places for: an idle one was closed that had a request.
        (1, 30, 2, 0, 1),
    ];
    for (waiting, open, idle_workers, accept, close) in cases {
        let look = Look {
            waiting,
            open,
            idle_workers,
            ..FULL
        };
        assert_eq!(course(look, &[400])[0], (accept, close, close), "{look:?}");
    }
}

#[test]
fn the_worker_that_answers_comes_free() {
    let look = Look {
        idle_workers: 0,
        waiting: 5,
        ..FULL
    };
    assert_eq!(course(look, &[400]), [(0, 1, 0)]);
    // Its place is not needed: there are free ones.
    assert_eq!(course(Look { open: 20, ..look }, &[400]), [(0, 0, 0)]);
}

#[test]
fn where_requests_wait_for_workers_those_count_that_came_free() {
    let mut turnover = full();
    let busy = Look {
        idle_workers: 0,
        queued: 50,
        waiting: 9,
        ..FULL
    };
    // (time, served, closed)
    let rows = [
        (0, 0, 0),
        (100, 3, 3),
        (120, 5, 3),
        (140, 9, 6),
        (199, 9, 6),
        (200, 9, 6),
        (201, 9, 6),
        (300, 9, 6),
        (301, 9, 1),
        (302, 109, 9),
    ];
    for (now_ms, served, closed) in rows {
        let step = turnover.look(&Look {
            now_ms,
            served,
            ..busy
        });
        assert_eq!(
            (step.accept, step.close_answered),
            (0, closed),
            "at {now_ms}"
        );
    }
}

#[test]
fn another_child_that_accepts_is_left_to_it_for_longer() {
    let look = Look {
        other_accepts: true,
        open: 23,
        ..FULL
    };
    assert_eq!(
        course(look, &[0, 249, 250]),
        [(0, 0, 0), (0, 0, 0), (1, 0, 0)]
    );
}

#[test]
fn children_close_one_after_the_other_but_accept_at_the_same_time() {
    for (turn, after_ms) in [(0, 0), (1, 25), (4, 100), (12, 300), (400, 300)] {
        let look = Look {
            turn,
            children: turn + 1,
            waiting: 2,
            open: 23,
            ..FULL
        };
        let times = [
            0,
            99 + after_ms,
            100 + after_ms,
            299 + after_ms,
            300 + after_ms,
        ];
        let got = course(look, &times);
        let early = (u32::from(after_ms > 0), 0, 0);
        assert_eq!(
            got,
            [(0, 0, 0), early, (1, 1, 0), (1, 1, 0), (1, 1, 1)],
            "turn {turn}"
        );
    }
}

#[test]
fn full_children_share_many_newcomers_at_once() {
    // (waiting, turn, children, closed by then)
    let cases = [
        (1, 0, 4, 1),
        (1, 3, 4, 0),
        (4, 3, 4, 1),
        (5, 3, 4, 2),
        (3, 3, 4, 0),
        (40, 19, 20, 2),
        (40, 0, 1, 8),
    ];
    for (waiting, turn, children, closed) in cases {
        let look = Look {
            waiting,
            turn,
            children,
            idle_workers: 8,
            ..FULL
        };
        assert_eq!(course(look, &[100])[0], (0, closed, 0), "{look:?}");
    }
}

#[test]
fn who_comes_soon_after_others_gets_a_free_place_at_once_but_nobody_is_closed_at_once() {
    let mut turnover = full();
    let mut step = |now_ms, waiting, open| {
        let look = Look {
            now_ms,
            waiting,
            open,
            ..FULL
        };
        let step = turnover.look(&look);
        (step.accept, step.close_answered)
    };
    assert_eq!(step(0, 1, 24), (0, 0));
    assert_eq!(step(100, 1, 24), (0, 1));
    assert_eq!(step(110, 1, 23), (1, 0));
    // The client that made room comes back.
    assert_eq!(step(120, 1, 24), (0, 0));
    assert_eq!(step(169, 1, 24), (0, 0));
    assert_eq!(step(170, 1, 24), (0, 1));
    assert_eq!(step(180, 0, 24), (0, 0));
    assert_eq!(step(1_000, 1, 23), (1, 0), "lately");
    assert_eq!(step(1_010, 0, 24), (0, 0));
    assert_eq!(step(2_500, 1, 23), (0, 0), "a calm second: patience again");
    assert_eq!(step(2_600, 1, 23), (1, 0));
}

#[test]
fn it_looks_while_somebody_waits() {
    let mut turnover = full();
    let mut next = |now_ms, waiting| {
        turnover
            .look(&Look {
                now_ms,
                waiting,
                ..FULL
            })
            .look_again_ms
    };
    assert_eq!(next(0, 0), None);
    assert_eq!(next(5, 1), Some(25));
    assert_eq!(next(105, 1), Some(125));
    assert_eq!(next(305, 1), Some(325));
    assert_eq!(next(306, 0), None);
}

#[test]
fn the_most_served_come_first() {
    assert!(makes_room(10, 10, false));
    assert!(!makes_room(9, 10, false));
    assert!(makes_room(0, 10, true));
    let mut turnover = full();
    let mut any = |now_ms| turnover.look(&Look { now_ms, ..FULL }).any;
    assert_eq!(
        [any(0), any(100), any(149), any(150)],
        [false, false, false, true]
    );
}

#[test]
fn what_is_typical_follows_the_answers() {
    let mut typical = 0;
    for _ in 0..100 {
        typical = typically_served(typical, 40);
    }
    assert_eq!(typical, 40);
    for _ in 0..100 {
        typical = typically_served(typical, 0);
    }
    assert_eq!(typical, 0);
    assert_eq!(typically_served(u32::MAX, u32::MAX), u32::MAX);
    assert_eq!(typically_served(0, u32::MAX), 1 << 29);
}

#[test]
fn each_child_is_first_for_a_second() {
    for second in 0..6_u64 {
        let turns: Vec<u32> = (0..3)
            .map(|rank| turn(rank, 3, second * 1_000 + 999))
            .collect();
        assert_eq!(
            turns.iter().position(|&t| t == 0),
            Some((3 - second as usize % 3) % 3)
        );
        assert_eq!(turns.iter().sum::<u32>(), 3);
    }
    assert_eq!(turn(0, 0, 5_000), 0);
}

#[test]
fn an_announced_close_is_room_that_is_made_unless_it_takes_long() {
    let mut turnover = full();
    let mut closes = |now_ms, announced, announcements| {
        let look = Look {
            now_ms,
            announced,
            announcements,
            ..FULL
        };
        turnover.look(&look).close_answered
    };
    // (time, announced and still open, announced ever, closed)
    let rows = [
        (0, 0, 7, 0),
        (100, 0, 7, 1),
        (120, 1, 8, 0),
        (200, 1, 8, 0),
        (300, 1, 8, 0),
        (320, 1, 8, 1),
        (340, 2, 9, 0),
        (360, 1, 9, 0),
        (380, 0, 9, 1),
    ];
    for (now_ms, announced, announcements, expected) in rows {
        let got = closes(now_ms, announced, announcements);
        assert_eq!(got, expected, "at {now_ms}");
    }
}

#[test]
fn each_socket_is_the_first_in_turn() {
    let cases: [(&[usize], usize, &[usize]); 6] = [
        (&[], 3, &[]),
        (&[0, 1, 2], 0, &[0, 1, 2]),
        (&[0, 1, 2], 1, &[1, 2, 0]),
        (&[2, 0, 1], 2, &[2, 0, 1]),
        (&[2, 0, 1], 3, &[0, 1, 2]),
        (&[5, 1], 2, &[5, 1]),
    ];
    for (sockets, next, expected) in cases {
        let mut sockets = sockets.to_vec();
        in_turn(&mut sockets, next);
        assert_eq!(sockets, expected, "from {next}");
    }
}
