//! What becomes of accepting when it fails: for want of something, or at one listening socket.

/// Why a connection could not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody waits.
    NobodyWaits,
    /// Something is short; no listening socket would do better.
    Lack(Lack),
    /// The descriptor is no listening socket any more.
    Broken,
    /// The connection, the network or a rule of the system; another listening socket may do better.
    Other,
}

/// What is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Descriptors of this process.
    Descriptors,
    /// Memory of this process.
    Memory,
    /// Descriptors of the system.
    SystemDescriptors,
    /// Memory of the system.
    SystemMemory,
}

impl Lack {
    /// Whether a new process in this one's place would have it. What the system lacks a new process lacks as well, and worse: it
    /// couldn't even start, which ends the server.
    fn is_own(self) -> bool {
        matches!(self, Lack::Descriptors | Lack::Memory)
    }
}

/// How long accepting rests after a failure, at first, in microseconds.
pub const FIRST_PAUSE_US: u64 = 50_000;
/// The same after repeated failures.
pub const LONGEST_PAUSE_US: u64 = 1_000_000;

fn next_pause_us(last_us: u64) -> u64 {
    (last_us * 2).clamp(FIRST_PAUSE_US, LONGEST_PAUSE_US)
}

/// For how long a child is short, with few connections, until it gives up, in microseconds. Not at once: for a moment requests may
/// have much more open than their sockets.
const GIVE_UP_US: u64 = 500_000;
/// A connection has its socket, perhaps a backend's, a file, the pipes of a program. With this many for each, few can't hold all.
pub const DESCRIPTORS_EACH: u32 = 8;

/// A lack and its history. All times are of one monotonic clock, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shortage {
    /// Until when it is taken for granted; 0: accepting may try.
    until_us: u64,
    /// How long the last pause was; 0 while all is well.
    pause_us: u64,
    /// As many connections as there is room for until then.
    ceiling: u32,
    /// The child is about to give up.
    in_doubt: bool,
    /// Since when it is short with few connections.
    since_us: u64,
    /// Somebody has been accepted in this process's life.
    ever_accepted: bool,
}

impl Shortage {
    /// Accepting has failed. Whether the child should give up, so that another one takes its place.
    ///
    /// `room` is how many connections the child would have room for if nothing else took it; with a lack of descriptors, how many
    /// descriptors. A child that has many connections is at its honest limit: those that end make room. Neither does a child give
    /// up that never accepted anybody, since its successor would do no better: so a lasting cause ends each child once at most.
    #[must_use]
    pub fn failed(&mut self, lack: Lack, now_us: u64, connections: u32, room: u32) -> bool {
        let held = (u64::from(connections) + 1) * u64::from(DESCRIPTORS_EACH);
        let few = held <= u64::from(room);
        if self.pause_us == 0 || !few {
            self.since_us = now_us;
        }
        self.in_doubt = few && lack.is_own() && self.ever_accepted;
        self.pause_us = next_pause_us(self.pause_us);
        self.until_us = now_us + self.pause_us;
        // What is served needs some of it, too: a file for each request, say.
        self.ceiling = match self.in_doubt {
            true => 0, // newcomers wait: the next child will serve them better
            false => connections - connections / 4,
        };
        self.in_doubt && now_us.saturating_sub(self.since_us) >= GIVE_UP_US
    }

    /// Somebody was accepted: at this moment there was enough, for one. That alone ends nothing, as with few descriptors left one
    /// connection after the other finds its own.
    pub fn accepted(&mut self) {
        self.ever_accepted = true;
    }

    /// There is enough: all who waited were accepted. Or it isn't this that accepting stops for.
    pub fn plenty(&mut self) {
        self.until_us = 0;
        self.pause_us = 0;
        self.in_doubt = false;
    }

    /// With few connections it was short: one descriptor more is no sign that there is enough, as a connection may need
    /// [`DESCRIPTORS_EACH`].
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// The pause is over: the next attempt will tell.
    pub fn expire(&mut self, now_us: u64) {
        if self.until_us <= now_us {
            self.until_us = 0;
        }
    }

    /// With so many connections there is hardly room for another: a moment ago there was none.
    #[must_use]
    pub fn is_full(&self, connections: u32) -> bool {
        self.until_us != 0 && connections >= self.ceiling
    }

    /// Accepting rests. When several connections have gone there is room again before the pause is over.
    #[must_use]
    pub fn rests(&self, connections: u32) -> bool {
        let several = (self.ceiling / 8).max(1);
        self.until_us != 0 && connections.saturating_add(several) > self.ceiling
    }

    /// When the pause is over.
    #[must_use]
    pub fn until_us(&self) -> Option<u64> {
        (self.until_us != 0).then_some(self.until_us)
    }
}

/// A listening socket and its failures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    in_a_row: u32,
    /// Until when it is left out; 0: it is not.
    until_us: u64,
    pause_us: u64,
}

/// So many failures in a row aren't of the connections that waited: those are told by accept(2) once, and are gone then.
const OF_THE_SOCKET: u32 = 16;

impl Trouble {
    /// Accepting from it has failed. Whether it is to be left out for a while.
    #[must_use]
    pub fn failed(&mut self, now_us: u64) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row < OF_THE_SOCKET {
            return false;
        }
        self.leave_out(now_us);
        true
    }

    /// It can't be watched: it is left out for a while.
    pub fn leave_out(&mut self, now_us: u64) {
        self.in_a_row = OF_THE_SOCKET;
        self.pause_us = next_pause_us(self.pause_us);
        self.until_us = now_us + self.pause_us;
    }

    /// It works: somebody was accepted from it, or nobody waits at it.
    pub fn works(&mut self) {
        *self = Trouble::default();
    }

    /// The pause is over: whether it was left out until now.
    pub fn expire(&mut self, now_us: u64) -> bool {
        let over = self.until_us != 0 && self.until_us <= now_us;
        if over {
            self.until_us = 0;
        }
        over
    }

    /// Until when it is left out.
    #[must_use]
    pub fn until_us(&self) -> Option<u64> {
        (self.until_us != 0).then_some(self.until_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    /// A child that has accepted somebody.
    fn used() -> Shortage {
        let mut shortage = Shortage::default();
        shortage.accepted();
        shortage
    }

    /// When a child with so many connections that never gets another one gives up, in ms; up to a minute.
    fn gives_up_ms(mut shortage: Shortage, lack: Lack, connections: u32, room: u32) -> Option<u64> {
        let mut now_us = 1_000 * MS;
        while now_us < 61_000 * MS {
            if shortage.failed(lack, now_us, connections, room) {
                return Some(now_us / MS - 1_000);
            }
            now_us = shortage.until_us().expect("a pause");
            shortage.expire(now_us);
        }
        None
    }

    #[test]
    fn a_child_gives_up_when_its_connections_cannot_be_the_reason() {
        let cases = [
            (Lack::Descriptors, 0, 95, Some(750)),
            (Lack::Descriptors, 1, 95, Some(750)),
            (Lack::Descriptors, 10, 95, Some(750)),
            (Lack::Descriptors, 11, 95, None),
            (Lack::Descriptors, 55, 55, None),
            (Lack::Descriptors, u32::MAX, u32::MAX, None),
            (Lack::Memory, 0, 12, Some(750)),
            (Lack::Memory, 2, 12, None),
            // There never was room.
            (Lack::Descriptors, 0, 0, None),
            (Lack::Descriptors, 0, 7, None),
            (Lack::Descriptors, 0, 8, Some(750)),
            // A successor would do no better.
            (Lack::SystemDescriptors, 0, 95, None),
            (Lack::SystemMemory, 1, 95, None),
        ];
        for (lack, connections, room, expected) in cases {
            assert_eq!(
                gives_up_ms(used(), lack, connections, room),
                expected,
                "{lack:?}, {connections} of {room}"
            );
            // Nor would that of one that never accepted anybody.
            let unused = Shortage::default();
            assert_eq!(gives_up_ms(unused, lack, connections, room), None);
        }
    }

    #[test]
    fn one_at_a_time_is_not_enough() {
        // (connections, when it gives up): each failure is followed by one that is accepted.
        for (connections, expected) in [(2, Some(600 * MS)), (20, None)] {
            let mut shortage = used();
            let mut times = (0..100_000 * MS).step_by(200 * MS as usize);
            let gives_up = times.find(|&now_us| {
                let gives_up = shortage.failed(Lack::Descriptors, now_us, connections, 100);
                shortage.accepted();
                gives_up
            });
            assert_eq!(gives_up, expected, "{connections}");
        }
    }

    #[test]
    fn with_plenty_now_and_then_it_goes_on() {
        let mut shortage = used();
        for now_us in (0..100_000 * MS).step_by(400 * MS as usize) {
            assert!(!shortage.failed(Lack::Descriptors, now_us, 1, 100));
            shortage.plenty();
        }
    }

    #[test]
    fn who_had_many_connections_has_time_when_they_have_gone() {
        let mut shortage = used();
        for second in 0..10 {
            assert!(!shortage.failed(Lack::Descriptors, second * 1_000 * MS, 50, 55));
        }
        // Nobody could be accepted for 10 s; few are left since now.
        assert!(!shortage.failed(Lack::Descriptors, 9_400 * MS, 5, 55));
        assert!(shortage.failed(Lack::Descriptors, 9_500 * MS, 5, 55));
    }

    #[test]
    fn attempts_become_rarer_until_there_is_plenty() {
        let mut shortage = used();
        let mut pauses = Vec::new();
        let mut now_us = 0;
        for _ in 0..7 {
            let _ = shortage.failed(Lack::Descriptors, now_us, 40, 50);
            let until = shortage.until_us().expect("a pause");
            pauses.push((until - now_us) / MS);
            // One more doesn't mean that there is enough.
            shortage.expire(until);
            shortage.accepted();
            now_us = until;
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_000, 1_000]);
        shortage.plenty();
        assert_eq!(shortage.until_us(), None);
        let _ = shortage.failed(Lack::Descriptors, now_us, 40, 50);
        assert_eq!(shortage.until_us(), Some(now_us + FIRST_PAUSE_US));
    }

    #[test]
    fn a_pause_ends_early_when_several_have_gone_and_then_there_is_room_for_these() {
        // (connections when it failed, of them still open, rests, full)
        let cases = [
            (40, 40, true, true),
            (40, 30, true, true),
            (40, 29, true, false),
            (40, 28, true, false),
            (40, 27, false, false),
            (8, 6, true, true),
            (8, 5, false, false),
            (3, 2, false, false),
            (1, 0, false, false),
            (0, 0, true, true),
        ];
        for (then, now, rests, full) in cases {
            let mut shortage = used();
            let _ = shortage.failed(Lack::Descriptors, 0, then, 7);
            assert_eq!(shortage.rests(now), rests, "{then} {now}");
            assert_eq!(shortage.is_full(now), full, "{then} {now}");
            shortage.expire(FIRST_PAUSE_US - 1);
            assert_eq!(shortage.rests(now), rests, "{then} {now}");
            shortage.expire(FIRST_PAUSE_US);
            assert!(!shortage.rests(now) && !shortage.is_full(now));
        }
    }

    #[test]
    fn in_doubt_nobody_is_accepted() {
        // (child, connections, in doubt)
        let cases = [
            (used(), 5, true),
            (used(), 40, false),
            (Shortage::default(), 5, false),
        ];
        for (mut shortage, connections, doubt) in cases {
            let _ = shortage.failed(Lack::Descriptors, 0, connections, 50);
            assert_eq!(shortage.in_doubt(), doubt, "{connections}");
            assert_eq!(shortage.rests(0), doubt, "{connections}");
            assert_eq!(shortage.is_full(0), doubt, "{connections}");
            shortage.expire(FIRST_PAUSE_US);
            assert_eq!(shortage.in_doubt(), doubt);
            shortage.plenty();
            assert!(!shortage.in_doubt());
        }
    }

    #[test]
    fn a_socket_is_left_out_for_failures_in_a_row() {
        let mut trouble = Trouble::default();
        for _ in 1..OF_THE_SOCKET {
            assert!(!trouble.failed(0));
        }
        trouble.works();
        for _ in 1..OF_THE_SOCKET {
            assert!(!trouble.failed(0));
        }
        let mut now_us = 0;
        for pause_ms in [50, 100, 200, 400, 800, 1_000, 1_000] {
            assert!(trouble.failed(now_us));
            let until = trouble.until_us().expect("left out");
            assert_eq!(until, now_us + pause_ms * MS);
            assert!(!trouble.expire(until - 1));
            assert!(trouble.expire(until));
            assert_eq!(trouble.until_us(), None);
            now_us = until;
        }
        trouble.works();
        assert!(!trouble.failed(now_us));
        trouble.leave_out(now_us);
        assert_eq!(trouble.until_us(), Some(now_us + FIRST_PAUSE_US));
    }
}
