//! The hand-off with real threads. No sleeps: a test that has to wait for a worker to idle uses the watch or yields.

use super::{Handoff, Next};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

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
        match handoff.next(worker) {
            Next::Item(item) => served.push(item),
            Next::Interrupted => {}
            Next::Closed => return served,
        }
    }
}

#[test]
fn one_thread_sees_a_queue() {
    let handoff = Handoff::new(1);
    assert_eq!((handoff.idle(), handoff.queued()), (0, 0));
    for item in 0..3 {
        assert_eq!(handoff.submit(item), Ok(()));
    }
    assert_eq!((handoff.idle(), handoff.queued()), (0, 3));
    assert_eq!(handoff.next(0), Next::Item(0));
    handoff.interrupt_all();
    assert_eq!(handoff.next(0), Next::Interrupted);
    handoff.close();
    assert_eq!(handoff.submit(9), Err(9));
    assert_eq!(handoff.next(0), Next::Item(1));
    assert_eq!(handoff.next(0), Next::Item(2));
    assert_eq!(handoff.next(0), Next::Closed);
    assert_eq!(handoff.next(0), Next::Closed);
}

#[test]
fn a_worker_that_never_came_is_not_idle() {
    let handoff = Handoff::<()>::new(16);
    assert_eq!(handoff.idle(), 0);
    handoff.interrupt_all();
    handoff.close();
    assert_eq!(handoff.idle(), 0);
}

#[test]
fn many_producers_many_workers_exactly_once_and_in_order() {
    const PRODUCERS: usize = 8;
    const WORKERS: usize = 8;
    const EACH: usize = 5_000;
    let handoff = Handoff::new(WORKERS);
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
    let handoff = Handoff::new(4);
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for worker in 0..4 {
            let (handoff, done) = (&handoff, &done);
            scope.spawn(move || loop {
                match handoff.next(worker) {
                    Next::Item(item) => done.store(item, Ordering::Release),
                    Next::Interrupted => panic!("nobody interrupted"),
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
    let handoff = Handoff::new(3);
    let (said, heard) = mpsc::channel();
    thread::scope(|scope| {
        for worker in 0..3 {
            let (handoff, said) = (&handoff, said.clone());
            scope.spawn(move || loop {
                match handoff.next(worker) {
                    Next::Item(()) => said.send(worker).expect("the test listens"),
                    Next::Interrupted => {}
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
    let handoff = Handoff::new(2);
    let (go, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    thread::scope(|scope| {
        for worker in 0..2 {
            let (handoff, gate) = (&handoff, &gate);
            scope.spawn(move || {
                while let Next::Item(()) = handoff.next(worker) {
                    // Busy until the test says otherwise.
                    gate.lock().expect("gate").recv().expect("the test speaks");
                }
            });
        }
        settle(|| handoff.idle() == 2);
        assert_eq!(handoff.submit(()), Ok(()));
        assert_eq!(handoff.idle(), 1);
        assert_eq!(handoff.submit(()), Ok(()));
        assert_eq!(handoff.idle(), 0);
        assert_eq!(handoff.submit(()), Ok(()));
        assert_eq!(handoff.idle(), 0);
        settle(|| handoff.queued() == 1);
        for _ in 0..3 {
            go.send(()).expect("workers listen");
        }
        settle(|| handoff.idle() == 2);
        handoff.close();
    });
}

#[test]
fn the_watch_tells_once_for_each_time_it_is_set() {
    let handoff = Handoff::new(3);
    let told = AtomicUsize::new(0);
    thread::scope(|scope| {
        handoff.set_idle_watch(true);
        for worker in 0..3 {
            let (handoff, told) = (&handoff, &told);
            scope.spawn(move || loop {
                let next = handoff.next_with(worker, || {
                    assert!(handoff.idle() > 0, "counted before it tells");
                    told.fetch_add(1, Ordering::SeqCst);
                });
                match next {
                    Next::Closed => break,
                    Next::Item(()) | Next::Interrupted => {}
                }
            });
            settle(|| handoff.idle() == worker + 1);
        }
        settle(|| told.load(Ordering::SeqCst) == 1);
        handoff.set_idle_watch(true);
        handoff.interrupt_all();
        settle(|| handoff.idle() == 3);
        settle(|| told.load(Ordering::SeqCst) == 2);
        handoff.set_idle_watch(true);
        handoff.set_idle_watch(false);
        handoff.interrupt_all();
        settle(|| handoff.idle() == 3);
        handoff.close();
    });
    assert_eq!(told.load(Ordering::SeqCst), 2);
}

#[test]
fn interrupts_and_submits_against_a_close() {
    for _ in 0..300 {
        let handoff = Handoff::new(3);
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
    let handoff = Handoff::new(1);
    for _ in 0..3 {
        assert!(handoff.submit(std::sync::Arc::clone(&witness)).is_ok());
    }
    drop(handoff.next(0));
    drop(handoff);
    assert_eq!(std::sync::Arc::strong_count(&witness), 1);
}
