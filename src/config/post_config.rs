//! Each server's timeouts.

use crate::host::pool::Pool;
use crate::host::server::Server;

/// Attaches its timeouts to every server, where a request finds them.
pub fn run(pconf: Pool, main: Server) {
    for server in main.and_following() {
        server.attach_timeouts(pconf);
    }
}
