//! Free blocks of APR's allocators, handed on from one allocator to another.
//!
//! A block (`apr_memnode_t`) bears no mark of its allocator: `apr_allocator_free`
//! takes a list of any. Getting them out is less plain: `apr_allocator_alloc`
//! gives what is free before it asks the system, but doesn't say which of the
//! two it did. It looks for the smallest block that suffices, among those of up to
//! 20 pages, which are kept by size, and then among the larger ones, the one
//! freed last first. So a block of 21 pages, the *marker*, stands between: freed
//! before the larger ones, it comes back after them; freed last, it comes
//! back after all the smaller ones. Should an APR search in another order, fewer
//! blocks are found.

use super::pool::{Pool, TransactionPool};
use crate::sys;
use std::ptr::{self, NonNull};

type Block = NonNull<sys::apr_memnode_t>;

/// Size of a block with its head, in bytes.
fn size(block: Block) -> usize {
    // SAFETY: every `Block` here is live; APR doesn't change `endp`.
    unsafe { (*block.as_ptr()).endp as usize - block.as_ptr() as usize }
}

/// Size of so many pages.
pub fn pages(count: usize) -> usize {
    // SAFETY: sysconf(3) reads a constant of the system.
    count * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize
}

/// Size of the marker. It is hardly ever written into, so it costs one page.
fn marker_size() -> usize {
    pages(21)
}

/// What an allocator that is to keep `max_free` bytes (MaxMemFree; 0: no limit)
/// is told: the marker comes on top.
pub(super) fn limit(max_free: usize) -> usize {
    match max_free {
        0 => 0,
        _ => max_free + marker_size(),
    }
}

/// A list of free blocks, owned: they are in no allocator. Dropped, they go
/// back to the system.
#[derive(Default)]
pub struct Blocks {
    first: Option<Block>,
    /// Size of those in the list.
    bytes: usize,
    /// Not in the list.
    marker: Option<Block>,
}

// SAFETY: owned, and bound to no thread.
unsafe impl Send for Blocks {}

impl Blocks {
    /// Their size together, without the marker.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds all of another list, as those to be given back to the system first.
    pub fn append(&mut self, mut other: Blocks) {
        while let Some(block) = other.pop() {
            self.push(block);
        }
        if self.marker.is_none() {
            self.marker = other.marker.take();
        }
    }

    /// Gives what is beyond `bytes` back to the system.
    pub fn shrink_to(&mut self, bytes: usize) {
        let mut surplus = Blocks::default();
        while self.bytes > bytes {
            let Some(block) = self.pop() else { break };
            surplus.push(block);
        }
    }

    fn push(&mut self, block: Block) {
        link(block, self.first.replace(block));
        self.bytes += size(block);
    }

    fn pop(&mut self) -> Option<Block> {
        let block = self.first?;
        // SAFETY: owned; `push` has set `next`.
        self.first = NonNull::new(unsafe { (*block.as_ptr()).next });
        self.bytes -= size(block);
        Some(block)
    }

    /// The list for an allocator to take, the marker first.
    fn give_away(&mut self) -> Option<Block> {
        let list = self.first.take();
        self.bytes = 0;
        let Some(marker) = self.marker.take() else {
            return list;
        };
        link(marker, list);
        Some(marker)
    }
}

fn link(block: Block, next: Option<Block>) {
    // SAFETY: every `Block` here is live and nobody else's; `next` is for whoever has it.
    unsafe { (*block.as_ptr()).next = next.map_or(ptr::null_mut(), Block::as_ptr) };
}

impl Drop for Blocks {
    fn drop(&mut self) {
        let Some(list) = self.give_away() else { return };
        let mut allocator = ptr::null_mut();
        // SAFETY: the result has a place; the blocks are owned, and end with
        // the allocator. Without memory for one they are lost.
        unsafe {
            if sys::apr_allocator_create(&mut allocator) == 0 {
                sys::apr_allocator_free(allocator, list.as_ptr());
                sys::apr_allocator_destroy(allocator);
            }
        }
    }
}

/// An allocator that is this thread's for now.
#[derive(Clone, Copy)]
struct Allocator(NonNull<sys::apr_allocator_t>);

impl Allocator {
    /// The pool's; `None` in an APR built to debug pools.
    ///
    /// # Safety
    /// The pool is live, and no other thread allocates in it or in a sub-pool
    /// while the result is used.
    unsafe fn of(pool: Pool) -> Option<Allocator> {
        // SAFETY: the caller's.
        NonNull::new(unsafe { sys::apr_pool_allocator_get(pool.as_ptr()) }).map(Allocator)
    }

    /// A block of this size or larger; `None` without memory.
    fn take(self, bytes: usize) -> Option<Block> {
        // What APR adds for the head is less than this.
        const HEAD: usize = 64;
        let wanted = bytes.saturating_sub(HEAD).max(1) as sys::apr_size_t;
        // SAFETY: see `of`.
        NonNull::new(unsafe { sys::apr_allocator_alloc(self.0.as_ptr(), wanted) })
    }

    /// Frees a list that the caller owns.
    fn free(self, list: Block) {
        // SAFETY: see `of`.
        unsafe { sys::apr_allocator_free(self.0.as_ptr(), list.as_ptr()) }
    }

    fn set_limit(self, bytes: usize) {
        // SAFETY: see `of`.
        unsafe { sys::apr_allocator_max_free_set(self.0.as_ptr(), bytes as sys::apr_size_t) }
    }
}

impl TransactionPool {
    /// As `clear`; of what that frees it keeps at most `keep` bytes, neither none nor more than `max_free` allows; later on
    /// `max_free` holds again (as `create` was told; not 0).
    pub fn clear_to(&mut self, keep: usize, max_free: usize) {
        // SAFETY: owned, so no other thread allocates in it.
        let allocator = unsafe { Allocator::of(self.name()) };
        if let Some(allocator) = allocator {
            allocator.set_limit(keep.min(limit(max_free)));
        }
        self.clear();
        if let Some(allocator) = allocator {
            allocator.set_limit(limit(max_free));
        }
    }
}

impl Pool {
    /// Adds blocks to the free ones of the pool's allocator, within its limit.
    ///
    /// # Safety
    /// The pool is live, and no other thread allocates in it or in a sub-pool now.
    pub unsafe fn add_free(self, mut blocks: Blocks) {
        // SAFETY: the caller's.
        let Some(allocator) = (unsafe { Allocator::of(self) }) else {
            return;
        };
        if let Some(list) = blocks.give_away() {
            allocator.free(list);
        }
    }

    /// Takes the free blocks out of the pool's allocator, which is to keep
    /// `max_free` bytes (as `TransactionPool::create` was told).
    ///
    /// # Safety
    /// As `add_free`.
    pub unsafe fn take_free(self, max_free: usize) -> Blocks {
        // Whatever an APR to come does with the marker, this ends.
        const MOST: usize = 1024;
        let mut large = Blocks::default();
        // SAFETY: the caller's.
        let Some(allocator) = (unsafe { Allocator::of(self) }) else {
            return large;
        };
        let mut marker = allocator.take(marker_size());
        for _ in 0..MOST {
            match marker {
                // The marker, another of its size, or a new one: it serves as well.
                Some(block) if size(block) > marker_size() => large.push(block),
                _ => break,
            }
            marker = allocator.take(marker_size());
        }
        let Some(mark) = marker else { return large };
        let mut blocks = Blocks::default();
        let limit = limit(max_free);
        if limit != 0 {
            // Room for the marker: what is beyond its limit an allocator gives back to the system.
            allocator.set_limit(limit + size(mark));
        }
        allocator.free(mark);
        for _ in 0..MOST {
            match allocator.take(1) {
                Some(block) if block != mark => blocks.push(block),
                found => {
                    blocks.marker = found;
                    break;
                }
            }
        }
        if limit != 0 {
            allocator.set_limit(limit);
        }
        blocks.append(large);
        blocks
    }
}
