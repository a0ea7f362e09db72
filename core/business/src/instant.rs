//! Points in time as an operator writes them: a date, optionally with time and zone.

use jiff::SignedDuration;
use jiff::civil::{DateTime, datetime};
use serde::{Deserializer, Serializer, de};
use std::fmt;

const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);

/// Reads `2026-12-31`, `2026-12-31T23:59:59Z` or with a zone such as `+02:00`; UTC ms.
///
/// # Errors
///
/// The accepted forms.
pub fn parse_instant(text: &str) -> Result<u64, String> {
    instant(text.trim()).ok_or_else(|| {
        "expected a date with an optional time and zone, 1970 to 9999, such as \"2026-12-31\" \
         or \"2026-12-31T18:00:00+02:00\""
            .to_owned()
    })
}

/// Checks the form, because the library accepts many more; the library checks the calendar.
fn instant(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    let mut clock = Clock::default();
    if let Some(time) = time {
        clock = Clock::read(time)?;
    }
    let local = DateTime::new(
        number(year)?,
        number(month)?,
        number(day)?,
        clock.hour,
        clock.minute,
        clock.second,
        clock.ms * 1_000_000,
    );
    let utc = local.ok()?.checked_sub(clock.offset).ok()?;
    u64::try_from(utc.duration_since(EPOCH).as_millis()).ok()
}

/// A time of day and its offset from UTC.
#[derive(Default)]
struct Clock {
    hour: i8,
    minute: i8,
    second: i8,
    ms: i32,
    offset: SignedDuration,
}

impl Clock {
    fn read(text: &str) -> Option<Clock> {
        let (clock, zone) = text.split_at(text.find(['Z', '+', '-'])?);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let mut parts = clock.split(':');
        let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
        let second = parts.next().map_or(Some(0), number)?;
        if parts.next().is_some() || fraction.len() > 3 {
            return None;
        }
        let ms = number(&format!("{fraction:0<3}"))?;
        Some(Clock { hour, minute, second, ms, offset: offset(zone)? })
    }
}

fn offset(zone: &str) -> Option<SignedDuration> {
    if zone == "Z" {
        return Some(SignedDuration::ZERO);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let minutes = number::<i64>(hours)?.checked_mul(60)?.checked_add(number(minutes)?)?;
    let offset = SignedDuration::from_mins((minutes <= 14 * 60).then_some(minutes)?);
    Some(if zone.starts_with('-') { -offset } else { offset })
}

/// Digits only: no sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// UTC text of an instant in ms, as [`parse_instant`] reads it; clamped to the year 9999.
#[must_use]
pub fn instant_text(ms: u64) -> String {
    let since = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    let at = EPOCH.saturating_add(since);
    let fraction = match at.millisecond() {
        0 => String::new(),
        ms => format!(".{ms:03}"),
    };
    format!("{}{fraction}Z", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// `#[serde(with = "optional_instant")]`
pub(crate) mod optional_instant {
    use super::{Deserializer, Serializer, TextOrDate, de, instant_text, parse_instant};

    pub(crate) fn serialize<S: Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(ms) => to.serialize_str(&instant_text(*ms)),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        from.deserialize_any(TextOrDate)?
            .map(|text| parse_instant(&text).map_err(de::Error::custom))
            .transpose()
    }
}

/// Reads a text, or nothing.
struct TextOrDate;

impl<'de> de::Visitor<'de> for TextOrDate {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date in quotation marks, such as \"2026-12-31\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_round_trip() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2026-11-21T06:20:01.250Z", 1_795_242_001_250),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(parse_instant(text), Ok(ms), "{text}");
            assert_eq!(instant_text(ms), text);
        }
        assert_eq!(parse_instant("2026-11-21"), parse_instant("2026-11-21T00:00Z"));
        assert_eq!(
            parse_instant("2026-11-21T02:00:00+02:00"),
            parse_instant("2026-11-21T00:00:00Z")
        );
        assert_eq!(instant_text(u64::MAX), "9999-12-31T23:59:59.999Z");
        for wrong in ["", "1969-12-31", "9999-12-31T23:59:59-02:00", "+026-11-21"] {
            assert!(parse_instant(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "2026-02-29", "2026-13-01", "26-01-01", "2026-01-01T25:00Z", "tomorrow"] {
            assert!(parse_instant(wrong).is_err(), "{wrong}");
        }
    }
}
