//! Timeout queues: what is parked, and when it has waited long enough.
//!
//! One FIFO for each distinct timeout value: whoever came first expires first,
//! so insertion and removal are O(1) and only heads need be looked at. A
//! lingering close has one time stamp for all of it, so its connections come
//! back older than others that entered meanwhile: they are kept sorted.
//!
//! The queues own what is parked; a key names a place in them.

use std::collections::BTreeSet;

/// What a parked connection waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Readiness on behalf of a module (CONN_STATE_ASYNC_WAITIO): Timeout.
    Io,
    /// Room for the rest of a response: Timeout.
    Write,
    /// The next request: KeepAliveTimeout.
    KeepAlive,
    /// The peer's close, normally: 30 s.
    Linger,
    /// The peer's close, when it must be short: 2 s.
    ShortLinger,
}

const KINDS: usize = 5;

/// Names a place in the queues; valid from `insert` to the removal of its item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    index: u32,
    stamp: u64,
}

impl Key {
    /// A key that names nothing.
    pub const NONE: Key = Key {
        index: NIL,
        stamp: 0,
    };
}

const NIL: u32 = u32::MAX;

struct Node<T> {
    item: Option<T>,
    prev: u32,
    next: u32,
    since_us: u64,
    wait: Wait,
    queue: u32,
    stamp: u64,
}

struct Fifo {
    timeout_us: u64,
    head: u32,
    tail: u32,
}

/// The queues of one child. Times are microseconds of the monotonic clock.
pub struct Queues<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    stamps: u64,
    /// FIFOs of Io, Write and KeepAlive, by timeout value.
    fifos: [Vec<Fifo>; 3],
    /// Linger and ShortLinger, by (start, node).
    sorted: [BTreeSet<(u64, u32)>; 2],
    linger_us: [u64; 2],
    counts: [u32; KINDS],
}

impl<T> Queues<T> {
    /// Empty queues with the times for normal and short lingering close.
    pub fn new(linger_us: u64, short_linger_us: u64) -> Self {
        Queues {
            nodes: Vec::new(),
            free: NIL,
            stamps: 0,
            fifos: [Vec::new(), Vec::new(), Vec::new()],
            sorted: [BTreeSet::new(), BTreeSet::new()],
            linger_us: [linger_us, short_linger_us],
            counts: [0; KINDS],
        }
    }

    /// The key that the next `insert` must be given.
    pub fn next_key(&self) -> Key {
        let index = match self.free {
            NIL => self.nodes.len() as u32,
            free => free,
        };
        Key {
            index,
            stamp: self.stamps + 1,
        }
    }

    /// Parks `item` under `key`, which `next_key` has just given out, waiting
    /// since `since_us`. `timeout_us` matters to Io, Write and KeepAlive;
    /// within one value `since_us` must not decrease. When the item's time is
    /// over.
    pub fn insert(&mut self, key: Key, item: T, wait: Wait, timeout_us: u64, since_us: u64) -> u64 {
        debug_assert_eq!(key, self.next_key());
        self.stamps = key.stamp;
        let queue = self.queue_for(wait, timeout_us);
        let index = self.place(Node {
            item: Some(item),
            prev: NIL,
            next: NIL,
            since_us,
            wait,
            queue,
            stamp: key.stamp,
        });
        match sorted_index(wait) {
            Some(s) => {
                self.sorted[s].insert((since_us, index));
            }
            None => self.append(wait, queue, index),
        }
        self.counts[wait as usize] += 1;
        let timeout = sorted_index(wait).map_or(timeout_us, |s| self.linger_us[s]);
        since_us.saturating_add(timeout)
    }

    /// Takes an item out; `None` when the key's item has gone already.
    pub fn remove(&mut self, key: Key) -> Option<(T, Wait)> {
        let node = self.nodes.get(key.index as usize)?;
        (node.stamp == key.stamp)
            .then(|| self.take(key.index))
            .flatten()
    }

    /// When the first item expires; `None` when nothing is parked.
    pub fn next_deadline_us(&self) -> Option<u64> {
        let fifos = self.fifos.iter().flatten().filter_map(|f| {
            let head = self.nodes.get(f.head as usize)?;
            Some(head.since_us.saturating_add(f.timeout_us))
        });
        let sorted = self
            .sorted
            .iter()
            .zip(self.linger_us)
            .filter_map(|(s, t)| s.first().map(|&(since, _)| since.saturating_add(t)));
        fifos.chain(sorted).min()
    }

    /// Takes out all that has waited its time at `now_us`, at most `max`.
    pub fn expire(&mut self, now_us: u64, max: usize) -> Vec<(T, Wait)> {
        let mut out = Vec::new();
        while out.len() < max {
            let Some(index) = self.first_expired(now_us) else {
                break;
            };
            out.extend(self.take(index));
        }
        out
    }

    /// Takes out the keep-alives that have idled longest, at most `max` and only those that have idled since `until_us`.
    pub fn oldest_keep_alives(&mut self, max: usize, until_us: u64) -> Vec<T> {
        let mut out = Vec::new();
        while out.len() < max {
            let oldest = self.fifos[Wait::KeepAlive as usize]
                .iter()
                .filter_map(|f| Some((self.nodes.get(f.head as usize)?.since_us, f.head)))
                .min();
            let Some((since_us, index)) = oldest else {
                break;
            };
            if since_us > until_us {
                break;
            }
            out.extend(self.take(index).map(|(item, _)| item));
        }
        out
    }

    /// A finishing child waits for a peer's close no longer than `linger_us`.
    pub fn shorten_linger(&mut self, linger_us: u64) {
        self.linger_us[0] = self.linger_us[0].min(linger_us);
    }

    /// How many items wait for `wait`.
    pub fn count(&self, wait: Wait) -> u32 {
        self.counts[wait as usize]
    }

    fn queue_for(&mut self, wait: Wait, timeout_us: u64) -> u32 {
        if sorted_index(wait).is_some() {
            return 0;
        }
        let fifos = &mut self.fifos[wait as usize];
        if let Some(i) = fifos.iter().position(|f| f.timeout_us == timeout_us) {
            return i as u32;
        }
        fifos.push(Fifo {
            timeout_us,
            head: NIL,
            tail: NIL,
        });
        fifos.len() as u32 - 1
    }

    fn place(&mut self, node: Node<T>) -> u32 {
        if self.free == NIL {
            self.nodes.push(node);
            return self.nodes.len() as u32 - 1;
        }
        let index = self.free;
        self.free = self.nodes[index as usize].next;
        self.nodes[index as usize] = node;
        index
    }

    fn append(&mut self, wait: Wait, queue: u32, index: u32) {
        let fifo = &mut self.fifos[wait as usize][queue as usize];
        let tail = std::mem::replace(&mut fifo.tail, index);
        if tail == NIL {
            fifo.head = index;
        } else {
            self.nodes[tail as usize].next = index;
            self.nodes[index as usize].prev = tail;
        }
    }

    fn take(&mut self, index: u32) -> Option<(T, Wait)> {
        let node = &mut self.nodes[index as usize];
        let item = node.item.take()?;
        let (wait, queue, since) = (node.wait, node.queue, node.since_us);
        let (prev, next) = (node.prev, node.next);
        node.stamp = 0;
        node.next = self.free;
        match sorted_index(wait) {
            Some(s) => {
                self.sorted[s].remove(&(since, index));
            }
            None => self.unlink(wait, queue, prev, next),
        }
        self.free = index;
        self.counts[wait as usize] -= 1;
        Some((item, wait))
    }

    fn unlink(&mut self, wait: Wait, queue: u32, prev: u32, next: u32) {
        let fifo = &mut self.fifos[wait as usize][queue as usize];
        match prev {
            NIL => fifo.head = next,
            p => self.nodes[p as usize].next = next,
        }
        match next {
            NIL => fifo.tail = prev,
            n => self.nodes[n as usize].prev = prev,
        }
    }

    fn first_expired(&self, now_us: u64) -> Option<u32> {
        let due = |since: u64, timeout: u64| since.saturating_add(timeout) <= now_us;
        let fifo = self.fifos.iter().flatten().find(|f| {
            self.nodes
                .get(f.head as usize)
                .is_some_and(|n| due(n.since_us, f.timeout_us))
        });
        if let Some(fifo) = fifo {
            return Some(fifo.head);
        }
        self.sorted.iter().zip(self.linger_us).find_map(|(s, t)| {
            let &(since, index) = s.first()?;
            due(since, t).then_some(index)
        })
    }
}

fn sorted_index(wait: Wait) -> Option<usize> {
    match wait {
        Wait::Linger => Some(0),
        Wait::ShortLinger => Some(1),
        Wait::Io | Wait::Write | Wait::KeepAlive => None,
    }
}

#[cfg(test)]
mod tests;
