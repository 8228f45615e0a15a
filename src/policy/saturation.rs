//! Whether idle keep-alive connections have to give way to newcomers, because a child is saturated.
//!
//! "If all workers are busy, it will close connections in keep-alive state even if the keep-alive timeout has not expired"
//! (AsyncRequestWorkerFactor), so that clients go to a process with workers to spare. Only if the shortage lasts: accepting
//! has stopped, so newcomers wait, and workers have been busy for [`SHED_AFTER_MS`]. Moments don't end a shortage, neither
//! those in which a worker rests nor those in which the child accepts. A saturated child has them all the time: workers end
//! their requests together, are idle while it begins to accept again, and then all have work.
//!
//! The child looks now and then, and nothing is concluded about the time between two looks that they can't tell:
//!
//! | between two looks | is known if |
//! | --- | --- |
//! | a worker rested all the time | both found one idle, and the count of busy spells has not changed |
//! | all were busy all the time | neither found one idle, and the count has not changed |
//! | the child accepted all the time | the first found it so: who changes that, looks at that moment |
//!
//! Of anything else it is known only that it was no longer than that. While the child does not accept for want of workers, one that
//! idles makes it look, so what lies between two looks was a moment of rest. While it accepts, nobody tells: if the looks are far
//! apart, workers may have rested for long, and the shortage is taken to be over.

/// How long a shortage lasts before idle keep-alive connections are closed, in milliseconds. A burst shorter than that costs
/// nobody a connection.
const SHED_AFTER_MS: u64 = 1000;

/// How long a connection has been idle that may be closed then, in milliseconds: others are those of active clients.
pub const SHED_IDLE_MS: u64 = SHED_AFTER_MS;

/// Workers that rest for less than this have been busy all the time.
const CALM_MS: u64 = 100;

/// What one look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When, in milliseconds.
    pub now_ms: u64,
    /// Whether the child accepts from now on.
    pub accepting: bool,
    /// Workers without work.
    pub idle_workers: u32,
    /// How often the number of idle workers had fallen to zero before.
    pub busy_spells: u64,
}

impl Look {
    /// Newcomers wait, and all workers are busy.
    fn finds_shortage(&self) -> bool {
        !self.accepting && self.idle_workers == 0
    }
}

/// Follows whether a child is saturated.
#[derive(Debug, Default)]
pub struct Saturation {
    last: Option<Look>,
    /// When a shortage was found which, but for moments, has lasted since; or when connections were closed for it last.
    short_since_ms: Option<u64>,
    /// When a worker was found idle, if one has been ever since.
    rest_since_ms: Option<u64>,
    /// When the child began to accept, if it does.
    accepting_since_ms: Option<u64>,
}

impl Saturation {
    /// Takes note of what the child finds: when it stops or begins to accept, before it sleeps and before it hands out work
    /// afterwards; while it does not accept, also at [`Saturation::next_look_ms`].
    pub fn look(&mut self, look: Look) {
        if let Some(last) = self.last {
            if last.busy_spells != look.busy_spells {
                self.rest_since_ms = None;
            }
            if self.is_over(&last, &look) {
                self.short_since_ms = None;
            }
        }
        let now_ms = look.now_ms;
        let note = |since: Option<u64>, holds: bool| holds.then(|| since.unwrap_or(now_ms));
        self.rest_since_ms = note(self.rest_since_ms, look.idle_workers > 0);
        self.accepting_since_ms = note(self.accepting_since_ms, look.accepting);
        if look.finds_shortage() {
            self.short_since_ms.get_or_insert(now_ms);
        }
        self.last = Some(look);
    }

    /// Nobody waits to be accepted, so there is no shortage, however busy workers are.
    pub fn nobody_waits(&mut self) {
        self.short_since_ms = None;
    }

    /// Whether what has been since the last look, or lasted until this one, ends a shortage.
    fn is_over(&self, last: &Look, look: &Look) -> bool {
        let lasted = |since: Option<u64>, ms: u64| {
            since.is_some_and(|since| look.now_ms.saturating_sub(since) >= ms)
        };
        let may_have_rested =
            last.accepting && (look.idle_workers > 0 || last.busy_spells != look.busy_spells);
        lasted(self.rest_since_ms, CALM_MS)
            || lasted(self.accepting_since_ms, SHED_AFTER_MS)
            || may_have_rested && lasted(Some(last.now_ms), CALM_MS)
    }

    /// Whether the last look says that idle keep-alive connections have to be closed. Then not again for [`SHED_AFTER_MS`], so that
    /// it shows whether that was enough.
    #[must_use]
    pub fn sheds(&mut self) -> bool {
        let (Some(last), Some(since_ms)) = (self.last, self.short_since_ms) else {
            return false;
        };
        if !last.finds_shortage() || last.now_ms.saturating_sub(since_ms) < SHED_AFTER_MS {
            return false;
        }
        self.short_since_ms = Some(last.now_ms);
        true
    }

    /// When a child that does not accept has to look again. `None`: when a worker idles or gets work.
    #[must_use]
    pub fn next_look_ms(&self) -> Option<u64> {
        let since_ms = self.short_since_ms?;
        let short = self.last.is_some_and(|last| last.finds_shortage());
        short.then_some(since_ms + SHED_AFTER_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One look: (time, idle workers, busy spells, accepting).
    type Row = (u64, u32, u64, bool);

    fn take(saturation: &mut Saturation, (now_ms, idle_workers, busy_spells, accepting): Row) {
        saturation.look(Look {
            now_ms,
            accepting,
            idle_workers,
            busy_spells,
        });
    }

    /// When idle connections are closed, in that course of things.
    fn shed_at(rows: &[Row]) -> Vec<u64> {
        let mut saturation = Saturation::default();
        let mut at = Vec::new();
        for &row in rows {
            take(&mut saturation, row);
            if saturation.sheds() {
                at.push(row.0);
            }
        }
        at
    }

    #[test]
    fn a_lasting_shortage() {
        let rows = [
            (0, 4, 0, true),
            (5000, 0, 1, false),
            (5999, 0, 1, false),
            (6000, 0, 1, false),
            (6001, 0, 1, false),
            (6999, 0, 1, false),
            (7000, 0, 1, false),
        ];
        assert_eq!(shed_at(&rows), [6000, 7000]);
    }

    #[test]
    fn nobody_gives_way_while_the_child_accepts_or_a_worker_is_idle() {
        let cases: [&[Row]; 4] = [
            &[(0, 0, 0, true), (9000, 0, 0, true)],
            &[(0, 0, 1, false), (1000, 1, 1, false)],
            &[(0, 0, 1, false), (1000, 0, 1, true)],
            &[(0, 4, 0, false), (9000, 4, 0, false)],
        ];
        for rows in cases {
            assert_eq!(shed_at(rows), [], "{rows:?}");
        }
    }

    #[test]
    fn moments_of_relief_do_not_end_it() {
        // Requests of 200 ms: workers end them together, and newcomers take their places.
        let mut rows = vec![(0, 4, 0, true)];
        for round in 1..11 {
            let now = round * 200;
            rows.push((now, 0, round, false));
            rows.push((now + 180, 1, round, false));
            rows.push((now + 181, 2, round, true));
        }
        assert_eq!(shed_at(&rows), [1200]);
    }

    #[test]
    fn two_looks_at_idle_workers_do_not_make_a_calm() {
        // The same, only that a worker was idle at each look: all of them were busy in between.
        let mut rows = vec![(0, 0, 1, false)];
        rows.extend((1..10).map(|round| (round * 200, 1, round, false)));
        rows.push((2000, 0, 10, false));
        assert_eq!(shed_at(&rows), [2000]);
    }

    #[test]
    fn a_worker_s_rest_ends_it() {
        // Busy from 0 to 900, then rest until `end`, then busy again from there.
        for (end, first) in [(999, 1000), (1000, 2000)] {
            let idle = vec![(900, 1, 1, false), (end, 1, 1, false)];
            let accepting = vec![(900, 2, 1, true), (end, 4, 1, true)];
            let both = vec![(900, 1, 1, false), (950, 2, 1, true), (end, 2, 1, true)];
            let untold = vec![(899, 0, 1, true), (900, 0, 1, true), (end, 0, 7, false)];
            for rest in [idle, accepting, both, untold] {
                let mut rows = vec![(0, 0, 1, false)];
                rows.extend(rest);
                rows.extend([end, 1000, 1999, 2000].map(|now| (now.max(end), 0, 8, false)));
                assert_eq!(shed_at(&rows)[0], first, "{rows:?}");
            }
        }
    }

    #[test]
    fn workers_that_stay_busy_while_the_child_accepts() {
        // Clients are slow to come again: workers have work at once, and the next newcomer waits only later.
        let course = |later: u64| {
            [
                (0, 0, 1, false),
                (500, 2, 1, true),
                (501, 0, 2, true),
                (501 + later / 2, 0, 2, true),
                (500 + later, 0, 2, true),
                (500 + later, 0, 2, false),
            ]
        };
        assert_eq!(shed_at(&course(400)), []);
        assert_eq!(shed_at(&course(500)), [1000]);
        assert_eq!(shed_at(&course(999)), [1499]);
        assert_eq!(shed_at(&course(1000)), [], "nobody has waited for a second");
    }

    #[test]
    fn rest_after_a_busy_spell_begins_anew() {
        let rows = [
            (0, 0, 1, false),
            (900, 1, 1, false),
            (960, 1, 2, false), // busy in between
            (1020, 1, 2, false),
            (1059, 1, 2, false),
            (1060, 0, 3, false),
        ];
        assert_eq!(shed_at(&rows), [1060]);
        let mut calm = rows;
        calm[4].0 = 1060;
        assert_eq!(shed_at(&calm), []);
    }

    #[test]
    fn an_old_busy_time_does_not_count() {
        let rows = [
            (0, 0, 1, false),
            (900, 2, 1, true),
            // Much later: full, with all workers idle; then busy.
            (60_000, 4, 90, false),
            (61_000, 4, 90, false),
            (61_500, 4, 90, false),
            (61_501, 0, 91, false),
            (62_500, 0, 91, false),
            (62_501, 0, 91, false),
        ];
        assert_eq!(shed_at(&rows), [62_501]);
    }

    #[test]
    fn looks_again_when_something_may_be_due() {
        let steps = [
            // (look, when to look again)
            ((0, 4, 0, true), None),
            ((500, 0, 1, false), Some(1500)),
            ((1400, 0, 1, false), Some(1500)),
            ((1500, 0, 1, false), Some(2500)), // closed some
            ((1700, 1, 1, false), None),
            ((1710, 0, 2, false), Some(2500)),
            ((1800, 1, 2, false), None),
            ((1900, 0, 3, false), Some(2500)),
        ];
        let mut saturation = Saturation::default();
        for (row, next) in steps {
            take(&mut saturation, row);
            let _ = saturation.sheds();
            assert_eq!(saturation.next_look_ms(), next, "after {row:?}");
        }
    }

    fn row() -> impl Strategy<Value = (u64, u32, u64, bool)> {
        (0..400u64, 0..3u32, 0..3u64, any::<bool>())
    }

    #[test]
    fn without_anybody_who_waits_there_is_no_shortage() {
        let mut saturation = Saturation::default();
        take(&mut saturation, (0, 0, 0, false));
        take(&mut saturation, (900, 0, 0, false));
        saturation.nobody_waits();
        take(&mut saturation, (1000, 0, 0, false));
        assert!(!saturation.sheds());
        take(&mut saturation, (2000, 0, 0, false));
        assert!(saturation.sheds());
    }

    proptest! {
        #[test]
        fn nothing_is_closed_within_a_second_of_the_last_time_or_of_a_calm(
            steps in proptest::collection::vec(row(), 0..200)
        ) {
            let mut saturation = Saturation::default();
            let (mut now, mut spells) = (0, 0);
            let (mut last, mut from) = (None::<Row>, 0);
            for (passed, idle, more_spells, accepting) in steps {
                now += passed;
                // Idle workers that are gone have gone in a spell.
                let fell = last.is_some_and(|(_, before, ..)| before > 0 && idle == 0);
                spells += more_spells.max(u64::from(fell));
                if let Some((_, before, spells_before, accepted)) = last {
                    if passed >= CALM_MS && if spells_before == spells { before > 0 || accepted && idle > 0 } else { accepted } {
                        from = now;
                    }
                }
                let row = (now, idle, spells, accepting);
                take(&mut saturation, row);
                last = Some(row);
                let busy = !accepting && idle == 0;
                if saturation.sheds() {
                    prop_assert!(busy && now - from >= SHED_AFTER_MS);
                    from = now;
                }
                if let Some(next) = saturation.next_look_ms() {
                    prop_assert!(busy && next > now && next <= now + SHED_AFTER_MS);
                }
            }
        }
    }
}
