//! Accepting at one listening socket after the other, and what is done when it fails.
//!
//! For want of something all of them rest for a while; what is there goes on being served, and what ends gives its descriptor
//! back. A child that lost its descriptors finishes, in peace, and the parent makes a new one. A socket that fails by itself is left
//! out for a while, and the others go on. The decisions are `policy::accept_failure`'s.

use super::finish::DRAIN_US;
use super::{accept, Child};
use crate::config::settings::settings;
use crate::host::clock::MS;
use crate::host::listener::Listening;
use crate::host::log::{log_server, Level};
use crate::host::pool::TransactionPool;
use crate::host::socket::Socket;
use crate::host::status::Status;
use crate::policy::accept_failure::{Failure, Lack, Shortage, Trouble, DESCRIPTORS_EACH};
use crate::policy::admission::connection_limit;
use crate::policy::onset::Onset;
use crate::sync::phase::Stage;
use std::sync::atomic::Ordering;

/// A failure that comes and goes is logged once in this time.
pub(super) const LOG_GAP_MS: u64 = 60_000;

/// The listening sockets, and what is known of failures.
pub(super) struct Failures {
    sockets: Vec<Place>,
    shortage: Shortage,
    shortage_logged: Onset,
    /// How many descriptors were free when the child began.
    free_descriptors: u32,
}

struct Place {
    socket: Listening,
    trouble: Trouble,
    logged: Onset,
    /// It has worked in this process.
    worked: bool,
}

impl Failures {
    /// Prepares the listening sockets.
    pub(super) fn new(child: &Child) -> Failures {
        let sockets: Vec<Place> = child
            .listeners
            .sockets()
            .map(|socket| Place {
                socket,
                trouble: Trouble::default(),
                logged: Onset::default(),
                worked: false,
            })
            .collect();
        for place in &sockets {
            place.socket.prepare();
        }
        let free_descriptors = sockets.first().map_or(0, |p| p.socket.free_descriptors());
        Failures {
            sockets,
            shortage: Shortage::default(),
            shortage_logged: Onset::default(),
            free_descriptors,
        }
    }

    /// Accepts a connection from the listening socket of this index.
    pub(super) fn accept(
        &mut self,
        child: &Child,
        index: usize,
        now_us: u64,
    ) -> Option<(Socket, TransactionPool)> {
        let place = self.sockets.get_mut(index)?;
        if self.shortage.is_full(child.ledger.connections()) {
            accept::stop(child);
            return None;
        }
        if self.shortage.in_doubt() && !place.socket.may_open(DESCRIPTORS_EACH) {
            self.lacks(child, Lack::Descriptors, Status::NO_DESCRIPTORS, now_us);
            return None;
        }
        let pool = match child.pools.take() {
            Ok(pool) => pool,
            Err(status) => {
                self.lacks(child, Lack::Memory, status, now_us);
                return None;
            }
        };
        let status = match place.socket.accept(pool.name()) {
            Ok(client) => {
                place.works(now_us);
                self.shortage.accepted();
                return Some((client, pool));
            }
            Err(status) => status,
        };
        child.pools.give_back_unused(pool);
        match status.accept_failure() {
            Failure::NobodyWaits => {
                place.works(now_us);
                self.plenty(now_us);
            }
            Failure::Lack(lack) => self.lacks(child, lack, status, now_us),
            Failure::Broken => self.broken(child, index, status, now_us),
            Failure::Other => {
                if place.trouble.failed(now_us) {
                    place.leave_out(child, index, status, "accepting fails", now_us);
                    self.rest_if_all_are_left_out(child);
                }
            }
        }
        None
    }

    /// Accepting stops for another reason than a failure.
    pub(super) fn stops_for_another_reason(&mut self) {
        self.shortage.plenty();
    }

    fn plenty(&mut self, now_us: u64) {
        self.shortage.plenty();
        let _ = self.shortage_logged.observe(false, now_us / MS, LOG_GAP_MS);
    }

    /// Watches the listening sockets but those that are left out. Whether there is one.
    pub(super) fn listen(&mut self, child: &Child, now_us: u64) -> bool {
        (0..self.sockets.len()).for_each(|index| self.watch(child, index, now_us));
        !self.all_are_left_out()
    }

    fn watch(&mut self, child: &Child, index: usize, now_us: u64) {
        let Some(place) = self.sockets.get_mut(index) else {
            return;
        };
        if place.is_left_out() {
            return;
        }
        if let Err(status) = child.parking.pollset().listen(index) {
            match status.accept_failure() {
                Failure::Broken => self.broken(child, index, status, now_us),
                _ => {
                    place.trouble.leave_out(now_us);
                    place.leave_out(child, index, status, "it can't be watched", now_us);
                }
            }
        }
    }

    /// Sees which pauses are over. Whether that of a socket is.
    pub(super) fn expire(&mut self, child: &Child, now_us: u64) -> bool {
        self.shortage.expire(now_us);
        let mut any = false;
        for index in 0..self.sockets.len() {
            let over = self.sockets[index].trouble.expire(now_us);
            any |= over;
            if over && child.accepting.load(Ordering::Acquire) {
                self.watch(child, index, now_us);
            }
        }
        self.rest_if_all_are_left_out(child);
        any
    }

    /// Whether accepting has to wait.
    pub(super) fn hold_up(&self, child: &Child) -> bool {
        self.shortage.rests(child.ledger.connections()) || self.all_are_left_out()
    }

    /// Whether a socket is left out for now.
    pub(super) fn is_left_out(&self, index: usize) -> bool {
        self.sockets.get(index).is_some_and(Place::is_left_out)
    }

    /// When the first pause is over.
    pub(super) fn next_deadline_us(&self) -> Option<u64> {
        let left_out = self.sockets.iter().map(|p| p.trouble.until_us());
        left_out.chain([self.shortage.until_us()]).flatten().min()
    }

    fn all_are_left_out(&self) -> bool {
        self.sockets.iter().all(Place::is_left_out)
    }

    fn rest_if_all_are_left_out(&self, child: &Child) {
        if self.all_are_left_out() {
            accept::stop(child);
        }
    }

    /// Something is short. A child that finishes for that doesn't exit as sick: soon after a start or a reload the parent would take
    /// it for a sign that no child can live, and end the server (AH02324).
    fn lacks(&mut self, child: &Child, lack: Lack, status: Status, now_us: u64) {
        if self.shortage_logged.observe(true, now_us / MS, LOG_GAP_MS) {
            log_lack(lack, status);
        }
        let threads = child.threads();
        let room = match lack {
            Lack::Descriptors => self.free_descriptors,
            _ => connection_limit(threads, threads, settings().worker_factor())
                .try_into()
                .unwrap_or(u32::MAX),
        };
        let connections = child.ledger.connections();
        accept::stop(child);
        if self.shortage.failed(lack, now_us, connections, room) {
            log_server!(
                Level::Warning,
                Status::SUCCESS,
                "rust_event: child {} can't accept new connections and has only {connections}: something else has taken what \
                 is short, and may not give it back; it finishes, so that another child takes its place",
                child.pid
            );
            child.finish(DRAIN_US);
        }
    }

    /// The descriptor isn't the listening socket any more: something in this process has closed it. A new child has its own. If it
    /// never worked here, it may work in no child, and a new one would be none the better.
    fn broken(&mut self, child: &Child, index: usize, status: Status, now_us: u64) {
        let Some(place) = self.sockets.get_mut(index) else {
            return;
        };
        place.trouble.leave_out(now_us);
        place.leave_out(child, index, status, "its descriptor was closed", now_us);
        if place.worked && child.stage() == Stage::Running {
            log_server!(
                Level::Warning,
                Status::SUCCESS,
                "rust_event: child {} finishes, so that another child takes its place",
                child.pid
            );
            child.finish(DRAIN_US);
        }
        self.rest_if_all_are_left_out(child);
    }
}

impl Place {
    fn is_left_out(&self) -> bool {
        self.trouble.until_us().is_some()
    }

    fn works(&mut self, now_us: u64) {
        self.trouble.works();
        self.worked = true;
        let _ = self.logged.observe(false, now_us / MS, LOG_GAP_MS);
    }

    fn leave_out(&mut self, child: &Child, index: usize, status: Status, why: &str, now_us: u64) {
        child.parking.pollset().ignore(index);
        if self.logged.observe(true, now_us / MS, LOG_GAP_MS) {
            log_server!(
                Level::Err,
                status,
                "rust_event: listening on {}: {why}; it is left out for up to a second at a time, and the others go on",
                self.socket.address()
            );
        }
    }
}

fn log_lack(lack: Lack, status: Status) {
    match lack {
        Lack::Memory => log_server!(
            Level::Crit,
            status,
            "AH03097: Failed to create transaction pool"
        ),
        _ => log_server!(
            Level::Err,
            status,
            "AH02179: apr_socket_accept: (client socket)"
        ),
    }
    let advice = match lack {
        Lack::Descriptors => {
            "raise the limit of open files of a process (ulimit -n), or lower ThreadsPerChild or AsyncRequestWorkerFactor"
        }
        Lack::SystemDescriptors => "all processes of the system together have too many open files",
        Lack::Memory => "the process can't get memory",
        Lack::SystemMemory => "the system is short of memory for sockets",
    };
    log_server!(
        Level::Err,
        Status::SUCCESS,
        "rust_event: can't accept new connections for now (see the message before this one): {advice}"
    );
}
