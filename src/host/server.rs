//! `server_rec`, process-wide settings of httpd, and what it says of itself.

use super::identity;
use super::pool::Pool;
use crate::sys;
use std::ffi::{c_char, c_int, CStr};
use std::ptr::{self, NonNull};

/// A server or virtual host. Lives from the reading of the configuration until
/// the next restart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Server(NonNull<sys::server_rec>);

// SAFETY: httpd changes server records only while it reads the configuration,
// on the one thread there is then; afterwards they are read-only.
unsafe impl Send for Server {}
// SAFETY: as above.
unsafe impl Sync for Server {}

impl Server {
    /// Names a server record.
    ///
    /// # Safety
    /// `server` belongs to the present configuration.
    pub unsafe fn from_raw(server: *mut sys::server_rec) -> Option<Server> {
        NonNull::new(server).map(Server)
    }

    /// The main server; `None` before the configuration is being read.
    pub fn main() -> Option<Server> {
        // SAFETY: httpd's own global, null when there is no configuration.
        NonNull::new(unsafe { sys::ap_server_conf }).map(Server)
    }

    /// The C record.
    pub fn as_ptr(self) -> *mut sys::server_rec {
        self.0.as_ptr()
    }

    fn get(&self) -> &sys::server_rec {
        // SAFETY: live by the contract of `from_raw`, read-only by now.
        unsafe { self.0.as_ref() }
    }

    /// This server and the virtual hosts after it.
    pub fn and_following(self) -> impl Iterator<Item = Server> {
        // SAFETY: the chain belongs to the same configuration.
        std::iter::successors(Some(self), |s| unsafe { Server::from_raw(s.get().next) })
    }

    /// Whether this server has a KeepAliveTimeout of its own.
    pub fn sets_keep_alive_timeout(self) -> bool {
        // SAFETY: the record is live.
        unsafe { sys::mre_server_keepalive_timeout_set(self.as_ptr()) != 0 }
    }

    /// Pool of the process, kept over restarts.
    pub fn process_pool(self) -> Option<Pool> {
        // SAFETY: every server record points at the process record, which lives as long as the process.
        unsafe { Pool::from_raw((*self.get().process).pool) }
    }

    /// Notes this server's timeouts where `timeouts` finds them.
    pub fn attach_timeouts(self, pconf: Pool) {
        let record = self.get();
        let timeouts = pconf.alloc(Timeouts {
            io_us: record.timeout.max(0) as u64,
            keep_alive_us: record.keep_alive_timeout.max(0) as u64,
        });
        // SAFETY: called while the configuration is read, on the one thread there is.
        unsafe { identity::set_config(record.module_config, timeouts.as_ptr().cast()) }
    }

    /// This server's timeouts; `None` before they are attached.
    pub fn timeouts(self) -> Option<Timeouts> {
        // SAFETY: the vector belongs to the live record; nothing but
        // `attach_timeouts` sets our place in it.
        unsafe {
            let attached = identity::get_config(self.get().module_config).cast::<Timeouts>();
            attached.as_ref().copied()
        }
    }
}

/// Timeouts of a server or virtual host, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Timeout: waiting to read on a module's behalf, or to write.
    pub io_us: u64,
    /// KeepAliveTimeout: waiting for the next request.
    pub keep_alive_us: u64,
}

/// Text of C that lives at least as long as the configuration.
fn text(p: *const c_char) -> String {
    if p.is_null() {
        return String::new();
    }
    // SAFETY: httpd's strings are NUL-terminated.
    unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned()
}

/// "Apache/2.4.x (...) ..." as the start-up message prints it.
pub fn description() -> String {
    // SAFETY: returns a live string.
    text(unsafe { sys::ap_get_server_description() })
}

/// When the server was built.
pub fn built() -> String {
    // SAFETY: returns a live string.
    text(unsafe { sys::ap_get_server_built() })
}

/// (major, minor, patch) of the running server.
pub fn revision() -> (i32, i32, i32) {
    let mut v = sys::ap_version_t {
        major: 0,
        minor: 0,
        patch: 0,
        add_string: ptr::null(),
    };
    // SAFETY: the place is valid.
    unsafe { sys::ap_get_server_revision(&mut v) };
    (v.major, v.minor, v.patch)
}

/// A function that this module can't do without and the server, being older than 2.4.33, lacks.
pub fn missing_function() -> Option<&'static CStr> {
    // SAFETY: null or a static string.
    unsafe {
        let name = sys::mre_missing_function();
        (!name.is_null()).then(|| CStr::from_ptr(name))
    }
}

/// Whether the command line defines `name` (`httpd -D name`).
pub fn defined(name: &CStr) -> bool {
    // SAFETY: a NUL-terminated name.
    unsafe { sys::ap_exists_config_define(name.as_ptr()) != 0 }
}

/// Whether the configuration is being read for the first time, which only
/// checks it (`AP_SQ_MS_CREATE_PRE_CONFIG`).
pub fn is_preflight() -> bool {
    // SAFETY: a query without memory arguments.
    unsafe {
        sys::ap_state_query(sys::AP_SQ_MAIN_STATE as c_int)
            == sys::AP_SQ_MS_CREATE_PRE_CONFIG as c_int
    }
}

/// MaxConnectionsPerChild; 0 means no limit.
pub fn max_connections_per_child() -> i32 {
    // SAFETY: httpd's own setting, written while the configuration is read.
    unsafe { sys::ap_max_requests_per_child }
}

/// MaxMemFree in bytes; 0 means no limit.
pub fn max_mem_free() -> usize {
    // SAFETY: as above.
    unsafe { sys::ap_max_mem_free as usize }
}

/// ThreadStackSize in bytes; 0 means the system's default.
pub fn thread_stack_size() -> usize {
    // SAFETY: as above.
    unsafe { sys::ap_thread_stacksize }
}

/// GracefulShutdownTimeout in seconds; 0 means no limit.
pub fn graceful_shutdown_timeout() -> i32 {
    // SAFETY: as above.
    unsafe { sys::ap_graceful_shutdown_timeout }
}

/// ExtendedStatus back to its default, before the configuration is read.
pub fn reset_extended_status() {
    // SAFETY: httpd's own setting; the single-threaded phase before the configuration is read.
    unsafe { sys::ap_extended_status = 0 }
}
