//! When a graceful restart may tell the old generation to stop.
//!
//! Children that are told to stop close their listening sockets at once. If the new ones are not ready by then, newcomers wait
//! in the kernel's backlog. So the parent starts the new generation first, and releases the old one when the new one accepts.

/// How long the old generation is kept at most for a new one that does not get ready, in milliseconds.
pub const MAX_WAIT_MS: u64 = 10_000;

/// How long idle connections of a finishing child may still bring a request, in milliseconds.
///
/// With helper processes (a CGI daemon, programs that take the log) it is short: they end with the configuration, and a request
/// that is served later would miss them. The control process waits for that time before it gives the configuration up.
#[must_use]
pub const fn drain_ms(helpers: bool) -> u64 {
    if helpers {
        150
    } else {
        1_000
    }
}

/// How far the new generation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Handover {
    /// Listener buckets with at least one child of the new generation that accepts.
    pub ready_buckets: i32,
    /// Listener buckets (ListenCoresBucketsRatio). A child serves one bucket only.
    pub num_buckets: i32,
    /// Children of the new generation that have been started, in the other buckets, and don't accept yet.
    pub starting_children: i32,
    /// How many children the new generation is to begin with (StartServers, at most what the limits allow).
    pub wanted_children: i32,
    /// Slots of those other buckets in which a child could still be started (ServerLimit).
    pub free_slots: i32,
    /// Time since the new generation's first child was to be started, in milliseconds.
    pub waited_ms: u64,
}

/// What to do about the old generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Let it serve.
    Wait,
    /// Tell it to finish.
    ReleaseOld,
}

/// Decides whether the old generation may be told to stop.
///
/// It may once every bucket has a new child that accepts. It must, ready or not, when no slot is left for a further new child
/// and none is on its way (only the old ones can make room then), or when it has waited for [`MAX_WAIT_MS`]: a restart that
/// never ends is worse than a gap.
pub fn next_step(handover: &Handover) -> Step {
    // Fewer children than buckets can't fill them all, whatever the wait.
    let needed = handover.num_buckets.max(1).min(handover.wanted_children);
    let ready = handover.ready_buckets >= needed;
    let stuck = handover.free_slots <= 0 && handover.starting_children <= 0;
    if ready || stuck || handover.waited_ms >= MAX_WAIT_MS {
        Step::ReleaseOld
    } else {
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A new generation of 3 whose children have just been forked.
    const BEGUN: Handover = Handover {
        ready_buckets: 0,
        num_buckets: 1,
        starting_children: 3,
        wanted_children: 3,
        free_slots: 8,
        waited_ms: 20,
    };

    #[test]
    fn each_reason_to_release() {
        type Case = (fn(&mut Handover), Step);
        let cases: [Case; 8] = [
            (|_| {}, Step::Wait),
            (
                |h| (h.ready_buckets, h.starting_children) = (1, 2),
                Step::ReleaseOld,
            ),
            (|h| h.waited_ms = 9_999, Step::Wait),
            (|h| h.waited_ms = 10_000, Step::ReleaseOld),
            // No slot left, but the children on their way will be ready soon.
            (|h| h.free_slots = 0, Step::Wait),
            (
                |h| (h.free_slots, h.starting_children) = (0, 0),
                Step::ReleaseOld,
            ),
            // Nothing could be started so far (fork failed): the old ones go on.
            (|h| h.starting_children = 0, Step::Wait),
            (|h| h.wanted_children = 0, Step::ReleaseOld),
        ];
        for (change, expected) in cases {
            let mut handover = BEGUN;
            change(&mut handover);
            assert_eq!(next_step(&handover), expected, "{handover:?}");
        }
    }

    #[test]
    fn every_bucket_needs_a_child() {
        let four = Handover {
            num_buckets: 4,
            wanted_children: 6,
            ..BEGUN
        };
        for (ready_buckets, expected) in [(1, Step::Wait), (3, Step::Wait), (4, Step::ReleaseOld)] {
            assert_eq!(
                next_step(&Handover {
                    ready_buckets,
                    ..four
                }),
                expected
            );
        }
        let capped = Handover {
            wanted_children: 2,
            ready_buckets: 2,
            ..four
        };
        assert_eq!(next_step(&capped), Step::ReleaseOld);
    }

    proptest! {
        #[test]
        fn once_released_time_does_not_take_it_back(
            ready_buckets: i32, num_buckets: i32, starting_children: i32, wanted_children: i32, free_slots: i32,
            waited_ms: u64, more: u64,
        ) {
            let handover = Handover {
                ready_buckets, num_buckets, starting_children, wanted_children, free_slots, waited_ms,
            };
            let later = Handover { waited_ms: waited_ms.saturating_add(more), ..handover };
            if next_step(&handover) == Step::ReleaseOld {
                prop_assert_eq!(next_step(&later), Step::ReleaseOld);
            }
            prop_assert_eq!(next_step(&Handover { waited_ms: u64::MAX, ..handover }), Step::ReleaseOld);
        }
    }
}
