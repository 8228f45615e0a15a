//! The answers of `ap_mpm_query`.
//!
//! Other modules lean on them: keep-alive is refused when the state can't be queried, mod_status, mod_http2, mod_proxy and
//! mod_ssl size their pools by the limits. So the set is exactly event's, and any other code is left unanswered.

/// A fixed number (`AP_MPMQ_STATIC`).
pub const STATIC: i32 = 1;
/// A changing number (`AP_MPMQ_DYNAMIC`).
pub const DYNAMIC: i32 = 2;

/// The configuration is being read (`AP_MPMQ_STARTING`).
pub const STARTING: i32 = 0;
/// The server runs (`AP_MPMQ_RUNNING`).
pub const RUNNING: i32 = 1;
/// The server, or this child, is about to end (`AP_MPMQ_STOPPING`).
pub const STOPPING: i32 = 2;

const MAX_DAEMON_USED: i32 = 1;
const IS_THREADED: i32 = 2;
const IS_FORKED: i32 = 3;
const HARD_LIMIT_DAEMONS: i32 = 4;
const HARD_LIMIT_THREADS: i32 = 5;
const MAX_THREADS: i32 = 6;
const MIN_SPARE_DAEMONS: i32 = 7;
const MIN_SPARE_THREADS: i32 = 8;
const MAX_SPARE_DAEMONS: i32 = 9;
const MAX_SPARE_THREADS: i32 = 10;
const MAX_REQUESTS_DAEMON: i32 = 11;
const MAX_DAEMONS: i32 = 12;
const MPM_STATE: i32 = 13;
const IS_ASYNC: i32 = 14;
const GENERATION: i32 = 15;
const CAN_WAITIO: i32 = 19;

/// What the answers are taken from: the values in force at the moment of the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Facts {
    /// One more than the highest scoreboard slot ever used, across restarts.
    pub max_daemon_used: i32,
    /// ServerLimit, in processes.
    pub server_limit: i32,
    /// ThreadLimit, in threads.
    pub thread_limit: i32,
    /// ThreadsPerChild, in threads.
    pub threads_per_child: i32,
    /// MinSpareThreads, in threads; once the server runs, as adjusted to the listener buckets.
    pub min_spare_threads: i32,
    /// MaxSpareThreads, in threads; once the server runs, as adjusted to the listener buckets.
    pub max_spare_threads: i32,
    /// MaxConnectionsPerChild, in connections; 0 = no limit.
    pub max_connections_per_child: i32,
    /// How many children may serve at a time.
    pub active_children_limit: i32,
    /// [`STARTING`], [`RUNNING`] or [`STOPPING`].
    pub mpm_state: i32,
    /// How often the server was restarted.
    pub generation: i32,
    /// The running server knows the state ASYNC_WAITIO (from 2.4.63 on).
    pub can_waitio: bool,
}

/// Answers a query (`AP_MPMQ_*`); `None` stands for `APR_ENOTIMPL`.
///
/// Spare processes are 0: this MPM counts spare threads.
#[must_use]
pub fn answer(code: i32, facts: &Facts) -> Option<i32> {
    Some(match code {
        MAX_DAEMON_USED => facts.max_daemon_used,
        IS_THREADED => STATIC,
        IS_FORKED => DYNAMIC,
        HARD_LIMIT_DAEMONS => facts.server_limit,
        HARD_LIMIT_THREADS => facts.thread_limit,
        MAX_THREADS => facts.threads_per_child,
        MIN_SPARE_DAEMONS | MAX_SPARE_DAEMONS => 0,
        MIN_SPARE_THREADS => facts.min_spare_threads,
        MAX_SPARE_THREADS => facts.max_spare_threads,
        MAX_REQUESTS_DAEMON => facts.max_connections_per_child,
        MAX_DAEMONS => facts.active_children_limit,
        MPM_STATE => facts.mpm_state,
        IS_ASYNC => 1,
        GENERATION => facts.generation,
        CAN_WAITIO if facts.can_waitio => 1,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        max_daemon_used: 101,
        server_limit: 102,
        thread_limit: 103,
        threads_per_child: 104,
        min_spare_threads: 105,
        max_spare_threads: 106,
        max_connections_per_child: 107,
        active_children_limit: 108,
        mpm_state: RUNNING,
        generation: 109,
        can_waitio: true,
    };

    #[test]
    fn every_code() {
        let expected = [
            None,
            Some(101),
            Some(STATIC),
            Some(DYNAMIC),
            Some(102),
            Some(103),
            Some(104),
            Some(0),
            Some(105),
            Some(0),
            Some(106),
            Some(107),
            Some(108),
            Some(RUNNING),
            Some(1),
            Some(109),
            None,
            None,
            None,
            Some(1),
            None,
        ];
        for (code, expected) in (0..).zip(expected) {
            assert_eq!(answer(code, &FACTS), expected, "code {code}");
        }
        for code in [-1, i32::MIN, 21, i32::MAX] {
            assert_eq!(answer(code, &FACTS), None);
        }
    }

    #[test]
    fn an_old_server_cannot_wait_for_io() {
        assert_eq!(
            answer(
                CAN_WAITIO,
                &Facts {
                    can_waitio: false,
                    ..FACTS
                }
            ),
            None
        );
    }

    #[test]
    fn states_pass_through() {
        for mpm_state in [STARTING, RUNNING, STOPPING] {
            assert_eq!(
                answer(MPM_STATE, &Facts { mpm_state, ..FACTS }),
                Some(mpm_state)
            );
        }
    }
}
