//! The program's two clocks, read together. Nothing below this crate reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// UTC milliseconds since 1970.
pub(crate) fn utc_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Both clocks.
pub(crate) fn now() -> switch::Now {
    switch::Now { instant: Instant::now(), utc_ms: utc_ms() }
}
