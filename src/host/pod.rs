//! How the parent tells children to end.
//!
//! *One of you, finish*: httpd's pipe of death. All children of a listener
//! bucket read it; each byte ends one of them. The reading end doesn't block.
//!
//! *All of you, finish* and *all of you, end*: a broadcast each, for a whole
//! generation. A broadcast is a pipe that nobody reads: once written to, it is
//! readable for every child, however many there are and however late they look.
//! A child that finishes still hears that it is to end.
//!
//! A child also sees when the parent is gone, and then finishes rather than
//! hold the ports for ever: by a descriptor of the parent's process where the
//! system has that, else by the broadcasts' hanging up (which they don't where
//! a helper of some module, forked from the parent, has inherited them).

use super::pipe::{close_descriptor, duplicate, open_pipe, set_nonblocking, set_pipe, write_byte};
use super::pool::Pool;
use super::status::Status;
use crate::sys;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

/// What a child is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Finish what is there, then end (graceful).
    Finish,
    /// The same as the one child that is too many: the configuration goes on.
    FinishOne,
    /// End now.
    End,
}

/// httpd's pipe of death of one bucket.
#[derive(Clone, Copy)]
pub struct Pod(NonNull<sys::ap_pod_t>);

impl Pod {
    /// Opens a pipe that lives in `pool`.
    pub fn open(pool: Pool) -> Result<Pod, Status> {
        let mut pod = ptr::null_mut();
        // SAFETY: the pool is live, the result has a place.
        Status(unsafe { sys::ap_mpm_podx_open(pool.as_ptr(), &mut pod) }).ok()?;
        let pod = Pod(NonNull::new(pod).ok_or_else(Status::general)?);
        set_nonblocking(pod.descriptor()).ok()?;
        Ok(pod)
    }

    #[cfg(test)] // linked without httpd; tests have no pipe of death
    fn descriptor(self) -> c_int {
        -1
    }

    #[cfg(test)]
    fn take(self) -> Option<Order> {
        None
    }

    #[cfg(test)]
    fn writing_end(self) -> c_int {
        -1
    }

    #[cfg(not(test))]
    fn descriptor(self) -> c_int {
        let mut fd = -1;
        // SAFETY: the pod is live and has its reading end in every process.
        unsafe { sys::apr_os_file_get(&mut fd, (*self.0.as_ptr()).pod_in) };
        fd
    }

    #[cfg(not(test))]
    fn writing_end(self) -> c_int {
        let mut fd = -1;
        // SAFETY: the pod is live and has its writing end in the parent.
        unsafe { sys::apr_os_file_get(&mut fd, (*self.0.as_ptr()).pod_out) };
        fd
    }

    /// Its writing end, to stay open over a restart.
    pub fn keep(self) -> Result<KeptPod, Status> {
        duplicate(self.writing_end()).map(KeptPod)
    }

    /// Tells one child to finish.
    pub fn finish_one(self) {
        // SAFETY: the pod is live; httpd logs a failure.
        unsafe { sys::ap_mpm_podx_signal(self.0.as_ptr(), sys::AP_MPM_PODX_GRACEFUL) };
    }

    /// Closes both ends in this process.
    pub fn close(self) {
        // SAFETY: the pod is live and not used in this process afterwards.
        unsafe { sys::ap_mpm_podx_close(self.0.as_ptr()) };
    }

    /// An order that has come, if any; takes it from the pipe.
    #[cfg(not(test))]
    fn take(self) -> Option<Order> {
        // SAFETY: the pod is live; the read doesn't block.
        match unsafe { sys::ap_mpm_podx_check(self.0.as_ptr()) } as u32 {
            sys::AP_MPM_PODX_GRACEFUL => Some(Order::FinishOne),
            sys::AP_MPM_PODX_RESTART => Some(Order::End),
            _ => None,
        }
    }
}

/// The two broadcasts to the children of a generation.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Broadcasts {
    finish: [c_int; 2],
    end: [c_int; 2],
}

impl Broadcasts {
    /// Opens them; they are closed in this process when `pool` is cleared.
    pub fn open(pool: Pool) -> Result<Broadcasts, Status> {
        let finish = open_pipe()?;
        let end = open_pipe().inspect_err(|_| finish.into_iter().for_each(close_descriptor))?;
        let all = pool.alloc(Broadcasts { finish, end });
        // SAFETY: allocated in the pool that runs the cleanup.
        unsafe { pool.on_clear(all.as_ptr().cast(), close_broadcasts) };
        Ok(Broadcasts { finish, end })
    }

    /// Tells all children of the generation.
    pub fn tell(&self, order: Order) {
        set_pipe(match order {
            Order::Finish | Order::FinishOne => self.finish[1],
            Order::End => self.end[1],
        });
    }

    /// A child gives up the writing ends that it got with the fork.
    pub fn only_listen(&self) {
        close_descriptor(self.finish[1]);
        close_descriptor(self.end[1]);
    }

    /// Writing ends that stay open over a restart, for children of a former
    /// generation.
    pub fn keep(&self) -> Result<KeptBroadcasts, Status> {
        let finish = duplicate(self.finish[1])?;
        let end = duplicate(self.end[1]).inspect_err(|_| close_descriptor(finish))?;
        Ok(KeptBroadcasts { finish, end })
    }
}

unsafe extern "C" fn close_broadcasts(data: *mut c_void) -> sys::apr_status_t {
    // SAFETY: registered by `open` with its own copy.
    let all = unsafe { *data.cast::<Broadcasts>() };
    all.finish
        .into_iter()
        .chain(all.end)
        .for_each(close_descriptor);
    0
}

/// Descriptors by which a former generation is told; plain numbers, so that
/// they can be kept in retained memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptBroadcasts {
    /// All of you, finish.
    pub finish: c_int,
    /// All of you, end.
    pub end: c_int,
}

impl KeptBroadcasts {
    /// Tells all children of that generation.
    pub fn tell(self, order: Order) {
        set_pipe(match order {
            Order::Finish | Order::FinishOne => self.finish,
            Order::End => self.end,
        });
    }

    /// The generation has gone.
    pub fn close(self) {
        close_descriptor(self.finish);
        close_descriptor(self.end);
    }
}

/// The writing end of a former generation's pipe of death; a plain number as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptPod(pub c_int);

impl KeptPod {
    /// Tells one child of that generation and bucket to finish.
    pub fn finish_one(self) {
        write_byte(self.0, sys::AP_MPM_PODX_GRACEFUL_CHAR);
    }

    /// The generation has gone, or all of it is told.
    pub fn close(self) {
        close_descriptor(self.0);
    }
}

/// Ends the wait of a child's main thread, from any of its threads.
pub struct Wakeup([c_int; 2]);

impl Wakeup {
    /// A wake-up, not set.
    pub fn new() -> Result<Wakeup, Status> {
        open_pipe().map(Wakeup)
    }

    /// Wakes the main thread, now or when it next waits.
    pub fn set(&self) {
        set_pipe(self.0[1]);
    }

    fn clear(&self) {
        let mut scratch = [0u8; 64];
        // SAFETY: reads into a live buffer; the pipe doesn't block.
        while unsafe { libc::read(self.0[0], scratch.as_mut_ptr().cast(), scratch.len()) } > 0 {}
    }
}

/// What a child's main thread listens to.
pub struct Orders {
    pod: Option<Pod>,
    broadcasts: Option<Broadcasts>,
    parent: c_int,
    parent_gone: Cell<bool>,
}

/// A descriptor that is readable when the process has ended; -1 where the
/// system has none.
#[cfg(target_os = "linux")]
fn watch_process(pid: i32) -> c_int {
    // SAFETY: touches no memory; older kernels answer ENOSYS.
    unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) as c_int }
}

#[cfg(not(target_os = "linux"))]
fn watch_process(_pid: i32) -> c_int {
    -1
}

impl Orders {
    /// Orders to one of a bucket, and to all of a generation, from the process
    /// `parent`.
    pub fn new(pod: Option<Pod>, broadcasts: Option<Broadcasts>, parent: Option<i32>) -> Orders {
        Orders {
            pod,
            broadcasts,
            parent: parent.map_or(-1, watch_process),
            parent_gone: Cell::new(false),
        }
    }

    /// Waits for an order, for `wakeup`, or `timeout_ms` (-1: for ever).
    pub fn wait(&self, wakeup: &Wakeup, hear: Hear, timeout_ms: i32) -> Option<Order> {
        let entry = |fd| libc::pollfd {
            fd, // poll(2) passes over negative ones
            events: libc::POLLIN,
            revents: 0,
        };
        let heard = |want: bool| want && !self.parent_gone.get();
        let all = self.broadcasts;
        let pod = self.pod.filter(|_| heard(hear == Hear::All));
        let mut fds = [
            entry(wakeup.0[0]),
            entry(
                all.filter(|_| heard(hear != Hear::Nothing))
                    .map_or(-1, |b| b.end[0]),
            ),
            entry(
                all.filter(|_| heard(hear == Hear::All))
                    .map_or(-1, |b| b.finish[0]),
            ),
            entry(pod.map_or(-1, Pod::descriptor)),
            entry(if heard(hear != Hear::Nothing) {
                self.parent
            } else {
                -1
            }),
        ];
        // SAFETY: five valid entries. An error (a signal) counts as a wake-up.
        let ready = unsafe { libc::poll(fds.as_mut_ptr(), 5, timeout_ms) };
        if ready <= 0 {
            return None;
        }
        wakeup.clear();
        if fds[1].revents & libc::POLLIN != 0 {
            return Some(Order::End);
        }
        if fds[2].revents & libc::POLLIN != 0 {
            return Some(Order::Finish);
        }
        if (fds[1].revents | fds[2].revents | fds[4].revents) != 0 {
            self.parent_gone.set(true);
            return Some(Order::Finish);
        }
        pod.filter(|_| fds[3].revents != 0).and_then(Pod::take)
    }
}

/// Which orders still matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hear {
    /// All.
    All,
    /// The child finishes: only `End`.
    End,
    /// The child ends.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broadcasts() -> Broadcasts {
        Broadcasts {
            finish: open_pipe().expect("a pipe"),
            end: open_pipe().expect("a pipe"),
        }
    }

    #[test]
    fn every_child_hears_a_broadcast_and_end_outranks_finish() {
        let all = broadcasts();
        let wakeup = Wakeup::new().expect("a pipe");
        let children = [
            Orders::new(None, Some(all), None),
            Orders::new(None, Some(all), None),
        ];
        for child in &children {
            assert_eq!(child.wait(&wakeup, Hear::All, 0), None);
        }
        all.tell(Order::Finish);
        for child in &children {
            assert_eq!(child.wait(&wakeup, Hear::All, -1), Some(Order::Finish));
            assert_eq!(child.wait(&wakeup, Hear::End, 0), None, "heard already");
        }
        let kept = all.keep().expect("two descriptors");
        kept.tell(Order::End);
        for child in &children {
            assert_eq!(child.wait(&wakeup, Hear::All, -1), Some(Order::End));
            assert_eq!(child.wait(&wakeup, Hear::End, -1), Some(Order::End));
        }
        kept.close();
    }

    #[test]
    fn a_child_without_parent_finishes_once() {
        let all = broadcasts();
        let wakeup = Wakeup::new().expect("a pipe");
        let child = Orders::new(None, Some(all), None);
        all.only_listen(); // in the parent's place: the last writing ends go
        assert_eq!(child.wait(&wakeup, Hear::All, -1), Some(Order::Finish));
        assert_eq!(child.wait(&wakeup, Hear::End, 0), None, "no busy loop");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_end_of_the_parent_is_seen_though_others_hold_the_pipes() {
        let mut parent = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("a process");
        let wakeup = Wakeup::new().expect("a pipe");
        let child = Orders::new(None, Some(broadcasts()), Some(parent.id() as i32));
        assert_eq!(child.wait(&wakeup, Hear::All, 0), None);
        parent.kill().expect("killed");
        assert_eq!(child.wait(&wakeup, Hear::All, -1), Some(Order::Finish));
        assert_eq!(child.wait(&wakeup, Hear::End, 0), None, "no busy loop");
        parent.wait().expect("reaped");
    }

    #[test]
    fn a_wakeup_is_seen_once() {
        let orders = Orders::new(None, None, None);
        let wakeup = Wakeup::new().expect("a pipe");
        wakeup.set();
        wakeup.set();
        assert_eq!(orders.wait(&wakeup, Hear::All, -1), None);
        let mut left = libc::pollfd {
            fd: wakeup.0[0],
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid entry.
        assert_eq!(unsafe { libc::poll(&mut left, 1, 0) }, 0);
    }
}
