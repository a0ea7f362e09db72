//! Times for people.

/// `2026-11-21 06:12:01` in UTC.
pub(crate) fn date_time(utc_ms: u64) -> String {
    let (days, seconds) = (utc_ms / 86_400_000, utc_ms / 1000 % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `06:12:01.250` in UTC.
pub(crate) fn clock(utc_ms: u64) -> String {
    let date_time = date_time(utc_ms);
    format!("{}.{:03}", &date_time[11..], utc_ms % 1000)
}

/// `1:02:03` or `2:03`.
pub(crate) fn elapsed(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// Year, month and day of a day number since 1970-01-01, by the 400-year cycle of the
/// Gregorian calendar counted from 1 March of year 0.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(date_time(0), "1970-01-01 00:00:00");
        assert_eq!(date_time(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(date_time(1_795_241_521_250), "2026-11-21 06:12:01");
        assert_eq!(clock(1_795_241_521_250), "06:12:01.250");
        assert_eq!(elapsed(59_999), "0:59");
        assert_eq!(elapsed(3_723_000), "1:02:03");
    }
}
