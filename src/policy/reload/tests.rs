use super::*;
use proptest::prelude::*;

/// A new generation of two whose children have just been forked beside two former ones; slots for four.
fn begun() -> Facts {
    Facts {
        buckets: vec![BucketFacts {
            ready: 0,
            starting: 2,
            accepting: 2,
            free_slots: 0,
        }],
        wanted: 2,
        leaving: 0,
        short: false,
    }
}

fn with(change: impl FnOnce(&mut Facts, &mut BucketFacts)) -> Facts {
    let mut facts = begun();
    let mut bucket = facts.buckets[0];
    change(&mut facts, &mut bucket);
    facts.buckets[0] = bucket;
    facts
}

/// What is decided at these times, one after the other.
fn steps(handover: &mut Handover, facts: &Facts, times: &[u64]) -> Vec<Step> {
    times
        .iter()
        .map(|&now_ms| handover.next_step(facts, now_ms))
        .collect()
}

#[test]
fn the_first_look() {
    type Case = (fn(&mut Facts, &mut BucketFacts), Step);
    let cases: [Case; 7] = [
        (|_, _| {}, Step::Wait),
        (|_, b| (b.ready, b.starting) = (1, 1), Step::Done),
        (|f, _| f.wanted = 0, Step::Done),
        // No slot: one of the former makes room at once, unless it is the last and another one is on its way out.
        (|_, b| b.starting = 0, Step::ReleaseOne(0)),
        (|_, b| (b.starting, b.accepting) = (0, 1), Step::ReleaseAll),
        (
            |f, b| (b.starting, b.accepting, f.leaving) = (0, 1, 1),
            Step::Wait,
        ),
        // One has failed: a second attempt comes first.
        (
            |f, b| (b.starting, b.free_slots, f.short) = (0, 2, true),
            Step::Wait,
        ),
    ];
    for (change, expected) in cases {
        let facts = with(change);
        assert_eq!(
            Handover::begin(0).next_step(&facts, 5),
            expected,
            "{facts:?}"
        );
    }
}

#[test]
fn time_ends_it() {
    let mut handover = Handover::begin(1_000);
    let got = steps(&mut handover, &begun(), &[1_005, 10_999, 11_000]);
    assert_eq!(got, [Step::Wait, Step::Wait, Step::Done]);
}

#[test]
fn attempts_that_fail_have_growing_pauses_and_cost_former_children_only_in_a_shortage() {
    let failed = |short| with(|f, b| (b.starting, b.free_slots, f.short) = (0, 2, short));
    // Children that fail for another reason: releasing the former ones would help nobody.
    let mut handover = Handover::begin(0);
    let mut started = Vec::new();
    for now_ms in (0..9_999).step_by(5) {
        match handover.next_step(&failed(false), now_ms) {
            Step::Start(0) => started.push(now_ms),
            step => assert_eq!(step, Step::Wait),
        }
    }
    assert_eq!(started[..6], [50, 155, 360, 765, 1_570, 2_575]);

    let mut handover = Handover::begin(0);
    let mut log = Vec::new();
    for now_ms in (0..3_000).step_by(5) {
        let step = handover.next_step(&failed(true), now_ms);
        if !matches!(step, Step::Wait | Step::Start(_)) {
            log.push((now_ms, step));
        }
    }
    let expected = [
        (55, Step::ReleaseOne(0)),
        (1_155, Step::ReleaseOne(0)),
        (2_055, Step::ReleaseAll),
    ];
    assert_eq!(log, expected, "two seem to be spare here all the time");
}

#[test]
fn the_last_that_accepts_stays_while_there_is_another_way() {
    let last = with(|f, b| {
        (b.starting, b.free_slots, b.accepting) = (0, 2, 1);
        f.short = true;
    });
    let mut handover = Handover::begin(0);
    let told = (0..5_000).step_by(5).find(|&now_ms| {
        matches!(
            handover.next_step(&last, now_ms),
            Step::ReleaseOne(_) | Step::ReleaseAll
        )
    });
    assert_eq!(told, Some(55 + LAST_GOES_MS));
}

#[test]
fn every_bucket_needs_a_child() {
    let bucket = |ready, accepting, free_slots| BucketFacts {
        ready,
        starting: 0,
        accepting,
        free_slots,
    };
    let facts = |wanted, buckets: &[BucketFacts]| Facts {
        buckets: buckets.to_vec(),
        wanted,
        leaving: 0,
        short: false,
    };
    let first = |facts: &Facts| Handover::begin(0).next_step(facts, 5);
    assert_eq!(
        first(&facts(3, &[bucket(1, 1, 1), bucket(1, 1, 0)])),
        Step::Done
    );
    assert_eq!(
        first(&facts(1, &[bucket(1, 1, 1), bucket(0, 1, 0)])),
        Step::Done
    );
    // The other bucket's slots are no use to it, nor are its children.
    let full = facts(3, &[bucket(1, 3, 1), bucket(0, 2, 0)]);
    assert_eq!(first(&full), Step::ReleaseOne(1));
    // Tasks are the same everywhere: the bucket that has most children gives one.
    let mut short = facts(3, &[bucket(1, 3, 1), bucket(0, 2, 1)]);
    short.short = true;
    let got = steps(&mut Handover::begin(0), &short, &[5, 55, 60]);
    assert_eq!(got, [Step::Wait, Step::Start(1), Step::ReleaseOne(0)]);
}

#[test]
fn retries_after_the_hand_over() {
    let mut retries = Retries::default();
    assert!(!retries.due(u64::MAX), "nothing has failed");
    let mut now_ms = 0;
    for pause_ms in [1_000, 2_000, 4_000, 8_000, 8_000] {
        retries.failed(now_ms);
        assert!(!retries.due(now_ms + pause_ms - 1));
        assert!(retries.due(now_ms + pause_ms));
        now_ms += pause_ms;
    }
}

/// A server with a limit of tasks and of slots, in one bucket; time goes in steps of 5 ms.
struct Model {
    tasks: u32,
    slots: u32,
    per_child: u32,
    start_ms: u64,
    /// Former children: how long each takes to end once it is told, and when it was told.
    former: Vec<(u64, Option<u64>)>,
    /// When each new child will be ready, or will have failed.
    new: Vec<(u64, bool)>,
    ready: u32,
    short: bool,
}

impl Model {
    /// A child that was told keeps a few threads until it ends.
    fn used(&self, now_ms: u64) -> u32 {
        let former = self.former.iter().map(|&(ends, told)| match told {
            Some(told_ms) if now_ms >= told_ms + ends => 0,
            Some(_) => 4.min(self.per_child),
            None => self.per_child,
        });
        1 + former.sum::<u32>() + (self.ready + self.new.len() as u32) * self.per_child
    }

    fn finishing(&self, now_ms: u64) -> u32 {
        let runs = |&&(ends, told): &&(u64, Option<u64>)| told.is_some_and(|t| now_ms < t + ends);
        self.former.iter().filter(runs).count() as u32
    }

    fn accepting(&self) -> u32 {
        self.former
            .iter()
            .filter(|(_, told)| told.is_none())
            .count() as u32
    }

    fn start(&mut self, now_ms: u64) {
        // What others hold that are failing at this moment counts as well.
        let fits = self.used(now_ms) + self.per_child <= self.tasks;
        self.new.push((now_ms + self.start_ms, fits));
    }

    fn facts(&mut self, now_ms: u64) -> Facts {
        let (over, on): (Vec<_>, Vec<_>) = self.new.iter().partition(|(at, _)| now_ms >= *at);
        self.new = on;
        self.ready += over.iter().filter(|(_, fits)| *fits).count() as u32;
        self.short |= over.iter().any(|(_, fits)| !fits);
        let (accepting, starting) = (self.accepting(), self.new.len() as u32);
        let taken = accepting + self.finishing(now_ms) + starting + self.ready;
        let bucket = BucketFacts {
            ready: self.ready,
            starting,
            accepting,
            free_slots: self.slots.saturating_sub(taken),
        };
        Facts {
            buckets: vec![bucket],
            wanted: 2,
            leaving: self.finishing(now_ms),
            short: self.short,
        }
    }

    fn tell_one(&mut self, now_ms: u64) {
        if let Some(one) = self.former.iter_mut().find(|(_, told)| told.is_none()) {
            one.1 = Some(now_ms);
        }
    }
}

proptest! {
    /// With any limits, and however long former children take to end: the new generation gets there once there is room for one
    /// child; the last that accepts is told only when another one accepts, when no slot comes free otherwise, or after 2 s.
    #[test]
    fn the_new_generation_gets_there(
        per_child in 3..30_u32, more_tasks in 0..80_u32, more_slots in 0..4_u32, start_ms in 1..300_u64,
        ends in proptest::collection::vec(5..6_000_u64, 1..6),
    ) {
        let former = ends.len() as u32;
        let mut model = Model {
            // At least what the server had so far.
            tasks: 1 + former * per_child + more_tasks,
            slots: former + more_slots,
            per_child,
            start_ms,
            former: ends.iter().map(|&ends| (ends, None)).collect(),
            new: Vec::new(),
            ready: 0,
            short: false,
        };
        for _ in 0..2.min(more_slots) {
            model.start(0);
        }
        let mut handover = Handover::begin(0);
        let mut done_ms = None;
        for now_ms in (0..MAX_WAIT_MS).step_by(5) {
            let facts = model.facts(now_ms);
            let before = model.accepting();
            let step = handover.next_step(&facts, now_ms);
            match step {
                Step::Wait => {}
                Step::Start(_) => {
                    prop_assert!(facts.buckets[0].free_slots > 0);
                    model.start(now_ms);
                }
                Step::ReleaseOne(_) => {
                    prop_assert!(before > 1, "the last one was told");
                    model.tell_one(now_ms);
                }
                Step::ReleaseAll => {
                    let no_slot = facts.buckets[0].free_slots == 0 && facts.leaving == 0 && before == 1;
                    prop_assert!(no_slot || now_ms >= LAST_GOES_MS, "at {now_ms} of {facts:?}");
                    (0..before).for_each(|_| model.tell_one(now_ms));
                }
                Step::Done => {
                    prop_assert!(model.ready > 0);
                    done_ms = Some(now_ms);
                    break;
                }
            }
        }
        // Stuck after two attempts, told after 2 s and one more, ended after 6 s; then one that still fails, and one that doesn't.
        let longest = ends.iter().copied().max().unwrap_or(0);
        let bound_ms = LAST_GOES_MS + longest + LONGEST_PAUSE_MS + 5 * start_ms + 100;
        prop_assert!(done_ms.is_some_and(|at| at <= bound_ms), "{done_ms:?}, not by {bound_ms}");
    }
}
