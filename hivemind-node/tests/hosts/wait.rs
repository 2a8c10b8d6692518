//! Waiting for conditions.

use std::thread;
use std::time::Duration;

use tokio::time::Instant;

/// What anything is waited for at most. Far above what is expected: it only bounds a failure.
pub(crate) const BOUND: Duration = Duration::from_secs(90);
/// Between two looks, so that who is waited for gets the processor.
const PACE: Duration = Duration::from_millis(50);

/// Looks until there is something; `what` says what is missing where it never comes.
pub(crate) fn until<T>(what: impl Fn() -> String, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + BOUND;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never: {}", what());
        thread::park_timeout(PACE);
    }
}
