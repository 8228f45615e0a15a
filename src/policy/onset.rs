//! When to log a lasting condition: once when it begins, but not again and again when it flaps.
//!
//! For AH00484 and its like. A message each second fills the disk; a single one in a server's life, years ago, helps nobody.

/// Remembers whether a condition holds, and when its beginning was last logged.
///
/// All zero means "never seen". [`Onset::to_words`] is how it is kept where plain words survive the unloading of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Onset {
    /// When it was last logged, in milliseconds of the caller's clock; meaningful if `logged`.
    last_logged_ms: u64,
    /// The condition held when last looked at.
    active: bool,
    /// It was logged once.
    logged: bool,
}

impl Onset {
    /// How many words it takes.
    pub const WORDS: usize = 4;

    /// The same as words; their layout is fixed.
    #[must_use]
    pub fn to_words(self) -> [u32; Onset::WORDS] {
        let (high, low) = (self.last_logged_ms >> 32, self.last_logged_ms);
        [
            high as u32,
            low as u32,
            self.active.into(),
            self.logged.into(),
        ]
    }

    /// What [`Onset::to_words`] has made; any words are valid.
    #[must_use]
    pub fn from_words([high, low, active, logged]: [u32; Onset::WORDS]) -> Onset {
        Onset {
            last_logged_ms: u64::from(high) << 32 | u64::from(low),
            active: active != 0,
            logged: logged != 0,
        }
    }

    /// Takes note whether the condition holds at `now_ms` (monotonic, milliseconds). Returns true if that is to be logged:
    /// the condition has just begun, and the last log is at least `min_gap_ms` ago.
    ///
    /// A beginning within the gap stays unlogged for good, even if the condition then lasts: the log has it from shortly
    /// before.
    #[must_use]
    pub fn observe(&mut self, active: bool, now_ms: u64, min_gap_ms: u64) -> bool {
        let begins = active && !self.active;
        self.active = active;
        if !begins || self.throttled(now_ms, min_gap_ms) {
            return false;
        }
        self.last_logged_ms = now_ms;
        self.logged = true;
        true
    }

    /// A clock behind the last log can't be the one that it was taken from: then there is nothing to measure, and no
    /// reason to keep silent.
    fn throttled(&self, now_ms: u64, min_gap_ms: u64) -> bool {
        let since = now_ms.checked_sub(self.last_logged_ms);
        self.logged && since.is_some_and(|since| since < min_gap_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn once_for_each_beginning() {
        let mut onset = Onset::default();
        let steps = [
            // (active, now, log)
            (false, 0, false),
            (true, 0, true), // even at time 0, with a gap
            (true, 1000, false),
            (true, 99_000, false),
            (false, 100_000, false),
            (true, 101_000, true),
            (false, 102_000, false),
            (true, 103_000, false), // within the gap
            (true, 900_000, false), // and still the same beginning
            (false, 901_000, false),
            (true, 902_000, true),
        ];
        for (active, now, expected) in steps {
            assert_eq!(onset.observe(active, now, 60_000), expected, "at {now}");
        }
    }

    #[test]
    fn the_gap_ends_on_time() {
        for (gap, expected) in [(999, true), (1000, true), (1001, false), (0, true)] {
            let mut onset = Onset::default();
            assert!(onset.observe(true, 5000, gap));
            assert!(!onset.observe(false, 5500, gap));
            assert_eq!(onset.observe(true, 6000, gap), expected, "gap {gap}");
        }
    }

    #[test]
    fn another_clock_does_not_silence_it() {
        let mut onset = Onset::default();
        assert!(onset.observe(true, u64::MAX, 60_000));
        assert!(!onset.observe(false, 0, 60_000));
        assert!(onset.observe(true, 1, 60_000));
    }

    #[test]
    fn words_keep_it() {
        for (last_logged_ms, active, logged) in [
            (0, false, false),
            (u64::MAX - 1, true, true),
            (1 << 32, false, true),
        ] {
            let onset = Onset {
                last_logged_ms,
                active,
                logged,
            };
            assert_eq!(Onset::from_words(onset.to_words()), onset);
        }
        assert_eq!(Onset::from_words([0; Onset::WORDS]), Onset::default());
    }

    proptest! {
        #[test]
        fn never_twice_within_the_gap(steps in proptest::collection::vec((any::<bool>(), 0..5000u64), 0..200), gap in 0..20_000u64) {
            let mut onset = Onset::default();
            let (mut now, mut last, mut before) = (0, None::<u64>, false);
            for (active, passed) in steps {
                now += passed;
                if onset.observe(active, now, gap) {
                    prop_assert!(active && !before);
                    prop_assert!(last.is_none_or(|last| now - last >= gap));
                    last = Some(now);
                } else if active && !before {
                    prop_assert!(last.is_some_and(|last| now - last < gap));
                }
                before = active;
            }
        }
    }
}
