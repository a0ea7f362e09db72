//! The program's two clocks, read together. The crates without I/O (`sip`, `media`, `ledger`,
//! `policy`, `switch`) get the time from here; the plugin host and the store read the system clocks
//! themselves.

pub(crate) use platform::utc_ms;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The first reading of both clocks.
static START: LazyLock<(Instant, u64)> = LazyLock::new(|| (Instant::now(), utc_ms()));

/// Both clocks.
pub(crate) fn now() -> switch::Now {
    switch::Now { instant: Instant::now(), utc_ms: utc_ms() }
}

/// Milliseconds on a clock that cannot be set: UTC at the program's start plus the time since
/// (BILL-10).
pub(crate) fn steady_ms(instant: Instant) -> u64 {
    let (start, utc_ms) = *START;
    let passed = instant.saturating_duration_since(start).as_millis();
    utc_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
}

/// The inverse of [`steady_ms`].
pub(crate) fn instant_of(steady_ms: u64) -> Instant {
    let (start, utc_ms) = *START;
    start + Duration::from_millis(steady_ms.saturating_sub(utc_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_moments_come_back_to_the_millisecond() {
        let (start, utc_ms) = *START;
        for passed in [0, 1, 1234, 86_400_000] {
            let moment = start + Duration::from_millis(passed);
            assert_eq!(steady_ms(moment), utc_ms + passed);
            assert_eq!(instant_of(steady_ms(moment)), moment);
        }
    }
}
