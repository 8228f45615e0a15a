//! A connection's turn on a worker.
//!
//! What comes next is decided by `policy::conn_state`; here it is done.

use super::worker::Worker;
use super::Work;
use crate::conn::ledger::Also;
use crate::conn::queues::Wait;
use crate::conn::slot::Owner;
use crate::conn::slot_handles::Running;
use crate::host::clock;
use crate::host::filter;
use crate::host::log::{log_conn, log_server, Level};
use crate::host::pool::TransactionPool;
use crate::host::scoreboard::{Handle, WorkerStatus};
use crate::host::socket::Socket;
use crate::host::status::Status;
use crate::policy::conn_state::{
    after_flush, after_hooks, closing_text, AfterFlush, AfterHooks, Flushed, HookResult, Interest,
    Sense, State,
};
use crate::sync::phase::Stage;
use std::sync::atomic::Ordering;

/// What a step of the turn leads to.
enum Step {
    /// Call the process_connection hooks.
    Process(Running),
    /// Write what is pending.
    Flush(Running),
    /// Close, with lingering.
    Linger(Running),
    /// The connection is somebody else's now.
    Given,
}

impl Worker {
    /// Serves a connection that was just accepted.
    pub(super) fn serve_new(&self, socket: Socket, pool: TransactionPool) {
        let child = self.child;
        self.note_serving(socket.descriptor());
        let handle = Handle::create(pool.name(), child.slot, self.index as i32);
        let id = child.next_conn_id();
        let worker = self.index as i32;
        match Running::create(child, pool, socket, child.server, id, handle, worker) {
            Ok(conn) => {
                conn.conn().set_current_thread(self.thread);
                self.start(conn, socket);
            }
            Err(pool) => {
                let _ = socket.close();
                child.pools.recycle(pool);
                child.ledger.closed();
                child.connection_closed();
            }
        }
        self.note_serving(-1);
    }

    fn start(&self, conn: Running, socket: Socket) {
        let c = conn.conn();
        c.find_virtual_hosts();
        let result = HookResult::from_raw(c.run_pre_connection(socket));
        if !matches!(result, HookResult::Ok | HookResult::Done) {
            log_conn!(
                &c,
                Level::Debug,
                Status::SUCCESS,
                "AH00469: process_socket: connection aborted"
            );
            return self.close(conn);
        }
        conn.set_state(State::Processing);
        conn.reset_sense();
        self.run_steps(Step::Process(conn));
    }

    /// Serves a connection that is ready, or whose time is over.
    pub(super) fn serve_connection(&self, conn: Running) {
        self.note_serving(conn.socket().map_or(-1, Socket::descriptor));
        // Looked at twice: a request may have come since it was taken from those to be closed.
        let _ = conn.goes_on();
        let first = match conn.state() {
            Some(s) if s.is_lingering() => Step::Linger(conn),
            Some(State::WriteCompletion) if !conn.conn().has_clogging_filters() => {
                Step::Flush(conn)
            }
            _ => Step::Process(conn),
        };
        self.run_steps(first);
        self.note_serving(-1);
    }

    fn run_steps(&self, mut step: Step) {
        loop {
            step = match step {
                Step::Process(conn) => self.process(conn),
                Step::Flush(conn) => self.flush(conn),
                Step::Linger(conn) => return self.linger(conn),
                Step::Given => return,
            }
        }
    }

    /// Runs the process_connection hooks.
    fn process(&self, conn: Running) -> Step {
        let ledger = &self.child.ledger;
        let c = conn.conn();
        conn.set_state(State::Processing);
        let clogging = c.has_clogging_filters();
        if clogging {
            ledger.enter(Also::Clogged);
        }
        conn.enter_hook();
        let result = HookResult::from_raw(c.run_process_connection());
        if clogging {
            ledger.leave(Also::Clogged);
        }
        let next = after_hooks(result, conn.raw_state(), c.aborted());
        if next == AfterHooks::Suspend {
            if let Some(queued) = conn.suspend() {
                self.child.submit(Work::Ready(queued));
            }
            return Step::Given;
        }
        let conn = match conn.leave_hook() {
            Ok(conn) => conn,
            Err(queued) => {
                self.child.submit(Work::Ready(queued));
                return Step::Given;
            }
        };
        match next {
            AfterHooks::Linger { unexpected } => {
                if unexpected {
                    let text = closing_text(result, conn.raw_state());
                    log_conn!(&c, Level::Debug, Status::SUCCESS, "{text}");
                }
                conn.set_state(State::Linger);
                Step::Linger(conn)
            }
            AfterHooks::WaitIo => {
                self.set_status(&conn, WorkerStatus::BusyRead);
                conn.set_state(State::AsyncWaitIo);
                self.park(conn, Wait::Io, Interest::Read);
                Step::Given
            }
            AfterHooks::WriteCompletion => {
                conn.set_state(State::WriteCompletion);
                Step::Flush(conn)
            }
            AfterHooks::Suspend => Step::Given, // dealt with above
        }
    }

    /// Writes what is pending, then keeps the connection alive or closes it.
    fn flush(&self, conn: Running) -> Step {
        let c = conn.conn();
        self.set_status(&conn, WorkerStatus::BusyWrite);
        let flushed = filter::flush_output(&c);
        if flushed != Status::SUCCESS {
            log_conn!(
                &c,
                Level::Debug,
                flushed,
                "AH00470: network write failure in core output filter"
            );
        }
        let finishing = self.child.stage() != Stage::Running;
        let drain_open = self.drain_open();
        // No event will tell of it any more: the connection would be closed over a request that is there.
        let arrived = finishing && !drain_open && conn.socket().is_some_and(Socket::has_input);
        let next = after_flush(&Flushed {
            failed: flushed != Status::SUCCESS,
            output_pending: c.output_pending(),
            want_read: conn.sense() == Sense::WantRead,
            keepalive: c.keepalive_wanted(),
            aborted: c.aborted(),
            input_pending: c.input_pending() || arrived,
            finishing,
            drain_open,
        });
        match next {
            AfterFlush::Linger => Step::Linger(conn),
            AfterFlush::ParkWrite => {
                self.park(conn, Wait::Write, Interest::Write);
                Step::Given
            }
            AfterFlush::ProcessAgain => Step::Process(conn),
            AfterFlush::ParkKeepalive => {
                conn.set_state(State::Keepalive);
                self.set_status(&conn, WorkerStatus::BusyKeepalive);
                conn.reset_sense();
                self.park(conn, Wait::KeepAlive, Interest::Read);
                Step::Given
            }
        }
    }

    fn drain_open(&self) -> bool {
        let until = self.child.drain_until_us.load(Ordering::Acquire);
        until != 0 && clock::now_us() < until
    }

    /// Leaves the connection to queues and pollset.
    pub(super) fn park(&self, conn: Running, wait: Wait, interest: Interest) {
        self.note_serving(-1);
        conn.tell_suspended();
        conn.set_interest(interest);
        if let Err((conn, status)) = self.child.parking.park(conn, wait) {
            let what = match wait {
                Wait::Io => "AH10503: process_socket: apr_pollset_add failure in CONN_STATE_ASYNC_WAITIO",
                Wait::Write => {
                    "AH03465: process_socket: apr_pollset_add failure in CONN_STATE_WRITE_COMPLETION"
                }
                Wait::KeepAlive => "AH03093: process_socket: apr_pollset_add failure for keep alive",
                Wait::Linger | Wait::ShortLinger => {
                    "AH03092: process_lingering_close: apr_pollset_add failure"
                }
            };
            log_server!(Level::Err, status, "{what}");
            self.close(conn);
        }
        if wait == Wait::KeepAlive && self.child.stage() != Stage::Running {
            // The drain window may have ended between the decision and now.
            self.child.parking.wake();
        }
    }

    /// Closes at once and gives the memory back.
    pub(super) fn close(&self, conn: Running) {
        self.note_serving(-1);
        self.child.parking.forget(&conn);
        let (pool, status) = conn.close();
        if status != Status::SUCCESS {
            log_server!(Level::Err, status, "AH00468: error closing socket");
        }
        self.child.pools.recycle(pool);
    }

    fn set_status(&self, conn: &Running, status: WorkerStatus) {
        if let Some(handle) = conn.handle() {
            handle.set_status(status);
        }
    }

    /// Lets an ungraceful end find the descriptor that this worker may be blocked on.
    fn note_serving(&self, descriptor: i32) {
        let Some(place) = self.child.serving.get(self.index) else {
            return;
        };
        place.store(descriptor, Ordering::SeqCst);
        if descriptor >= 0 && self.child.stage() == Stage::Ending {
            crate::host::socket::shut_down_descriptor(descriptor);
        }
    }
}
