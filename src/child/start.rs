//! A child from the fork to its end, on its main thread.

use super::duty::PollsetBell;
use super::worker;
use super::{closing, finish, listener, pools, timed, turnover, Child, CHILD};
use crate::config::birth::Birth;
use crate::config::settings::settings;
use crate::conn::ledger::Ledger;
use crate::conn::parking::Parking;
use crate::conn::slot_pollset::{ConnPollset, Poller};
use crate::host::backlog::Backlogs;
use crate::host::child_process::{self, exit_code_fatal, exit_code_sick};
use crate::host::listener::Bucket;
use crate::host::log::{log_server, Level};
use crate::host::pod::{Hear, Order, Orders, Wakeup};
use crate::host::pollset::Pollset;
use crate::host::pool::Pool;
use crate::host::retained::MpmState;
use crate::host::retained_data::{former, former_pods};
use crate::host::scoreboard::{self, ChildEntry};
use crate::host::server;
use crate::host::status::Status;
use crate::host::thread::{self, Thread, ThreadAttributes};
use crate::host::{clock, hooks, signals, startup};
use crate::sync::handoff::Handoff;
use crate::sync::phase::{Phase, Stage};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};

/// How long an ending child waits for handlers that do not return.
const END_WAIT_US: u64 = 1_500 * clock::MS;

extern "C" fn die(_: std::ffi::c_int) {
    child_process::exit_now(0);
}

/// Runs a child; returns never.
pub fn run(birth: Birth) -> ! {
    birth.common.set_state(MpmState::Starting);
    let one_process = settings().one_process();
    if !one_process {
        signals::on_terminate(die);
    }
    startup::catch_faults_in_child(birth.server);
    let Some(pchild) = birth.pconf.subpool(c"pchild") else {
        child_process::exit(exit_code_fatal());
    };
    if !one_process {
        if let Err(status) = startup::adopt_main_thread(pchild).ok() {
            log_server!(
                Level::Emerg,
                status,
                "AH10377: Couldn't initialize child main thread"
            );
            leave(&birth, pchild, exit_code_fatal());
        }
    }
    close_what_is_others(&birth);
    scoreboard::reopen(pchild);
    if !hooks::run_drop_privileges(pchild, birth.server) {
        leave(&birth, pchild, exit_code_fatal());
    }
    // Before child_init, so that threads that modules make get no signal of ours.
    if let Err(status) = signals::block_all().ok() {
        log_server!(
            Level::Emerg,
            status,
            "AH00479: Couldn't initialize signal thread"
        );
        leave(&birth, pchild, exit_code_fatal());
    }
    // Before child_init, so that a module can register timed callbacks there.
    let (child, poller) = match build(&birth, pchild) {
        Ok(built) => built,
        Err(code) => leave(&birth, pchild, code),
    };
    hooks::run_child_init(pchild, birth.server);
    // Before the threads: one that finishes the child says so after this.
    birth.common.set_state(MpmState::Running);
    let threads = match start_threads(child, poller) {
        Ok(threads) => threads,
        Err(code) => leave(&birth, pchild, code),
    };
    if one_process {
        signals::wait_for_terminate();
        if !child.exits.complete() {
            child.end();
        }
    } else {
        signals::ignore_terminate();
    }
    listen_to_parent(child, &birth);
    join(threads);
    leave(&birth, pchild, 0)
}

/// Closes what came with the fork and belongs to other children or the parent.
fn close_what_is_others(birth: &Birth) {
    if let Some(broadcasts) = birth.generation.broadcasts {
        broadcasts.only_listen();
        for place in former() {
            if let Some((_, kept)) = place.get() {
                kept.close();
            }
        }
        former_pods().close();
    }
    for (i, other) in birth.generation.buckets().iter().enumerate() {
        if i != birth.bucket {
            other.listeners.close();
            if let Some(pod) = other.pod {
                pod.close();
            }
        }
    }
}

/// Makes what the child's threads share, and publishes it.
fn build(birth: &Birth, pchild: Pool) -> Result<(&'static Child, Poller), i32> {
    let fail_as = |level, what: &str, status| {
        log_server!(level, status, "{what}");
        exit_code_fatal()
    };
    let fail = |what: &str, status| fail_as(Level::Alert, what, status);
    let short = Status::general();
    let runtime = birth
        .pconf
        .subpool(c"mpm_runtime")
        .ok_or_else(|| fail("AH03101: ap_queue_info_create() failed", short))?;
    let bucket = *birth
        .generation
        .buckets()
        .get(birth.bucket)
        .ok_or_else(exit_code_fatal)?;
    let threads = birth.limits.threads_per_child.max(1) as u32;
    let (pollset, poller) = make_pollset(bucket.listeners, threads, runtime).map_err(|status| {
        fail_as(
            Level::Err,
            "AH03103: apr_pollset_create with Thread Safety failed.",
            status,
        )
    })?;
    let main_wakeup =
        Wakeup::new().map_err(|status| fail("AH03100: ap_queue_create() failed", status))?;
    let child = Child {
        slot: birth.slot,
        pid: child_process::own_pid(),
        generation: birth.common.generation(),
        limits: birth.limits,
        server: birth.server,
        common: birth.common,
        entry: ChildEntry::of(birth.slot).ok_or_else(exit_code_fatal)?,
        listeners: bucket.listeners,
        backlogs: Backlogs::of(bucket.listeners),
        pchild,
        phase: Phase::new(),
        opened: AtomicBool::new(false),
        accept_closed: AtomicBool::new(false),
        drain_until_us: AtomicU64::new(0),
        accepting: AtomicBool::new(false),
        awaits_idle: AtomicBool::new(false),
        answers: turnover::Answers::default(),
        handoff: Handoff::new(threads as usize, PollsetBell(pollset.clone())),
        parking: Parking::new(pollset),
        timers: timed::TimerBook::new(),
        closings: closing::Closings::default(),
        pools: pools::Pools::new(birth.pconf, threads),
        ledger: Ledger::default(),
        exited_workers: AtomicU32::new(0),
        serving: (0..threads).map(|_| AtomicI32::new(-1)).collect(),
        conn_ids: AtomicU64::new(0),
        published_us: Mutex::new(0),
        main_wakeup,
        exits: finish::Exits::new(),
        runtime,
    };
    // Lives as long as the process: threads and modules refer to it until then.
    let child: &'static Child = Box::leak(Box::new(child));
    CHILD.set(child).map_err(|_| exit_code_fatal())?;
    Ok((child, poller))
}

fn make_pollset(
    listeners: Bucket,
    threads: u32,
    pool: Pool,
) -> Result<(Arc<ConnPollset>, Poller), Status> {
    let size = listeners.sockets().count() as u32 + threads * 2 + 1;
    let pollset = Pollset::create(size, pool)?;
    let (pollset, poller) = ConnPollset::new(pollset, listeners.sockets());
    Ok((Arc::new(pollset), poller))
}

/// Makes the workers, then the listener, which lets them poll.
fn start_threads(child: &'static Child, poller: Poller) -> Result<Vec<(String, Thread)>, i32> {
    let stack_size = server::thread_stack_size();
    let (attributes, taken) =
        ThreadAttributes::create(child.pchild, stack_size).map_err(|_| exit_code_sick())?;
    if taken != Status::SUCCESS && taken != Status::not_implemented() {
        log_server!(
            Level::Warning,
            taken,
            "AH02436: WARNING: ThreadStackSize of {stack_size} is inappropriate, using default"
        );
    }
    log_server!(
        Level::Debug,
        Status::SUCCESS,
        "AH02471: start_threads: Using {} (wakeable)",
        child.parking.pollset().method()
    );
    let mut threads = Vec::new();
    for index in 0..child.threads() as usize {
        child.exits.expect();
        let made = thread::spawn(&attributes, child.runtime, move |thread| {
            worker::run(child, thread, index);
        });
        threads.push((
            format!("worker thread {index}"),
            checked(
                made,
                "AH03104: ap_thread_create: unable to create worker thread",
            )?,
        ));
    }
    child.exits.expect();
    let made = thread::spawn(&attributes, child.runtime, move |_| {
        listener::run(child, poller);
        child.thread_ended();
    });
    let made = checked(
        made,
        "AH00474: ap_thread_create: unable to create listener thread",
    )?;
    threads.push(("listener thread".to_owned(), made));
    Ok(threads)
}

fn checked(made: Result<Thread, Status>, what: &str) -> Result<Thread, i32> {
    made.map_err(|status| {
        log_server!(Level::Alert, status, "{what}");
        exit_code_sick()
    })
}

/// Does as the parent says, until all threads have ended.
fn listen_to_parent(child: &Child, birth: &Birth) {
    let pod = birth
        .generation
        .buckets()
        .get(birth.bucket)
        .and_then(|b| b.pod);
    let orders = Orders::new(pod, birth.generation.broadcasts, birth.parent_pid);
    let mut give_up_us = None;
    let mut told = Stage::Running;
    loop {
        let stage = child.stage();
        if stage != told {
            told = stage;
            hooks::run_child_stopping(child.pchild, stage == Stage::Finishing);
        }
        if child.exits.complete() {
            return;
        }
        let (hear, timeout_ms) = match stage {
            Stage::Running => (Hear::All, -1),
            Stage::Finishing => (Hear::End, -1),
            Stage::Ending => {
                let now = clock::now_us();
                let until = *give_up_us.get_or_insert(now + END_WAIT_US);
                if now >= until {
                    give_up(child);
                }
                (Hear::Nothing, (until - now).div_ceil(clock::MS) as i32)
            }
        };
        match orders.wait(&child.main_wakeup, hear, timeout_ms) {
            Some(Order::Finish) => child.finish(birth.drain_us),
            Some(Order::FinishOne) => child.finish(finish::DRAIN_US),
            Some(Order::End) => child.end(),
            None => {}
        }
    }
}

/// A handler doesn't return: the parent would kill the process later on.
fn give_up(child: &Child) -> ! {
    log_server!(
        Level::Info,
        Status::SUCCESS,
        "rust_event: child {} ends with requests still in their handlers",
        child.pid
    );
    child_process::exit_now(0)
}

fn join(threads: Vec<(String, Thread)>) {
    for (what, thread) in threads {
        let joined = thread.join();
        if joined != Status::SUCCESS {
            let id = if what.starts_with("listener") {
                "AH00476"
            } else {
                "AH00477"
            };
            log_server!(
                Level::Crit,
                joined,
                "{id}: apr_thread_join: unable to join {what}"
            );
        }
    }
}

/// Ends the process in order: modules' cleanups of the child's pool run.
fn leave(birth: &Birth, pchild: Pool, code: i32) -> ! {
    birth.common.set_state(MpmState::Stopping);
    let told = super::current().is_some_and(|c| c.stage() != Stage::Running);
    if !told {
        hooks::run_child_stopping(pchild, false);
    }
    pchild.end_of_process();
    if let Some(before_exit) = birth.before_exit {
        before_exit();
    }
    child_process::exit(code)
}
