//! Waiting for something to become true, with a limit.

use std::time::{Duration, Instant};

/// Looks every few milliseconds until `look` finds something.
///
/// # Panics
/// When `limit` passes; the message says what was waited for.
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
