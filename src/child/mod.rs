//! L3: one child process: start-up, listener, workers, shutdown.
//!
//! | file | what |
//! | --- | --- |
//! | `start` | from the fork to the end of the process, on the main thread |
//! | `duty` | what whoever polls does: events, timers, timeouts |
//! | `listener` | the thread that guards the workers |
//! | `accept` | when and how connections are accepted |
//! | `accept_failure` | what is done when that fails |
//! | `worker` | a worker's loop |
//! | `process` | a connection's turn on a worker |
//! | `linger` | lingering close |
//! | `closing` | expired connections, closed by workers beside their other work |
//! | `finish` | the phases of the end |
//! | `pools` | transaction pools, used again |
//! | `timed` | timed callbacks |
//! | `turnover` | newcomers beside kept clients, when the child is full |

mod accept;
mod accept_failure;
mod closing;
mod duty;
mod finish;
mod linger;
mod listener;
mod pools;
mod process;
pub mod start;
pub mod timed;
pub mod turnover;
mod worker;

use crate::config::settings::settings;
use crate::conn::blocks::SpareBlocks;
use crate::conn::ledger::{Also, Ledger};
use crate::conn::parking::Parking;
use crate::conn::slot::Owner;
use crate::conn::slot_handles::Queued;
use crate::host::backlog::Backlogs;
use crate::host::callback::Callback;
use crate::host::clock::{self, MS};
use crate::host::connection::Conn;
use crate::host::listener::Bucket;
use crate::host::pod::Wakeup;
use crate::host::pool::{Pool, TransactionPool};
use crate::host::retained::Common;
use crate::host::scoreboard::{ChildEntry, ConnectionCounts};
use crate::host::server::Server;
use crate::host::socket::Socket;
use crate::policy::admission::{self, workers_left, Load};
use crate::policy::limits::Limits;
use crate::sync::handoff::Handoff;
use crate::sync::phase::{Phase, Stage};
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Something for a worker to do.
enum Work {
    /// A connection that was just accepted, in its pool.
    Accepted(Socket, TransactionPool),
    /// A connection that is ready, or to be closed.
    Ready(Queued),
    /// A timed callback.
    Timer(Callback),
    /// Connections whose time is over are waiting to be closed.
    Closings,
}

/// All that a child's threads share.
pub struct Child {
    slot: i32,
    pid: i32,
    generation: i32,
    limits: Limits,
    server: Server,
    common: Common,
    entry: ChildEntry,
    listeners: Bucket,
    /// Who waits there.
    backlogs: Backlogs,
    pchild: Pool,
    /// Pool of threads and connections: it outlives `pchild`, on whose cleanup
    /// modules may still meet connections.
    runtime: Pool,
    phase: Phase,
    /// Accepting has begun: all threads are up.
    opened: AtomicBool,
    /// Accepting has ended, for good.
    accept_closed: AtomicBool,
    /// Until when idle connections of a finishing child may still bring a
    /// request, microseconds; 0: not finishing.
    drain_until_us: AtomicU64,
    accepting: AtomicBool,
    /// While it doesn't accept: whoever polls looks again when a worker idles.
    awaits_idle: AtomicBool,
    answers: turnover::Answers,
    handoff: Handoff<Work, Box<duty::Duty>, duty::PollsetBell>,
    parking: Parking,
    timers: timed::TimerBook,
    closings: closing::Closings,
    pools: pools::Pools,
    ledger: Ledger,
    exited_workers: AtomicU32,
    /// Descriptor that each worker is serving, -1 for none.
    serving: Box<[AtomicI32]>,
    conn_ids: AtomicU64,
    /// When the counts were published; who holds it publishes them.
    published_us: Mutex<u64>,
    main_wakeup: Wakeup,
    exits: finish::Exits,
}

static CHILD: OnceCell<&'static Child> = OnceCell::new();

/// The child that this process is; `None` in the parent.
pub fn current() -> Option<&'static Child> {
    CHILD.get().copied()
}

impl Child {
    fn threads(&self) -> u32 {
        self.limits.threads_per_child.max(1) as u32
    }

    fn stage(&self) -> Stage {
        self.phase.get()
    }

    /// What the admission rule looks at, with `found` items that the hand-off doesn't know of yet.
    fn load(&self, found: usize) -> Load {
        let handoff = &self.handoff;
        let arriving = self.ledger.count(Also::Arriving) as usize;
        let waiting = handoff.queued() + found;
        let left = workers_left(handoff.at_hand(), waiting, arriving, |ready| {
            handoff.workers_for(ready)
        });
        // Figures that change one after the other may say too little; this is one, and who waits for it is rung for.
        let left = left.max(self.idle_without(found));
        Load {
            connections: self.ledger.connections(),
            lingering: self.ledger.count(Also::Lingering),
            idle_workers: left as u32,
            threads: self.threads(),
            accepting: self.accepting.load(Ordering::Acquire),
            factor: settings().worker_factor(),
        }
    }

    /// Workers that are idle when each of `found` has one, too.
    fn idle_without(&self, found: usize) -> usize {
        self.handoff.idle().saturating_sub(found)
    }

    /// An id that no other live connection of this server has: the child's
    /// slot and a sequence number. Small at first, since modules print it.
    fn next_conn_id(&self) -> std::ffi::c_long {
        let sequence = self.conn_ids.fetch_add(1, Ordering::Relaxed);
        let slots = self.limits.server_limit.max(1) as u64;
        (sequence.wrapping_mul(slots) + self.slot as u64) as std::ffi::c_long
            & std::ffi::c_long::MAX
    }

    /// Queues work; after the end of the child it has no taker and is dropped.
    fn submit(&self, work: Work) {
        if self.handoff.submit(work).is_err() {
            debug_assert!(self.stage() == Stage::Ending);
        }
    }

    /// Publishes the connection counts for mod_status.
    fn publish_counts(&self) {
        self.publish_counts_if(|_| true);
    }

    /// The same several times a second.
    fn publish_counts_if_due(&self) {
        const EVERY_US: u64 = 200 * MS;
        self.publish_counts_if(|age_us| age_us >= EVERY_US);
    }

    /// One at a time: who publishes last has counted last.
    fn publish_counts_if(&self, due: impl FnOnce(u64) -> bool) {
        let mut published_us = self
            .published_us
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now_us = clock::now_us();
        if !due(now_us.saturating_sub(*published_us)) {
            return;
        }
        *published_us = now_us;
        let mut counts = ConnectionCounts {
            total: self.ledger.connections(),
            lingering: self.ledger.count(Also::Lingering),
            suspended: self.ledger.count(Also::Suspended),
            ..ConnectionCounts::default()
        };
        self.parking.count(&mut counts);
        self.entry.publish(&counts);
    }

    /// A connection has gone: the poller is asked to look at admission again, or to wait for a worker that idles.
    fn reconsider_accepting(&self) {
        if self.accepting.load(Ordering::Acquire) {
            return;
        }
        let load = self.load(0);
        // The count of connections has been changed before this is read; who sets it reads that count afterwards.
        let must_await_idle = !self.awaits_idle.load(Ordering::SeqCst);
        if admission::accept_change(&load) == admission::AcceptChange::Resume
            || must_await_idle && admission::idle_workers_would_help(&load)
        {
            self.parking.wake();
        }
    }
}

impl Owner for Child {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn spare_blocks(&self, worker: i32) -> Option<&SpareBlocks> {
        self.pools.spare_blocks(worker)
    }

    fn connection_closed(&self) {
        match self.stage() {
            Stage::Running => self.reconsider_accepting(),
            Stage::Finishing | Stage::Ending => {
                // One worker more than connections: it may go, and the
                // listener ends with the last connection.
                self.handoff.interrupt_one();
                if self.ledger.connections() == 0 {
                    self.parking.wake();
                }
            }
        }
    }
}

/// A module gives back a connection that it had suspended; see
/// include/mpm_rust_event.h. Whether it was one of ours.
pub fn resume_suspended(conn: &Conn) -> bool {
    use crate::conn::slot_handles::{resume, Resumed};
    let Some(child) = current() else { return false };
    match resume(conn) {
        Resumed::Refused => false,
        Resumed::Later => true,
        Resumed::Now(queued) => {
            child.submit(Work::Ready(queued));
            true
        }
    }
}
