//! Memory of connections: transaction pools, one per connection, used again by
//! later ones; and the workers' free blocks.

use crate::conn::blocks::SpareBlocks;
use crate::host::blocks::pages;
use crate::host::pool::{Pool, TransactionPool};
use crate::host::server;
use crate::host::status::Status;
use crossbeam_utils::CachePadded;
use std::sync::{Mutex, PoisonError};

/// What a spare pool keeps, where there is a MaxMemFree: more than most connections have for good, one large block included.
const SPARE_PAGES: usize = 40;

/// Pools that wait for the next connection.
pub(super) struct Pools {
    parent: Pool,
    max_free: usize,
    keep: usize,
    spare: Mutex<Vec<TransactionPool>>,
    /// By worker.
    blocks: Box<[CachePadded<SpareBlocks>]>,
}

impl Pools {
    /// Pools below `parent` for a child with `threads` workers. With a
    /// MaxMemFree, as it is by default, the administrator wants memory back:
    /// then few are kept, with little in each. As many as connections come
    /// and go at once: else the system would map and unmap memory for each.
    pub(super) fn new(parent: Pool, threads: u32) -> Pools {
        let max_free = server::max_mem_free();
        let keep = match max_free {
            0 => usize::MAX,
            _ => threads as usize * 2,
        };
        Pools {
            parent,
            max_free,
            keep,
            spare: Mutex::new(Vec::new()),
            blocks: (0..threads)
                .map(|_| CachePadded::new(SpareBlocks::new(max_free)))
                .collect(),
        }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<TransactionPool>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The free blocks of a worker.
    pub(super) fn spare_blocks(&self, worker: i32) -> Option<&SpareBlocks> {
        let blocks = self.blocks.get(usize::try_from(worker).ok()?)?;
        Some(blocks)
    }

    /// A pool for a new connection.
    pub(super) fn take(&self) -> Result<TransactionPool, Status> {
        let spare = self.spare().pop();
        spare.map_or_else(|| TransactionPool::create(self.parent, self.max_free), Ok)
    }

    /// A pool that no connection was put into comes back.
    pub(super) fn give_back_unused(&self, pool: TransactionPool) {
        self.spare().push(pool);
    }

    /// A connection has been closed: its cleanups run, its memory is free.
    pub(super) fn recycle(&self, mut pool: TransactionPool) {
        match self.max_free {
            0 => pool.clear(),
            most => pool.clear_to(pages(SPARE_PAGES), most),
        }
        let mut spare = self.spare();
        if spare.len() < self.keep {
            spare.push(pool);
        }
    }

    /// A child that accepts no more needs no spare pools.
    pub(super) fn drop_spare(&self) {
        let spare = std::mem::take(&mut *self.spare());
        drop(spare);
    }
}
