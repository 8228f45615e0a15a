//! Limits corrected, with a line for each correction.

use super::settings::settings;
use crate::host::log::{log_console, log_server, Level};
use crate::host::retained_data::Retained;
use crate::host::status::Status;
use crate::policy::limits;

/// Corrects the limits; on the console at the first start, in the log at restarts.
pub fn run(retained: &Retained) {
    let checked = limits::check(settings().wanted(), retained.first_seen());
    for correction in &checked.corrections {
        if retained.is_first_load() {
            log_console!(
                Level::Warning,
                Status::SUCCESS,
                "{}",
                correction.startup_text()
            );
        } else {
            log_server!(
                Level::Warning,
                Status::SUCCESS,
                "{}",
                correction.restart_text()
            );
        }
    }
    retained.set_first_seen(checked.first);
    settings().set_limits(checked.limits);
}
