//! Lingering close: the response is flushed, our direction ended, and what the
//! peer still sends is read and dropped, so that it can read the response
//! before a reset. Bounded in time: 30 s, or 2 s where a module or the end of
//! the child asks for less.

use super::worker::Worker;
use crate::conn::parking::SHORT_LINGER_US;
use crate::conn::queues::Wait;
use crate::conn::slot_handles::Running;
use crate::host::clock;
use crate::host::socket::{Drained, Socket};
use crate::policy::conn_state::{Interest, State};

impl Worker {
    /// Begins or goes on with a lingering close.
    pub(super) fn linger(&self, conn: Running) {
        let Some(socket) = conn.conn().socket() else {
            return self.close(conn);
        };
        let drained = match conn.linger_started() {
            false => begin(&conn, socket),
            true => socket.drain(),
        };
        match drained {
            Drained::Closed => {
                conn.tell_suspended();
                self.close(conn);
            }
            Drained::WouldBlock => {
                let wait = match conn.state() {
                    Some(State::LingerShort) => Wait::ShortLinger,
                    _ => Wait::Linger,
                };
                self.park(conn, wait, Interest::Read);
            }
        }
    }
}

/// Flushes, ends our direction, and reads what has come meanwhile. But who has just got a response has hardly seen the end of
/// it: that is left to the pollset.
fn begin(conn: &Running, socket: Socket) -> Drained {
    let answered = conn.state() == Some(State::WriteCompletion);
    conn.set_state(State::Linger);
    conn.begin_linger();
    socket.set_timeout_us(match conn.expired() {
        // It has not read for all of Timeout, or owes us nothing and we owe it nothing: no worker waits for it.
        Some(_) => 0,
        None => SHORT_LINGER_US as i64,
    });
    if conn.expired() == Some(Wait::KeepAlive) {
        conn.conn().ask_for_short_linger();
    }
    if conn.conn().start_lingering_close() {
        return Drained::Closed;
    }
    socket.set_timeout_us(0);
    socket.read_to_the_end();
    conn.set_state(match conn.conn().wants_short_linger() {
        true => State::LingerShort,
        false => State::LingerNormal,
    });
    conn.reset_sense();
    conn.set_lingering_since(clock::now_us());
    match answered {
        true => Drained::WouldBlock,
        false => socket.drain(),
    }
}
