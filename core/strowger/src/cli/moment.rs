//! Moments as they are written on the command line.

use anyhow::{Result, bail};
use config::values::parse_duration;

/// `24h` is that long before `now_ms`; digits are UTC milliseconds; else a UTC date such as
/// `2026-11-21`, `2026-11-21T06:12` or `2026-11-21T06:12:01Z`.
pub(super) fn parse(text: &str, now_ms: u64) -> Result<u64> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    if let Ok(before) = parse_duration(text) {
        let before = u64::try_from(before.as_millis()).unwrap_or(u64::MAX);
        return Ok(now_ms.saturating_sub(before));
    }
    match date(text.trim_end_matches('Z')) {
        Some(ms) => Ok(ms),
        None => bail!(
            "`{text}` is no moment: write how long ago (90s, 30m, 24h), a UTC date \
             (2026-11-21 or 2026-11-21T06:12:01Z), or milliseconds since 1970"
        ),
    }
}

fn date(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let date = parts(date, '-', [4, 2, 2])?;
    let time = match time.len() {
        5 => parts(&format!("{time}:00"), ':', [2, 2, 2])?,
        _ => parts(time, ':', [2, 2, 2])?,
    };
    let ([year, month, day], [hour, minute, second]) = (date, time);
    let good = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    good.then(|| (((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

fn parts(text: &str, between: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut numbers = [0; 3];
    let mut parts = text.split(between);
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970-01-01, counted from 1 March of year 0 as the calendar's leap days want.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::date_time;

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
        for text in ["", "yesterday", "2026-13-01", "2026-11-21T24:00", "26-11-21", "2026-11"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
