//! L3: the control process: it makes children, replaces those that die, keeps
//! their number right, and leads them through restarts and the end.
//!
//! It has one thread, and keeps nothing of its own over a restart but what is
//! in `host::retained_data`: the module is unloaded meanwhile.
//!
//! | file | what |
//! | --- | --- |
//! | `children` | one child is made, one has ended |
//! | `supervise` | the loop: wait, reap, keep the number right |
//! | `maintain` | spare threads, once a second |
//! | `handover` | from the former generation to the new one at a reload |
//! | `former` | what is kept of former generations, and how they are told |
//! | `register` | who the children are, whatever the scoreboard says |
//! | `ending` | stop, graceful stop, and the last moments before a restart |

mod children;
mod ending;
mod former;
mod handover;
mod maintain;
mod register;
mod supervise;

use self::former::end_former;
use crate::config::birth::ChildMain;
use crate::config::settings::settings;
use crate::host::bucket::{self, Generation};
use crate::host::log::{log_server, Level};
use crate::host::pool::Pool;
use crate::host::retained::{Common, MpmState};
use crate::host::retained_data::Retained;
use crate::host::server::{self, Server};
use crate::host::status::Status;
use crate::host::{helpers, hooks};
use crate::host::{scoreboard, startup};
use crate::policy::child_exit::Recent;
use crate::policy::limits::Limits;
use crate::policy::reload::Retries;
use std::sync::atomic::Ordering::Relaxed;

/// What the server does after `run`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// Read the configuration again and go on.
    Restart,
    /// End.
    Exit,
    /// A module refused to start.
    Failed,
}

/// The control process under one configuration.
struct Parent {
    pconf: Pool,
    server: Server,
    common: Common,
    retained: &'static Retained,
    generation: &'static Generation,
    limits: Limits,
    child_main: ChildMain,
    recent: Recent,
    /// Not all children of StartServers have been up under this configuration.
    incomplete: bool,
    /// Under this configuration a child lacked a resource, or could not be forked.
    short: bool,
    /// When children that failed to start are tried again.
    retries: Retries,
    /// The server ends because of a child's failure: the pid file stays, as
    /// with stock.
    child_fatal: bool,
    /// The configuration has helper processes.
    helpers: bool,
}

/// Serves until a restart or a stop is asked for.
pub fn run(pconf: Pool, plog: Pool, server: Server, child_main: ChildMain) -> After {
    let (Some(common), Some(generation)) = (Common::get(), bucket::present()) else {
        return After::Failed;
    };
    startup::write_pid_file(pconf);
    let graceful = common.was_graceful();
    if !graceful {
        end_former(); // before pre_mpm empties the scoreboard
        let Some(pool) = server.process_pool() else {
            return After::Failed;
        };
        if !hooks::run_pre_mpm(pool) {
            common.set_state(MpmState::Stopping);
            return After::Failed;
        }
        scoreboard::set_running_generation(common.generation());
    }
    startup::set_signals(pconf, settings().one_process());
    if let Some(pool) = Pool::global() {
        let slots = settings().limits().server_limit.max(0) as usize;
        Retained::get().make_records(slots, pool);
    }
    let limits = settings().limits().for_buckets(common.num_buckets());
    settings().set_limits(limits);
    let mut parent = Parent {
        pconf,
        server,
        common,
        retained: Retained::get(),
        generation,
        limits,
        child_main,
        recent: Recent::default(),
        incomplete: true,
        short: false,
        retries: Retries::default(),
        child_fatal: false,
        helpers: helpers::any(),
    };
    if graceful {
        common.set_state(MpmState::Running); // the former children serve on
    }
    parent.begin(graceful);
    announce(plog, server);
    common.set_state(MpmState::Running);
    if graceful {
        parent.hand_over();
    }
    parent.supervise();
    common.set_state(MpmState::Stopping);
    parent.end()
}

impl Parent {
    /// Starts the first children.
    fn begin(&mut self, graceful: bool) {
        if graceful {
            // Children of the former generation end in numbers soon: no
            // exponential growth on that account.
            self.retained.hold_off.store(10, Relaxed);
        }
        register::put_right();
        let wanted = self.limits.children_to_start();
        let mut started = 0;
        if !self.interrupted() {
            // Else another configuration is about to be read: children of this one would only add to those of the former ones.
            self.release_outdated();
            started = self.start_children(wanted);
        }
        self.recent.remaining_to_start = wanted - started;
    }
}

fn announce(plog: Pool, server: Server) {
    log_server!(
        Level::Notice,
        Status::SUCCESS,
        "AH00489: {} configured -- resuming normal operations",
        server::description()
    );
    log_server!(
        Level::Info,
        Status::SUCCESS,
        "AH00490: Server built: {}",
        server::built()
    );
    startup::log_command_line(plog, server);
}
