//! Stop, graceful stop, and the last moments before a restart.

use super::children::Reaped;
use super::{register, After, Parent};
use crate::config::settings::settings;
use crate::host::child_process::{is_alive, pause_us, reap_ended, reclaim_all};
use crate::host::clock::{self, MS, SECOND};
use crate::host::log::{log_server, Level};
use crate::host::pod::Order;
use crate::host::scoreboard::ChildEntry;
use crate::host::status::Status;
use crate::host::{listener, scoreboard, server, startup};

/// How often a graceful stop looks whether the children have gone.
const LOOK_EVERY_US: u64 = 50 * MS;

impl Parent {
    /// Does what was asked for.
    pub(super) fn end(&mut self) -> After {
        let common = self.common;
        match (common.shutdown_pending(), common.is_ungraceful()) {
            (true, true) => self.stop(),
            (true, false) => self.stop_gracefully(),
            (false, _) if settings().one_process() => After::Exit,
            (false, ungraceful) => self.restart(ungraceful),
        }
    }

    /// Tells all children, of this and of former generations.
    fn tell_all(&self, order: Order) {
        if let Some(broadcasts) = self.generation.broadcasts {
            broadcasts.tell(order);
        }
        self.tell_former(order);
    }

    fn end_all(&self) {
        self.tell_all(Order::End);
        register::put_right();
        reclaim_all::<Reaped>();
        self.close_former_generations();
    }

    fn stop(&mut self) -> After {
        self.end_all();
        self.farewell("AH00491: caught SIGTERM, shutting down");
        After::Exit
    }

    fn farewell(&self, text: &str) {
        if !self.child_fatal {
            startup::remove_pid_file(self.pconf);
            log_server!(Level::Notice, Status::SUCCESS, "{text}");
        }
    }

    fn stop_gracefully(&mut self) -> After {
        listener::close_all();
        self.tell_all(Order::Finish);
        register::put_right();
        reap_ended::<Reaped>();
        self.farewell("AH00492: caught SIGWINCH, shutting down gracefully");
        let limit_us = server::graceful_shutdown_timeout().max(0) as u64 * SECOND;
        let begun_us = clock::now_us();
        self.common.set_shutdown_pending(false);
        while !self.common.shutdown_pending() && self.any_child() {
            if limit_us != 0 && clock::now_us() - begun_us >= limit_us {
                break;
            }
            pause_us(LOOK_EVERY_US);
            register::put_right();
            reap_ended::<Reaped>();
        }
        self.end_all();
        After::Exit
    }

    fn any_child(&self) -> bool {
        (0..self.slots_used() as i32)
            .filter_map(ChildEntry::of)
            .any(|entry| is_alive(entry.pid()))
    }

    fn restart(&mut self, ungraceful: bool) -> After {
        if ungraceful {
            let generation = self.common.next_generation();
            scoreboard::set_running_generation(generation);
            log_server!(
                Level::Notice,
                Status::SUCCESS,
                "AH00494: SIGHUP received.  Attempting to restart"
            );
            self.end_all();
        } else {
            self.keep_generation();
            let generation = self.common.next_generation();
            scoreboard::set_running_generation(generation);
            log_server!(
                Level::Notice,
                Status::SUCCESS,
                "AH00493: SIGUSR1 received.  Doing graceful restart"
            );
        }
        if self.common.shutdown_pending() {
            // A stop that came meanwhile; reading the configuration would forget it.
            return self.end();
        }
        After::Restart
    }
}
