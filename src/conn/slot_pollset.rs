//! The child's pollset, in terms of connections and listening sockets.

use super::queues::Key;
use super::slot::{target_of, Target};
use super::slot_handles::Parked;
use crate::host::listener::Listening;
use crate::host::pollset::{self, PollEntry, Pollset, Readiness};
use crate::host::status::Status;
use std::cell::UnsafeCell;

/// What became ready.
pub enum Event {
    /// The connection that the queues keep under this key.
    Connection(Key),
    /// A connection can be accepted from the listening socket of this index.
    Listening(usize),
}

/// The right to poll: there is one per pollset.
pub struct Poller(());

/// A pollset of connections and listening sockets.
pub struct ConnPollset {
    pollset: Pollset,
    listening: Box<[ListeningEntry]>,
}

struct ListeningEntry {
    entry: UnsafeCell<PollEntry>,
    target: Target,
}

// SAFETY: the entries are fixed once the boxes are in place; APR reads them
// under its own lock.
unsafe impl Sync for ListeningEntry {}
// SAFETY: the pointers in an entry are to the listening socket and to itself.
unsafe impl Send for ListeningEntry {}

impl ConnPollset {
    /// Takes a pollset and the listening sockets it will watch.
    pub fn new(
        pollset: Pollset,
        sockets: impl Iterator<Item = Listening>,
    ) -> (ConnPollset, Poller) {
        let listening: Box<[ListeningEntry]> = sockets
            .enumerate()
            .map(|(i, l)| ListeningEntry {
                entry: UnsafeCell::new(pollset::entry(l.socket(), std::ptr::null_mut())),
                target: Target::Listening(i as u32),
            })
            .collect();
        for place in &listening {
            // SAFETY: nobody else knows the entry yet; the box doesn't move any more.
            unsafe {
                (*place.entry.get()).client_data = (&raw const place.target).cast_mut().cast();
                (*place.entry.get()).reqevents = pollset::request(Readiness::Readable);
            }
        }
        (ConnPollset { pollset, listening }, Poller(()))
    }

    /// Watches a connection that was just parked.
    pub fn watch(&self, parked: &Parked) -> Status {
        // SAFETY: the slot lives until it is closed, which needs it to be taken
        // out of the queues, and `unwatch` goes with that.
        unsafe { self.add_anew(parked.poll_entry()) }
    }

    /// # Safety
    /// As `Pollset::add`.
    unsafe fn add_anew(&self, entry: *mut PollEntry) -> Status {
        // SAFETY: the caller's.
        unsafe {
            let added = self.pollset.add(entry);
            if !added.exists() {
                return added;
            }
            // Some kernels keep what was there; it must be this entry.
            let _ = self.pollset.remove(entry);
            self.pollset.add(entry)
        }
    }

    /// Ends to watch a connection that was just taken out.
    pub fn unwatch(&self, parked: &Parked) -> Status {
        // SAFETY: the slot is live: we have its handle.
        unsafe { self.pollset.remove(parked.poll_entry()) }
    }

    /// Watches the listening sockets.
    ///
    /// # Errors
    /// One could not be added (no memory, a limit of the system): none is watched.
    pub fn listen(&self) -> Result<(), Status> {
        for place in &self.listening {
            // SAFETY: the box lives as long as the pollset.
            let added = unsafe { self.add_anew(place.entry.get()) };
            if added != Status::SUCCESS {
                self.ignore_listening();
                return Err(added);
            }
        }
        Ok(())
    }

    /// Ends to watch them.
    pub fn ignore_listening(&self) {
        for place in &self.listening {
            // SAFETY: as above.
            let _ = unsafe { self.pollset.remove(place.entry.get()) };
        }
    }

    /// Waits up to `timeout_us` (`None`: until something happens).
    pub fn poll(
        &self,
        _right: &mut Poller,
        timeout_us: Option<u64>,
        mut ready: impl FnMut(Event),
    ) -> Status {
        // SAFETY: the right to poll is exclusive. Only whoever polls takes
        // connections out, so every entry reported is still parked, and live,
        // when its turn comes: `ready` takes out none but its own.
        unsafe {
            self.pollset.poll(timeout_us, |data| match target_of(data) {
                (Target::Listening(i), _) => ready(Event::Listening(i as usize)),
                (Target::Connection, key) => ready(Event::Connection(key.unwrap_or(Key::NONE))),
            })
        }
    }

    /// Makes the poller return.
    pub fn wake(&self) {
        self.pollset.wake();
    }

    /// Name of the kernel interface.
    pub fn method(&self) -> &'static str {
        self.pollset.method()
    }
}
