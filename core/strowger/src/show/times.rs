//! Formats times.

/// `2026-11-21 06:12:01` in UTC.
pub(crate) fn date_time(utc_ms: u64) -> String {
    let text = business::instant_text(utc_ms);
    format!("{} {}", &text[..10], &text[11..19])
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
