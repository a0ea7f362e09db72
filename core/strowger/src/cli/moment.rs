//! Times on the command line.

use anyhow::{Result, anyhow};
use business::parse_instant;
use config::values::parse_duration;

/// Parses `24h` (before `now_ms`), UTC milliseconds, or a UTC date such as `2026-11-21`,
/// `2026-11-21T06:12` or `2026-11-21T06:12:01Z`.
pub(super) fn parse(text: &str, now_ms: u64) -> Result<u64> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    if let Ok(before) = parse_duration(text) {
        let before = u64::try_from(before.as_millis()).unwrap_or(u64::MAX);
        return Ok(now_ms.saturating_sub(before));
    }
    // Without a zone it is UTC.
    let bare = text.trim_end_matches('Z');
    let date = parse_instant(bare).or_else(|_| parse_instant(&format!("{bare}Z")));
    date.map_err(|_| {
        anyhow!(
            "`{text}` is no moment: write how long ago (90s, 30m, 24h), a UTC date \
             (2026-11-21 or 2026-11-21T06:12:01Z), or milliseconds since 1970"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::date_time;

    #[test]
    fn moments_are_durations_dates_and_milliseconds() {
        let parsed = |text| parse(text, 100_000_000).ok();
        assert_eq!(parsed("10s"), Some(99_990_000));
        assert_eq!(parsed("12345"), Some(12_345));
        assert_eq!(parsed("1970-01-02"), Some(86_400_000));
        for text in ["2000-02-29 00:00:00", "2026-11-21 06:12:01", "2100-03-01 23:59:59"] {
            assert_eq!(parsed(text).map(date_time).as_deref(), Some(text));
        }
        assert_eq!(parsed("2026-11-21T06:12Z"), parsed("2026-11-21 06:12:00"));
        for text in
            ["", "yesterday", "2026-13-01", "2026-02-31", "2026-11-21T24:00", "26-11-21", "2026-11"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
