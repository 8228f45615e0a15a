//! Children under random loads, with the rules of admission and turnover as they stand: nobody is shut out.

use super::*;
use crate::policy::admission::{
    accept_change, admit, connection_limit, AcceptChange, Load, Verdict, WorkerFactor,
};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

const MS: u64 = 1_000;

/// splitmix64: the same loads for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// From `least` to `most`, each order of magnitude as likely as the others.
    fn magnitude(&mut self, least: f64, most: f64) -> f64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        least * (most / least).powf(unit)
    }

    /// Around `mean`, from half of it to one and a half.
    fn around(&mut self, mean: u64) -> u64 {
        mean / 2 + self.below(mean)
    }
}

/// One load: children, and clients of two kinds. Times are microseconds.
#[derive(Clone, Copy, Debug)]
struct Course {
    seed: u64,
    children: usize,
    threads: u32,
    factor: f64,
    /// Clients that keep their connections, and pause between two requests.
    kept: usize,
    pause_us: u64,
    /// Clients of one request, one each so often.
    newcomer_each_us: u64,
    service_us: u64,
    /// How long it takes to send one in eight of the answers that announce the close, when their worker has come free.
    sending_us: u64,
    /// The rules of turnover hold.
    turnover: bool,
}

impl Course {
    fn random(seed: u64) -> Course {
        let mut r = Random(seed);
        let children = r.magnitude(1.0, 17.0) as usize;
        let threads = r.magnitude(1.0, 1_001.0) as u32;
        let workers = f64::from(threads) * children as f64;
        let factor = r.magnitude(0.1, 100.0);
        let service_us = r.magnitude(100.0, 400_000.0) as u64;
        let pause_us = r.magnitude(1_000.0, 3_000_000.0) as u64;
        // Around what the limits allow, more or less.
        let most = (workers * (1.0 + factor)).min(400.0);
        let kept = r.magnitude(1.0, most.max(1.0) * 2.0) as usize;
        let newcomer_each_us = r.magnitude(20_000.0, 1_000_000.0) as u64;
        // At most a thousand requests a second: enough to fill whatever there is.
        let pause_us = pause_us.max(kept as u64 * 1_000);
        Course {
            seed,
            children,
            threads,
            factor,
            kept,
            pause_us,
            newcomer_each_us,
            service_us,
            sending_us: r.magnitude(1.0, 3_000_000.0) as u64,
            turnover: true,
        }
    }

    /// How busy workers are if nobody waits.
    fn demand(&self) -> f64 {
        let service = self.service_us as f64;
        let kept = self.kept as f64 * service / (service + self.pause_us as f64);
        let newcomers = service / self.newcomer_each_us as f64;
        (kept + newcomers) / (self.children as f64 * f64::from(self.threads))
    }

    /// How long a client may wait from its connect to its turn: 1 s as long as workers come free at all; where requests
    /// queue for workers, as long as these take for one of each client's besides.
    fn longest_wait_us(&self) -> u64 {
        let longest = self.service_us * 3 / 2;
        let workers = self.children as u64 * u64::from(self.threads);
        let everybody = (self.kept as u64 + 40).div_ceil(workers) * longest;
        // A place is not free while its last answer is being sent. That may hold up all of a few, and some of many.
        let places = f64::from(self.threads) * (1.0 + self.factor);
        let share_of = if places < 8.0 { 1 } else { 4 };
        let sending = self.sending_us / share_of;
        match self.demand() < 0.7 && longest < 200 * MS && everybody < 500 * MS {
            true => 1_000 * MS + sending,
            false => 1_000 * MS + sending + longest + 2 * everybody,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    /// A client asks: on its connection, or for one.
    Asks(usize),
    /// A client of one request comes.
    Comes,
    /// A worker of this child is done with this client.
    Served(usize, usize),
    /// The last answer has been sent on a connection of this child's.
    Closed(usize),
    /// A child looks.
    Looks(usize),
}

#[derive(Default)]
struct Child {
    accepting: bool,
    open: u32,
    busy: u32,
    queue: VecDeque<usize>,
    idle: BTreeSet<(u64, usize)>,
    turnover: Turnover,
    served: usize,
    close_answered: u32,
    announced: u32,
    announcements: usize,
    any: bool,
    typical: u32,
    look_at_us: Option<u64>,
}

#[derive(Default, Clone)]
struct Client {
    child: Option<usize>,
    one_request: bool,
    asked_us: u64,
    idle_since_us: u64,
    served: u32,
    /// Others were to make room for it.
    needed_room: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    longest_wait_us: u64,
    /// Connections that were closed for others' sake, of these idle ones, and how many others that were.
    closed: u64,
    closed_idle: u64,
    needed_room: u64,
    answers: u64,
}

struct Simulation {
    course: Course,
    random: Random,
    now_us: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    numbered: u64,
    children: Vec<Child>,
    clients: Vec<Client>,
    backlog: VecDeque<usize>,
    outcome: Outcome,
}

const END_US: u64 = 4_000 * MS;

impl Simulation {
    fn run(course: Course) -> Outcome {
        let mut s = Simulation {
            course,
            random: Random(!course.seed),
            now_us: 0,
            events: BinaryHeap::new(),
            numbered: 0,
            children: (0..course.children)
                .map(|_| Child {
                    accepting: true,
                    ..Child::default()
                })
                .collect(),
            clients: vec![Client::default(); course.kept],
            backlog: VecDeque::new(),
            outcome: Outcome::default(),
        };
        for client in 0..course.kept {
            let at = s.random.below(course.pause_us.min(300 * MS));
            s.at(at, Event::Asks(client));
        }
        s.at(500 * MS, Event::Comes);
        while let Some(Reverse((now_us, _, event))) = s.events.pop() {
            if now_us > END_US {
                break;
            }
            s.now_us = now_us;
            s.happen(event);
        }
        s.now_us = END_US;
        for client in std::mem::take(&mut s.backlog) {
            s.note_wait(client);
        }
        for child in 0..course.children {
            for client in std::mem::take(&mut s.children[child].queue) {
                s.note_wait(client);
            }
        }
        s.outcome
    }

    fn at(&mut self, when_us: u64, event: Event) {
        self.numbered += 1;
        self.events.push(Reverse((when_us, self.numbered, event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Asks(client) => self.asks(client),
            Event::Comes => {
                let client = self.clients.len();
                self.clients.push(Client {
                    one_request: true,
                    ..Client::default()
                });
                self.asks(client);
                let pause = self.random.around(self.course.newcomer_each_us);
                self.at(self.now_us + pause, Event::Comes);
            }
            Event::Served(child, client) => self.served(child, client),
            Event::Closed(child) => {
                let c = &mut self.children[child];
                (c.open, c.announced) = (c.open - 1, c.announced - 1);
                self.turn(child);
            }
            Event::Looks(child) => self.turn(child),
        }
    }

    fn asks(&mut self, client: usize) {
        self.clients[client].asked_us = self.now_us;
        if let Some(child) = self.clients[client].child {
            let since = self.clients[client].idle_since_us;
            assert!(self.children[child].idle.remove(&(since, client)));
            self.children[child].queue.push_back(client);
            return self.turn(child);
        }
        self.backlog.push_back(client);
        // Each poller comes when it comes.
        for child in 0..self.children.len() {
            let when = self.now_us + self.random.below(2 * MS);
            self.at(when, Event::Looks(child));
        }
    }

    fn served(&mut self, child: usize, client: usize) {
        self.outcome.answers += 1;
        let now_us = self.now_us;
        let c = &mut self.children[child];
        let who = &mut self.clients[client];
        c.busy -= 1;
        c.served += 1;
        let gives_way =
            !c.accepting && c.close_answered > 0 && makes_room(who.served, c.typical, c.any);
        if !c.accepting {
            c.typical = typically_served(c.typical, who.served);
        }
        let mut sending_us = 0;
        if gives_way && self.random.below(8) == 0 {
            sending_us = self.course.sending_us;
        }
        if gives_way {
            c.close_answered -= 1;
            c.announced += 1;
            c.announcements += 1;
            self.outcome.closed += u64::from(!who.one_request);
        }
        if gives_way || who.one_request {
            who.child = None;
            who.served = 0;
        } else {
            who.served += 1;
            who.idle_since_us = now_us;
            c.idle.insert((now_us, client));
        }
        let one_request = who.one_request;
        if gives_way {
            self.at(now_us + sending_us, Event::Closed(child));
        } else if one_request {
            c.open -= 1;
        }
        if !one_request {
            let pause = self.random.around(self.course.pause_us);
            self.at(now_us + sending_us + pause, Event::Asks(client));
        }
        self.turn(child);
    }

    fn load(&self, child: usize) -> Load {
        let c = &self.children[child];
        Load {
            connections: c.open,
            lingering: 0,
            idle_workers: (self.course.threads - c.busy).saturating_sub(c.queue.len() as u32),
            threads: self.course.threads,
            accepting: c.accepting,
            factor: WorkerFactor::new(self.course.factor).expect("a factor"),
        }
    }

    /// Whoever polls for the child comes round.
    fn turn(&mut self, child: usize) {
        loop {
            self.start(child);
            if self.children[child].accepting {
                while !self.backlog.is_empty() && admit(&self.load(child)) == Verdict::Accept {
                    self.accept(child);
                    self.children[child].turnover.accepted();
                }
                if self.backlog.is_empty() {
                    break;
                }
                let c = &mut self.children[child];
                c.accepting = false;
                c.turnover.full(c.open);
            }
            if accept_change(&self.load(child)) == AcceptChange::Resume {
                let c = &mut self.children[child];
                (c.accepting, c.close_answered, c.look_at_us) = (true, 0, None);
                continue;
            }
            if !self.course.turnover || !self.make_room(child) {
                break;
            }
        }
        self.start(child);
    }

    /// Whether to come round again at once.
    fn make_room(&mut self, child: usize) -> bool {
        let load = self.load(child);
        let full = |children: &[Child]| children.iter().filter(|c| !c.accepting).count() as u32;
        let (rank, children) = (full(&self.children[..child]), full(&self.children));
        let look = Look {
            now_ms: self.now_us / MS,
            waiting: self.backlog.len() as u32,
            open: self.children[child].open,
            limit: connection_limit(load.threads, load.idle_workers, load.factor),
            idle_workers: load.idle_workers,
            queued: self.children[child].queue.len(),
            served: self.children[child].served,
            announced: self.children[child].announced,
            announcements: self.children[child].announcements,
            other_accepts: self
                .children
                .iter()
                .enumerate()
                .any(|(i, c)| i != child && c.accepting),
            turn: turn(rank, children, self.now_us / MS),
            children,
        };
        let most = u64::from(self.children[child].turnover.places.max(look.open)).max(look.limit);
        let step = self.children[child].turnover.look(&look);
        for _ in 0..step.accept {
            self.accept(child);
        }
        assert!(u64::from(self.children[child].open) <= most, "it grows");
        for client in self.backlog.iter().take(step.close_answered as usize) {
            self.clients[*client].needed_room = true;
        }
        let c = &mut self.children[child];
        (c.close_answered, c.any) = (step.close_answered, step.any);
        let mut closed = 0;
        while closed < step.close_idle {
            let Some(&(since_us, client)) = c.idle.first() else {
                break;
            };
            if since_us + IDLES_AFTER_MS * MS > self.now_us {
                break;
            }
            c.idle.pop_first();
            c.open -= 1;
            self.clients[client].child = None;
            self.clients[client].served = 0;
            closed += 1;
        }
        c.close_answered = c.close_answered.saturating_sub(closed);
        self.outcome.closed += u64::from(closed);
        self.outcome.closed_idle += u64::from(closed);
        let again_us = step.look_again_ms.map(|ms| ms * MS);
        if again_us.is_some() && c.look_at_us.is_none_or(|at| at <= self.now_us) {
            c.look_at_us = again_us;
            self.at(again_us.unwrap_or(0), Event::Looks(child));
        }
        closed > 0
    }

    fn accept(&mut self, child: usize) {
        let Some(client) = self.backlog.pop_front() else {
            return;
        };
        self.outcome.needed_room +=
            u64::from(std::mem::take(&mut self.clients[client].needed_room));
        self.clients[client].child = Some(child);
        self.children[child].open += 1;
        self.children[child].queue.push_back(client);
    }

    fn start(&mut self, child: usize) {
        while self.children[child].busy < self.course.threads {
            let Some(client) = self.children[child].queue.pop_front() else {
                return;
            };
            self.children[child].busy += 1;
            self.note_wait(client);
            let service = self.random.around(self.course.service_us);
            self.at(self.now_us + service, Event::Served(child, client));
        }
    }

    fn note_wait(&mut self, client: usize) {
        let wait_us = self.now_us - self.clients[client].asked_us;
        self.outcome.longest_wait_us = self.outcome.longest_wait_us.max(wait_us);
    }
}

/// Which rule the load breaks.
fn broken(course: Course) -> Option<String> {
    let outcome = Simulation::run(course);
    let most_us = course.longest_wait_us();
    if outcome.longest_wait_us > most_us {
        return Some(format!(
            "somebody waits for longer than {most_us} us: {outcome:?}"
        ));
    }
    // One for each that waits, in each child whose turn comes before it is served; and those for whom nobody has come yet.
    let needed = outcome.needed_room + 40 + u64::from(course.threads);
    if outcome.closed > needed * course.children as u64 {
        return Some(format!("closed without need: {outcome:?}"));
    }
    None
}

#[test]
fn nobody_is_shut_out() {
    let many = std::env::var("SIMULATED_LOADS")
        .ok()
        .and_then(|n| n.parse().ok());
    for seed in 0..many.unwrap_or(10_000) {
        let course = Course::random(seed);
        if let Some(rule) = broken(course) {
            panic!("{rule} with {course:?}");
        }
    }
}

#[test]
fn admission_alone_shuts_newcomers_out() {
    let shut_out = (0..300)
        .map(|seed| Course {
            turnover: false,
            ..Course::random(seed)
        })
        .filter(|&course| broken(course).is_some())
        .count();
    assert!(shut_out > 20, "{shut_out}");
}

/// The cases in which newcomers were seen to get nothing at all, or kept clients to starve.
#[test]
fn cases_of_old() {
    let case = |children, threads, kept, pause_ms, service_ms| Course {
        seed: 1,
        children,
        threads,
        factor: 2.0,
        kept,
        pause_us: pause_ms * MS,
        newcomer_each_us: 400 * MS,
        service_us: service_ms * MS,
        sending_us: 1,
        turnover: true,
    };
    for course in [
        case(1, 8, 24, 200, 80),
        case(2, 25, 110, 80, 50),
        case(6, 25, 340, 1_000, 500),
        case(1, 8, 60, 1_000, 10),
    ] {
        let outcome = Simulation::run(course);
        assert!(
            outcome.longest_wait_us < 1_000 * MS,
            "{course:?}: {outcome:?}"
        );
        let before = Simulation::run(Course {
            turnover: false,
            ..course
        });
        assert!(
            before.longest_wait_us > 2_000 * MS,
            "{course:?}: {before:?}"
        );
    }
}
