//! A connection's place in the pollset.
//!
//! A connection stays in the pollset while a worker serves it: taking it out for each request and putting it back would be two
//! system calls. Mostly the next event comes when it is parked again. One that comes earlier finds a connection that isn't
//! parked: then it is taken out for that turn, and, as some do it all the time (HTTP/2), for more turns each time that it is early again.
//!
//! Or it finds one that was parked while the poll went on: a worker has read meanwhile what the event tells of. So an event counts only
//! for a connection that was parked before the poll began. If there is something to read after all, the next poll tells.
//!
//! An event carries the address of its watch, and whoever polls may find it after the connection has gone. So watches belong to
//! nobody's pool: they are used again, but only after a poll has ended that began when the watch was out of the pollset already.

use super::queues::Key;
use crate::host::pollset::{self, PollEntry, Readiness};
use crate::host::socket::Socket;
use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, NonNull};

/// At how many turns a connection is taken out at most after an event that came too early.
const MOST_EAGER: u8 = 32;

/// First field of everything that a pollset entry points at.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// A `Watch`.
    Connection,
    /// A listening socket, by its index in the bucket.
    Listening(u32),
}

/// A connection's entry. All but `target`, which never changes, is under the lock of the car park.
#[repr(C)]
pub(super) struct Watch {
    target: Target,
    /// For reading and for writing. They don't change while the watch is in use, as APR copies them without a lock.
    entries: [UnsafeCell<PollEntry>; 2],
    /// Which entry is in the pollset.
    readiness: Cell<Option<Readiness>>,
    /// Where the queues keep, or last kept, the connection.
    key: Cell<Key>,
    /// How many polls had begun when it was parked.
    parked_in: Cell<u64>,
    /// At how many turns it is still to be taken out.
    eager: Cell<u8>,
    /// At how many turns it will be after the next early event: more with each one, one less with each turn that it stays in.
    eagerness: Cell<u8>,
}

/// A watch that is in use. It is never freed, so the name is good for ever; what it stands for may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatchName(NonNull<Watch>);

// SAFETY: a name; what it names is used under the car park's lock (see `Watch`), whatever the thread.
unsafe impl Send for WatchName {}

impl WatchName {
    /// The watch that an event of the pollset carries.
    ///
    /// # Safety
    /// `data` is a watch's address, as given out by [`WatchName::entry`].
    pub(super) unsafe fn from_event(data: NonNull<Watch>) -> WatchName {
        WatchName(data)
    }

    /// For who has the car park's lock.
    pub(super) fn get(&self) -> &Watch {
        // SAFETY: never freed.
        unsafe { self.0.as_ref() }
    }
}

impl Watch {
    /// The entry for the pollset.
    pub(super) fn entry(&self, readiness: Readiness) -> *mut PollEntry {
        self.entries[readiness as usize].get()
    }

    /// What the pollset waits for.
    pub(super) fn readiness(&self) -> Option<Readiness> {
        self.readiness.get()
    }

    /// An entry has been put into the pollset, or none is in it any more.
    pub(super) fn set_readiness(&self, readiness: Option<Readiness>) {
        self.readiness.set(readiness);
    }

    pub(super) fn key(&self) -> Key {
        self.key.get()
    }

    /// The connection is parked.
    pub(super) fn park(&self, key: Key, polls: u64) {
        self.key.set(key);
        self.parked_in.set(polls);
    }

    /// Whether it was parked after the latest of so many polls had begun.
    pub(super) fn parked_since(&self, polls: u64) -> bool {
        self.parked_in.get() == polls
    }

    /// An event came too early. Taking the connection out is two system calls, and an early event costs a poll in vain: who is
    /// early once just had a quick client, who always is stays out.
    pub(super) fn note_early(&self) {
        let turns = self.eagerness.get();
        self.eager.set(turns.max(1));
        self.eagerness.set((turns * 2 + 2).min(MOST_EAGER));
    }

    /// The connection's event has come: whether to take it out.
    pub(super) fn leaves(&self) -> bool {
        let turns = self.eager.get();
        if turns == 0 {
            self.eagerness.set(self.eagerness.get().saturating_sub(1));
        }
        self.eager.set(turns.saturating_sub(1));
        turns > 0
    }

    /// Begins anew for a connection.
    fn reset(&self, socket: *mut crate::host::c::apr_socket_t) {
        for readiness in [Readiness::Readable, Readiness::Writable] {
            let data = ptr::from_ref(self).cast_mut().cast();
            let mut entry = pollset::entry(socket, data);
            entry.reqevents = pollset::request(readiness);
            // SAFETY: out of the pollset, and no poll goes on that began when it was in it: nobody else uses the entry.
            unsafe { *self.entry(readiness) = entry };
        }
        self.readiness.set(None);
        self.park(Key::NONE, 0);
        self.eager.set(0);
        self.eagerness.set(0);
    }
}

/// The watches of a child, under the car park's lock.
#[derive(Default)]
pub(super) struct Watches {
    /// To be used again.
    spare: Vec<WatchName>,
    /// Out of the pollset since the last poll began.
    retired: Vec<WatchName>,
    /// Out of the pollset since before it began.
    past: Vec<WatchName>,
    /// How many polls have begun.
    polls: u64,
}

impl Watches {
    /// A watch for a connection.
    pub(super) fn take(&mut self, socket: Option<Socket>) -> WatchName {
        let name = self.spare.pop().unwrap_or_else(|| {
            WatchName(NonNull::from(Box::leak(Box::new(Watch {
                target: Target::Connection,
                entries: [(); 2]
                    .map(|()| UnsafeCell::new(pollset::entry(ptr::null_mut(), ptr::null_mut()))),
                readiness: Cell::new(None),
                key: Cell::new(Key::NONE),
                parked_in: Cell::new(0),
                eager: Cell::new(0),
                eagerness: Cell::new(0),
            }))))
        });
        name.get()
            .reset(socket.map_or(ptr::null_mut(), Socket::as_ptr));
        name
    }

    /// Its connection is about to go, and it is out of the pollset.
    pub(super) fn retire(&mut self, name: WatchName) {
        debug_assert_eq!(name.get().readiness(), None);
        self.retired.push(name);
    }

    /// A poll begins.
    pub(super) fn poll_begins(&mut self) {
        self.polls += 1;
        self.past.append(&mut self.retired);
    }

    /// How many polls have begun.
    pub(super) fn polls(&self) -> u64 {
        self.polls
    }

    /// It has ended, and its events have been looked at.
    pub(super) fn poll_ended(&mut self) {
        self.spare.append(&mut self.past);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_for_what_was_parked_before_the_poll() {
        let mut watches = Watches::default();
        let name = watches.take(None);
        name.get().park(Key::NONE, watches.polls());
        watches.poll_begins();
        assert!(!name.get().parked_since(watches.polls()));
        name.get().park(Key::NONE, watches.polls());
        assert!(name.get().parked_since(watches.polls()));
        watches.poll_ended();
        watches.poll_begins();
        assert!(!name.get().parked_since(watches.polls()));
    }

    #[test]
    fn who_is_always_early_stays_out() {
        let mut watches = Watches::default();
        let name = watches.take(None);
        let watch = name.get();
        // The last of these turns it stays in.
        let turns_out = || {
            std::iter::repeat_with(|| watch.leaves())
                .take_while(|&out| out)
                .count()
        };
        assert_eq!(turns_out(), 0);
        for expected in [1, 1, 3, 7, 15, 31, 31] {
            watch.note_early();
            assert_eq!(turns_out(), expected);
        }
        for _ in 0..MOST_EAGER {
            assert_eq!(turns_out(), 0);
        }
        watch.note_early();
        assert_eq!(turns_out(), 1, "it is forgotten");
    }

    #[test]
    fn a_watch_is_used_again_after_a_poll_that_began_without_it() {
        let mut watches = Watches::default();
        let first = watches.take(None);
        watches.poll_begins();
        watches.retire(first);
        // An event of this poll may name it still.
        watches.poll_ended();
        assert_ne!(watches.take(None), first);
        watches.poll_begins();
        assert_ne!(watches.take(None), first, "the poll has not ended");
        watches.poll_ended();
        assert_eq!(watches.take(None), first);
    }
}
