//! The hand-off under loom: all interleavings, up to a bound on preemptions where there are more than two threads. A lost
//! wake-up shows as a deadlock, as no clock runs: the guard's tick is a yield. Each model has been seen to fail; `README.md`
//! lists the mutations. Here are items from outside while nobody polls; `role.rs` has the role and the guard, `rare.rs` the same
//! where items come more rarely than ticks.

use super::{Guard, Handoff, Next, Ring};
use loom::model::Builder;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::sync::atomic::Ordering::Relaxed;

mod rare;
mod role;

/// Runs `model` with at most `preemptions` switches away from a thread that could go on.
fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// The kernel's side: events that wait to be found, and the bell.
struct Kernel {
    state: Mutex<Pending>,
    changed: Condvar,
    /// Microseconds; loom need not know of it.
    now_us: std::sync::atomic::AtomicU64,
    /// How many of them each poll takes.
    poll_us: u64,
}

#[derive(Default)]
struct Pending {
    events: Vec<usize>,
    rung: bool,
    /// How often somebody has begun to poll.
    polls: usize,
}

impl Kernel {
    fn new(poll_us: u64) -> Arc<Kernel> {
        Arc::new(Kernel {
            state: Mutex::new(Pending::default()),
            changed: Condvar::new(),
            now_us: poll_us.into(),
            poll_us,
        })
    }

    fn now_us(&self) -> u64 {
        self.now_us.load(Relaxed)
    }

    fn post(&self, event: usize) {
        self.state.lock().expect("kernel").events.push(event);
        self.changed.notify_all();
    }

    fn await_polls(&self, polls: usize) {
        let mut state = self.state.lock().expect("kernel");
        while state.polls < polls {
            state = self.changed.wait(state).expect("kernel");
        }
    }
}

/// The right to poll.
#[derive(Debug, PartialEq, Eq)]
struct Role;

impl Role {
    /// Blocks until there are events or somebody has rung.
    fn poll(&self, kernel: &Kernel, found: &mut Vec<usize>) {
        let mut state = kernel.state.lock().expect("kernel");
        state.polls += 1;
        kernel.changed.notify_all();
        while state.events.is_empty() && !state.rung {
            state = kernel.changed.wait(state).expect("kernel");
        }
        state.rung = false;
        found.append(&mut state.events);
        kernel.now_us.fetch_add(kernel.poll_us, Relaxed);
    }
}

struct Bell(Arc<Kernel>);

impl Ring for Bell {
    fn ring(&self) {
        self.0.state.lock().expect("kernel").rung = true;
        self.0.changed.notify_all();
    }
}

/// A number that threads add to and wait for.
struct Tally {
    sum: Mutex<usize>,
    changed: Condvar,
}

impl Tally {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            sum: Mutex::new(0),
            changed: Condvar::new(),
        })
    }

    fn add(&self, n: usize) {
        *self.sum.lock().expect("tally") += n;
        self.changed.notify_all();
    }

    /// Blocks until the sum is at least `n` and returns it.
    fn await_sum(&self, n: usize) -> usize {
        let mut sum = self.sum.lock().expect("tally");
        while *sum < n {
            sum = self.changed.wait(sum).expect("tally");
        }
        *sum
    }
}

type Work = Handoff<usize, Role, Bell>;

/// A hand-off and its kernel.
#[derive(Clone)]
struct Scene {
    h: Arc<Work>,
    kernel: Arc<Kernel>,
}

impl Scene {
    /// Nobody polls: the role has not been opened.
    fn closed_role(workers: usize) -> Scene {
        Scene::after_short_ones(workers, 0)
    }

    /// An item has been served, and was short: the next ones call nobody.
    fn after_short_ones(workers: usize, poll_us: u64) -> Scene {
        let kernel = Kernel::new(poll_us);
        let h = Arc::new(Handoff::new(workers, Bell(Arc::clone(&kernel))));
        assert_eq!(h.submit(0), Ok(()));
        assert_eq!(h.next(0, None, false), Next::Item(0));
        h.leave(0, Some(1));
        // The guard has seen that, and has taken its token.
        while h.guard() != Guard::Rest {}
        h.guard_rest();
        Scene { h, kernel }
    }

    fn new(workers: usize) -> Scene {
        let scene = Scene::closed_role(workers);
        scene.h.open(Role);
        scene
    }

    /// Items come more rarely than ticks, and have done so for a while.
    fn rare(workers: usize) -> Scene {
        let scene = Scene::after_short_ones(workers, 1_000_000);
        scene.h.open(Role);
        for _ in 0..2 {
            assert_eq!(scene.h.next(0, None, false), Next::Poll(Role));
            let now_us = scene.kernel.now_us();
            let next = scene.h.next_after_poll(0, Role, &mut vec![0], now_us);
            assert_eq!(next, Next::Item(0));
            scene.h.leave(0, Some(1));
            scene.kernel.now_us.fetch_add(1_000_000, Relaxed);
        }
        scene
    }

    fn spawn<O: 'static>(&self, work: impl FnOnce(&Scene) -> O + 'static) -> thread::JoinHandle<O> {
        let scene = self.clone();
        thread::spawn(move || work(&scene))
    }

    /// What `worker` is given next that isn't the role.
    fn next(&self, worker: usize) -> Next<usize, Role> {
        self.next_as(worker, false)
    }

    /// The same for one that may be tired.
    fn next_as(&self, worker: usize, tired: bool) -> Next<usize, Role> {
        let mut found = Vec::new();
        let mut next = self.h.next(worker, None, tired);
        while let Next::Poll(role) = next {
            role.poll(&self.kernel, &mut found);
            next = self
                .h
                .next_after_poll(worker, role, &mut found, self.kernel.now_us());
        }
        next
    }

    /// Does `each` with what there is to serve, until closed.
    fn serve_each(&self, worker: usize, mut each: impl FnMut(usize)) {
        loop {
            match self.next(worker) {
                Next::Item(item) => each(item),
                Next::Interrupted => {}
                Next::Closed => return,
                Next::Poll(_) => unreachable!(),
            }
        }
    }

    /// Serves until closed; returns the sum of what was served (items are powers of two) and how many there were.
    fn serve(&self, worker: usize) -> (usize, usize) {
        let (mut sum, mut count) = (0, 0);
        self.serve_each(worker, |item| {
            sum += item;
            count += 1;
        });
        (sum, count)
    }

    /// Two threads that serve with `each`, until closed.
    fn two_workers(
        &self,
        served: &Arc<Tally>,
        each: impl Fn(&Scene, &Tally, usize) + Copy + 'static,
    ) -> [thread::JoinHandle<()>; 2] {
        [0, 1].map(|i| {
            let served = Arc::clone(served);
            self.spawn(move |s| s.serve_each(i, |item| each(s, &served, item)))
        })
    }

    /// Waits until somebody has the role.
    fn kernel_role_is_taken(&self) {
        while self.h.idle() == 0 {
            thread::yield_now();
        }
    }

    /// Guards until closed.
    fn guard(&self) {
        // The token that it has been left when the role was opened: a lost one later is to show.
        self.h.guard_rest();
        let mut found = Vec::new();
        loop {
            match self.h.guard() {
                Guard::Tick => thread::yield_now(),
                Guard::Rest => self.h.guard_rest(),
                Guard::Poll(role) => {
                    role.poll(&self.kernel, &mut found);
                    self.h.guard_polled(role, &mut found, self.kernel.now_us());
                }
                Guard::Closed => return,
            }
        }
    }
}

#[test]
fn submit_against_going_idle() {
    loom::model(|| {
        let s = Scene::closed_role(1);
        let w = s.spawn(|s| s.next(0));
        assert_eq!(s.h.submit(1), Ok(()));
        assert_eq!(w.join().expect("worker"), Next::Item(1));
        assert_eq!((s.h.idle(), s.h.queued()), (0, 0));
    });
}

/// A worker that is awake when the first item comes and idles when the second does.
#[test]
fn submit_twice_against_going_idle_twice() {
    loom::model(|| {
        let s = Scene::closed_role(1);
        let w = s.spawn(|s| (s.next(0), s.next(0)));
        assert_eq!(s.h.submit(1), Ok(()));
        assert_eq!(s.h.submit(2), Ok(()));
        let served = w.join().expect("worker");
        assert_eq!(served, (Next::Item(1), Next::Item(2)), "the oldest first");
    });
}

/// Two producers at once, two workers that take one item each: neither item may be left to a worker that isn't woken.
#[test]
fn submit_against_submit() {
    bounded(3, || {
        let s = Scene::closed_role(2);
        let workers = [0, 1].map(|i| s.spawn(move |s| s.next(i)));
        let producer = s.spawn(|s| assert_eq!(s.h.submit(1), Ok(())));
        assert_eq!(s.h.submit(2), Ok(()));
        producer.join().expect("producer");
        let mut sum = 0;
        for w in workers {
            match w.join().expect("worker") {
                Next::Item(item) => sum += item,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sum, 3);
        assert_eq!((s.h.idle(), s.h.queued()), (0, 0));
    });
}

#[test]
fn interrupt_one_against_going_idle() {
    loom::model(|| {
        let s = Scene::closed_role(1);
        let w = s.spawn(|s| s.next(0));
        s.h.interrupt_one();
        assert_eq!(w.join().expect("worker"), Next::Interrupted);
        assert_eq!(s.h.idle(), 0);
    });
}

/// Every worker gets one, whether it idles, is about to, or has not come yet.
#[test]
fn interrupt_all_against_going_idle() {
    bounded(5, || {
        let s = Scene::closed_role(2);
        let workers = [0, 1].map(|i| s.spawn(move |s| s.next(i)));
        s.h.interrupt_all();
        for w in workers {
            assert_eq!(w.join().expect("worker"), Next::Interrupted);
        }
    });
}

/// The interrupted worker doesn't come back. Its call passes to the other worker.
#[test]
fn an_interrupt_takes_no_item_along() {
    bounded(3, || {
        let s = Scene::closed_role(2);
        let served = Tally::new();
        let leaver = {
            let served = Arc::clone(&served);
            s.spawn(move |s| {
                if let Next::Item(item) = s.next(0) {
                    served.add(item);
                }
            })
        };
        let stayer = {
            let served = Arc::clone(&served);
            s.spawn(move |s| s.serve_each(1, |item| served.add(item)))
        };
        assert_eq!(s.h.submit(1), Ok(()));
        s.h.interrupt_all();
        assert_eq!(s.h.submit(2), Ok(()));
        leaver.join().expect("leaver");
        assert_eq!(served.await_sum(3), 3);
        s.h.close();
        stayer.join().expect("stayer");
    });
}

/// A close comes between a submit and a worker that goes idle: what was accepted is served, everybody gets home.
#[test]
fn close_against_submit_and_going_idle() {
    bounded(3, || {
        let s = Scene::closed_role(2);
        let workers = [0, 1].map(|i| s.spawn(move |s| s.serve(i)));
        let producer = s.spawn(|s| s.h.submit(1).is_ok());
        s.h.close();
        let accepted = usize::from(producer.join().expect("producer"));
        let served: usize = workers
            .map(|w| w.join().expect("worker").1)
            .into_iter()
            .sum();
        assert_eq!(served, accepted);
        assert_eq!(s.h.submit(2), Err(2));
        assert_eq!((s.h.idle(), s.h.queued()), (0, 0));
    });
}

/// More items than workers.
#[test]
fn each_item_exactly_once() {
    bounded(2, || {
        let s = Scene::closed_role(2);
        let workers = [0, 1].map(|i| s.spawn(move |s| s.serve(i)));
        let producer = s.spawn(|s| assert_eq!(s.h.submit(1), Ok(())));
        assert_eq!(s.h.submit(2), Ok(()));
        assert_eq!(s.h.submit(4), Ok(()));
        producer.join().expect("producer");
        s.h.close();
        let mut total = (0, 0);
        for w in workers {
            let (sum, count) = w.join().expect("worker");
            total = (total.0 + sum, total.1 + count);
        }
        assert_eq!(total, (7, 3));
    });
}
