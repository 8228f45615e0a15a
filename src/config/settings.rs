//! The directives' values.
//!
//! Written while the configuration is read, on the one thread there is then;
//! read by the parent and, after the fork, by the child's threads.

use crate::policy::admission::WorkerFactor;
use crate::policy::limits::{Limits, Wanted};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU64,
    Ordering::{Acquire, Release},
};

/// A setting that is a number.
pub type Number = AtomicI32;

/// All settings of this module; those of httpd's core are in `host::server`.
pub struct Settings {
    /// StartServers.
    pub start_servers: Number,
    /// ServerLimit.
    pub server_limit: Number,
    /// ThreadLimit.
    pub thread_limit: Number,
    /// ThreadsPerChild.
    pub threads_per_child: Number,
    /// MinSpareThreads.
    pub min_spare_threads: Number,
    /// MaxSpareThreads.
    pub max_spare_threads: Number,
    /// MaxRequestWorkers.
    pub max_request_workers: Number,
    /// MaxRequestWorkers / ThreadsPerChild, as corrected.
    active_children_limit: Number,
    worker_factor: AtomicU64,
    one_process: AtomicBool,
    announced: AtomicBool,
}

static SETTINGS: Settings = Settings {
    start_servers: Number::new(0),
    server_limit: Number::new(0),
    thread_limit: Number::new(0),
    threads_per_child: Number::new(0),
    min_spare_threads: Number::new(0),
    max_spare_threads: Number::new(0),
    max_request_workers: Number::new(0),
    active_children_limit: Number::new(0),
    worker_factor: AtomicU64::new(0),
    one_process: AtomicBool::new(false),
    announced: AtomicBool::new(false),
};

/// The one instance.
pub fn settings() -> &'static Settings {
    &SETTINGS
}

impl Settings {
    /// Back to the defaults of httpd's documentation.
    pub fn reset(&self, one_process: bool) {
        self.set_wanted(Wanted::default());
        self.set_worker_factor(WorkerFactor::default());
        self.one_process.store(one_process, Release);
    }

    fn set_wanted(&self, w: Wanted) {
        self.start_servers.store(w.start_servers, Release);
        self.server_limit.store(w.server_limit, Release);
        self.thread_limit.store(w.thread_limit, Release);
        self.threads_per_child.store(w.threads_per_child, Release);
        self.min_spare_threads.store(w.min_spare_threads, Release);
        self.max_spare_threads.store(w.max_spare_threads, Release);
        self.max_request_workers
            .store(w.max_request_workers, Release);
        self.active_children_limit.store(w.server_limit, Release);
    }

    /// What the directives ask for.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            start_servers: self.start_servers.load(Acquire),
            server_limit: self.server_limit.load(Acquire),
            thread_limit: self.thread_limit.load(Acquire),
            threads_per_child: self.threads_per_child.load(Acquire),
            min_spare_threads: self.min_spare_threads.load(Acquire),
            max_spare_threads: self.max_spare_threads.load(Acquire),
            max_request_workers: self.max_request_workers.load(Acquire),
        }
    }

    /// Puts corrected limits into force.
    pub fn set_limits(&self, l: Limits) {
        self.set_wanted(Wanted {
            start_servers: l.start_servers,
            server_limit: l.server_limit,
            thread_limit: l.thread_limit,
            threads_per_child: l.threads_per_child,
            min_spare_threads: l.min_spare_threads,
            max_spare_threads: l.max_spare_threads,
            max_request_workers: l.max_request_workers,
        });
        self.active_children_limit
            .store(l.active_children_limit, Release);
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.wanted()
            .in_force(self.active_children_limit.load(Acquire))
    }

    /// AsyncRequestWorkerFactor.
    pub fn worker_factor(&self) -> WorkerFactor {
        WorkerFactor::from_bits(self.worker_factor.load(Acquire))
    }

    /// Sets AsyncRequestWorkerFactor.
    pub fn set_worker_factor(&self, factor: WorkerFactor) {
        self.worker_factor.store(factor.to_bits(), Release);
    }

    /// `-X`, `-DONE_PROCESS` or `-DDEBUG`: the control process serves, without children.
    pub fn one_process(&self) -> bool {
        self.one_process.load(Acquire)
    }

    /// Whether the MPM has taken up its work and goes by event's name.
    pub fn announced(&self) -> bool {
        self.announced.load(Acquire)
    }

    /// See `pre_config::name`.
    pub fn set_announced(&self, value: bool) {
        self.announced.store(value, Release);
    }
}
