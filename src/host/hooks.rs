//! Registering our functions with httpd's hooks, and running the hooks that
//! are the MPM's to run.

use super::pool::Pool;
use super::server::Server;
use crate::sys;
use std::ffi::c_int;
use std::ptr;

/// Our functions, one per hook that an MPM implements.
pub struct Hooks {
    /// open_logs: opens the listening sockets.
    pub open_logs: sys::ap_HOOK_open_logs_t,
    /// pre_config: defaults, detaching.
    pub pre_config: sys::ap_HOOK_pre_config_t,
    /// post_config: each server's timeouts.
    pub post_config: sys::ap_HOOK_post_config_t,
    /// check_config: corrects limits.
    pub check_config: sys::ap_HOOK_check_config_t,
    /// mpm: runs the server.
    pub mpm: sys::ap_HOOK_mpm_t,
    /// mpm_query.
    pub mpm_query: sys::ap_HOOK_mpm_query_t,
    /// mpm_register_timed_callback.
    pub mpm_register_timed_callback: sys::ap_HOOK_mpm_register_timed_callback_t,
    /// mpm_get_name.
    pub mpm_get_name: sys::ap_HOOK_mpm_get_name_t,
    /// pre_read_request: a request begins.
    pub pre_read_request: sys::ap_HOOK_pre_read_request_t,
    /// post_read_request: its virtual host is known.
    pub post_read_request: sys::ap_HOOK_post_read_request_t,
    /// insert_error_filter: another answer than the request's handler began.
    pub insert_error_filter: sys::ap_HOOK_insert_error_filter_t,
    /// pre_connection: secondary connections.
    pub pre_connection: sys::ap_HOOK_pre_connection_t,
    /// protocol_switch: another virtual host for the whole connection.
    pub protocol_switch: sys::ap_HOOK_protocol_switch_t,
}

const FIRST: c_int = sys::APR_HOOK_REALLY_FIRST;
const MIDDLE: c_int = sys::APR_HOOK_MIDDLE as c_int;

/// A null-terminated list of module names, as hook ordering takes it.
struct Names([*const std::ffi::c_char; 2]);
// SAFETY: pointers to static strings, never written.
unsafe impl Sync for Names {}
/// open_logs must come before the core's, which sends stderr to the log file:
/// an administrator should see on the console why the server doesn't start.
static BEFORE_CORE: Names = Names([c"core.c".as_ptr(), ptr::null()]);

/// Registers them.
pub fn register(hooks: &Hooks) {
    let none = ptr::null();
    // SAFETY: called from register_hooks; functions and names are static.
    unsafe {
        sys::ap_hook_open_logs(hooks.open_logs, none, BEFORE_CORE.0.as_ptr(), FIRST);
        // Other modules ask for the MPM's state in their pre_config.
        sys::ap_hook_pre_config(hooks.pre_config, none, none, FIRST);
        sys::ap_hook_post_config(hooks.post_config, none, none, MIDDLE);
        sys::ap_hook_check_config(hooks.check_config, none, none, MIDDLE);
        sys::ap_hook_mpm(hooks.mpm, none, none, MIDDLE);
        sys::ap_hook_mpm_query(hooks.mpm_query, none, none, MIDDLE);
        sys::ap_hook_mpm_register_timed_callback(
            hooks.mpm_register_timed_callback,
            none,
            none,
            MIDDLE,
        );
        sys::ap_hook_mpm_get_name(hooks.mpm_get_name, none, none, MIDDLE);
        sys::ap_hook_pre_read_request(hooks.pre_read_request, none, none, MIDDLE);
        sys::ap_hook_post_read_request(hooks.post_read_request, none, none, MIDDLE);
        sys::ap_hook_insert_error_filter(hooks.insert_error_filter, none, none, MIDDLE);
        sys::ap_hook_pre_connection(hooks.pre_connection, none, none, FIRST);
        sys::ap_hook_protocol_switch(hooks.protocol_switch, none, none, FIRST);
    }
}

/// Registers, on a server that can't be served, just what stops its start: httpd has an MPM, and its configuration is
/// refused before any directive takes effect.
pub fn register_refusal(pre_config: sys::ap_HOOK_pre_config_t, mpm: sys::ap_HOOK_mpm_t) {
    let none = ptr::null();
    // SAFETY: as above; every 2.4 has both hooks.
    unsafe {
        sys::ap_hook_pre_config(pre_config, none, none, FIRST);
        sys::ap_hook_mpm(mpm, none, none, MIDDLE);
    }
}

/// Runs pre_mpm, which creates the scoreboard. Whether it succeeded.
pub fn run_pre_mpm(process_pool: Pool) -> bool {
    // SAFETY: the pool is live.
    unsafe { sys::ap_run_pre_mpm(process_pool.as_ptr(), sys::SB_SHARED) == sys::OK as c_int }
}

/// What happened to a child.
#[derive(Clone, Copy)]
pub enum ChildEvent {
    /// It was made.
    Started,
    /// It has ended.
    Exited,
}

/// Runs child_status; the core counts generations by it and runs end_generation.
pub fn run_child_status(server: Server, pid: i32, generation: i32, slot: i32, event: ChildEvent) {
    let event = match event {
        ChildEvent::Started => sys::MPM_CHILD_STARTED,
        ChildEvent::Exited => sys::MPM_CHILD_EXITED,
    };
    // SAFETY: the server is live.
    unsafe { sys::ap_run_child_status(server.as_ptr(), pid, generation, slot, event) }
}

/// Runs drop_privileges. Whether it succeeded.
pub fn run_drop_privileges(pchild: Pool, server: Server) -> bool {
    // SAFETY: pool and server are live; the child has one thread.
    unsafe { sys::ap_run_drop_privileges(pchild.as_ptr(), server.as_ptr()) == 0 }
}

/// Runs child_init.
pub fn run_child_init(pchild: Pool, server: Server) {
    // SAFETY: as above.
    unsafe { sys::ap_run_child_init(pchild.as_ptr(), server.as_ptr()) }
}

/// Runs child_stopping.
pub fn run_child_stopping(pchild: Pool, graceful: bool) {
    // SAFETY: the pool is live.
    unsafe { sys::mre_run_child_stopping(pchild.as_ptr(), graceful.into()) }
}
