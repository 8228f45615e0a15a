//! What the control process gives to a new child: all that they share of the
//! configuration, in one value, since neither knows the other.

use crate::host::bucket::Generation;
use crate::host::pool::Pool;
use crate::host::retained::Common;
use crate::host::server::Server;
use crate::policy::limits::Limits;

/// What the parent gives to a new child.
pub struct Birth {
    /// The configuration's pool.
    pub pconf: Pool,
    /// The main server.
    pub server: Server,
    /// httpd's retained data.
    pub common: Common,
    /// Limits in force.
    pub limits: Limits,
    /// Buckets and broadcasts.
    pub generation: &'static Generation,
    /// Place in the scoreboard.
    pub slot: i32,
    /// Index of its bucket.
    pub bucket: usize,
    /// How long its idle connections may bring a request once it finishes, in microseconds.
    pub drain_us: u64,
    /// The control process; `None` when this is it.
    pub parent_pid: Option<i32>,
    /// In a single-process server, called before the process ends.
    pub before_exit: Option<fn()>,
}

/// Runs a child in the process it is called in; never returns. `entry` gives
/// it to the parent.
pub type ChildMain = fn(Birth) -> !;
