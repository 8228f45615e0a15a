//! The child's pollset, in terms of connections and listening sockets.

use super::slot_watch::{Target, Watch, WatchName};
use crate::host::listener::Listening;
use crate::host::pollset::{self, PollEntry, Pollset, Readiness};
use crate::host::status::Status;
use std::cell::UnsafeCell;
use std::ptr::NonNull;

/// What became ready.
pub enum Event {
    /// The connection that has this watch, unless it has gone.
    Connection(WatchName),
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

    /// Watches a connection for `readiness`. For who has the car park's lock.
    pub(super) fn watch(&self, watch: &Watch, readiness: Readiness) -> Status {
        if watch.readiness() == Some(readiness) {
            return Status::SUCCESS;
        }
        let removed = self.unwatch(watch);
        if removed != Status::SUCCESS && !removed.not_found() {
            return removed;
        }
        // SAFETY: a watch is never freed.
        let added = unsafe { self.add_anew(watch.entry(readiness)) };
        watch.set_readiness((added == Status::SUCCESS).then_some(readiness));
        added
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

    /// Ends to watch a connection, if it is watched. For who has the car park's lock.
    pub(super) fn unwatch(&self, watch: &Watch) -> Status {
        let Some(readiness) = watch.readiness() else {
            return Status::SUCCESS;
        };
        watch.set_readiness(None);
        // SAFETY: a watch is never freed.
        unsafe { self.pollset.remove(watch.entry(readiness)) }
    }

    /// Watches the listening socket of this index.
    ///
    /// # Errors
    /// It could not be added (no memory, a limit of the system).
    pub fn listen(&self, index: usize) -> Result<(), Status> {
        match self.listening.get(index) {
            // SAFETY: the box lives as long as the pollset.
            Some(place) => unsafe { self.add_anew(place.entry.get()) }.ok(),
            None => Ok(()),
        }
    }

    /// Ends to watch it, if it is watched.
    pub fn ignore(&self, index: usize) {
        if let Some(place) = self.listening.get(index) {
            // SAFETY: as above.
            let _ = unsafe { self.pollset.remove(place.entry.get()) };
        }
    }

    /// Ends to watch all of them.
    pub fn ignore_listening(&self) {
        for index in 0..self.listening.len() {
            self.ignore(index);
        }
    }

    /// Waits up to `timeout_us` (`None`: until something happens).
    pub(super) fn poll(
        &self,
        _right: &mut Poller,
        timeout_us: Option<u64>,
        mut ready: impl FnMut(Event),
    ) -> Status {
        // SAFETY: the right to poll is exclusive. Entries live as long as the process: watches are never freed, nor is the
        // box of the listening sockets' while there is a pollset. Each entry's data points at a `Target`, alone or as the
        // first field of a watch.
        unsafe {
            self.pollset.poll(timeout_us, |data| {
                match *data.cast::<Target>() {
                    Target::Listening(i) => ready(Event::Listening(i as usize)),
                    Target::Connection => {
                        let watch = NonNull::new_unchecked(data.cast::<Watch>());
                        ready(Event::Connection(WatchName::from_event(watch)));
                    }
                };
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
