//! What the parent does when a child has ended.

/// From this many children killed in a row on, replacements wait for the next second.
const KILLS_BEFORE_WAITING: u32 = 3;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Death {
    /// It exited with `APEXIT_CHILDFATAL`: the server can't go on.
    pub fatal: bool,
    /// It exited with `APEXIT_CHILDSICK`: it lacked a resource.
    pub sick: bool,
    /// A signal killed it.
    pub signalled: bool,
    /// Its slot of the scoreboard; `None` for a process that is none of ours.
    pub slot: Option<usize>,
    /// It had the configuration of the last restart. Matters only with a slot.
    pub current_generation: bool,
}

/// What the parent remembers from one event to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Recent {
    /// Children killed by a signal since the last quiet second.
    pub successive_kills: u32,
    /// Children still to be started without waiting for spare-thread upkeep: of StartServers after a graceful restart, where
    /// each takes the slot of an old one that ends.
    pub remaining_to_start: i32,
}

/// What to do about a death. The steps are taken in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[must_use]
pub struct Outcome {
    /// End the server; nothing else matters then.
    pub shut_down: bool,
    /// Log AH00487: a child of an older generation failed fatally, which a restart can cause by itself.
    pub ignored_fatal: bool,
    /// Remember that a child was sick, for [`health`].
    pub sick_detected: bool,
    /// Set the spawn rate of the child's bucket to 1: more children would lack the same resource.
    pub minimal_spawn_rate: bool,
    /// Start a new child in the dead one's slot.
    pub replace_in_slot: bool,
    /// Log AH10392.
    pub warn_successive: bool,
    /// Start this many children now, in free slots. The caller caps it, see
    /// [`Limits::may_start`](super::limits::Limits::may_start).
    pub start_now: i32,
    /// To be kept for the next event.
    pub recent: Recent,
}

/// Decides about the end of a process.
///
/// A child that a signal killed is missed at once, so the first two are replaced at once; more in a row look like a fault that
/// kills every child, and would make the parent fork without pause, so from the third on the upkeep of the next quiet second
/// replaces them. Children that exit by themselves are left to that upkeep as well.
pub fn child_died(death: &Death, recent: Recent) -> Outcome {
    if death.fatal && (death.slot.is_none() || death.current_generation) {
        return Outcome {
            shut_down: true,
            recent,
            ..Outcome::default()
        };
    }
    let mut outcome = Outcome {
        ignored_fatal: death.fatal,
        sick_detected: death.fatal || death.sick,
        recent: Recent {
            remaining_to_start: recent.remaining_to_start.max(0),
            ..recent
        },
        ..Outcome::default()
    };
    if death.slot.is_none() {
        return outcome;
    }
    if death.sick {
        outcome.minimal_spawn_rate = true;
    } else if outcome.recent.remaining_to_start > 0 && !death.current_generation {
        // One of the new generation would be started again and again, if it ends as it starts.
        outcome.replace_in_slot = true;
        outcome.recent.remaining_to_start -= 1;
    }
    if death.signalled {
        count_kill(&mut outcome);
    }
    outcome
}

fn count_kill(outcome: &mut Outcome) {
    let recent = &mut outcome.recent;
    recent.successive_kills = recent.successive_kills.saturating_add(1);
    if recent.successive_kills < KILLS_BEFORE_WAITING {
        outcome.start_now = recent.remaining_to_start.saturating_add(1);
        recent.remaining_to_start = 0;
    } else {
        outcome.warn_successive = recent.successive_kills % 10 == KILLS_BEFORE_WAITING;
    }
}

/// What to do when a second has passed without a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Tick {
    /// Start this many children now, in free slots; capped by the caller as with [`Outcome::start_now`].
    pub start_now: i32,
    /// Do the spare-thread upkeep of each bucket. Not in a second that started children: they are not idle yet, and would be
    /// started twice.
    pub maintain: bool,
    /// To be kept for the next event.
    pub recent: Recent,
}

/// A second has passed without a death: kills before it are forgotten, and children still due are started, since no old one
/// is left to make room for them.
pub fn tick(recent: Recent) -> Tick {
    let start_now = recent.remaining_to_start.max(0);
    Tick {
        start_now,
        maintain: start_now == 0,
        recent: Recent::default(),
    }
}

/// Whether children can live at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Health {
    /// No child was sick: go on.
    Fine,
    /// Some were, but another came up completely: forget it and go on.
    Recovered,
    /// No child ever came up: log AH02324 and end the server.
    Hopeless,
    /// None so far, but not all buckets have been looked at: skip the upkeep of this one.
    Undecided,
}

/// Judges the children while the buckets are looked at one by one.
///
/// `had_healthy_child` says whether any child had all its ThreadsPerChild threads up since the configuration was read.
pub fn health(sick_detected: bool, had_healthy_child: bool, last_bucket: bool) -> Health {
    match (sick_detected, had_healthy_child, last_bucket) {
        (false, _, _) => Health::Fine,
        (true, true, _) => Health::Recovered,
        (true, false, true) => Health::Hopeless,
        (true, false, false) => Health::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: Death = Death {
        fatal: false,
        sick: false,
        signalled: false,
        slot: Some(2),
        current_generation: true,
    };

    fn recent(successive_kills: u32, remaining_to_start: i32) -> Recent {
        Recent {
            successive_kills,
            remaining_to_start,
        }
    }

    #[test]
    fn a_normal_exit_waits_for_the_upkeep() {
        let expected = Outcome {
            recent: recent(1, 0),
            ..Outcome::default()
        };
        assert_eq!(child_died(&OURS, recent(1, 0)), expected);
    }

    #[test]
    fn a_stranger_changes_nothing() {
        let stranger = Death {
            slot: None,
            signalled: true,
            ..OURS
        };
        let expected = Outcome {
            recent: recent(1, 3),
            ..Outcome::default()
        };
        assert_eq!(child_died(&stranger, recent(1, 3)), expected);
    }

    #[test]
    fn fatal_errors() {
        let fatal = Death {
            fatal: true,
            ..OURS
        };
        assert!(child_died(&fatal, recent(0, 0)).shut_down);
        let unknown = Death {
            slot: None,
            current_generation: false,
            ..fatal
        };
        assert!(child_died(&unknown, recent(0, 0)).shut_down);
        let old = Death {
            current_generation: false,
            ..fatal
        };
        let expected = Outcome {
            ignored_fatal: true,
            sick_detected: true,
            replace_in_slot: true,
            recent: recent(0, 1),
            ..Outcome::default()
        };
        assert_eq!(child_died(&old, recent(0, 2)), expected);
    }

    #[test]
    fn a_sick_child_slows_its_bucket_down() {
        let sick = Death { sick: true, ..OURS };
        let expected = Outcome {
            sick_detected: true,
            minimal_spawn_rate: true,
            recent: recent(0, 2),
            ..Outcome::default()
        };
        assert_eq!(child_died(&sick, recent(0, 2)), expected);
        let stranger = child_died(&Death { slot: None, ..sick }, recent(0, 0));
        assert!(stranger.sick_detected && !stranger.minimal_spawn_rate);
    }

    #[test]
    fn old_children_are_followed_one_for_one() {
        let mut now = recent(0, 2);
        let mut replaced = Vec::new();
        let former = Death {
            current_generation: false,
            ..OURS
        };
        for _ in 0..4 {
            let outcome = child_died(&former, now);
            replaced.push(outcome.replace_in_slot);
            now = outcome.recent;
        }
        assert_eq!(replaced, [true, true, false, false]);
    }

    #[test]
    fn the_first_two_killed_children_are_replaced_at_once() {
        let killed = Death {
            signalled: true,
            ..OURS
        };
        let mut now = recent(0, 0);
        let (mut started, mut warned) = (Vec::new(), Vec::new());
        for kill in 1..=25 {
            let outcome = child_died(&killed, now);
            if outcome.start_now > 0 {
                started.push((kill, outcome.start_now));
            }
            if outcome.warn_successive {
                warned.push(kill);
            }
            now = outcome.recent;
        }
        assert_eq!(started, [(1, 1), (2, 1)]);
        assert_eq!(warned, [3, 13, 23]);
        assert_eq!(
            tick(now),
            Tick {
                start_now: 0,
                maintain: true,
                recent: recent(0, 0)
            }
        );
    }

    #[test]
    fn a_kill_while_children_are_due_starts_those_too() {
        let outcome = child_died(
            &Death {
                signalled: true,
                ..OURS
            },
            recent(0, 3),
        );
        assert!(!outcome.replace_in_slot, "it is among the four");
        assert_eq!((outcome.start_now, outcome.recent), (4, recent(1, 0)));
        assert!(!child_died(&OURS, recent(0, 3)).replace_in_slot);
    }

    #[test]
    fn a_second_that_starts_children_does_no_upkeep() {
        assert_eq!(
            tick(recent(7, 3)),
            Tick {
                start_now: 3,
                maintain: false,
                recent: recent(0, 0)
            }
        );
        assert_eq!(
            tick(recent(0, -3)),
            Tick {
                start_now: 0,
                maintain: true,
                recent: recent(0, 0)
            }
        );
    }

    #[test]
    fn health_of_the_children() {
        let cases = [
            (false, false, false, Health::Fine),
            (false, true, true, Health::Fine),
            (true, true, false, Health::Recovered),
            (true, true, true, Health::Recovered),
            (true, false, false, Health::Undecided),
            (true, false, true, Health::Hopeless),
        ];
        for (sick, healthy, last, expected) in cases {
            assert_eq!(health(sick, healthy, last), expected);
        }
    }

    proptest! {
        #[test]
        fn no_child_is_started_out_of_nothing(
            fatal: bool, sick: bool, signalled: bool, slot: Option<usize>, current_generation: bool,
            kills: u32, due: i32,
        ) {
            let death = Death { fatal, sick, signalled, slot, current_generation };
            let outcome = child_died(&death, recent(kills, due));
            if !outcome.shut_down {
                let started = i64::from(outcome.start_now) + i64::from(outcome.replace_in_slot);
                prop_assert!(outcome.recent.remaining_to_start >= 0);
                prop_assert!(started + i64::from(outcome.recent.remaining_to_start) <= i64::from(due.max(0)) + 1);
                prop_assert!(slot.is_some() || started == 0);
            }
        }
    }
}
