//! The program's two clocks, read together. The rooms without I/O (`sip`, `media`, `ledger`,
//! `policy`, `switch`) read none and are given the time from here; the plugin host and the store
//! read the system's clocks themselves.

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
