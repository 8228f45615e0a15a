//! Whether a child may accept another connection.

/// AsyncRequestWorkerFactor: how many connections beyond ThreadsPerChild a child takes for each idle worker.
///
/// Always finite and above 0. The fraction counts: 1.9 with 4 idle workers is 7.6 connections, not 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerFactor(f64);

impl WorkerFactor {
    /// What holds without the directive.
    pub const DEFAULT: WorkerFactor = WorkerFactor(2.0);

    /// A factor, or `None` if it is not a finite number above 0.
    #[must_use]
    pub fn new(value: f64) -> Option<WorkerFactor> {
        (value.is_finite() && value > 0.0).then_some(WorkerFactor(value))
    }

    /// The factor as a number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// The factor as bits, for an `AtomicU64`.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// The factor out of [`WorkerFactor::to_bits`]. Bits that are no factor, such as those of zeroed memory, give the default.
    #[must_use]
    pub fn from_bits(bits: u64) -> WorkerFactor {
        WorkerFactor::new(f64::from_bits(bits)).unwrap_or_default()
    }
}

impl Default for WorkerFactor {
    fn default() -> Self {
        WorkerFactor::DEFAULT
    }
}

/// What a child carries at the moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Open connections, those in lingering close included.
    pub connections: u32,
    /// Connections in lingering close, which don't count against the limit.
    pub lingering: u32,
    /// Workers with nothing to do ([`workers_left`]). A thread that only polls is one of them.
    pub idle_workers: u32,
    /// ThreadsPerChild.
    pub threads: u32,
    /// Whether the child accepts at the moment.
    pub accepting: bool,
    /// AsyncRequestWorkerFactor.
    pub factor: WorkerFactor,
}

/// How many workers have nothing to do, of so many that have no item in their hands while so many items are `waiting`.
///
/// Those that were accepted and wait for their first worker (`arriving`) take one each, as nobody knows what they will want. Those
/// that are ready again take as many as they need (`workers_for`): with 30 short requests found, most workers are idle.
#[must_use]
pub fn workers_left(
    at_hand: usize,
    waiting: usize,
    arriving: usize,
    workers_for: impl FnOnce(usize) -> usize,
) -> usize {
    let ready = waiting.saturating_sub(arriving);
    at_hand.saturating_sub(workers_for(ready) + arriving)
}

/// May the child take one more connection?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It may.
    Accept,
    /// No worker is idle to serve it.
    AllBusy,
    /// It has as many connections as AsyncRequestWorkerFactor allows.
    TooManyConnections,
}

/// How many connections a child with that many idle workers may have, lingering ones not counted:
/// ThreadsPerChild + AsyncRequestWorkerFactor * `idle_workers`, a fraction counting as one more.
#[must_use]
pub fn connection_limit(threads: u32, idle_workers: u32, factor: WorkerFactor) -> u64 {
    // 0.07 * 100 is a little more than 7 in binary: such dust must not become a connection.
    const DUST: f64 = 1e-6;
    let limit = f64::from(threads) + factor.get() * f64::from(idle_workers);
    (limit - DUST).ceil() as u64 // saturates
}

/// May the child take one more connection (AsyncRequestWorkerFactor)?
///
/// While it does not accept, one idle worker less is counted: it resumes only once there is room for that worker's share.
/// Otherwise each closed connection would switch the listening sockets on, and the next one off again.
pub fn admit(load: &Load) -> Verdict {
    if load.idle_workers == 0 {
        return Verdict::AllBusy;
    }
    let counted_idle = if load.accepting {
        load.idle_workers
    } else {
        load.idle_workers - 1
    };
    let open = load.connections.saturating_sub(load.lingering);
    if open == 0 || u64::from(open) < connection_limit(load.threads, counted_idle, load.factor) {
        Verdict::Accept
    } else {
        Verdict::TooManyConnections
    }
}

/// What becomes of the listening sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AcceptChange {
    /// Stay as it is.
    Keep,
    /// Stop accepting, for this reason (never [`Verdict::Accept`]).
    Stop(Verdict),
    /// Accept again (AH00457).
    Resume,
}

/// Whether the child has to stop accepting, or may resume.
pub fn accept_change(load: &Load) -> AcceptChange {
    match (load.accepting, admit(load)) {
        (true, Verdict::Accept) => AcceptChange::Keep,
        (true, reason) => AcceptChange::Stop(reason),
        (false, Verdict::Accept) => AcceptChange::Resume,
        (false, _) => AcceptChange::Keep,
    }
}

/// Whether a child that doesn't accept would if all its workers were idle.
#[must_use]
pub fn idle_workers_would_help(load: &Load) -> bool {
    let idle = Load {
        idle_workers: load.threads,
        accepting: false,
        ..*load
    };
    admit(&idle) == Verdict::Accept
}

/// While a child finishes: may one more worker end, because more of them run than connections are open?
///
/// `threads` is ThreadsPerChild, `exited` how many workers have ended already.
#[must_use]
pub fn surplus_worker_may_exit(connections: u32, threads: u32, exited: u32) -> bool {
    connections < threads.saturating_sub(exited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn factor(value: f64) -> WorkerFactor {
        WorkerFactor::new(value).expect("a factor")
    }

    #[test]
    fn ready_connections_take_the_workers_they_need_and_new_ones_take_one_each() {
        let tenth = |ready: usize| ready.div_ceil(10);
        // (at hand, waiting, of these new, left)
        let cases = [
            (25, 0, 0, 25),
            (25, 30, 0, 22),
            (25, 30, 10, 13),
            (25, 10, 10, 15),
            (25, 40, 25, 0),
            (2, 30, 0, 0),
            // A worker has taken one up, and has not said so yet.
            (25, 3, 4, 21),
        ];
        for (at_hand, waiting, arriving, expected) in cases {
            let got = workers_left(at_hand, waiting, arriving, tenth);
            assert_eq!(
                got, expected,
                "{at_hand} at hand, {waiting} wait, {arriving} new"
            );
        }
    }

    fn load(connections: u32, idle_workers: u32, accepting: bool) -> Load {
        Load {
            connections,
            lingering: 0,
            idle_workers,
            threads: 10,
            accepting,
            factor: WorkerFactor::DEFAULT,
        }
    }

    #[test]
    fn the_example_of_the_page() {
        // ThreadsPerChild 10, factor 2: 18 connections with 4 idle workers, 30 with all idle.
        let cases = [
            (17, 4, true, AcceptChange::Keep),
            (18, 4, true, AcceptChange::Stop(Verdict::TooManyConnections)),
            (29, 10, true, AcceptChange::Keep),
            (
                30,
                10,
                true,
                AcceptChange::Stop(Verdict::TooManyConnections),
            ),
            (29, 10, false, AcceptChange::Keep),
            (28, 10, false, AcceptChange::Keep),
            (27, 10, false, AcceptChange::Resume),
            (10, 1, false, AcceptChange::Keep),
            (9, 1, false, AcceptChange::Resume),
            (0, 0, true, AcceptChange::Stop(Verdict::AllBusy)),
            (0, 0, false, AcceptChange::Keep),
        ];
        for (connections, idle, accepting, expected) in cases {
            let load = load(connections, idle, accepting);
            assert_eq!(accept_change(&load), expected, "{load:?}");
        }
    }

    #[test]
    fn lingering_connections_do_not_count() {
        let mut load = load(500, 4, true);
        load.lingering = 483;
        assert_eq!(admit(&load), Verdict::Accept);
        load.lingering = 482;
        assert_eq!(admit(&load), Verdict::TooManyConnections);
        load.lingering = 501;
        assert_eq!(
            admit(&load),
            Verdict::Accept,
            "counters read at different moments"
        );
    }

    #[test]
    fn fractions_count() {
        // (factor, threads, idle, connections)
        let cases = [
            (1.0, 4, 4, 8),
            (1.9, 4, 4, 12),
            (2.0, 4, 4, 12),
            (0.5, 4, 4, 6),
            (0.5, 4, 1, 5),
            (1.5, 10, 3, 15),
            (0.07, 0, 100, 7),
            (1e-300, 4, 4, 4),
            (1e300, 4, 4, u64::MAX),
            (2.0, u32::MAX, u32::MAX, 3 * u64::from(u32::MAX)),
        ];
        for (value, threads, idle, expected) in cases {
            assert_eq!(
                connection_limit(threads, idle, factor(value)),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn bits_survive() {
        assert_eq!(WorkerFactor::from_bits(factor(1.9).to_bits()), factor(1.9));
        for bits in [
            0,
            f64::NAN.to_bits(),
            f64::INFINITY.to_bits(),
            (-1.0f64).to_bits(),
        ] {
            assert_eq!(WorkerFactor::from_bits(bits), WorkerFactor::DEFAULT);
        }
    }

    #[test]
    fn idle_workers_help_unless_the_connections_are_too_many_for_them_all() {
        // 4 threads, factor 2: accepting is resumed below 4 + 2 * 3 connections.
        for (connections, lingering, helps) in
            [(0, 0, true), (9, 0, true), (10, 0, false), (12, 3, true)]
        {
            let load = Load {
                connections,
                lingering,
                idle_workers: 0,
                threads: 4,
                accepting: false,
                factor: factor(2.0),
            };
            assert_eq!(idle_workers_would_help(&load), helps, "{load:?}");
        }
    }

    #[test]
    fn surplus_workers() {
        let cases = [
            (0, 25, 0, true),
            (24, 25, 0, true),
            (25, 25, 0, false),
            (24, 25, 1, false),
            (0, 25, 24, true),
            (0, 25, 25, false),
            (0, 25, 26, false),
        ];
        for (connections, threads, exited, expected) in cases {
            assert_eq!(
                surplus_worker_may_exit(connections, threads, exited),
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn resuming_leaves_room(connections: u32, lingering: u32, idle_workers: u32, threads: u32, value in 1e-9..1e12f64) {
            let mut load =
                Load { connections, lingering, idle_workers, threads, accepting: false, factor: factor(value) };
            if accept_change(&load) == AcceptChange::Resume {
                load.accepting = true;
                prop_assert_eq!(accept_change(&load), AcceptChange::Keep);
            }
            load.accepting = true;
            if let AcceptChange::Stop(reason) = accept_change(&load) {
                prop_assert_ne!(reason, Verdict::Accept);
                load.accepting = false;
                prop_assert_eq!(accept_change(&load), AcceptChange::Keep);
            }
        }

        #[test]
        fn the_limit_is_the_page_s_formula(threads in 0..100_000u32, idle in 0..100_000u32, whole in 1..100u32) {
            let expected = u64::from(threads) + u64::from(whole) * u64::from(idle);
            prop_assert_eq!(connection_limit(threads, idle, factor(f64::from(whole))), expected);
        }
    }
}
