//! Before the configuration is read: defaults, and leaving the terminal.

use super::settings::settings;
use crate::host::log::{log_console, log_server, Level};
use crate::host::pollset::Pollset;
use crate::host::pool::Pool;
use crate::host::retained::{Common, MpmState};
use crate::host::retained_data::Retained;
use crate::host::status::Status;
use crate::host::{bucket, listener, server, startup};
use std::ffi::CStr;

/// The server must not start; the reason has been logged.
pub struct Refused;

/// How the command line wants the control process to run.
struct Mode {
    one_process: bool,
    foreground: bool,
    keep_terminal: bool,
}

impl Mode {
    fn from_command_line() -> Mode {
        if server::defined(c"DEBUG") {
            return Mode {
                one_process: true,
                foreground: true,
                keep_terminal: false,
            };
        }
        Mode {
            one_process: server::defined(c"ONE_PROCESS"),
            foreground: server::defined(c"FOREGROUND"),
            keep_terminal: server::defined(c"NO_DETACH"),
        }
    }
}

/// The MPM's name, as `httpd -V`, mod_status and other modules print it.
///
/// Under its own name while the configuration is read, so that tools tell it
/// from mpm_event and httpd refuses to change the MPM over a restart; as
/// `event` when the server runs, since modules that know event by name
/// (mod_qos) would otherwise treat its connections as those of a blocking MPM.
pub fn name() -> &'static CStr {
    if settings().announced() {
        c"event"
    } else {
        c"rust_event"
    }
}

/// Sets defaults; at the second load of the first start also detaches.
pub fn run(pconf: Pool, plog: Pool) -> Result<(), Refused> {
    let mode = Mode::from_command_line();
    let retained = Retained::get();
    let common = Common::get().ok_or(Refused)?;
    common.set_state(MpmState::Starting);
    if common.adopt(retained.owner_mark()) {
        common.clear_was_graceful();
    }
    let loads = common.count_module_load();
    if loads == 2 {
        check_pollset(plog)?;
        if !mode.one_process && !mode.foreground {
            startup::catch_faults(pconf);
            detach(&mode)?;
        }
    }
    bucket::forget();
    listener::pre_config();
    settings().reset(mode.one_process);
    server::reset_extended_status();
    settings().set_announced(loads >= 2);
    Ok(())
}

/// Says why this server can't be served.
pub fn refuse_server(missing: &CStr) -> Refused {
    let (major, minor, patch) = server::revision();
    log_console!(
        Level::Crit,
        Status::SUCCESS,
        "rust_event: httpd {major}.{minor}.{patch} has no {}(), which this module needs: load the mod_mpm_event that \
         came with it, or update httpd to 2.4.33 or newer",
        missing.to_string_lossy()
    );
    Refused
}

/// Finds out before the terminal is left whether children will have a pollset.
fn check_pollset(plog: Pool) -> Result<(), Refused> {
    let created = plog.with_subpool(c"mpm_pollset_check", |pool| {
        Pollset::create(1, pool).map(drop)
    });
    match created {
        Some(Ok(())) => Ok(()),
        Some(Err(status)) => {
            log_server!(
                Level::Crit,
                status,
                "AH00495: Couldn't create a Thread Safe Pollset. Is it supported on your \
                 platform?Also check system or user limits!"
            );
            Err(Refused)
        }
        None => Err(Refused),
    }
}

fn detach(mode: &Mode) -> Result<(), Refused> {
    startup::detach(!mode.keep_terminal).ok().map_err(|status| {
        log_server!(Level::Crit, status, "AH00496: apr_proc_detach failed");
        Refused
    })
}
