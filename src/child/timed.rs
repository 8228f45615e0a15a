//! Timed callbacks of modules (`ap_mpm_register_timed_callback`).

use super::current;
use crate::host::callback::Callback;
use crate::host::clock;
use crate::sync::timers::Timers;

/// What is registered, by time.
pub(super) type TimerBook = Timers<Callback>;

/// Registers a callback in `delay_us` microseconds from now, from any thread,
/// from child_init until the child has ended. `false`: there is no child here.
#[must_use]
pub fn register(delay_us: u64, callback: Callback) -> bool {
    let Some(child) = current() else {
        return false;
    };
    let deadline = clock::now_us().saturating_add(delay_us);
    // `wake_for` below asks by time, which says more than "now the earliest".
    let _ = child.timers.insert(deadline, callback);
    child.parking.wake_for(deadline);
    true
}
