//! How the threads of a child wait for each other: the hand-off of ready work to idle workers, the phase a child is in,
//! the deadline a thread may sleep to, and timed callbacks.
//!
//! This is the lowest layer: it knows nothing of APR or httpd, starts no thread (threads are APR's) and owns no
//! thread-local with a destructor, because httpd unloads this library while the process lives. For the same reason
//! `std::thread::park` and everything built on it is out: its handle is such a thread-local.
//!
//! | file | what waits for what |
//! | --- | --- |
//! | [`handoff`] | a worker for a ready connection |
//! | [`phase`] | nobody waits: which part of its life the child is in |
//! | [`deadline`] | the thread in the pollset for the earliest deadline, or for somebody who has an earlier one |
//! | [`timers`] | timed callbacks for their time |
//! | [`suspension`] | a connection for the module that holds it and the worker that lets go |
//! | `parker` | one thread for one wake-up |
//! | `primitive` | the only door to `std::sync`, which loom replaces |
//!
//! The protocols, and why no wake-up is lost, are written in `README.md` beside this file and model-checked by the
//! `models` files: `RUSTFLAGS="--cfg loom" cargo test --release sync::`.

#![forbid(unsafe_code)]

pub mod deadline;
pub mod handoff;
mod parker;
pub mod phase;
mod primitive;
pub mod suspension;
pub mod timers;
