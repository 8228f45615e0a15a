//! The blocks of memory that requests use, and pass on.
//!
//! What a request has allocated becomes free when it ends, in the allocator of
//! its connection, where nobody else can use it while the connection idles.
//! So the free blocks go with the worker instead: it lends them to the
//! connection that it serves, for the length of a turn, and collects what is
//! free at the end, before the connection is anybody else's. An idle
//! connection has none, a request finds blocks that are warm in the worker's
//! cache, and none is given back to the system on the way, which would
//! interrupt all cores.

use crate::host::blocks::{pages, Blocks};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The free blocks of one worker.
pub struct SpareBlocks {
    /// MaxMemFree in bytes; 0: no limit.
    max_free: usize,
    /// What the worker keeps in any case, in bytes.
    usual: usize,
    stock: Mutex<Stock>,
}

#[derive(Default)]
struct Stock {
    blocks: Blocks,
    /// What the connection got that is being served, in bytes.
    lent: usize,
    need: Need,
}

/// More than most requests need: eight of the smallest blocks.
const USUAL_PAGES: usize = 16;

/// How much the worker's connections need.
#[derive(Default)]
struct Need {
    /// For how many turns what was lent has sufficed.
    calm: u32,
}

impl Need {
    /// Requests that need much often have others of their kind among the next.
    const CALM_TURNS: u32 = 16;

    /// A turn for which `lent` bytes were lent has ended with `back` bytes: how
    /// much of them to keep. In calm times what is beyond `usual` goes by and
    /// by, an eighth of it at a turn.
    fn after_turn(&mut self, lent: usize, back: usize, usual: usize) -> usize {
        self.calm = match back > lent {
            true => 0,
            false => self.calm.saturating_add(1),
        };
        match self.calm > Self::CALM_TURNS {
            true => back - back.saturating_sub(usual).div_ceil(8),
            false => back,
        }
    }
}

impl SpareBlocks {
    /// None as yet, at most `max_free` bytes to come (MaxMemFree; 0: no limit).
    pub fn new(max_free: usize) -> SpareBlocks {
        SpareBlocks {
            max_free,
            usual: pages(USUAL_PAGES),
            stock: Mutex::default(),
        }
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        // A panic aborts the child, so a poisoned lock is never seen.
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, for a connection whose turn begins.
    pub(super) fn lend(&self) -> Blocks {
        let mut stock = self.stock();
        stock.lent = stock.blocks.bytes();
        std::mem::take(&mut stock.blocks)
    }

    /// At the end of a turn: what `take` finds in an allocator that is to keep so many bytes.
    pub(super) fn collect(&self, take: impl FnOnce(usize) -> Blocks) {
        let blocks = take(self.max_free);
        let mut stock = self.stock();
        // None, unless the worker has turned to another connection before this one was left.
        let held = std::mem::replace(&mut stock.blocks, blocks);
        stock.blocks.append(held);
        let (lent, back) = (stock.lent, stock.blocks.bytes());
        let mut keep = stock.need.after_turn(lent, back, self.usual);
        if self.max_free != 0 {
            keep = keep.min(self.max_free);
        }
        stock.blocks.shrink_to(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A need that `turns` turns have been enough for.
    fn calm(turns: u32) -> Need {
        Need { calm: turns }
    }

    #[test]
    fn what_was_needed_stays_and_the_rest_goes_by_and_by() {
        for (turns, lent, back, expected) in [
            (0, 0, 0, 0),
            (0, 0, 300, 300),
            (15, 400, 400, 400),
            (16, 400, 400, 360),
            (16, 400, 401, 401), // more than was lent
            (99, 400, 401, 401),
            (99, 400, 100, 97), // the connection has kept some
            (99, 81, 81, 80),
            (99, 80, 80, 80),
            (99, 40, 40, 40),
            (u32::MAX, 400, 400, 360),
        ] {
            let kept = calm(turns).after_turn(lent, back, 80);
            assert_eq!(kept, expected, "{turns} turns, lent {lent}, back {back}");
        }
    }

    #[test]
    fn a_greater_need_begins_a_new_count() {
        let mut need = calm(99);
        assert_eq!(need.after_turn(400, 500, 80), 500);
        for turn in 1..=Need::CALM_TURNS {
            assert_eq!(need.after_turn(500, 500, 80), 500, "turn {turn}");
        }
        assert_eq!(need.after_turn(500, 500, 80), 447);
    }

    proptest! {
        /// A worker that has once needed much has the usual amount before long, and never less.
        #[test]
        fn the_rest_is_gone_before_long(much in 0..1024usize, usual in 1..100usize) {
            let (mut have, mut need, mut turns) = (much, Need::default(), 0);
            while have > usual {
                let next = need.after_turn(have, have, usual);
                prop_assert!(next <= have && next >= usual);
                have = next;
                turns += 1;
                prop_assert!(turns < 80);
            }
            prop_assert_eq!(have, much.min(usual));
        }
    }
}
