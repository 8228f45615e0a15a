//! The handles that own a connection, one at a time.

use super::ledger::Also;
use super::queues::Wait;
use super::slot::{connection_cleared, find, resume_before_clear, timeouts_of, Owner, Slot};
use super::slot_watch::WatchName;
use crate::host::c;
use crate::host::connection::Conn;
use crate::host::pollset::Readiness;
use crate::host::pool::TransactionPool;
use crate::host::scoreboard::Handle;
use crate::host::server::{Server, Timeouts};
use crate::host::socket::Socket;
use crate::host::status::Status;
use crate::host::thread::Thread;
use crate::policy::conn_state::{interest, Interest, Sense, State};
use crate::sync::suspension::{AfterHook, GiveBack};
use std::ffi::c_void;
use std::ptr::NonNull;

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
        worker: i32,
    ) -> Result<Running, TransactionPool> {
        let Some(conn) = Conn::create(pool.name(), server, socket, id, handle) else {
            return Err(pool);
        };
        let pool = pool.into_name();
        let timeouts = timeouts_of(Some(server));
        let slot = Slot::attach(
            &conn,
            pool,
            timeouts,
            Some(owner),
            Some(socket),
            Some(handle),
        );
        // SAFETY: just made. Modules' pre_connection sees the state that event
        // has then.
        unsafe { slot.as_ref() }.set_state(State::Keepalive);
        let data = slot.as_ptr().cast::<c_void>();
        // SAFETY: the pools run the cleanups before they free the slot.
        unsafe {
            conn.pool()
                .unwrap_or(pool)
                .on_clear(data, connection_cleared);
            pool.before_clear(data, resume_before_clear);
        }
        let running = Running(slot);
        // Now: what the connection has for good is better not in blocks that are in use.
        running.borrow_blocks(worker);
        Ok(running)
    }

    /// A turn begins: the connection has the worker's free blocks for its length.
    fn borrow_blocks(&self, worker: i32) {
        let slot = self.slot();
        let lender = slot.owner.and_then(|owner| owner.spare_blocks(worker));
        if let Some(lender) = lender {
            // SAFETY: the handle owns the connection and its pool.
            unsafe { slot.pool.add_free(lender.lend()) };
        }
        slot.lender.set(lender);
    }

    /// The turn ends: what is free goes with the worker.
    fn return_blocks(&self) {
        let slot = self.slot();
        if let Some(lender) = slot.lender.take() {
            // SAFETY: the handle owns the connection and its pool.
            lender.collect(|max_free| unsafe { slot.pool.take_free(max_free) });
        }
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

    /// Counts the connection as something else than open, as well.
    pub fn count_as(&self, also: Also) {
        self.slot().count_as(Some(also));
    }

    /// What the connection's time was over for; `None`: it is here for another reason.
    pub fn expired(&self) -> Option<Wait> {
        self.slot().expired.get()
    }

    /// Whether an idle connection that was to be closed goes on after all, as a request has come. Once lingering has
    /// begun it is shut down, whatever still comes.
    pub fn goes_on(&self) -> bool {
        self.slot().goes_on()
    }

    /// Whether lingering close has begun.
    pub fn linger_started(&self) -> bool {
        self.slot().linger_started.get()
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
        // SAFETY: noted when the request began, taken back when it ended.
        unsafe { conn.run_suspend(slot.request.get()) };
        conn.set_scoreboard_handle(None);
    }

    /// Fixes what the pollset is to wake the connection for.
    pub fn set_interest(&self, default: Interest) {
        let readiness = match interest(self.sense(), default) {
            Interest::Read => Readiness::Readable,
            Interest::Write => Readiness::Writable,
        };
        self.reset_sense();
        self.slot().interest.set(readiness);
    }

    /// Gives the connection to the queues.
    pub fn into_parked(self) -> Parked {
        self.return_blocks();
        Parked(self.0)
    }

    /// The hooks are about to be called: from now on a module may give the
    /// connection back.
    pub fn enter_hook(&self) {
        self.slot().suspension.enter_hook();
    }

    /// The hooks have returned and not suspended the connection. `Err`: a
    /// module has given it back already, which it may do only if it has
    /// suspended it; the state is what it wants next.
    pub fn leave_hook(self) -> Result<Running, Queued> {
        match self.slot().suspension.leave_hook(false) {
            AfterHook::Mine | AfterHook::Kept => Ok(self),
            AfterHook::Returned => {
                self.tell_suspended();
                Err(returned(self.0))
            }
        }
    }

    /// Gives the connection to the module that holds it. It comes back at once
    /// when the module has given it back already.
    pub fn suspend(self) -> Option<Queued> {
        self.count_as(Also::Suspended);
        self.tell_suspended();
        match self.slot().suspension.leave_hook(true) {
            AfterHook::Returned => Some(returned(self.0)),
            AfterHook::Kept | AfterHook::Mine => None,
        }
    }

    /// Its place in the pollset, which it gives up.
    pub(super) fn take_watch(&self) -> Option<WatchName> {
        self.slot().watch.take()
    }

    /// Closes the socket and gives the pool back. The connection leaves the
    /// counters when the pool is cleared.
    pub fn close(self) -> (TransactionPool, Status) {
        self.return_blocks();
        let slot = self.slot();
        let closed = slot.socket.map_or(Status::SUCCESS, Socket::close);
        // SAFETY: from `create`; the handle is consumed, so nobody uses the
        // connection any more.
        (unsafe { TransactionPool::from_name(slot.pool) }, closed)
    }
}

impl Parked {
    fn slot(&self) -> &Slot {
        // SAFETY: the handle owns the slot.
        unsafe { self.0.as_ref() }
    }

    /// What it waits for.
    pub(super) fn interest(&self) -> Readiness {
        self.slot().interest.get()
    }

    /// Its place in the pollset; `make` gives it one the first time.
    pub(super) fn watch_or(&self, make: impl FnOnce(Option<Socket>) -> WatchName) -> WatchName {
        let slot = self.slot();
        let watch = slot.watch.get().unwrap_or_else(|| make(slot.socket));
        slot.watch.set(Some(watch));
        watch
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
        slot.expired.set(Some(wait));
        if !matches!(wait, Wait::Linger | Wait::ShortLinger) {
            slot.set_state(State::Linger);
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
    /// Its lingering is over: to be closed without telling modules that a
    /// thread serves it, for none does.
    pub fn if_over(self) -> Result<Running, Queued> {
        // SAFETY: the handle owns the slot.
        match unsafe { self.0.as_ref() }.expired.get() {
            Some(Wait::Linger | Wait::ShortLinger) => Ok(Running(self.0)),
            _ => Err(self),
        }
    }

    /// See [`Running::goes_on`].
    ///
    /// # Errors
    /// It is still to be closed.
    pub fn goes_on(self) -> Result<Queued, Queued> {
        // SAFETY: the handle owns the slot.
        match unsafe { self.0.as_ref() }.goes_on() {
            true => Ok(self),
            false => Err(self),
        }
    }

    /// A worker takes it; modules are told.
    pub fn run(self, thread: Thread, child: i32, worker: i32) -> Running {
        let running = Running(self.0);
        running.borrow_blocks(worker);
        let slot = running.slot();
        if let Some(handle) = slot.handle {
            handle.move_to(child, worker);
        }
        let conn = running.conn();
        conn.set_current_thread(thread);
        if slot.told_suspended.replace(false) {
            conn.set_scoreboard_handle(slot.handle);
            // SAFETY: noted when the request began, taken back when it ended.
            unsafe { conn.run_resume(slot.request.get()) };
        }
        running
    }
}

/// Both have let go of a suspended connection: to a worker.
fn returned(slot: NonNull<Slot>) -> Queued {
    // SAFETY: neither the module nor the former worker uses the connection any
    // more, and the suspension has ordered their accesses.
    let state = unsafe { slot.as_ref() };
    state.count_as(None);
    if State::from_raw(state.raw_state()) == Some(State::Suspended) {
        // The module says nothing of what comes next: flush, then keep alive.
        state.set_state(State::WriteCompletion);
    }
    Queued(slot)
}

/// What came of a module's giving a connection back.
pub enum Resumed {
    /// The worker that is on its way out of the hook will queue it.
    Later,
    /// To be queued now.
    Now(Queued),
    /// It is not suspended, or not a connection of this MPM.
    Refused,
}

/// A module gives back a connection that it had suspended. What is next is in
/// `c->cs->state`. The module must not use the connection afterwards.
pub fn resume(conn: &Conn) -> Resumed {
    let Some(slot) = find(conn) else {
        return Resumed::Refused;
    };
    // SAFETY: an attached slot lives as long as its connection.
    match unsafe { slot.as_ref() }.suspension.give_back() {
        GiveBack::First => Resumed::Later,
        GiveBack::Second => Resumed::Now(returned(slot)),
        GiveBack::Refused => Resumed::Refused,
    }
}
