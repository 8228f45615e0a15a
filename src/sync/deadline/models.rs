//! The deadline protocol under loom. The pipe is a sticky flag, the clock moves only when the model moves it, and so a
//! sleeper that misses a deadline never wakes up: a deadlock, which loom reports.

use super::super::timers::Timers;
use super::Sleep;
use loom::model::Builder;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// What polling waits for.
struct World {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    pipe: bool,
    now: u64,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                pipe: false,
                now: 0,
            }),
            changed: Condvar::new(),
        })
    }

    fn write_to_pipe(&self) {
        self.state.lock().expect("world").pipe = true;
        self.changed.notify_one();
    }

    fn drain(&self) {
        self.state.lock().expect("world").pipe = false;
    }

    fn advance_clock(&self, now: u64) {
        self.state.lock().expect("world").now = now;
        self.changed.notify_one();
    }

    /// Sleeps until the time has come or the pipe is readable. Returns the time.
    fn poll(&self, until: Option<u64>) -> u64 {
        let mut state = self.state.lock().expect("world");
        while !state.pipe && until.is_none_or(|until| state.now < until) {
            state = self.changed.wait(state).expect("world");
        }
        state.now
    }
}

/// Where the deadlines are, and who sleeps on them.
struct Setting {
    sleep: Sleep,
    timers: Timers<u64>,
    world: Arc<World>,
}

impl Setting {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            sleep: Sleep::new(),
            timers: Timers::new(),
            world: World::new(),
        })
    }

    /// The registrant's side, in the order that `deadline.rs` prescribes. Returns whether it wrote to the pipe.
    fn register(&self, deadline: u64) -> bool {
        let _ = self.timers.insert(deadline, deadline);
        let wake = self.sleep.must_wake(deadline);
        if wake {
            self.world.write_to_pipe();
        }
        wake
    }

    /// The sleeper's side; ends when it has seen all of `expected`, in that order.
    fn sleeper(&self, expected: &[u64]) {
        let mut fired = Vec::new();
        while fired.len() < expected.len() {
            let until = self.timers.next_deadline();
            self.sleep.announce(until);
            if self.timers.next_deadline() != until {
                self.sleep.awake();
                continue;
            }
            let now = self.world.poll(until);
            self.sleep.awake();
            self.world.drain();
            fired.extend(self.timers.pop_due(now, usize::MAX));
        }
        assert_eq!(fired, expected);
    }
}

fn spawn_sleeper(setting: &Arc<Setting>, expected: &'static [u64]) -> thread::JoinHandle<()> {
    let setting = Arc::clone(setting);
    thread::spawn(move || setting.sleeper(expected))
}

fn spawn_register(setting: &Arc<Setting>, deadline: u64) -> thread::JoinHandle<bool> {
    let setting = Arc::clone(setting);
    thread::spawn(move || setting.register(deadline))
}

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// A sleeper without a deadline, or with a later one, hears of an earlier one wherever the registration falls.
#[test]
fn registrant_against_sleeper() {
    for later in [None, Some(7)] {
        bounded(6, move || {
            let setting = Setting::new();
            if let Some(later) = later {
                let _ = setting.timers.insert(later, later);
            }
            let sleeper = spawn_sleeper(&setting, &[5]);
            setting.register(5);
            setting.world.advance_clock(5);
            sleeper.join().expect("sleeper");
        });
    }
}

/// Two registrants in a burst: the one that leaves the wake-up to the other may rely on it, in either order.
#[test]
fn two_registrants_against_sleeper() {
    bounded(5, || {
        let setting = Setting::new();
        let sleeper = spawn_sleeper(&setting, &[4, 5]);
        let other = spawn_register(&setting, 4);
        setting.register(5);
        other.join().expect("registrant");
        // Not earlier: what fires at 4 must have been heard of at 4.
        setting.world.advance_clock(4);
        setting.world.advance_clock(5);
        sleeper.join().expect("sleeper");
    });
}

/// A burst against one that sleeps is one wake-up, and a deadline after the end of the sleep is none.
#[test]
fn a_burst_is_one_wake_up() {
    loom::model(|| {
        let setting = Setting::new();
        setting.sleep.announce(Some(7));
        let early = [5, 4].map(|deadline| spawn_register(&setting, deadline));
        assert!(!setting.register(7));
        let wakes: usize = early
            .map(|t| usize::from(t.join().expect("registrant")))
            .into_iter()
            .sum();
        assert_eq!(wakes, 1);
    });
}

/// With the books in an atomic instead of behind a mutex, nothing but the fences keeps the two sides from missing each
/// other.
#[test]
fn registrant_against_sleeper_without_a_lock() {
    loom::model(|| {
        let sleep = Arc::new(Sleep::new());
        let earliest = Arc::new(AtomicU64::new(7));
        let registrant = {
            let (sleep, earliest) = (Arc::clone(&sleep), Arc::clone(&earliest));
            thread::spawn(move || {
                earliest.store(5, Ordering::Relaxed);
                sleep.must_wake(5)
            })
        };
        sleep.announce(Some(7));
        let seen = earliest.load(Ordering::Relaxed) == 5;
        let woken = registrant.join().expect("registrant");
        assert!(seen || woken, "neither saw the other");
    });
}
