//! Listening sockets, buckets and pipes of death, while stderr still is the
//! console.

use super::addresses;
use super::settings::settings;
use crate::host::bucket::{self, ChildBucket};
use crate::host::log::{log_console, log_server, Level};
use crate::host::pod::{Broadcasts, Pod};
use crate::host::pool::Pool;
use crate::host::retained::Common;
use crate::host::retained_data::Retained;
use crate::host::server::Server;
use crate::host::status::Status;
use crate::host::{listener, startup};

/// The server must not start; the reason has been logged.
pub struct Refused;

/// Opens the sockets.
pub fn run(pconf: Pool, server: Server) -> Result<(), Refused> {
    let retained = Retained::get();
    let common = Common::get().ok_or(Refused)?;
    let first = retained.is_first_load();
    let refuse = |level, status, text: &str| {
        if first {
            log_console!(level, status, "{text}");
        } else {
            log_server!(level, status, "{text}");
        }
        Refused
    };

    addresses::make_free(common, settings().limits());
    if listener::open_all(server) < 1 {
        return Err(refuse(
            Level::Alert,
            Status::SUCCESS,
            "no listening sockets available, shutting down",
        ));
    }
    let one_process = settings().one_process();
    let wanted = if one_process {
        Some(1)
    } else {
        // Children of the former generation still use the buckets there are.
        common.was_graceful().then(|| common.num_buckets())
    };
    let lists = listener::buckets(pconf, server, wanted)
        .map_err(|status| refuse(Level::Crit, status, "could not duplicate listeners"))?;

    let no_pipe = |status| refuse(Level::Crit, status, "could not open pipe-of-death");
    let mut made = Vec::new();
    for listeners in lists {
        let pod = match one_process {
            true => None,
            false => Some(Pod::open(pconf).map_err(no_pipe)?),
        };
        made.push(ChildBucket { pod, listeners });
    }
    let broadcasts = match one_process {
        true => None,
        false => Some(Broadcasts::open(pconf).map_err(no_pipe)?),
    };
    retained.resize_spawn_rates(made.len(), Pool::global().ok_or(Refused)?);
    bucket::publish(&made, broadcasts, pconf, common);
    startup::seed_random();
    Ok(())
}
