//! Listening sockets and their buckets.

use super::pool::Pool;
use super::server::Server;
use super::socket::Socket;
use super::status::Status;
use crate::sys;
use std::ffi::{c_char, c_void, CStr};
use std::ptr;

/// Forgets the listeners of the former configuration, keeping their sockets.
pub fn pre_config() {
    // SAFETY: called while the configuration is about to be read.
    unsafe { sys::ap_listen_pre_config() }
}

/// Whether the configuration asks for an address that this process doesn't listen on already.
pub fn any_new() -> bool {
    // SAFETY: httpd's own list, which lives as long as the configuration; the one thread there is reads it.
    let records =
        unsafe { std::iter::successors(sys::ap_listeners.as_ref(), |record| record.next.as_ref()) };
    records.into_iter().any(|record| record.active == 0)
}

/// Opens what the Listen directives ask for. Number of sockets; below 1 means
/// failure, which httpd has logged.
pub fn open_all(server: Server) -> i32 {
    // SAFETY: the main server record is live.
    unsafe { sys::ap_setup_listeners(server.as_ptr()) }
}

/// Closes the parent's listening sockets.
pub fn close_all() {
    // SAFETY: only the parent's single thread uses them.
    unsafe { sys::ap_close_listeners() }
}

/// A bucket: one set of listening sockets, served by its own children
/// (ListenCoresBucketsRatio).
#[derive(Clone, Copy)]
pub struct Bucket(*mut sys::ap_listen_rec);

// SAFETY: a name; one thread at a time accepts, the one that polls, and the list doesn't change after start.
unsafe impl Send for Bucket {}
// SAFETY: as above.
unsafe impl Sync for Bucket {}

/// The buckets; `wanted` keeps a number, `None` lets httpd compute one.
pub fn buckets(
    pool: Pool,
    server: Server,
    wanted: Option<i32>,
) -> Result<impl Iterator<Item = Bucket>, Status> {
    let mut lists = ptr::null_mut();
    let mut count = wanted.unwrap_or(0);
    // SAFETY: pool and server are live, results have places.
    Status(unsafe {
        sys::ap_duplicate_listeners(pool.as_ptr(), server.as_ptr(), &mut lists, &mut count)
    })
    .ok()?;
    // SAFETY: httpd returned `count` lists.
    Ok((0..count.max(0) as usize).map(move |i| Bucket(unsafe { *lists.add(i) })))
}

impl Bucket {
    /// The C list, to keep in retained or configuration memory.
    pub fn as_ptr(self) -> *mut sys::ap_listen_rec {
        self.0
    }

    /// Names a list again.
    ///
    /// # Safety
    /// `list` came from `as_ptr` under the present configuration.
    pub unsafe fn from_raw(list: *mut sys::ap_listen_rec) -> Bucket {
        Bucket(list)
    }

    /// Closes the sockets in this process.
    pub fn close(self) {
        // SAFETY: the list is live; nobody accepts on it any more.
        unsafe { sys::ap_close_listeners_ex(self.0) }
    }

    /// The listening sockets.
    pub fn sockets(self) -> impl Iterator<Item = Listening> {
        let first = (!self.0.is_null()).then_some(Listening(self.0));
        std::iter::successors(first, |l| {
            // SAFETY: the chain lives as long as the configuration.
            let next = unsafe { (*l.0).next };
            (!next.is_null()).then_some(Listening(next))
        })
    }
}

/// One listening socket.
#[derive(Clone, Copy)]
pub struct Listening(*mut sys::ap_listen_rec);

// SAFETY: as for `Bucket`.
unsafe impl Send for Listening {}
// SAFETY: as for `Bucket`.
unsafe impl Sync for Listening {}

impl Listening {
    /// Lets `accept` fail rather than wait. Its function is httpd's `ap_unixd_accept` but for the log: that one writes a line for
    /// each failure, and doesn't tell which it was.
    pub fn prepare(self) {
        // SAFETY: the socket is open; the listener thread prepares it before anybody may poll.
        unsafe {
            sys::apr_socket_opt_set((*self.0).sd, sys::APR_SO_NONBLOCK as i32, 1);
            (*self.0).accept_func = Some(accept);
        }
    }

    /// The C socket.
    pub fn socket(self) -> *mut sys::apr_socket_t {
        // SAFETY: the record is live.
        unsafe { (*self.0).sd }
    }

    /// Accepts a connection into `pool`, which is untouched on failure.
    pub fn accept(self, pool: Pool) -> Result<Socket, Status> {
        let mut accepted: *mut c_void = ptr::null_mut();
        // SAFETY: the record is live, `prepare` has set the function.
        let rv = unsafe {
            match (*self.0).accept_func {
                Some(accept) => accept(&mut accepted, self.0, pool.as_ptr()),
                None => return Err(Status::general()),
            }
        };
        // SAFETY: non-null only for a new socket, which lives in `pool`.
        unsafe { Socket::from_raw(accepted.cast()) }.ok_or(Status(rv))
    }

    /// How many descriptors this process may still open, if those that are open have the lowest numbers.
    pub fn free_descriptors(self) -> u32 {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let mut own = -1;
        // SAFETY: the record is live, the results have places; the descriptor that is made is closed again, and nobody else
        // knows it.
        unsafe {
            sys::apr_os_sock_get(&mut own, (*self.0).sd);
            let lowest = libc::fcntl(own, libc::F_DUPFD_CLOEXEC, 0);
            if lowest < 0 || libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
                return 0;
            }
            libc::close(lowest);
            let free = limit.rlim_cur.saturating_sub(lowest as libc::rlim_t);
            u32::try_from(free).unwrap_or(u32::MAX)
        }
    }

    /// Whether this process may open so many descriptors now. It tries, so for a moment others can't have them.
    pub fn may_open(self, descriptors: u32) -> bool {
        let mut own = -1;
        // SAFETY: the record is live, the result has a place.
        unsafe { sys::apr_os_sock_get(&mut own, (*self.0).sd) };
        // SAFETY: duplicates touch no memory.
        let made: Vec<i32> = (0..descriptors)
            .map(|_| unsafe { libc::fcntl(own, libc::F_DUPFD_CLOEXEC, 0) })
            .take_while(|&fd| fd >= 0)
            .collect();
        for &fd in &made {
            // SAFETY: made above, and nobody else knows it.
            unsafe { libc::close(fd) };
        }
        made.len() == descriptors as usize
    }

    /// Its address and port, as in a Listen directive.
    pub fn address(self) -> String {
        let mut text = [0 as c_char; 64];
        let mut address = ptr::null_mut();
        // SAFETY: the record is live, results have places; the address lives as long as its socket. The buffer has the length given.
        unsafe {
            sys::apr_socket_addr_get(&mut address, sys::APR_LOCAL, (*self.0).sd);
            if address.is_null()
                || sys::apr_sockaddr_ip_getbuf(text.as_mut_ptr(), text.len(), address) != 0
            {
                return "?".to_owned();
            }
            let ip = CStr::from_ptr(text.as_ptr()).to_string_lossy();
            match ip.contains(':') {
                true => format!("[{ip}]:{}", (*address).port),
                false => format!("{ip}:{}", (*address).port),
            }
        }
    }
}

/// # Safety
/// As httpd's `accept_function`: `accepted` has a place, the others are live.
unsafe extern "C" fn accept(
    accepted: *mut *mut c_void,
    record: *mut sys::ap_listen_rec,
    pool: *mut sys::apr_pool_t,
) -> sys::apr_status_t {
    // SAFETY: the caller's.
    unsafe {
        *accepted = ptr::null_mut();
        let mut socket = ptr::null_mut();
        let rv = sys::apr_socket_accept(&mut socket, (*record).sd, pool);
        if rv == 0 {
            *accepted = socket.cast();
        }
        rv
    }
}
