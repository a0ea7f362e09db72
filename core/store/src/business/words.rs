//! How single values are written in configuration: durations, money, instants, addresses.
//! Each refuses what it cannot read with a message that says what is allowed.

use ledger::Money;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// Reads `500ms`, `30s`, `5m`, `2h` and whole sums of them such as `1h30m`.
///
/// # Errors
///
/// What is allowed, when the text is something else.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let allowed = || {
        "expected a duration: whole numbers with ms, s, m or h, such as \"30s\" or \"1h30m\""
            .to_owned()
    };
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(allowed());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| allowed())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(allowed()),
        };
        rest = &rest[letters..];
        let part = number.checked_mul(unit_ms).ok_or_else(allowed)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or_else(allowed)?;
    }
    Ok(total)
}

/// The shortest text that [`parse_duration`] reads back.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if ms > 0 && ms.is_multiple_of(unit) {
            return format!("{}{name}", ms / unit);
        }
    }
    if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") }
}

/// Reads `2026-12-31`, `2026-12-31T23:59:59Z` or with a zone such as `+02:00`; UTC ms.
///
/// # Errors
///
/// What is allowed, when the text is something else.
pub fn parse_instant(text: &str) -> Result<u64, String> {
    instant(text.trim()).ok_or_else(|| {
        "expected a date with an optional time and zone, 1970 to 9999, such as \"2026-12-31\" \
         or \"2026-12-31T18:00:00+02:00\""
            .to_owned()
    })
}

fn instant(text: &str) -> Option<u64> {
    let number = |text: &str| -> Option<u64> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let last = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || day == 0 || day > last {
        return None;
    }
    let mut seconds = days_since_epoch(year, month, day) * 86_400;
    let mut ms = 0;
    if let Some(time) = time {
        let zone_at = time.find(['Z', '+', '-'])?;
        let (clock, zone) = time.split_at(zone_at);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let mut parts = clock.split(':');
        let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
        let second = parts.next().map_or(Some(0), number)?;
        if hour > 23 || minute > 59 || second > 59 || parts.next().is_some() || fraction.len() > 3 {
            return None;
        }
        seconds += hour * 3600 + minute * 60 + second;
        ms = number(&format!("{fraction:0<3}"))?;
        if zone != "Z" {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let offset = number(hours)? * 3600 + number(minutes)? * 60;
            if offset > 14 * 3600 {
                return None;
            }
            seconds =
                if zone.starts_with('+') { seconds.checked_sub(offset)? } else { seconds + offset };
        }
    }
    Some(seconds * 1000 + ms)
}

/// Days from 1970-01-01, Gregorian calendar.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days - 719_468
}

/// UTC text of an instant in ms, as [`parse_instant`] reads it.
#[must_use]
pub fn instant_text(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000 + 719_468, ms % 86_400_000);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (seconds, fraction) = (rest / 1000, rest % 1000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// `#[serde(with = "duration")]`
pub(crate) mod duration {
    use super::{
        Deserialize, Deserializer, Duration, Serializer, de, duration_text, parse_duration,
    };

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&duration_text(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(from)?).map_err(de::Error::custom)
    }
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

/// Reads an amount: a text such as `"0.05"` or a whole number.
struct Amount;

impl de::Visitor<'_> for Amount {
    type Value = Money;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount in quotation marks such as \"12.50\", or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Money, E> {
        text.parse().map_err(de::Error::custom)
    }

    fn visit_i64<E: de::Error>(self, units: i64) -> Result<Money, E> {
        Ok(Money(i128::from(units) * Money::ONE.0))
    }

    fn visit_u64<E: de::Error>(self, units: u64) -> Result<Money, E> {
        Ok(Money(i128::from(units) * Money::ONE.0))
    }
}

/// `#[serde(with = "amount")]`
pub(crate) mod amount {
    use super::{Amount, Deserializer, Money, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Money, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Money, D::Error> {
        from.deserialize_any(Amount)
    }
}

/// `#[serde(with = "credit")]`: an amount of at least 0 or `"unlimited"` (BILL-43).
pub(crate) mod credit {
    use super::{Amount, Deserializer, Money, Serializer, de, fmt};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Money>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(limit) => to.collect_str(limit),
            None => to.serialize_str("unlimited"),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Money>, D::Error> {
        struct Credit;

        impl Credit {
            fn at_least_zero<E: de::Error>(amount: Money) -> Result<Option<Money>, E> {
                if amount < Money::ZERO {
                    return Err(E::custom(
                        "a credit limit is at least 0, or \"unlimited\" (BILL-43)",
                    ));
                }
                Ok(Some(amount))
            }
        }

        impl de::Visitor<'_> for Credit {
            type Value = Option<Money>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount in quotation marks such as \"100.00\", or \"unlimited\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                match text {
                    "unlimited" => Ok(None),
                    text => Credit::at_least_zero(Amount.visit_str(text)?),
                }
            }

            fn visit_i64<E: de::Error>(self, units: i64) -> Result<Self::Value, E> {
                Credit::at_least_zero(Amount.visit_i64(units)?)
            }

            fn visit_u64<E: de::Error>(self, units: u64) -> Result<Self::Value, E> {
                Credit::at_least_zero(Amount.visit_u64(units)?)
            }
        }

        from.deserialize_any(Credit)
    }
}

/// One host or network that a trunk calls from: `192.0.2.1`, `10.0.0.0/8`,
/// `192.0.2.1:5080`, `[2001:db8::1]:5060` (ROUTE-09, ROUTE-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// First address.
    pub address: IpAddr,
    /// Bits that count: 0-32 or 0-128.
    pub prefix: u8,
    /// Only this port; none is any.
    pub port: Option<u16>,
}

impl PeerAddress {
    /// Whether some source lies in both.
    #[must_use]
    pub fn overlaps(&self, other: &PeerAddress) -> bool {
        let bits = self.prefix.min(other.prefix);
        let same_network = match (self.address, other.address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                u32::from(a) & mask == u32::from(b) & mask
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                u128::from(a) & mask == u128::from(b) & mask
            }
            _ => false,
        };
        let same_port = match (self.port, other.port) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        same_network && same_port
    }
}

impl FromStr for PeerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(PeerAddress { address, prefix: whole(address), port: None });
        }
        if let Ok(socket) = text.parse::<SocketAddr>() {
            let address = socket.ip();
            return Ok(PeerAddress { address, prefix: whole(address), port: Some(socket.port()) });
        }
        if let Some((address, bits)) = text.split_once('/')
            && let (Ok(address), Ok(prefix)) = (address.parse::<IpAddr>(), bits.parse::<u8>())
            && prefix <= whole(address)
        {
            return Ok(PeerAddress { address, prefix, port: None });
        }
        Err(format!(
            "`{text}` is not an address: expected an IP address, address:port or network/bits, \
             such as \"192.0.2.1\", \"192.0.2.1:5080\" or \"10.0.0.0/8\""
        ))
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        match self.port {
            Some(port) => write!(f, "{}", SocketAddr::new(self.address, port)),
            None if self.prefix == whole => write!(f, "{}", self.address),
            None => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

impl Serialize for PeerAddress {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerAddress {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// A text that is kept from logs and error messages.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

/// A hash that digest may use (SIG-54).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigestAlgorithm {
    /// For peers that know no other.
    #[serde(rename = "MD5")]
    Md5,
    /// RFC 8760.
    #[serde(rename = "SHA-256")]
    Sha256,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("2h", 7_200_000), ("90m", 5_400_000)] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(ms));
            assert_eq!(duration_text(duration), text);
        }
        assert_eq!(parse_duration("1h30m").unwrap(), Duration::from_secs(5400));
        for wrong in ["", "5", "5x", "s", "1.5s", "-1s", "99999999999999999999h"] {
            assert!(parse_duration(wrong).unwrap_err().contains("\"30s\""), "{wrong}");
        }
    }

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
        for wrong in ["", "2026-02-29", "2026-13-01", "26-01-01", "2026-01-01T25:00Z", "tomorrow"] {
            assert!(parse_instant(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn route_10_addresses_round_trip_and_overlap() {
        let parse = |text: &str| text.parse::<PeerAddress>().unwrap();
        for text in
            ["192.0.2.1", "10.0.0.0/8", "192.0.2.1:5080", "2001:db8::/32", "[2001:db8::1]:5060"]
        {
            assert_eq!(parse(text).to_string(), text);
        }
        assert!(parse("10.0.0.0/8").overlaps(&parse("10.1.2.3:5060")));
        assert!(!parse("10.1.2.3:5061").overlaps(&parse("10.1.2.3:5060")));
        assert!(!parse("10.0.0.0/8").overlaps(&parse("11.0.0.1")));
        assert!(parse("0.0.0.0/0").overlaps(&parse("11.0.0.1")));
        for wrong in ["", "host", "10.0.0.0/33", "10.0.0.0/", "10.0.0.1:70000"] {
            assert!(wrong.parse::<PeerAddress>().is_err(), "{wrong}");
        }
    }
}
