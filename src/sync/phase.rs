//! The part of its life that a child is in.
//!
//! ```text
//!              advance(Finishing)              advance(Ending)
//!   Running ----------------------> Finishing ------------------> Ending
//!      |                                                            ^
//!      +------------------------------------------------------------+
//!                            advance(Ending)
//! ```
//!
//! A phase never goes back. Several threads may ask for the same transition at the same moment (the thread that reads the
//! pod, a worker that serves the last connection of `MaxConnectionsPerChild`, the one that catches a fatal error): exactly
//! one of them is told that it made it, and does once what has to be done once.

use super::primitive::{AtomicU8, Ordering};

/// A part of a child's life. The order is that of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// Accepts and serves.
    Running = 0,
    /// Graceful end: accepts no more, serves what is there.
    Finishing = 1,
    /// Ungraceful end: everything ends now.
    Ending = 2,
}

impl Stage {
    /// The stage that was stored as `byte`; only stages are ever stored.
    const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Running,
            1 => Self::Finishing,
            _ => Self::Ending,
        }
    }
}

/// The stage a child is in, which only ever advances.
#[derive(Debug)]
pub struct Phase {
    stage: AtomicU8,
}

impl Phase {
    /// A child that runs.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stage: AtomicU8::new(Stage::Running as u8),
        }
    }

    /// The present stage. Whoever sees a stage also sees what the thread that brought it about wrote before it did.
    #[must_use]
    pub fn get(&self) -> Stage {
        // Acquire: pairs with the release in `advance`.
        Stage::of(self.stage.load(Ordering::Acquire))
    }

    /// Goes on to `to`. True for the one caller that made the transition; false if the child is there already, or
    /// further. `Running -> Ending` is one transition: nobody is then told that it made `Finishing`.
    ///
    /// This wakes nobody. A caller that gets true tells those who sleep: [`super::handoff::Handoff::interrupt_all`]
    /// or `close`, and the wake-up of the pollset.
    #[must_use = "exactly one caller has to act on the transition"]
    pub fn advance(&self, to: Stage) -> bool {
        // One atomic maximum: of all callers with the same `to`, only the first in the modification order finds a
        // smaller value. Release publishes what led to the transition; acquire lets a loser see the winner's.
        let before = self.stage.fetch_max(to as u8, Ordering::AcqRel);
        before < to as u8
    }
}

impl Default for Phase {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Phase, Stage};

    #[test]
    fn every_transition() {
        use Stage::{Ending, Finishing, Running};
        // (path so far, request, made it, stage afterwards)
        let table: [(&[Stage], Stage, bool, Stage); 9] = [
            (&[], Running, false, Running),
            (&[], Finishing, true, Finishing),
            (&[], Ending, true, Ending),
            (&[Finishing], Running, false, Finishing),
            (&[Finishing], Finishing, false, Finishing),
            (&[Finishing], Ending, true, Ending),
            (&[Ending], Running, false, Ending),
            (&[Ending], Finishing, false, Ending),
            (&[Finishing, Ending], Ending, false, Ending),
        ];
        for (path, to, made, after) in table {
            let phase = Phase::default();
            for &step in path {
                assert!(phase.advance(step), "{path:?}");
            }
            assert_eq!(phase.advance(to), made, "{path:?} -> {to:?}");
            assert_eq!(phase.get(), after, "{path:?} -> {to:?}");
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::{Phase, Stage};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// Both transitions are asked for twice, by three threads: each is made by at most one, `Ending` by exactly one, and no
    /// reader sees a phase go back.
    #[test]
    fn exactly_one_winner() {
        loom::model(|| {
            let phase = Arc::new(Phase::new());
            let ask = |path: &'static [Stage]| {
                let phase = Arc::clone(&phase);
                thread::spawn(move || {
                    let made: Vec<bool> = path.iter().map(|&to| phase.advance(to)).collect();
                    assert!(Some(&phase.get()) >= path.last());
                    made
                })
            };
            let both = ask(&[Stage::Finishing, Stage::Ending]);
            let one = ask(&[Stage::Finishing]);
            let first = phase.get();
            let ended = phase.advance(Stage::Ending);
            assert!(phase.get() >= first);

            let both = both.join().expect("thread");
            let one = one.join().expect("thread");
            assert!(!(both[0] && one[0]), "two made it Finishing");
            assert!(both[1] != ended, "Ending needs exactly one winner");
            assert_eq!(phase.get(), Stage::Ending);
        });
    }

    /// Without a jump, `Finishing` has exactly one winner too.
    #[test]
    fn finishing_has_exactly_one_winner() {
        loom::model(|| {
            let phase = Arc::new(Phase::new());
            let other = {
                let phase = Arc::clone(&phase);
                thread::spawn(move || phase.advance(Stage::Finishing))
            };
            let mine = phase.advance(Stage::Finishing);
            assert!(mine != other.join().expect("thread"));
        });
    }

    /// What was written before the transition is visible to whoever sees it (loom's cell reports the race otherwise).
    #[test]
    fn a_transition_publishes() {
        loom::model(|| {
            let phase = Arc::new(Phase::new());
            let reason = Arc::new(UnsafeCell::new(0));
            let reader = {
                let (phase, reason) = (Arc::clone(&phase), Arc::clone(&reason));
                thread::spawn(move || {
                    if phase.get() == Stage::Finishing {
                        // Checked by loom: reading through a raw pointer without dereferencing is enough to detect it.
                        reason.with(|_| ());
                    }
                })
            };
            reason.with_mut(|_| ());
            assert!(phase.advance(Stage::Finishing));
            reader.join().expect("thread");
        });
    }
}
