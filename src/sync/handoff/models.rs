//! The hand-off under loom: all interleavings, up to a bound on preemptions where there are more than two threads. A lost
//! wake-up shows as a deadlock. Each model has been seen to fail; `README.md` lists the mutations.

use super::{Handoff, Next};
use loom::model::Builder;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Runs `model` with at most `preemptions` switches away from a thread that could go on.
fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// A number that threads add to and wait for.
struct Tally {
    sum: Mutex<usize>,
    changed: Condvar,
}

impl Tally {
    fn new() -> Self {
        Self {
            sum: Mutex::new(0),
            changed: Condvar::new(),
        }
    }

    fn add(&self, n: usize) {
        *self.sum.lock().expect("tally") += n;
        self.changed.notify_one();
    }

    fn get(&self) -> usize {
        *self.sum.lock().expect("tally")
    }

    /// Blocks until the sum is more than `n` and returns it. One thread at a time.
    fn wait_beyond(&self, n: usize) -> usize {
        let mut sum = self.sum.lock().expect("tally");
        while *sum <= n {
            sum = self.changed.wait(sum).expect("tally");
        }
        *sum
    }
}

type Shared = Arc<Handoff<usize>>;

fn handoff(workers: usize) -> Shared {
    Arc::new(Handoff::new(workers))
}

/// A thread that works on a hand-off.
fn worker<R: 'static>(
    handoff: &Shared,
    work: impl FnOnce(&Handoff<usize>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let handoff = Arc::clone(handoff);
    thread::spawn(move || work(&handoff))
}

/// Serves until closed; returns the sum of what was served (items are powers of two) and how many there were.
fn serve(handoff: &Handoff<usize>, worker: usize) -> (usize, usize) {
    let (mut sum, mut count) = (0, 0);
    loop {
        match handoff.next(worker) {
            Next::Item(item) => {
                sum += item;
                count += 1;
            }
            Next::Interrupted => {}
            Next::Closed => return (sum, count),
        }
    }
}

#[test]
fn submit_against_going_idle() {
    loom::model(|| {
        let h = handoff(1);
        let w = worker(&h, |h| h.next(0));
        assert_eq!(h.submit(1), Ok(()));
        assert_eq!(w.join().expect("worker"), Next::Item(1));
        assert_eq!((h.idle(), h.queued()), (0, 0));
    });
}

/// A worker that is awake when the first item comes and idles when the second does.
#[test]
fn submit_twice_against_going_idle_twice() {
    loom::model(|| {
        let h = handoff(1);
        let w = worker(&h, |h| (h.next(0), h.next(0)));
        assert_eq!(h.submit(1), Ok(()));
        assert_eq!(h.submit(2), Ok(()));
        let served = w.join().expect("worker");
        assert_eq!(served, (Next::Item(1), Next::Item(2)), "the oldest first");
    });
}

/// Two producers at once, two workers that take one item each: neither item may be left to a worker that isn't woken.
#[test]
fn submit_against_submit() {
    bounded(3, || {
        let h = handoff(2);
        let workers = [0, 1].map(|i| worker(&h, move |h| h.next(i)));
        let producer = worker(&h, |h| assert_eq!(h.submit(1), Ok(())));
        assert_eq!(h.submit(2), Ok(()));
        producer.join().expect("producer");
        let mut sum = 0;
        for w in workers {
            match w.join().expect("worker") {
                Next::Item(item) => sum += item,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sum, 3);
        assert_eq!((h.idle(), h.queued()), (0, 0));
    });
}

#[test]
fn interrupt_one_against_going_idle() {
    loom::model(|| {
        let h = handoff(1);
        let w = worker(&h, |h| h.next(0));
        h.interrupt_one();
        assert_eq!(w.join().expect("worker"), Next::Interrupted);
        assert_eq!(h.idle(), 0);
    });
}

/// Every worker gets one, whether it idles, is about to, or has not come yet.
#[test]
fn interrupt_all_against_going_idle() {
    bounded(5, || {
        let h = handoff(2);
        let workers = [0, 1].map(|i| worker(&h, move |h| h.next(i)));
        h.interrupt_all();
        for w in workers {
            assert_eq!(w.join().expect("worker"), Next::Interrupted);
        }
    });
}

/// The interrupted worker doesn't come back, as one that takes over another role. Its call passes to the other worker.
#[test]
fn an_interrupt_takes_no_item_along() {
    bounded(4, || {
        let h = handoff(2);
        let served = Arc::new(Tally::new());
        let leaver = {
            let served = Arc::clone(&served);
            worker(&h, move |h| {
                if let Next::Item(item) = h.next(0) {
                    served.add(item);
                }
            })
        };
        let stayer = {
            let served = Arc::clone(&served);
            worker(&h, move |h| loop {
                match h.next(1) {
                    Next::Item(item) => served.add(item),
                    Next::Interrupted => {}
                    Next::Closed => break,
                }
            })
        };
        assert_eq!(h.submit(1), Ok(()));
        h.interrupt_all();
        assert_eq!(h.submit(2), Ok(()));
        leaver.join().expect("leaver");
        assert_eq!(served.wait_beyond(2), 3);
        h.close();
        stayer.join().expect("stayer");
    });
}

/// A close comes between a submit and a worker that goes idle: what was accepted is served, everybody gets home.
#[test]
fn close_against_submit_and_going_idle() {
    bounded(3, || {
        let h = handoff(2);
        let workers = [0, 1].map(|i| worker(&h, move |h| serve(h, i)));
        let producer = worker(&h, |h| h.submit(1).is_ok());
        h.close();
        let accepted = usize::from(producer.join().expect("producer"));
        let served: usize = workers
            .map(|w| w.join().expect("worker").1)
            .into_iter()
            .sum();
        assert_eq!(served, accepted);
        assert_eq!(h.submit(2), Err(2));
        assert_eq!((h.idle(), h.queued()), (0, 0));
    });
}

#[test]
fn each_item_exactly_once() {
    bounded(2, || {
        let h = handoff(2);
        let workers = [0, 1].map(|i| worker(&h, move |h| serve(h, i)));
        let producer = worker(&h, |h| assert_eq!(h.submit(1), Ok(())));
        assert_eq!(h.submit(2), Ok(()));
        assert_eq!(h.submit(4), Ok(()));
        producer.join().expect("producer");
        h.close();
        let mut total = (0, 0);
        for w in workers {
            let (sum, count) = w.join().expect("worker");
            total = (total.0 + sum, total.1 + count);
        }
        assert_eq!(total, (7, 3));
    });
}

/// Whenever everything has come to rest, `idle()` is the truth: when nobody idles, when one does (known from its call), when
/// it has just been spoken for, and when it is gone. The watch is answered once.
#[test]
fn idle_is_exact_at_rest() {
    bounded(4, || {
        let h = handoff(2);
        let told = Arc::new(Tally::new());
        h.set_idle_watch(true);
        let watched = |i| {
            let told = Arc::clone(&told);
            worker(&h, move |h| h.next_with(i, || told.add(1)))
        };
        let first = watched(0);
        told.wait_beyond(0);
        assert_eq!(h.idle(), 1, "told before it was counted");
        let second = watched(1);
        assert_eq!(h.submit(1), Ok(()));
        assert_eq!(h.submit(2), Ok(()));
        assert_ne!(h.idle(), 2);
        for w in [first, second] {
            assert!(matches!(w.join().expect("worker"), Next::Item(_)));
        }
        assert_eq!((h.idle(), h.queued()), (0, 0));
        assert_eq!(told.get(), 1, "once for each time it is set");
    });
}

/// Who sets the watch and then sees no idle worker is told of the next one: the listener that has stopped accepting.
#[test]
fn watch_against_going_idle() {
    loom::model(|| {
        let h = handoff(1);
        let told = Arc::new(Tally::new());
        let w = {
            let told = Arc::clone(&told);
            worker(&h, move |h| h.next_with(0, || told.add(1)))
        };
        h.set_idle_watch(true);
        if h.idle() == 0 {
            told.wait_beyond(0);
            assert_eq!(h.idle(), 1);
        }
        assert_eq!(h.submit(1), Ok(()));
        assert_eq!(w.join().expect("worker"), Next::Item(1));
    });
}

/// Waits for an idle worker as a listener does that has stopped accepting. `seen` is how often it has been told.
fn await_idle(handoff: &Handoff<usize>, told: &Tally, seen: &mut usize) {
    loop {
        handoff.set_idle_watch(true);
        if handoff.idle() > 0 {
            return;
        }
        *seen = told.wait_beyond(*seen);
    }
}

/// Of two workers that serve one item each, one remains idle: perhaps the one that was called for the item, in vain, and that
/// has told already during the same call of `next`. The listener hears of it, and the count is exact.
#[test]
fn watch_against_a_call_in_vain() {
    bounded(3, || {
        let h = handoff(2);
        let told = Arc::new(Tally::new());
        let workers = [0, 1].map(|i| {
            let told = Arc::clone(&told);
            worker(&h, move |h| h.next_with(i, || told.add(1)))
        });
        let mut seen = 0;
        await_idle(&h, &told, &mut seen);
        assert_eq!(h.submit(1), Ok(()));
        await_idle(&h, &told, &mut seen);
        assert_eq!(h.idle(), 1, "of two, one serves or is about to");
        h.close();
        let ends = workers.map(|w| w.join().expect("worker"));
        assert!(ends.contains(&Next::Item(1)) && ends.contains(&Next::Closed));
        assert_eq!((h.idle(), h.queued()), (0, 0));
    });
}
