//! A connection's slot: what the MPM knows of it.
//!
//! The slot lies in the connection's transaction pool: httpd keeps `c->cs`, so
//! it must not move. C code writes into parts
//! of it, so no `&mut` to it ever exists; all fields are cells.

use super::blocks::SpareBlocks;
use super::ledger::{Also, Ledger};
use super::queues::Wait;
use super::slot_watch::WatchName;
use crate::host::connection::{Conn, SharedState};
use crate::host::pollset::Readiness;
use crate::host::pool::Pool;
use crate::host::scoreboard::Handle;
use crate::host::server::{Server, Timeouts};
use crate::host::socket::Socket;
use crate::host::{c, guard};
use crate::policy::conn_state::State;
use crate::sync::suspension::Suspension;
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Told when a connection has gone, whoever ended it.
pub trait Owner: Sync {
    /// The counters that the connection is in.
    fn ledger(&self) -> &Ledger;
    /// The free blocks of the worker of this index.
    fn spare_blocks(&self, worker: i32) -> Option<&SpareBlocks>;
    /// The connection has left the counters.
    fn connection_closed(&self);
}

/// Timeouts that other threads may read: streams of HTTP/2 begin on threads
/// of their own and inherit them.
pub(super) struct SharedTimeouts {
    io_us: AtomicU64,
    keep_alive_us: AtomicU64,
}

impl SharedTimeouts {
    fn new(timeouts: Timeouts) -> SharedTimeouts {
        SharedTimeouts {
            io_us: AtomicU64::new(timeouts.io_us),
            keep_alive_us: AtomicU64::new(timeouts.keep_alive_us),
        }
    }

    pub(super) fn get(&self) -> Timeouts {
        Timeouts {
            io_us: self.io_us.load(Relaxed),
            keep_alive_us: self.keep_alive_us.load(Relaxed),
        }
    }

    pub(super) fn set(&self, timeouts: Timeouts) {
        self.io_us.store(timeouts.io_us, Relaxed);
        self.keep_alive_us.store(timeouts.keep_alive_us, Relaxed);
    }
}

/// What the MPM knows of a connection.
#[repr(C)]
pub struct Slot {
    pub(super) shared: UnsafeCell<SharedState>,
    /// What it is to be watched for, and its place in the pollset; none before the first time.
    pub(super) interest: Cell<Readiness>,
    pub(super) watch: Cell<Option<WatchName>>,
    pub(super) owner: Option<&'static dyn Owner>,
    pub(super) conn: Cell<*mut c::conn_rec>,
    pub(super) request: Cell<*mut c::request_rec>,
    pub(super) pool: Pool,
    pub(super) socket: Option<Socket>,
    pub(super) handle: Option<Handle>,
    pub(super) timeouts: SharedTimeouts,
    pub(super) lingering_since_us: Cell<u64>,
    pub(super) linger_started: Cell<bool>,
    /// What its time was over for, once it was.
    pub(super) expired: Cell<Option<Wait>>,
    pub(super) told_suspended: Cell<bool>,
    pub(super) counted: Cell<Option<Also>>,
    pub(super) suspension: Suspension,
    /// Whose free blocks the connection has while a worker serves it.
    pub(super) lender: Cell<Option<&'static SpareBlocks>>,
}

impl Slot {
    /// The slot of a connection that begins, in its pool and attached to it.
    /// `owner`, `socket` and `handle` are those of a client's connection; one
    /// within another has none.
    pub(super) fn attach(
        conn: &Conn,
        pool: Pool,
        timeouts: Timeouts,
        owner: Option<&'static dyn Owner>,
        socket: Option<Socket>,
        handle: Option<Handle>,
    ) -> NonNull<Slot> {
        let slot = pool.alloc(Slot {
            shared: UnsafeCell::new(SharedState {
                state: State::Processing.as_raw() as _,
                sense: 0,
            }),
            interest: Cell::new(Readiness::Readable),
            watch: Cell::new(None),
            owner,
            conn: Cell::new(conn.as_ptr()),
            request: Cell::new(ptr::null_mut()),
            pool,
            socket,
            handle,
            timeouts: SharedTimeouts::new(timeouts),
            lingering_since_us: Cell::new(0),
            linger_started: Cell::new(false),
            expired: Cell::new(None),
            told_suspended: Cell::new(false),
            counted: Cell::new(None),
            suspension: Suspension::new(),
            lender: Cell::new(None),
        });
        let data = slot.as_ptr().cast::<c_void>();
        // SAFETY: the slot lives in the connection's pool, and nobody else
        // knows it yet.
        unsafe { conn.attach(slot.as_ref().shared.get(), data) };
        slot
    }

    pub(super) fn conn(&self) -> Conn {
        // SAFETY: set at creation, lives in the same pool; the caller has the
        // handle that owns the connection.
        unsafe { Conn::from_raw(self.conn.get()).unwrap_unchecked() }
    }

    pub(super) fn raw_state(&self) -> i32 {
        // SAFETY: whoever calls owns the connection; modules write only while
        // they are called on it.
        unsafe { (*self.shared.get()).state as i32 }
    }

    pub(super) fn set_state(&self, state: State) {
        // SAFETY: as above.
        unsafe { (*self.shared.get()).state = state.as_raw() as _ };
    }

    /// See `Running::goes_on`. For who owns the connection.
    pub(super) fn goes_on(&self) -> bool {
        let was_idle = self.expired.get() == Some(Wait::KeepAlive) && !self.linger_started.get();
        if !was_idle || !self.socket.is_some_and(Socket::has_input) {
            return false;
        }
        self.expired.set(None);
        self.count_as(None);
        self.set_state(State::Processing);
        true
    }

    pub(super) fn count_as(&self, also: Option<Also>) {
        let before = self.counted.replace(also);
        if before == also {
            return;
        }
        if let Some(owner) = self.owner {
            if let Some(before) = before {
                owner.ledger().leave(before);
            }
            if let Some(also) = also {
                owner.ledger().enter(also);
            }
        }
    }
}

pub(super) fn timeouts_of(server: Option<Server>) -> Timeouts {
    server.and_then(Server::timeouts).unwrap_or(Timeouts {
        io_us: 60_000_000,
        keep_alive_us: 5_000_000,
    })
}

/// The slot of a connection that is ours, if it is.
pub(super) fn find(conn: &Conn) -> Option<NonNull<Slot>> {
    NonNull::new(conn.attached().cast::<Slot>())
}

/// Runs when the connection's pool is cleared, on whichever thread does that.
pub(super) unsafe extern "C" fn connection_cleared(data: *mut c_void) -> c::apr_status_t {
    guard::or_abort(|| {
        // SAFETY: registered by `Running::create`; the pool still holds the slot.
        let slot = unsafe { &*data.cast::<Slot>() };
        slot.count_as(None);
        if let Some(owner) = slot.owner {
            owner.ledger().closed();
            owner.connection_closed();
        }
    });
    0
}

/// Modules that were told of a suspension hear of a resumption before their
/// own cleanups run, with no scoreboard entry: nobody serves the connection.
pub(super) unsafe extern "C" fn resume_before_clear(data: *mut c_void) -> c::apr_status_t {
    guard::or_abort(|| {
        // SAFETY: as above.
        let slot = unsafe { &*data.cast::<Slot>() };
        if slot.told_suspended.replace(false) {
            let conn = slot.conn();
            conn.set_scoreboard_handle(None);
            // SAFETY: noted when the request began, taken back when it ended.
            unsafe { conn.run_resume(slot.request.get()) };
        }
    });
    0
}
