//! What each directive's setter does with its argument.

use super::settings::{settings, Number, Settings};
use crate::host::log::{log_reader, Level};
use crate::host::status::Status;
use crate::policy::limits::parse_worker_factor;
use std::sync::atomic::Ordering::Release;

/// A directive that takes a whole number.
#[derive(Clone, Copy)]
pub enum Numeric {
    /// StartServers
    StartServers,
    /// ServerLimit
    ServerLimit,
    /// ThreadLimit
    ThreadLimit,
    /// ThreadsPerChild
    ThreadsPerChild,
    /// MinSpareThreads
    MinSpareThreads,
    /// MaxSpareThreads
    MaxSpareThreads,
    /// MaxRequestWorkers
    MaxRequestWorkers,
    /// MaxClients, its former name
    MaxClients,
}

impl Numeric {
    fn place(self, s: &Settings) -> &Number {
        match self {
            Numeric::StartServers => &s.start_servers,
            Numeric::ServerLimit => &s.server_limit,
            Numeric::ThreadLimit => &s.thread_limit,
            Numeric::ThreadsPerChild => &s.threads_per_child,
            Numeric::MinSpareThreads => &s.min_spare_threads,
            Numeric::MaxSpareThreads => &s.max_spare_threads,
            Numeric::MaxRequestWorkers | Numeric::MaxClients => &s.max_request_workers,
        }
    }

    /// Notes the value; `check_config` judges it when all are known.
    pub fn set(self, value: i32) {
        if let Numeric::MaxClients = self {
            log_reader!(
                Level::Info,
                Status::SUCCESS,
                "AH00521: MaxClients is deprecated, use MaxRequestWorkers instead."
            );
        }
        self.place(settings()).store(value, Release);
    }
}

/// AsyncRequestWorkerFactor; the error is for the console.
pub fn set_worker_factor(text: &str) -> Result<(), &'static str> {
    settings().set_worker_factor(parse_worker_factor(text)?);
    Ok(())
}
