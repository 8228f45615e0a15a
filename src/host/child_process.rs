//! Making, reaping and signalling child processes, from the parent.

use super::guard;
use super::pool::Pool;
use super::server::Server;
use super::status::Status;
use crate::sys;
use std::ffi::c_int;

/// Which process `fork` returned in.
pub enum Forked {
    /// The new child.
    Child,
    /// The parent, with the child's process id.
    Parent(i32),
}

/// Makes a child process.
pub fn fork() -> Result<Forked, Status> {
    // SAFETY: the parent has one thread, so the child's copy is whole.
    match unsafe { libc::fork() } {
        -1 => Err(Status::last_os_error()),
        0 => {
            // SAFETY: first call in the new process; gives the thread its identity.
            unsafe { sys::mre_thread_current_after_fork() };
            Ok(Forked::Child)
        }
        pid => Ok(Forked::Parent(pid)),
    }
}

/// Process id of this process.
pub fn own_pid() -> i32 {
    // SAFETY: can't fail.
    unsafe { libc::getpid() }
}

/// Ends this process; runs the C library's exit functions.
pub fn exit(code: i32) -> ! {
    // SAFETY: other threads, if any, are blocked or at work on memory that stays mapped.
    unsafe { libc::exit(code) }
}

/// Ends this process at once, whatever its threads do.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process without running anything.
    unsafe { libc::_exit(code) }
}

/// Exit code: a resource is short; the parent slows down.
pub fn exit_code_sick() -> i32 {
    // SAFETY: a constant of the shim.
    unsafe { sys::mre_exit_sick }
}

/// Exit code: no child can work; the parent gives up.
pub fn exit_code_fatal() -> i32 {
    // SAFETY: a constant of the shim.
    unsafe { sys::mre_exit_fatal }
}

pub(super) fn apr_proc(pid: i32) -> sys::apr_proc_t {
    sys::apr_proc_t {
        pid,
        in_: std::ptr::null_mut(),
        out: std::ptr::null_mut(),
        err: std::ptr::null_mut(),
    }
}

/// A child that has ended.
pub struct Ended {
    /// Its process id.
    pub pid: i32,
    /// A signal killed it.
    pub signalled: bool,
    /// It could not work at all (`APEXIT_CHILDFATAL`).
    pub fatal: bool,
    /// It lacked a resource (`APEXIT_CHILDSICK`).
    pub sick: bool,
    status: c_int,
}

/// Waits up to a second for a child to end; runs the monitor hook now and then.
/// httpd logs how the child ended.
pub fn wait_or_timeout(pconf: Pool, server: Server) -> Option<Ended> {
    let mut proc = apr_proc(-1);
    let mut why: sys::apr_exit_why_e = 0;
    let mut status = 0;
    // SAFETY: all places are valid, pool and server live.
    unsafe {
        sys::ap_wait_or_timeout(
            &mut why,
            &mut status,
            &mut proc,
            pconf.as_ptr(),
            server.as_ptr(),
        );
    }
    if proc.pid == -1 {
        return None;
    }
    // SAFETY: as above.
    let verdict = unsafe { sys::ap_process_child_status(&mut proc, why, status) };
    Some(Ended {
        pid: proc.pid,
        signalled: why & sys::APR_PROC_SIGNAL != 0,
        fatal: verdict == exit_code_fatal(),
        sick: verdict == exit_code_sick(),
        status,
    })
}

/// Whether a child has ended and waits to be reaped.
pub fn any_ended() -> bool {
    // SAFETY: plain integers, all-zero is valid; the place is live.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_ALL, 0, &mut info, flags) == 0 && info.si_pid() != 0
    }
}

/// Whether a child of ours has ended; it may not have been reaped.
pub fn has_ended(pid: i32) -> bool {
    // SAFETY: plain integers, all-zero is valid; the place is live.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, flags) != 0 || info.si_pid() != 0
    }
}

/// Offers a dead process that is no child of ours to those who registered it
/// (mod_cgid, piped logs). Whether one of them took it.
pub fn offer_to_other_owners(ended: &Ended) -> bool {
    let mut proc = apr_proc(ended.pid);
    // SAFETY: the place is valid.
    let rv = unsafe {
        sys::apr_proc_other_child_alert(&mut proc, sys::APR_OC_REASON_DEATH as c_int, ended.status)
    };
    rv == 0
}

/// Whether a process that is a child of ours still runs.
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: signal 0 only asks; httpd refuses pids that aren't its children.
    pid > 0 && unsafe { sys::ap_mpm_safe_kill(pid, 0) } == 0
}

/// Told of each child that httpd reaps on our behalf.
pub trait ReapedChild {
    /// The child in `slot` has ended (-1: no slot; then pid and generation say which).
    fn reaped(slot: i32, pid: i32, generation: i32);
}

unsafe extern "C" fn reaped<R: ReapedChild>(
    slot: c_int,
    pid: libc::pid_t,
    generation: sys::ap_generation_t,
) {
    guard::hook((), || R::reaped(slot, pid, generation));
}

/// Waits for all children to end; with growing insistence: SIGTERM, then SIGKILL.
pub fn reclaim_all<R: ReapedChild>() {
    // SAFETY: the callback is a function of the process.
    unsafe { sys::ap_reclaim_child_processes(1, Some(reaped::<R>)) }
}

/// Reaps the children that have ended by now.
pub fn reap_ended<R: ReapedChild>() {
    // SAFETY: as above.
    unsafe { sys::ap_relieve_child_processes(Some(reaped::<R>)) }
}

/// Sleeps; a signal ends it early.
pub fn pause_us(us: u64) {
    // SAFETY: touches no memory.
    unsafe { sys::apr_sleep(us as sys::apr_interval_time_t) }
}
