//! `conn_rec` and the hooks that httpd runs on a connection.

use super::identity;
use super::pool::Pool;
use super::scoreboard::Handle;
use super::server::Server;
use super::socket::Socket;
use super::thread::Thread;
use crate::sys;
use std::ffi::{c_int, c_long, c_void};
use std::ptr::{self, NonNull};

/// What modules and the MPM tell each other about a connection (`c->cs`).
pub type SharedState = sys::conn_state_t;

/// A connection. Belongs to one thread at a time, as httpd requires; this is a
/// name for it, ownership is kept by `conn::handle`.
#[derive(Clone, Copy)]
pub struct Conn(NonNull<sys::conn_rec>);

impl Conn {
    /// Names a connection.
    ///
    /// # Safety
    /// `c` is live, and this thread owns it, while the name is used.
    pub unsafe fn from_raw(c: *mut sys::conn_rec) -> Option<Conn> {
        NonNull::new(c).map(Conn)
    }

    /// Runs the create_connection hooks; httpd has logged why there is none.
    pub fn create(
        pool: Pool,
        server: Server,
        socket: Socket,
        id: c_long,
        handle: Handle,
    ) -> Option<Conn> {
        // SAFETY: all arguments are live and belong to the new connection's pool.
        NonNull::new(unsafe {
            let buckets = sys::apr_bucket_alloc_create(pool.as_ptr());
            sys::ap_run_create_connection(
                pool.as_ptr(),
                server.as_ptr(),
                socket.as_ptr(),
                id,
                handle.as_ptr().cast(),
                buckets,
            )
        })
        .map(Conn)
    }

    /// The C record.
    pub fn as_ptr(&self) -> *mut sys::conn_rec {
        self.0.as_ptr()
    }

    /// The connection's own pool.
    pub fn pool(&self) -> Option<Pool> {
        // SAFETY: the record is live.
        unsafe { Pool::from_raw((*self.as_ptr()).pool) }
    }

    /// The server of the address it came in on.
    pub fn base_server(&self) -> Option<Server> {
        // SAFETY: the record is live; servers outlive connections.
        unsafe { Server::from_raw((*self.as_ptr()).base_server) }
    }

    /// The connection that carries this one (HTTP/2 streams have one).
    pub fn master(&self) -> Option<Conn> {
        // SAFETY: the record is live; a master outlives its secondaries.
        unsafe { Conn::from_raw((*self.as_ptr()).master) }
    }

    /// State shared with modules; null before `attach`.
    pub fn shared_state(&self) -> *mut SharedState {
        // SAFETY: the record is live.
        unsafe { (*self.as_ptr()).cs }
    }

    /// Sets `c->cs` and our own pointer, before any hook sees the connection.
    ///
    /// # Safety
    /// Both live as long as the connection.
    pub unsafe fn attach(&self, shared: *mut SharedState, ours: *mut c_void) {
        // SAFETY: the record is live and this thread's; the caller vouches for the pointers.
        unsafe {
            (*self.as_ptr()).cs = shared;
            identity::set_config((*self.as_ptr()).conn_config, ours);
        }
    }

    /// What `attach` set as ours; null on a connection that isn't.
    pub fn attached(&self) -> *mut c_void {
        // SAFETY: the record and its vector are live.
        unsafe {
            let vector = (*self.as_ptr()).conn_config;
            if vector.is_null() {
                return ptr::null_mut();
            }
            identity::get_config(vector)
        }
    }

    /// The thread that serves the connection from now on.
    pub fn set_current_thread(&self, thread: Thread) {
        // SAFETY: the record is live and this thread's.
        unsafe { (*self.as_ptr()).current_thread = thread.as_ptr() }
    }

    /// The scoreboard handle while a worker serves the connection, else `None`.
    pub fn set_scoreboard_handle(&self, handle: Option<Handle>) {
        let handle = handle.map_or(ptr::null_mut(), |h| h.as_ptr().cast::<c_void>());
        // SAFETY: the record is live and this thread's.
        unsafe { (*self.as_ptr()).sbh = handle }
    }

    /// The client socket, as the core knows it.
    pub fn socket(&self) -> Option<Socket> {
        // SAFETY: the record is live.
        unsafe { Socket::from_raw(sys::ap_get_conn_socket(self.as_ptr())) }
    }

    /// Finds the virtual hosts of the local address.
    pub fn find_virtual_hosts(&self) {
        // SAFETY: the record is live and this thread's.
        unsafe { sys::ap_update_vhost_given_ip(self.as_ptr()) }
    }

    /// Runs the pre_connection hooks and the core's own part.
    pub fn run_pre_connection(&self, socket: Socket) -> c_int {
        // SAFETY: as above.
        unsafe { sys::mre_pre_connection(self.as_ptr(), socket.as_ptr().cast()) }
    }

    /// Runs the process_connection hooks.
    pub fn run_process_connection(&self) -> c_int {
        // SAFETY: as above.
        unsafe { sys::ap_run_process_connection(self.as_ptr()) }
    }

    /// Tells modules that no thread serves the connection now.
    ///
    /// # Safety
    /// `request` is the connection's live request, or null.
    pub unsafe fn run_suspend(&self, request: *mut sys::request_rec) {
        // SAFETY: as above; the request is live or null.
        unsafe { sys::ap_run_suspend_connection(self.as_ptr(), request) }
    }

    /// Tells modules that a thread serves the connection again.
    ///
    /// # Safety
    /// `request` is the connection's live request, or null.
    pub unsafe fn run_resume(&self, request: *mut sys::request_rec) {
        // SAFETY: as above.
        unsafe { sys::ap_run_resume_connection(self.as_ptr(), request) }
    }

    /// Flushes, runs the pre_close hooks and ends our direction. Whether the
    /// connection is over already, so that nothing is left to wait for.
    pub fn start_lingering_close(&self) -> bool {
        // SAFETY: as above.
        unsafe { sys::ap_start_lingering_close(self.as_ptr()) != 0 }
    }

    /// The client is gone.
    pub fn aborted(&self) -> bool {
        // SAFETY: the record is live.
        unsafe { sys::mre_conn_aborted(self.as_ptr()) != 0 }
    }

    /// Another request may follow (`AP_CONN_KEEPALIVE`).
    pub fn keepalive_wanted(&self) -> bool {
        // SAFETY: the record is live.
        unsafe { sys::mre_conn_keepalive_wanted(self.as_ptr()) != 0 }
    }

    /// How many answers after which the connection was kept.
    pub fn answers(&self) -> u32 {
        // SAFETY: the record is live and this thread's.
        unsafe { (*self.as_ptr()).keepalives.max(0) as u32 }
    }

    /// Whether it is settled that the connection is closed after this answer.
    pub fn closes_after_answer(&self) -> bool {
        // SAFETY: the record is live and this thread's.
        unsafe { (*self.as_ptr()).keepalive == sys::AP_CONN_CLOSE }
    }

    /// The connection is closed after this answer, whose head says so if it has not been written yet.
    pub fn close_after_answer(&self) {
        // SAFETY: the record is live and this thread's.
        unsafe { (*self.as_ptr()).keepalive = sys::AP_CONN_CLOSE }
    }

    /// An input filter can't do without a thread of its own.
    pub fn has_clogging_filters(&self) -> bool {
        // SAFETY: the record is live.
        unsafe { sys::mre_conn_clogging(self.as_ptr()) != 0 }
    }

    /// Input has been read ahead (the next pipelined request).
    pub fn input_pending(&self) -> bool {
        // SAFETY: the record is live.
        unsafe { sys::mre_conn_input_pending(self.as_ptr()) != 0 }
    }

    /// Output is waiting for room in the socket.
    pub fn output_pending(&self) -> bool {
        // SAFETY: the record is live.
        unsafe { sys::mre_conn_output_pending(self.as_ptr()) != 0 }
    }

    /// The note by which a module, or we, ask for a short lingering close.
    pub fn wants_short_linger(&self) -> bool {
        // SAFETY: the record and its notes are live; the key is static.
        unsafe { !sys::apr_table_get((*self.as_ptr()).notes, SHORT_LINGER.as_ptr()).is_null() }
    }

    /// Asks for a short lingering close.
    pub fn ask_for_short_linger(&self) {
        // SAFETY: as above; both strings are static.
        unsafe {
            sys::apr_table_setn((*self.as_ptr()).notes, SHORT_LINGER.as_ptr(), c"1".as_ptr());
        }
    }
}

const SHORT_LINGER: &std::ffi::CStr = c"short-lingering-close";

/// The connection that a request came on.
///
/// # Safety
/// `r` is live and this thread's.
pub unsafe fn of_request(r: *mut sys::request_rec) -> Option<Conn> {
    // SAFETY: the caller's.
    unsafe { Conn::from_raw((*r).connection) }
}

/// The virtual host that a request is for.
///
/// # Safety
/// `r` is live and this thread's.
pub unsafe fn server_of_request(r: *mut sys::request_rec) -> Option<Server> {
    // SAFETY: the caller's.
    unsafe { Server::from_raw((*r).server) }
}

/// Pool of a request.
///
/// # Safety
/// `r` is live and this thread's.
pub unsafe fn pool_of_request(r: *mut sys::request_rec) -> Option<Pool> {
    // SAFETY: the caller's.
    unsafe { Pool::from_raw((*r).pool) }
}
