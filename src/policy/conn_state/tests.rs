//! Tests of the connection transitions.

use super::*;
use proptest::prelude::*;

#[test]
fn numbers_are_httpd_s() {
    let lingering: Vec<i32> = (0..9)
        .filter(|&raw| State::from_raw(raw).is_some_and(State::is_lingering))
        .collect();
    assert_eq!(lingering, [5, 6, 7]);
    for raw in 0..9 {
        assert_eq!(State::from_raw(raw).map(State::as_raw), Some(raw));
    }
    for raw in [-1, 9, i32::MAX, i32::MIN] {
        assert_eq!(State::from_raw(raw), None);
    }
}

#[test]
fn each_state_after_the_hooks() {
    const CLOSE: AfterHooks = AfterHooks::Linger { unexpected: false };
    const COMPLAIN: AfterHooks = AfterHooks::Linger { unexpected: true };
    // (state, not aborted, aborted)
    let cases = [
        (0, AfterHooks::WriteCompletion, CLOSE),
        (1, CLOSE, CLOSE),
        (2, COMPLAIN, COMPLAIN),
        (3, AfterHooks::WriteCompletion, CLOSE),
        (4, AfterHooks::Suspend, AfterHooks::Suspend), // the module has it
        (5, CLOSE, CLOSE),
        (6, COMPLAIN, COMPLAIN),
        (7, COMPLAIN, COMPLAIN),
        (8, AfterHooks::WaitIo, CLOSE),
        (9, COMPLAIN, COMPLAIN),
        (-1, COMPLAIN, COMPLAIN),
    ];
    for (state, expected, when_aborted) in cases {
        for result in [HookResult::Ok, HookResult::Done] {
            assert_eq!(after_hooks(result, state, false), expected, "state {state}");
            assert_eq!(
                after_hooks(result, state, true),
                when_aborted,
                "state {state}"
            );
        }
        for result in [HookResult::Declined, HookResult::Other(500)] {
            assert_eq!(after_hooks(result, state, false), COMPLAIN);
            assert_eq!(after_hooks(result, state, true), COMPLAIN);
        }
    }
}

#[test]
fn the_message() {
    for (raw, state, text) in [
        (-1, 1, "AH10111: process_socket: connection processing returned -1 (state 1): closing"),
        (500, 3, "AH10111: process_socket: connection processing returned 500 (state 3): closing"),
        (0, 7, "AH10111: process_socket: connection processing returned 0 (unexpected state 7): closing"),
        (-2, 2, "AH10111: process_socket: connection processing returned 0 (unexpected state 2): closing"),
    ] {
        assert_eq!(closing_text(HookResult::from_raw(raw), state), text);
    }
}

#[test]
fn after_a_flush() {
    type Case = (fn(&mut Flushed), AfterFlush);
    let cases: [Case; 11] = [
        (|_| {}, AfterFlush::ParkKeepalive),
        (|f| f.keepalive = false, AfterFlush::Linger),
        (|f| f.aborted = true, AfterFlush::Linger),
        (
            |f| (f.failed, f.output_pending) = (true, true),
            AfterFlush::Linger,
        ),
        (
            |f| (f.output_pending, f.keepalive) = (true, false),
            AfterFlush::ParkWrite,
        ),
        (
            |f| (f.want_read, f.finishing) = (true, true),
            AfterFlush::ParkWrite,
        ),
        (|f| f.input_pending = true, AfterFlush::ProcessAgain),
        (
            |f| (f.input_pending, f.finishing) = (true, true),
            AfterFlush::ProcessAgain,
        ),
        (
            |f| (f.input_pending, f.keepalive) = (true, false),
            AfterFlush::Linger,
        ),
        (|f| f.finishing = true, AfterFlush::Linger),
        (
            |f| (f.finishing, f.drain_open) = (true, true),
            AfterFlush::ParkKeepalive,
        ),
    ];
    for (change, expected) in cases {
        let mut flushed = Flushed {
            keepalive: true,
            ..Flushed::default()
        };
        change(&mut flushed);
        assert_eq!(after_flush(&flushed), expected, "{flushed:?}");
    }
}

#[test]
fn sense_overrides_the_default() {
    for default in [Interest::Read, Interest::Write] {
        assert_eq!(interest(Sense::from_raw(0), default), default);
        assert_eq!(interest(Sense::from_raw(1), default), Interest::Read);
        assert_eq!(interest(Sense::from_raw(2), default), Interest::Write);
        assert_eq!(interest(Sense::from_raw(77), default), Interest::Write);
    }
}

proptest! {
    #[test]
    fn hooks_that_fail_always_close(raw: i32, state: i32, aborted: bool) {
        let result = HookResult::from_raw(raw);
        let next = after_hooks(result, state, aborted);
        if raw != 0 && raw != -2 {
            prop_assert_eq!(next, AfterHooks::Linger { unexpected: true });
            prop_assert_eq!(result.as_logged(), raw);
        }
        if aborted {
            let closes = matches!(next, AfterHooks::Linger { .. });
            prop_assert!(closes);
        }
    }
}
