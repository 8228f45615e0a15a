//! How many connections a child has, by what they are doing.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// The counters of one child. A connection is counted from its accept until
/// its pool is cleared.
#[derive(Default)]
pub struct Ledger {
    connections: AtomicU32,
    lingering: AtomicU32,
    suspended: AtomicU32,
    clogged: AtomicU32,
    arriving: AtomicU32,
    announced: AtomicU32,
}

/// What else than "open" a connection is counted as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Also {
    /// In lingering close: not counted against the admission limit.
    Lingering,
    /// Held by a module.
    Suspended,
    /// In a worker that can't be freed, for an input filter's sake.
    Clogged,
    /// Not taken up by a worker yet.
    Arriving,
    /// To be closed after this answer, which says so, to make room for another one.
    Announced,
}

impl Ledger {
    fn counter(&self, also: Also) -> &AtomicU32 {
        match also {
            Also::Lingering => &self.lingering,
            Also::Suspended => &self.suspended,
            Also::Clogged => &self.clogged,
            Also::Arriving => &self.arriving,
            Also::Announced => &self.announced,
        }
    }

    /// A connection has been accepted.
    pub fn opened(&self) {
        self.connections.fetch_add(1, SeqCst);
    }

    /// A connection has gone.
    pub fn closed(&self) {
        self.connections.fetch_sub(1, SeqCst);
    }

    /// It now also counts as `also`.
    pub fn enter(&self, also: Also) {
        self.counter(also).fetch_add(1, SeqCst);
    }

    /// It no longer does.
    pub fn leave(&self, also: Also) {
        self.counter(also).fetch_sub(1, SeqCst);
    }

    /// Open connections.
    pub fn connections(&self) -> u32 {
        self.connections.load(SeqCst)
    }

    /// Connections that also count as `also`.
    pub fn count(&self, also: Also) -> u32 {
        self.counter(also).load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_enters_leaves() {
        let ledger = Ledger::default();
        ledger.opened();
        ledger.opened();
        for also in [
            Also::Lingering,
            Also::Suspended,
            Also::Clogged,
            Also::Arriving,
            Also::Announced,
        ] {
            ledger.enter(also);
            assert_eq!(ledger.count(also), 1);
            assert_eq!(ledger.connections(), 2);
            ledger.leave(also);
            assert_eq!(ledger.count(also), 0);
        }
        ledger.closed();
        assert_eq!(ledger.connections(), 1);
    }
}
