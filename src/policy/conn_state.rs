//! The states of a connection and the transitions between them.

/// Where a connection stands; httpd's `conn_state_e`, with its numbers.
///
/// ```text
///    accepted                               readable, or buffered input
///       |           +---------------------------------------------------------------+
///       v           v                                                               |
///   +------------------+  response written      +-----------------+  flushed   +-----------+
///   |    PROCESSING    |----------------------->| WRITE_COMPLETION|----------->| KEEPALIVE |
///   | (a worker runs   |                        |  (Timeout, from |            | (KeepAlive|
///   |  the modules)    |<--+                    |  last progress) |            |  Timeout) |
///   +------------------+   | readable/writable  +-----------------+            +-----------+
///     |    |       |       |                      |  ^  | error, timeout,             |
///     |    |  more I/O first                      |  |  | no keep-alive               | timeout,
///     |    |       v       |                      +--+  |                             | shed, drained
///     |    |   +--------------+                writable |                             |
///     |    |   | ASYNC_WAITIO | timeout                 |                             |
///     |    |   |  (Timeout)   |-------------+           |                             |
///     |    |   +--------------+             |           |                             |
///     |    |                                v           v                             |
///     |    |  done, error, aborted     +--------------------+                         |
///     |    +-------------------------->|       LINGER       |<------------------------+
///     |                                | flush, then FIN    |
///     v  a module took it over         +--------------------+
///   +-----------+   the module resumes,     |          |
///   | SUSPENDED |   in any state            v          v   note short-lingering-close,
///   +-----------+                LINGER_NORMAL      LINGER_SHORT   or the child finishes
///                                   (30 s)             (2 s)
///                                      |                  |
///                                      +------> closed <--+    peer closed, or time over
/// ```
///
/// Modules set PROCESSING's successor through `c->cs->state`; LINGER_NORMAL and LINGER_SHORT are the MPM's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum State {
    /// Idle between two requests, for at most KeepAliveTimeout.
    Keepalive = 0,
    /// In the hands of the process_connection hooks.
    Processing = 1,
    /// Of httpd's internal use within a hook; no hook may return it.
    Handler = 2,
    /// The response is complete, some of it not yet written; for at most Timeout since the last progress.
    WriteCompletion = 3,
    /// A module has taken it over; no timeout of ours applies.
    Suspended = 4,
    /// To be flushed and closed with lingering.
    Linger = 5,
    /// Closed for writing, input is drained for at most 30 seconds.
    LingerNormal = 6,
    /// Closed for writing, input is drained for at most 2 seconds.
    LingerShort = 7,
    /// A module waits for the socket before it goes on, for at most Timeout. Servers before 2.4.63 have no such state.
    AsyncWaitIo = 8,
}

impl State {
    /// The state with httpd's number, if there is one.
    #[must_use]
    pub fn from_raw(raw: i32) -> Option<State> {
        Some(match raw {
            0 => State::Keepalive,
            1 => State::Processing,
            2 => State::Handler,
            3 => State::WriteCompletion,
            4 => State::Suspended,
            5 => State::Linger,
            6 => State::LingerNormal,
            7 => State::LingerShort,
            8 => State::AsyncWaitIo,
            _ => return None,
        })
    }

    /// httpd's number of the state.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self as i32
    }

    /// Whether the connection is being closed. Such a connection does not count against AsyncRequestWorkerFactor.
    #[must_use]
    pub const fn is_lingering(self) -> bool {
        matches!(
            self,
            State::Linger | State::LingerNormal | State::LingerShort
        )
    }
}

/// What the process_connection hooks returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookResult {
    /// `OK`.
    Ok,
    /// `DONE`, which means the same here.
    Done,
    /// `DECLINED`: no hook felt responsible.
    Declined,
    /// An error, such as an HTTP status.
    Other(i32),
}

impl HookResult {
    /// From the hook's return value.
    #[must_use]
    pub const fn from_raw(raw: i32) -> HookResult {
        match raw {
            0 => HookResult::Ok,
            -1 => HookResult::Declined,
            -2 => HookResult::Done,
            other => HookResult::Other(other),
        }
    }

    /// The number as messages show it: 0 for `DONE` too.
    #[must_use]
    pub const fn as_logged(self) -> i32 {
        match self {
            HookResult::Ok | HookResult::Done => 0,
            HookResult::Declined => -1,
            HookResult::Other(other) => other,
        }
    }
}

/// What to do with a connection after the process_connection hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AfterHooks {
    /// Close it with lingering.
    Linger {
        /// The hooks broke the rules, or failed: to be logged as AH10111, see [`closing_text`].
        unexpected: bool,
    },
    /// Wait for the socket, then run the hooks again.
    WaitIo,
    /// Flush what is pending, see [`after_flush`].
    WriteCompletion,
    /// Leave it to the module.
    Suspend,
}

/// Where a connection goes after the process_connection hooks returned `result` and left `state_raw` in `c->cs->state`.
///
/// `aborted` is `c->aborted`. A module that is not made for asynchronous MPMs leaves the state at PROCESSING; it has done all
/// its work by then, so its connection is closed without complaint. KEEPALIVE means what WRITE_COMPLETION means: output is
/// flushed before the connection idles.
pub fn after_hooks(result: HookResult, state_raw: i32, aborted: bool) -> AfterHooks {
    const UNEXPECTED: AfterHooks = AfterHooks::Linger { unexpected: true };
    if !matches!(result, HookResult::Ok | HookResult::Done) {
        return UNEXPECTED;
    }
    let next = match State::from_raw(state_raw) {
        Some(State::Processing | State::Linger) => AfterHooks::Linger { unexpected: false },
        Some(State::AsyncWaitIo) => AfterHooks::WaitIo,
        Some(State::Keepalive | State::WriteCompletion) => AfterHooks::WriteCompletion,
        Some(State::Suspended) => AfterHooks::Suspend,
        Some(State::Handler | State::LingerNormal | State::LingerShort) | None => {
            return UNEXPECTED
        }
    };
    // What a module has taken is the module's, also when the client has gone: it will give it back, and then it is closed.
    if aborted && next != AfterHooks::Suspend {
        AfterHooks::Linger { unexpected: false }
    } else {
        next
    }
}

/// The message AH10111 for a connection that [`after_hooks`] calls unexpected, prefix included (level debug).
#[must_use]
pub fn closing_text(result: HookResult, state_raw: i32) -> String {
    let code = result.as_logged();
    let unexpected = if code == 0 { "unexpected " } else { "" };
    format!(
        "AH10111: process_socket: connection processing returned {code} ({unexpected}state {state_raw}): closing"
    )
}

/// What is known once the output filters have been asked to flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flushed {
    /// The flush failed (AH00470).
    pub failed: bool,
    /// The output filters still hold data.
    pub output_pending: bool,
    /// A filter must read before it can write (`c->cs->sense`).
    pub want_read: bool,
    /// `c->keepalive` is `AP_CONN_KEEPALIVE`.
    pub keepalive: bool,
    /// `c->aborted`.
    pub aborted: bool,
    /// The input filters hold data: a pipelined request.
    pub input_pending: bool,
    /// The child is finishing gracefully.
    pub finishing: bool,
    /// A finishing child still answers requests on idle connections.
    pub drain_open: bool,
}

/// What to do with a connection after a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AfterFlush {
    /// Close it with lingering.
    Linger,
    /// Wait for the socket in WRITE_COMPLETION, with Timeout.
    ParkWrite,
    /// Run the process_connection hooks at once: no event will come for input that has been read already.
    ProcessAgain,
    /// Wait for the next request, with KeepAliveTimeout.
    ParkKeepalive,
}

/// Where a connection in WRITE_COMPLETION goes after a flush.
///
/// A finishing child closes its keep-alive connections; but a request may be on its way already, so while the drain window is
/// open it keeps them, and answers such a request with `Connection: close`.
pub fn after_flush(flushed: &Flushed) -> AfterFlush {
    if flushed.failed {
        AfterFlush::Linger
    } else if flushed.output_pending || flushed.want_read {
        AfterFlush::ParkWrite
    } else if !flushed.keepalive || flushed.aborted {
        AfterFlush::Linger
    } else if flushed.input_pending {
        AfterFlush::ProcessAgain
    } else if flushed.finishing && !flushed.drain_open {
        AfterFlush::Linger
    } else {
        AfterFlush::ParkKeepalive
    }
}

/// The event that a parked connection waits for (errors and hang-ups wake it in either case).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Interest {
    /// Readable.
    Read,
    /// Writable.
    Write,
}

/// httpd's `conn_sense_e`: what a module or filter says that it waits for. Valid for one round; the caller resets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sense {
    /// What the state implies.
    #[default]
    Default,
    /// Must read next.
    WantRead,
    /// Must write next.
    WantWrite,
}

impl Sense {
    /// From httpd's number. An unknown one, like event's treatment of it, waits for writing: a mostly immediate event, so the
    /// connection can't be stuck.
    #[must_use]
    pub const fn from_raw(raw: i32) -> Sense {
        match raw {
            0 => Sense::Default,
            1 => Sense::WantRead,
            _ => Sense::WantWrite,
        }
    }
}

/// What to poll for, given what the module says and what the state implies (read for ASYNC_WAITIO and KEEPALIVE, write for
/// WRITE_COMPLETION).
pub fn interest(sense: Sense, default: Interest) -> Interest {
    match sense {
        Sense::Default => default,
        Sense::WantRead => Interest::Read,
        Sense::WantWrite => Interest::Write,
    }
}

#[cfg(test)]
mod tests;
