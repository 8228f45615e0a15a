//! A worker's time: what its items took, and when it has served for long enough and another one is to take its place.
//!
//! Who never sleeps keeps its core until the kernel's slice is over (4 ms where it ticks 250 times a second), and another process
//! on that core keeps its clients waiting for as long. To sleep is better than sched_yield(2), which gives up the rest of the slice
//! for good. But relief costs two switches, so a shift is worth several requests at least. What counts for it is CPU time: a
//! worker that was kept waiting for its core, or for something else, is not to be relieved for that.
//!
//! What an item takes tells how long those behind it would wait, and whether to wake another worker for them. Time in which the
//! worker was kept from its core tells nothing of the kind. Where cores are scarce it would wake more workers, who make cores
//! scarcer: twenty in one core's queue, each for a slice, keep a request waiting for a tenth of a second.
//!
//! The kernel's figures for both are system calls, so they are read only when the clock says that they matter. That a thread has
//! slept shows in its count of voluntary switches, and the next item of its kind is likely to sleep as long.

/// How much CPU time a shift has, in microseconds.
const SHIFT_US: u64 = 300;

/// How many items it has at least.
const SHIFT_ITEMS: u32 = 12;

/// An item that took longer than this, in microseconds, may have been kept from its core. Slices are longer by far.
const SUSPECT_US: u64 = 200;

/// An item that has lost its core for a while, not known to be by its own sleep, counts as this long at most, in microseconds: one
/// alone then wakes nobody for the next request, a few do. The host of a virtual machine takes its time in milliseconds, and most of
/// that looks like CPU time.
const LONGEST_UNSURE_US: u64 = 500;

/// An item that may have slept is followed by others of its kind, as a rule: of so many it is to be known.
const WATCHED_ITEMS: u32 = 100;

/// What a poll takes that finds something at once, in microseconds, without the events themselves, which take up to one each. One
/// that took longer has slept.
const POLL_US: u64 = 10;

/// What the kernel knows of a thread so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, in microseconds.
    pub cpu_us: u64,
    /// How often it has lost its core because it slept; `None` where the system doesn't tell.
    pub sleeps: Option<u64>,
}

/// What a worker has done. Times are in microseconds of the monotonic clock.
#[derive(Debug, Default)]
pub struct Shift {
    begun_us: u64,
    ended_us: u64,
    polled_us: u64,
    /// How many items it has served since it last rested.
    items: u32,
    /// Before this, the shift can't be over.
    look_at_us: u64,
    /// CPU time when the shift began, if it is known.
    cpu_us: Option<u64>,
    /// The last reading,
    usage: Usage,
    /// and when that was.
    read_us: u64,
    /// It may have slept in a poll since.
    stale: bool,
    /// For so many items more it is to be known which of them sleep.
    watched: u32,
}

impl Shift {
    /// An item is to be served.
    pub fn begin(&mut self, now_us: u64, read: impl FnOnce() -> Usage) {
        let idled_us = now_us - self.polled_us.max(self.ended_us);
        if idled_us > POLL_US {
            self.note(now_us, read());
            if idled_us > SHIFT_US {
                self.begin_anew(now_us, Some(self.usage.cpu_us));
            }
        }
        self.begun_us = now_us;
    }

    /// A poll has ended, with so many events.
    pub fn polled(&mut self, now_us: u64, found: usize, read: impl FnOnce() -> Usage) {
        let took_us = now_us - self.polled_us.max(self.ended_us);
        if took_us > POLL_US + found as u64 {
            // With one client that is so each time: no reason for a system call, unless items have slept lately.
            self.stale = true;
            if self.watched > 0 {
                self.note(now_us, read());
            }
            self.begin_anew(now_us, None);
        }
        self.polled_us = now_us;
    }

    /// The item has been served: how long that took as far as it says what others take; `None` if it says nothing.
    pub fn end(&mut self, now_us: u64, read: impl FnOnce() -> Usage) -> Option<u64> {
        self.ended_us = now_us;
        self.items += 1;
        self.watched = self.watched.saturating_sub(1);
        let took_us = now_us - self.begun_us;
        if took_us <= SUSPECT_US {
            return Some(took_us);
        }
        let (before, stale) = (self.usage, self.stale);
        let elsewhere_us = self.begun_us.saturating_sub(self.read_us);
        let now = read();
        self.note(now_us, now);
        let (Some(sleeps), Some(sleeps_before)) = (now.sleeps, before.sleeps) else {
            return Some(took_us);
        };
        let slept = sleeps != sleeps_before;
        if slept {
            self.watched = WATCHED_ITEMS;
            if !stale {
                return Some(took_us);
            }
        }
        // It has used its core for so long at least: before the item, for no longer than it could.
        let cpu_us = now.cpu_us.saturating_sub(before.cpu_us);
        let used_us = cpu_us.saturating_sub(elsewhere_us).min(took_us);
        if used_us >= took_us - took_us / 8 {
            return Some(used_us);
        }
        // If it has slept, it was in the poll, or else now.
        let unsure_us = if slept { took_us } else { used_us };
        (unsure_us > SUSPECT_US).then_some(unsure_us.min(LONGEST_UNSURE_US))
    }

    /// Whether the shift is over, and the next one begins. `cpu_us` reads the thread's CPU time.
    pub fn is_over(&mut self, cpu_us: impl FnOnce() -> u64) -> bool {
        if self.items < SHIFT_ITEMS || self.ended_us < self.look_at_us {
            return false;
        }
        let now_us = cpu_us();
        let worked_us = now_us - *self.cpu_us.get_or_insert(now_us);
        if worked_us < SHIFT_US {
            self.look_at_us = self.ended_us + (SHIFT_US - worked_us);
            return false;
        }
        self.begin_anew(self.ended_us, Some(now_us));
        true
    }

    fn note(&mut self, now_us: u64, usage: Usage) {
        self.usage = usage;
        self.read_us = now_us;
        self.stale = false;
    }

    fn begin_anew(&mut self, now_us: u64, cpu_us: Option<u64>) {
        self.look_at_us = now_us + SHIFT_US;
        self.items = 0;
        self.cpu_us = cpu_us;
    }
}

#[cfg(test)]
mod tests;
