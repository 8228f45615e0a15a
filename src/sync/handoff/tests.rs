//! The hand-off with real threads, and without the role. No sleeps: a test that has to wait for a worker to idle yields.

use super::{Next, Ring};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Nobody polls here.
struct NoBell;

impl Ring for NoBell {
    fn ring(&self) {}
}

type Handoff<T> = super::Handoff<T, (), NoBell>;

fn handoff<T: Send>(workers: usize) -> Handoff<T> {
    Handoff::new(workers, NoBell)
}

/// Waits until `ready`; a hand-off that loses something makes this hang, which is as good as a failure.
fn settle(ready: impl Fn() -> bool) {
    while !ready() {
        thread::yield_now();
    }
}

/// Serves until closed and returns what was served.
fn serve(handoff: &Handoff<usize>, worker: usize) -> Vec<usize> {
    let mut served = Vec::new();
    loop {
        match handoff.next(worker, None, false) {
            Next::Item(item) => served.push(item),
            Next::Interrupted | Next::Poll(()) => {}
            Next::Closed => return served,
        }
    }
}

#[test]
fn one_thread_sees_a_queue() {
    let handoff = handoff(1);
    assert_eq!((handoff.idle(), handoff.queued()), (0, 0));
    for item in 0..3 {
        assert_eq!(handoff.submit(item), Ok(()));
    }
    assert_eq!((handoff.idle(), handoff.queued()), (0, 3));
    assert_eq!(handoff.next(0, None, false), Next::Item(0));
    handoff.interrupt_all();
    assert_eq!(handoff.next(0, None, false), Next::Interrupted);
    handoff.close();
    assert_eq!(handoff.submit(9), Err(9));
    assert_eq!(handoff.next(0, None, false), Next::Item(1));
    assert_eq!(handoff.next(0, None, false), Next::Item(2));
    assert_eq!(handoff.next(0, None, false), Next::Closed);
    assert_eq!(handoff.next(0, None, false), Next::Closed);
}

#[test]
fn slow_items_take_a_worker_each_and_short_ones_share_one() {
    for (served_us, expected) in [(1, 1), (5_000, 10)] {
        let handoff = handoff(1);
        for item in 0..100 {
            assert_eq!(handoff.submit(item), Ok(()));
            assert_eq!(handoff.next(0, Some(served_us), false), Next::Item(item));
        }
        assert_eq!(handoff.workers_for(10), expected, "{served_us} us");
    }
}

#[test]
fn who_has_an_item_is_not_at_hand() {
    let handoff = handoff(1);
    assert_eq!(handoff.at_hand(), 0);
    handoff.open(());
    assert_eq!(handoff.next(0, None, false), Next::Poll(()));
    assert_eq!(handoff.submit(7), Ok(()));
    assert_eq!((handoff.at_hand(), handoff.idle()), (1, 0));
    let next = handoff.next_after_poll(0, (), &mut Vec::new(), 0);
    assert_eq!(next, Next::Item(7));
    assert_eq!((handoff.at_hand(), handoff.idle()), (0, 0));
}

#[test]
fn a_worker_that_never_came_is_not_idle() {
    let handoff = handoff::<()>(16);
    assert_eq!(handoff.idle(), 0);
    handoff.interrupt_all();
    handoff.close();
    assert_eq!(handoff.idle(), 0);
}

#[test]
fn each_time_that_nobody_is_idle_any_more_counts() {
    let handoff = handoff(1);
    let mut counts = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| serve(&handoff, 0));
        // By an item, by an interrupt, by the end; not by having begun without an idle worker.
        for round in 0..5 {
            settle(|| handoff.idle() == 1);
            counts.push(handoff.busy_spells());
            match round {
                4 => handoff.close(),
                1 | 3 => handoff.interrupt_one(),
                _ => drop(handoff.submit(round)),
            }
        }
    });
    counts.push(handoff.busy_spells());
    assert_eq!(counts, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn many_producers_many_workers_exactly_once_and_in_order() {
    const PRODUCERS: usize = 8;
    const WORKERS: usize = 8;
    const EACH: usize = 5_000;
    let handoff = handoff(WORKERS);
    let served: Vec<Vec<usize>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                scope.spawn({
                    let handoff = &handoff;
                    move || serve(handoff, worker)
                })
            })
            .collect();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let handoff = &handoff;
                scope.spawn(move || {
                    for i in 0..EACH {
                        assert!(handoff.submit(producer * EACH + i).is_ok());
                        if i % 64 == 0 {
                            handoff.interrupt_one();
                        }
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.join().expect("producer");
        }
        handoff.close();
        workers
            .into_iter()
            .map(|w| w.join().expect("worker"))
            .collect()
    });
    for of_one in &served {
        // One producer's items come out of the queue in order, so each worker sees them in order.
        for producer in 0..PRODUCERS {
            let mut theirs = of_one.iter().filter(|&&item| item / EACH == producer);
            let mut last = None;
            assert!(theirs.all(|&item| last.replace(item).is_none_or(|before| before < item)));
        }
    }
    let all: Vec<usize> = served.into_iter().flatten().collect();
    assert_eq!(all.len(), PRODUCERS * EACH);
    assert_eq!(
        all.into_iter().collect::<HashSet<_>>().len(),
        PRODUCERS * EACH
    );
    assert_eq!((handoff.idle(), handoff.queued()), (0, 0));
}

#[test]
fn one_at_a_time_wakes_one_worker_at_a_time() {
    const ROUNDS: usize = 5_000;
    let handoff = handoff(4);
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for worker in 0..4 {
            let (handoff, done) = (&handoff, &done);
            scope.spawn(move || loop {
                match handoff.next(worker, None, false) {
                    Next::Item(item) => done.store(item, Ordering::Release),
                    Next::Interrupted | Next::Poll(()) => panic!("nobody interrupted"),
                    Next::Closed => break,
                }
            });
        }
        for round in 1..=ROUNDS {
            settle(|| handoff.idle() == 4);
            assert!(handoff.submit(round).is_ok());
            settle(|| done.load(Ordering::Acquire) == round);
        }
        handoff.close();
    });
}

#[test]
fn the_most_recently_idled_worker_serves() {
    let handoff = handoff(3);
    let (said, heard) = mpsc::channel();
    thread::scope(|scope| {
        for worker in 0..3 {
            let (handoff, said) = (&handoff, said.clone());
            scope.spawn(move || loop {
                match handoff.next(worker, None, false) {
                    Next::Item(()) => said.send(worker).expect("the test listens"),
                    Next::Interrupted | Next::Poll(()) => {}
                    Next::Closed => break,
                }
            });
            // One after the other, so that 2 is the last to idle.
            settle(|| handoff.idle() == worker + 1);
        }
        for _ in 0..5 {
            assert_eq!(handoff.submit(()), Ok(()));
            assert_eq!(heard.recv(), Ok(2));
            settle(|| handoff.idle() == 3);
        }
        handoff.close();
    });
}

#[test]
fn idle_counts_down_as_items_are_spoken_for() {
    let handoff = handoff(2);
    let (go, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    thread::scope(|scope| {
        for worker in 0..2 {
            let (handoff, gate) = (&handoff, &gate);
            scope.spawn(move || {
                while let Next::Item(()) = handoff.next(worker, None, false) {
                    // Busy until the test says otherwise.
                    gate.lock().expect("gate").recv().expect("the test speaks");
                }
            });
        }
        settle(|| handoff.idle() == 2);
        for (idle, busy_spells) in [(1, 0), (0, 1), (0, 1)] {
            assert_eq!(handoff.submit(()), Ok(()));
            assert_eq!((handoff.busy_spells(), handoff.idle()), (busy_spells, idle));
        }
        settle(|| handoff.queued() == 1);
        for _ in 0..3 {
            go.send(()).expect("workers listen");
        }
        settle(|| handoff.idle() == 2);
        assert_eq!(handoff.busy_spells(), 1);
        handoff.close();
    });
}

#[test]
fn interrupts_and_submits_against_a_close() {
    for _ in 0..300 {
        let handoff = handoff(3);
        let (accepted, served) = thread::scope(|scope| {
            let workers: Vec<_> = (0..3)
                .map(|worker| {
                    scope.spawn({
                        let handoff = &handoff;
                        move || serve(handoff, worker).len()
                    })
                })
                .collect();
            let producer = scope.spawn(|| (0..20).filter(|&i| handoff.submit(i).is_ok()).count());
            handoff.interrupt_all();
            handoff.interrupt_one();
            handoff.close();
            let served: usize = workers.into_iter().map(|w| w.join().expect("worker")).sum();
            (producer.join().expect("producer"), served)
        });
        assert_eq!(accepted, served);
    }
}

#[test]
fn what_is_left_is_dropped_with_it() {
    let witness = std::sync::Arc::new(());
    let handoff = handoff(1);
    for _ in 0..3 {
        assert!(handoff.submit(std::sync::Arc::clone(&witness)).is_ok());
    }
    drop(handoff.next(0, None, false));
    drop(handoff);
    assert_eq!(std::sync::Arc::strong_count(&witness), 1);
}
