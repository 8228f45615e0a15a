//! Tests of the configuration check.

use super::*;
use proptest::prelude::*;

fn checked(change: impl FnOnce(&mut Wanted)) -> Checked {
    let mut wanted = Wanted::default();
    change(&mut wanted);
    check(wanted, FirstSeen::default())
}

#[test]
fn defaults_pass_unchanged() {
    let result = checked(|_| {});
    assert_eq!(result.corrections, []);
    assert_eq!(
        result.first,
        FirstSeen {
            server_limit: 16,
            thread_limit: 64
        }
    );
    let expected = Limits {
        server_limit: 16,
        thread_limit: 64,
        threads_per_child: 25,
        max_request_workers: 400,
        start_servers: 3,
        min_spare_threads: 75,
        max_spare_threads: 250,
        active_children_limit: 16,
    };
    assert_eq!(result.limits, expected);
    assert_eq!(Limits::default(), expected);
}

#[test]
fn each_value_alone() {
    type Case = (
        fn(&mut Wanted),
        &'static [Correction],
        fn(&Limits) -> i32,
        i32,
    );
    const TOO_MANY_SERVERS: &[Correction] = &[Correction::ServerLimitTooHigh { asked: i32::MAX }];
    const TOO_MANY_THREADS: &[Correction] = &[Correction::ThreadLimitTooHigh { asked: 100_001 }];
    const NO_START: &[Correction] = &[Correction::StartServersTooLow { asked: i32::MIN }];
    const NO_SPARE: &[Correction] = &[Correction::MinSpareThreadsTooLow { asked: 0 }];
    let cases: [Case; 6] = [
        (
            |w| w.server_limit = i32::MAX,
            TOO_MANY_SERVERS,
            |l| l.server_limit,
            20_000,
        ),
        (
            |w| w.thread_limit = 100_001,
            TOO_MANY_THREADS,
            |l| l.thread_limit,
            100_000,
        ),
        (
            |w| w.start_servers = i32::MIN,
            NO_START,
            |l| l.start_servers,
            1,
        ),
        (
            |w| w.min_spare_threads = 0,
            NO_SPARE,
            |l| l.min_spare_threads,
            1,
        ),
        (
            |w| w.max_spare_threads = -1,
            &[],
            |l| l.max_spare_threads,
            -1,
        ),
        (
            |w| w.start_servers = 1000,
            &[],
            Limits::children_to_start,
            16,
        ),
    ];
    for (change, corrections, field, value) in cases {
        let result = checked(change);
        assert_eq!(result.corrections, corrections);
        assert_eq!(field(&result.limits), value);
    }
}

fn not_multiple(asked: i32, threads_per_child: i32, lowered: i32, servers: i32) -> Correction {
    Correction::MaxRequestWorkersNotMultiple {
        asked,
        threads_per_child,
        lowered,
        servers,
    }
}

#[test]
fn workers_and_threads_fit_together() {
    let result = checked(|w| w.threads_per_child = 65);
    let too_high = Correction::ThreadsPerChildTooHigh {
        asked: 65,
        thread_limit: 64,
    };
    assert_eq!(
        result.corrections,
        [too_high, not_multiple(400, 64, 384, 6)]
    );
    assert_eq!(result.limits.active_children_limit, 6);

    let result = checked(|w| w.max_request_workers = -5);
    let too_low = Correction::MaxRequestWorkersTooLow {
        asked: -5,
        threads_per_child: 25,
    };
    assert_eq!(result.corrections, [too_low]);
    assert_eq!(result.limits.max_request_workers, 25);
    assert_eq!(result.limits.active_children_limit, 1);

    let result = checked(|w| w.max_request_workers = 60);
    assert_eq!(result.corrections, [not_multiple(60, 25, 50, 2)]);
    assert_eq!(result.limits.max_request_workers, 50);
}

#[test]
fn too_many_workers_for_the_server_limit_stay_configured() {
    let result = checked(|w| w.max_request_workers = 510);
    assert_eq!(
        result.corrections,
        [
            not_multiple(510, 25, 500, 20),
            Correction::MaxRequestWorkersNeedsServers {
                asked: 500,
                servers: 20,
                server_limit: 16,
                possible: 400,
            },
        ]
    );
    assert_eq!(result.limits.max_request_workers, 500);
    assert_eq!(result.limits.active_children_limit, 16);
}

#[test]
fn everything_zero_is_reported_in_order() {
    let zeros = Wanted {
        server_limit: 0,
        thread_limit: 0,
        threads_per_child: 0,
        max_request_workers: 0,
        start_servers: 0,
        min_spare_threads: 0,
        max_spare_threads: 0,
    };
    assert_eq!(
        check(zeros, FirstSeen::default()).corrections,
        [
            Correction::ServerLimitTooLow { asked: 0 },
            Correction::ThreadLimitTooLow { asked: 0 },
            Correction::ThreadsPerChildTooLow { asked: 0 },
            Correction::MaxRequestWorkersTooLow {
                asked: 0,
                threads_per_child: 1
            },
            Correction::StartServersTooLow { asked: 0 },
            Correction::MinSpareThreadsTooLow { asked: 0 },
        ]
    );
}

#[test]
fn a_restart_keeps_the_first_limits() {
    let first = FirstSeen {
        server_limit: 4,
        thread_limit: 30,
    };
    let wanted = Wanted {
        server_limit: 99_999,
        thread_limit: 8,
        ..Wanted::default()
    };
    let result = check(wanted, first);
    assert_eq!(
        result.corrections,
        [
            Correction::ServerLimitTooHigh { asked: 99_999 },
            Correction::ServerLimitChanged {
                asked: 20_000,
                kept: 4
            },
            Correction::ThreadLimitChanged { asked: 8, kept: 30 },
            Correction::MaxRequestWorkersNeedsServers {
                asked: 400,
                servers: 16,
                server_limit: 4,
                possible: 100,
            },
        ]
    );
    assert_eq!(result.first, first);
    assert_eq!(result.limits.threads_per_child, 25);
}

#[test]
fn buckets_raise_what_they_need() {
    let small = checked(|w| {
        w.threads_per_child = 10;
        w.max_request_workers = 20;
        w.start_servers = 1;
        w.min_spare_threads = 5;
        w.max_spare_threads = 6;
    })
    .limits;
    let one = small.for_buckets(1);
    assert_eq!((one.min_spare_threads, one.max_spare_threads), (5, 16));
    assert_eq!((one.start_servers, one.active_children_limit), (1, 2));
    let four = small.for_buckets(4);
    assert_eq!((four.min_spare_threads, four.max_spare_threads), (34, 78));
    assert_eq!((four.start_servers, four.active_children_limit), (4, 4));
    assert_eq!(small.for_buckets(0), one);
    assert_eq!(four.for_buckets(4), four, "twice is once");
}

#[test]
fn starting_never_exceeds_the_active_limit() {
    let limits = Limits::default();
    for (wanted, active, expected) in [
        (3, 0, 3),
        (3, 14, 2),
        (3, 16, 0),
        (3, 17, 0),
        (-1, 0, 0),
        (99, -5, 16),
    ] {
        assert_eq!(limits.may_start(wanted, active), expected);
    }
}

#[test]
fn worker_factor_arguments() {
    for (text, value) in [
        ("2", 2.0),
        ("1.9", 1.9),
        ("0.5", 0.5),
        (" +3e1", 30.0),
        (".25", 0.25),
        ("4.", 4.0),
        ("1E-2", 0.01),
    ] {
        assert_eq!(
            parse_worker_factor(text).map(WorkerFactor::get),
            Ok(value),
            "{text}"
        );
    }
    for text in ["x", "1.5x", "1,5", "2 ", " ", "1e", ".", "--1", "1_0"] {
        assert_eq!(
            parse_worker_factor(text),
            Err("error parsing value"),
            "{text}"
        );
    }
    for text in ["", "0", "-0.0", "-2", "nan", "inf", "1e999", "1e-999"] {
        let expected = "AsyncRequestWorkerFactor argument must be a positive number";
        assert_eq!(parse_worker_factor(text), Err(expected), "{text}");
    }
}

/// Numbers that administrators write, and any other.
fn number() -> impl Strategy<Value = i32> {
    prop_oneof![
        -2..200i32,
        any::<i32>(),
        Just(i32::MAX),
        Just(i32::MIN),
        19_998..20_003i32,
        99_998..100_003i32
    ]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let numbers = (
        number(),
        number(),
        number(),
        number(),
        number(),
        number(),
        number(),
    );
    numbers.prop_map(|(a, b, c, d, e, f, g)| Wanted {
        server_limit: a,
        thread_limit: b,
        threads_per_child: c,
        max_request_workers: d,
        start_servers: e,
        min_spare_threads: f,
        max_spare_threads: g,
    })
}

proptest! {
    #[test]
    fn limits_are_consistent(wanted in wanted(), first in (number(), number()), buckets in number()) {
        let first = FirstSeen { server_limit: first.0, thread_limit: first.1 };
        let result = check(wanted, first);
        let l = result.limits;
        prop_assert!((1..=MAX_SERVER_LIMIT).contains(&l.server_limit));
        prop_assert!((1..=MAX_THREAD_LIMIT).contains(&l.thread_limit));
        prop_assert!((1..=l.thread_limit).contains(&l.threads_per_child));
        prop_assert!(l.max_request_workers >= l.threads_per_child);
        prop_assert_eq!(l.max_request_workers % l.threads_per_child, 0);
        prop_assert!((1..=l.server_limit).contains(&l.active_children_limit));
        prop_assert!(l.start_servers >= 1 && l.min_spare_threads >= 1);
        prop_assert!(result.corrections.iter().all(|c| !c.startup_text().is_empty() && !c.restart_text().is_empty()));

        let run = l.for_buckets(buckets);
        prop_assert!(run.max_spare_threads > run.min_spare_threads || run.min_spare_threads == i32::MAX);
        prop_assert!(run.start_servers >= buckets && run.active_children_limit >= buckets);
        prop_assert!((1..=run.active_children_limit).contains(&run.children_to_start()));
    }

    #[test]
    fn a_second_check_of_the_same_settings_keeps_them(wanted in wanted()) {
        let once = check(wanted, FirstSeen::default());
        let twice = check(wanted, once.first);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn a_used_correction_leaves_nothing_to_correct(wanted in wanted()) {
        let once = check(wanted, FirstSeen::default());
        let l = once.limits;
        let again = check(Wanted {
            server_limit: l.server_limit,
            thread_limit: l.thread_limit,
            threads_per_child: l.threads_per_child,
            max_request_workers: l.active_children_limit * l.threads_per_child,
            start_servers: l.start_servers,
            min_spare_threads: l.min_spare_threads,
            max_spare_threads: l.max_spare_threads,
        }, once.first);
        prop_assert_eq!(again.corrections, []);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,12}") {
        if let Ok(factor) = parse_worker_factor(&text) {
            prop_assert!(factor.get() > 0.0 && factor.get().is_finite());
        }
    }
}
