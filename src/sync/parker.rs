//! One thread's bed: it blocks in [`Parker::park`] until somebody leaves a token.
//!
//! The token is sticky, so it doesn't matter whether it is left before or after the thread lies down. Tokens don't add up;
//! whoever uses a parker sees to it that there is at most one waker for each `park` (for [`super::handoff`]: whoever took the
//! worker off the idle stack, which happens once for each time the worker was put there).

use super::primitive::{lock, wait, Condvar, Mutex};

/// A place where one thread at a time sleeps without a timeout.
#[derive(Debug)]
pub(super) struct Parker {
    token: Mutex<bool>,
    wake: Condvar,
}

impl Parker {
    /// A parker without a token.
    pub(super) fn new() -> Self {
        Self {
            token: Mutex::new(false),
            wake: Condvar::new(),
        }
    }

    /// Blocks until there is a token and takes it.
    pub(super) fn park(&self) {
        let mut token = lock(&self.token);
        // A condition variable may wake up for nothing; the token is what counts.
        while !*token {
            token = wait(&self.wake, token);
        }
        *token = false;
    }

    /// Leaves a token; the sleeper, if there is one, wakes up.
    pub(super) fn unpark(&self) {
        // The guard is a temporary: the lock is free again when the sleeper is notified, so that it doesn't wake up
        // only to wait for us.
        *lock(&self.token) = true;
        self.wake.notify_one();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Parker;
    use std::sync::Arc;

    #[test]
    fn a_token_left_early_is_kept() {
        let parker = Parker::new();
        parker.unpark();
        parker.park();
    }

    #[test]
    fn tokens_do_not_add_up() {
        let parker = Arc::new(Parker::new());
        parker.unpark();
        parker.unpark();
        parker.park();
        let sleeper = {
            let parker = Arc::clone(&parker);
            std::thread::spawn(move || parker.park())
        };
        // Whether this comes before or after the thread lies down, it is what ends the second park.
        parker.unpark();
        sleeper.join().expect("the sleeper");
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::Parker;
    use loom::sync::Arc;

    #[test]
    fn park_against_unpark() {
        loom::model(|| {
            let parker = Arc::new(Parker::new());
            let sleeper = {
                let parker = Arc::clone(&parker);
                loom::thread::spawn(move || {
                    parker.park();
                    parker.park();
                })
            };
            parker.unpark();
            // Two tokens at once would merge, so leave the second one when the first is gone.
            while *super::lock(&parker.token) {
                loom::thread::yield_now();
            }
            parker.unpark();
            sleeper.join().expect("the sleeper");
        });
    }
}
