//! L2: a connection between two turns of a worker.
//!
//! A connection is owned by exactly one of: the queues (`Parked`), the ready
//! queue (`Queued`), a worker (`Running`), a module (`Suspended`). The handles
//! can only be moved, so what a thread has given away it can't touch any more.
//!
//! ```text
//!   accept ──> Running ──park──────> Parked ──ready / expired──┐
//!                ^  │                                          v
//!                │  ├──suspend──> Suspended ──resume──────> Queued
//!                │  └──close──> (pool recycled)                │
//!                └─────────────────── run ─────────────────────┘
//! ```

pub mod blocks;
pub mod ledger;
pub mod parking;
pub mod queues;
pub mod slot;
pub mod slot_handles;
pub mod slot_pollset;
pub mod slot_requests;
pub mod slot_watch;
