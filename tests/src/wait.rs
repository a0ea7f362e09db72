//! Waits for a condition, with a limit.

use std::time::{Duration, Instant};

/// Polls every few milliseconds until `look` returns something.
///
/// # Panics
/// When `limit` passes; the message names `what`.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
