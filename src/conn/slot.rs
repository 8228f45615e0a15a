//! A connection's slot and the handles that own it.
//!
//! The slot lies in the connection's transaction pool: httpd keeps `c->cs`, the
//! pollset keeps the poll entry, so it must not move. C code writes into parts
//! of it, so no `&mut` to it ever exists; all fields are cells.

use super::ledger::{Also, Ledger};
use super::queues::{Key, Wait};
use crate::host::connection::{Conn, SharedState};
use crate::host::pollset::{self, PollEntry, Readiness};
use crate::host::pool::{Pool, TransactionPool};
use crate::host::scoreboard::Handle;
use crate::host::server::{Server, Timeouts};
use crate::host::socket::Socket;
use crate::host::status::Status;
use crate::host::{c, guard};
use crate::policy::conn_state::{interest, Interest, Sense, State};
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

/// First field of everything that a pollset entry points at.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A `Slot`.
    Connection,
    /// A listening socket, by its index in the bucket.
    Listening(u32),
}

/// Told when a connection has gone, whoever ended it.
pub trait Owner: Sync {
    /// The counters that the connection is in.
    fn ledger(&self) -> &Ledger;
    /// The connection has left the counters.
    fn connection_closed(&self);
}

/// What the MPM knows of a connection.
#[repr(C)]
pub struct Slot {
    target: Target,
    shared: UnsafeCell<SharedState>,
    entry: UnsafeCell<PollEntry>,
    owner: Option<&'static dyn Owner>,
    conn: Cell<*mut c::conn_rec>,
    request: Cell<*mut c::request_rec>,
    pool: Pool,
    socket: Option<Socket>,
    handle: Option<Handle>,
    timeouts: Cell<Timeouts>,
    key: Cell<Key>,
    lingering_since_us: Cell<u64>,
    linger_started: Cell<bool>,
    linger_over: Cell<bool>,
    told_suspended: Cell<bool>,
    counted: Cell<Option<Also>>,
    /// One side of suspend and resume has come; see `Running::suspend`.
    met: AtomicBool,
}

/// A worker has the connection.
pub struct Running(NonNull<Slot>);
/// The queues have it, and the pollset watches its socket.
pub struct Parked(NonNull<Slot>);
/// It waits for a worker.
pub struct Queued(NonNull<Slot>);

// SAFETY: the handle is the only way to the connection, and moves with it; what
// hands it over (a mutex) orders the accesses.
unsafe impl Send for Parked {}
// SAFETY: as above.
unsafe impl Send for Queued {}

/// What to do after a module was asked to give a connection back, or the worker to let go of it.
#[must_use]
pub enum Meeting {
    /// The other side has not come yet; it will act.
    First,
    /// Both have come: the connection is to be queued.
    Second(Queued),
}

impl Running {
    /// Makes the slot of a connection that was just accepted, and the
    /// connection.
    ///
    /// # Errors
    /// A module refused it: the caller has the pool back.
    pub fn create(
        owner: &'static dyn Owner,
        pool: TransactionPool,
        socket: Socket,
        server: Server,
        id: c::c_long,
        handle: Handle,
    ) -> Result<Running, TransactionPool> {
        let Some(conn) = Conn::create(pool.name(), server, socket, id, handle) else {
            return Err(pool);
        };
        let pool = pool.into_name();
        let slot = pool.alloc(Slot {
            target: Target::Connection,
            shared: UnsafeCell::new(SharedState {
                state: State::Processing.as_raw() as _,
                sense: 0,
            }),
            entry: UnsafeCell::new(pollset::entry(socket.as_ptr(), ptr::null_mut())),
            owner: Some(owner),
            conn: Cell::new(conn.as_ptr()),
            request: Cell::new(ptr::null_mut()),
            pool,
            socket: Some(socket),
            handle: Some(handle),
            timeouts: Cell::new(timeouts_of(Some(server))),
            key: Cell::new(Key::NONE),
            lingering_since_us: Cell::new(0),
            linger_started: Cell::new(false),
            linger_over: Cell::new(false),
            told_suspended: Cell::new(false),
            counted: Cell::new(None),
            met: AtomicBool::new(false),
        });
        let data = slot.as_ptr().cast::<c_void>();
        // SAFETY: the slot lives in the connection's pool, which runs the
        // cleanups before it frees it; nobody else knows the slot yet.
        unsafe {
            (*slot.as_ref().entry.get()).client_data = data;
            conn.attach(slot.as_ref().shared.get(), data);
            let conn_pool = conn.pool().unwrap_or(pool);
            conn_pool.on_clear(data, connection_cleared);
            pool.before_clear(data, resume_before_clear);
        }
        Ok(Running(slot))
    }

    fn slot(&self) -> &Slot {
        // SAFETY: the handle owns the slot, which lives until `close`.
        unsafe { self.0.as_ref() }
    }

    /// The connection.
    pub fn conn(&self) -> Conn {
        self.slot().conn()
    }

    /// The client socket.
    pub fn socket(&self) -> Option<Socket> {
        self.slot().socket
    }

    /// Entry of the worker that serves the connection.
    pub fn handle(&self) -> Option<Handle> {
        self.slot().handle
    }

    /// State, as modules and we last set it; may be no state at all.
    pub fn raw_state(&self) -> i32 {
        self.slot().raw_state()
    }

    /// State, with anything unknown taken as none.
    pub fn state(&self) -> Option<State> {
        State::from_raw(self.raw_state())
    }

    /// Sets the state.
    pub fn set_state(&self, state: State) {
        self.slot().set_state(state);
    }

    /// The direction that a module wants to be woken for.
    pub fn sense(&self) -> Sense {
        // SAFETY: this thread owns the connection, modules write on it alone.
        Sense::from_raw(unsafe { (*self.slot().shared.get()).sense } as i32)
    }

    /// Forgets the wish, which holds for one round.
    pub fn reset_sense(&self) {
        // SAFETY: as above.
        unsafe { (*self.slot().shared.get()).sense = 0 };
    }

    /// Timeout and KeepAliveTimeout of the server that the last request was for.
    pub fn timeouts(&self) -> Timeouts {
        self.slot().timeouts.get()
    }

    /// Counts the connection as lingering, once.
    pub fn count_as(&self, also: Also) {
        self.slot().count_as(Some(also));
    }

    /// Whether lingering close has begun.
    pub fn linger_started(&self) -> bool {
        self.slot().linger_started.get()
    }

    /// Whether the time for lingering close has passed.
    pub fn linger_over(&self) -> bool {
        self.slot().linger_over.get()
    }

    /// Lingering close begins.
    pub fn begin_linger(&self) {
        self.slot().linger_started.set(true);
        self.count_as(Also::Lingering);
    }

    /// The one time stamp of the whole lingering close.
    pub fn set_lingering_since(&self, now_us: u64) {
        self.slot().lingering_since_us.set(now_us);
    }

    /// See `set_lingering_since`.
    pub fn lingering_since(&self) -> u64 {
        self.slot().lingering_since_us.get()
    }

    /// Tells modules that no thread serves the connection any more.
    pub fn tell_suspended(&self) {
        let slot = self.slot();
        if slot.told_suspended.replace(true) {
            return;
        }
        let conn = self.conn();
        conn.run_suspend(slot.request.get());
        conn.set_scoreboard_handle(None);
    }

    /// Fixes what the pollset is to wake the connection for.
    pub fn set_interest(&self, default: Interest) {
        let readiness = match interest(self.sense(), default) {
            Interest::Read => Readiness::Readable,
            Interest::Write => Readiness::Writable,
        };
        self.reset_sense();
        // SAFETY: not in the pollset while a worker has the connection.
        unsafe { (*self.slot().entry.get()).reqevents = pollset::request(readiness) };
    }

    /// Gives the connection to the queues.
    pub fn into_parked(self) -> Parked {
        Parked(self.0)
    }

    /// Gives the connection to the module that holds it.
    ///
    /// The worker lets go here, the module gives back in `resume`; either may
    /// come first. Who comes second queues the connection.
    pub fn suspend(self) -> Meeting {
        self.count_as(Also::Suspended);
        self.tell_suspended();
        meet(self.0)
    }

    /// Closes the socket and gives the pool back. The connection leaves the
    /// counters when the pool is cleared.
    pub fn close(self) -> (TransactionPool, Status) {
        let slot = self.slot();
        let closed = slot.socket.map_or(Status::SUCCESS, Socket::close);
        // SAFETY: from `create`; the handle is consumed, so nobody uses the
        // connection any more.
        (unsafe { TransactionPool::from_name(slot.pool) }, closed)
    }
}

impl Parked {
    /// Where the queues keep it.
    pub fn set_key(&self, key: Key) {
        // SAFETY: the handle owns the slot.
        unsafe { self.0.as_ref() }.key.set(key);
    }

    /// Its entry in the pollset.
    pub fn poll_entry(&self) -> *mut PollEntry {
        // SAFETY: the handle owns the slot.
        unsafe { self.0.as_ref() }.entry.get()
    }

    /// Its socket is ready: to a worker.
    pub fn ready(self) -> Queued {
        // SAFETY: the handle owns the slot.
        let slot = unsafe { self.0.as_ref() };
        if let Some(State::Keepalive | State::AsyncWaitIo) = State::from_raw(slot.raw_state()) {
            slot.set_state(State::Processing);
        }
        Queued(self.0)
    }

    /// Its time is over: to a worker, for the close.
    pub fn expired(self, wait: Wait) -> Queued {
        // SAFETY: the handle owns the slot.
        let slot = unsafe { self.0.as_ref() };
        match wait {
            Wait::Linger | Wait::ShortLinger => slot.linger_over.set(true),
            Wait::Io | Wait::Write => slot.set_state(State::Linger),
            Wait::KeepAlive => {
                // It owes us nothing and we owe it nothing: no long farewell.
                slot.conn().ask_for_short_linger();
                slot.set_state(State::Linger);
            }
        }
        // In no queue and with no worker, it is closing all the same.
        slot.count_as(Some(Also::Lingering));
        Queued(self.0)
    }

    /// Back to the worker that parked it: the pollset did not take it.
    pub fn into_running(self) -> Running {
        Running(self.0)
    }
}

impl Queued {
    /// A worker takes it; modules are told.
    pub fn run(self, thread: crate::host::thread::Thread, child: i32, worker: i32) -> Running {
        let running = Running(self.0);
        let slot = running.slot();
        if let Some(handle) = slot.handle {
            handle.move_to(child, worker);
        }
        let conn = running.conn();
        conn.set_current_thread(thread);
        if slot.told_suspended.replace(false) {
            conn.set_scoreboard_handle(slot.handle);
            conn.run_resume(slot.request.get());
        }
        running
    }
}

impl Slot {
    fn conn(&self) -> Conn {
        // SAFETY: set at creation, lives in the same pool; the caller has the
        // handle that owns the connection.
        unsafe { Conn::from_raw(self.conn.get()).unwrap_unchecked() }
    }

    fn raw_state(&self) -> i32 {
        // SAFETY: whoever calls owns the connection; modules write only while
        // they are called on it.
        unsafe { (*self.shared.get()).state as i32 }
    }

    fn set_state(&self, state: State) {
        // SAFETY: as above.
        unsafe { (*self.shared.get()).state = state.as_raw() as _ };
    }

    fn count_as(&self, also: Option<Also>) {
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

fn timeouts_of(server: Option<Server>) -> Timeouts {
    server.and_then(Server::timeouts).unwrap_or(Timeouts {
        io_us: 60_000_000,
        keep_alive_us: 5_000_000,
    })
}

fn meet(slot: NonNull<Slot>) -> Meeting {
    // SAFETY: the slot lives until the connection is closed, which nobody can
    // do before it has been queued here.
    let met = unsafe { &slot.as_ref().met };
    if !met.swap(true, Ordering::AcqRel) {
        return Meeting::First;
    }
    met.store(false, Ordering::Release);
    // SAFETY: both sides have let go; the swap ordered their accesses.
    let state = unsafe { slot.as_ref() };
    state.count_as(None);
    if State::from_raw(state.raw_state()) == Some(State::Suspended) {
        // The module says nothing of what comes next: flush, then keep alive.
        state.set_state(State::WriteCompletion);
    }
    Meeting::Second(Queued(slot))
}

/// The slot of a connection that is ours, if it is.
fn find(conn: &Conn) -> Option<NonNull<Slot>> {
    NonNull::new(conn.attached().cast::<Slot>())
}

/// A module gives back a connection that it had suspended. What is next is in
/// `c->cs->state`. `None`: not a connection of this MPM.
///
/// The module must not use the connection afterwards.
pub fn resume(conn: &Conn) -> Option<Meeting> {
    let slot = find(conn)?;
    // SAFETY: an attached slot lives as long as its connection. Secondary
    // connections have no socket and are never suspended in the MPM.
    unsafe { slot.as_ref() }.socket?;
    Some(meet(slot))
}

/// Makes the slot of a secondary connection (an HTTP/2 stream): it has a state
/// of its own, since it runs at the same time as its master.
pub fn create_secondary(conn: &Conn) {
    let Some(master) = conn.master() else { return };
    let inherits = conn.shared_state().is_null() || conn.shared_state() == master.shared_state();
    let Some(pool) = conn.pool().filter(|_| inherits) else {
        return;
    };
    // SAFETY: the master's slot lives as long as the master, and its timeouts
    // change only while its own worker reads a request, which made this call.
    let timeouts = find(&master).map(|m| unsafe { m.as_ref() }.timeouts.get());
    let slot = pool.alloc(Slot {
        target: Target::Connection,
        shared: UnsafeCell::new(SharedState {
            state: State::Processing.as_raw() as _,
            sense: 0,
        }),
        entry: UnsafeCell::new(pollset::entry(ptr::null_mut(), ptr::null_mut())),
        owner: None,
        conn: Cell::new(conn.as_ptr()),
        request: Cell::new(ptr::null_mut()),
        pool,
        socket: None,
        handle: None,
        timeouts: Cell::new(timeouts.unwrap_or_else(|| timeouts_of(Server::main()))),
        key: Cell::new(Key::NONE),
        lingering_since_us: Cell::new(0),
        linger_started: Cell::new(false),
        linger_over: Cell::new(false),
        told_suspended: Cell::new(false),
        counted: Cell::new(None),
        met: AtomicBool::new(false),
    });
    // SAFETY: in the pool of the connection that this thread is setting up.
    unsafe { conn.attach(slot.as_ref().shared.get(), slot.as_ptr().cast()) };
}

/// A request begins on a connection: modules hear of it when the connection is
/// suspended, until `request_ended`. The base server's timeouts hold until its
/// virtual host is known.
pub fn request_begins(conn: &Conn, request: *mut c::request_rec, pool: Pool) {
    let Some(slot) = find(conn) else { return };
    // SAFETY: this thread serves the connection.
    let slot = unsafe { slot.as_ref() };
    slot.request.set(request);
    slot.timeouts.set(timeouts_of(Server::main()));
    // SAFETY: the request's pool goes before the connection's.
    unsafe { pool.on_clear(ptr::from_ref(slot).cast(), request_ended) };
}

/// The server whose timeouts hold from now on.
pub fn use_timeouts_of(conn: &Conn, server: Server) {
    if let Some(slot) = find(conn) {
        // SAFETY: this thread serves the connection.
        unsafe { slot.as_ref() }
            .timeouts
            .set(timeouts_of(Some(server)));
    }
}

/// What an event of the pollset is about.
///
/// # Safety
/// `data` came from the pollset: it points at a `Target`, alone or as the
/// first field of a `Slot` that is parked.
pub unsafe fn target_of(data: *mut c_void) -> (Target, Option<Key>) {
    // SAFETY: by contract.
    let target = unsafe { *data.cast::<Target>() };
    let key = match target {
        // SAFETY: a parked slot, whose key the queues have set under the lock
        // that this thread has been through since.
        Target::Connection => Some(unsafe { &*data.cast::<Slot>() }.key.get()),
        Target::Listening(_) => None,
    };
    (target, key)
}

unsafe extern "C" fn request_ended(data: *mut c_void) -> c::apr_status_t {
    // SAFETY: registered by `request_begins` with a slot that outlives the request.
    unsafe { &*data.cast::<Slot>() }
        .request
        .set(ptr::null_mut());
    0
}

/// Runs when the connection's pool is cleared, on whichever thread does that.
unsafe extern "C" fn connection_cleared(data: *mut c_void) -> c::apr_status_t {
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
unsafe extern "C" fn resume_before_clear(data: *mut c_void) -> c::apr_status_t {
    guard::or_abort(|| {
        // SAFETY: as above.
        let slot = unsafe { &*data.cast::<Slot>() };
        if slot.told_suspended.replace(false) {
            let conn = slot.conn();
            conn.set_scoreboard_handle(None);
            conn.run_resume(slot.request.get());
        }
    });
    0
}
