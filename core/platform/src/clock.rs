//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// UTC milliseconds since 1970.
#[must_use]
pub fn utc_ms() -> u64 {
    utc_ms_of(SystemTime::now())
}

/// UTC milliseconds since 1970 of a moment; 0 before.
#[must_use]
pub fn utc_ms_of(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
