//! Notation of single values: durations, money, addresses. Errors say what is allowed.

use ledger::Money;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// Parses `500ms`, `30s`, `5m`, `2h` and sums such as `1h30m`.
///
/// # Errors
///
/// What is allowed.
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

/// Deserializes an amount: a string such as `"0.05"` or an integer.
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

/// `#[serde(with = "optional_amount")]`
pub(crate) mod optional_amount {
    use super::{Deserializer, Money, Serializer, amount};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Money>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => amount::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Money>, D::Error> {
        amount::deserialize(from).map(Some)
    }
}

/// Whether a field has its default value and is not written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether an amount is zero.
pub(crate) fn is_zero(amount: &Money) -> bool {
    *amount == Money::ZERO
}

/// Calls per second (SEC-11): 0.1 to 100,000, with at most three decimals; 0 is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallRate {
    /// Thousandths of a call per second.
    pub per_mille: u32,
}

impl Serialize for CallRate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.per_mille {
            whole if whole.is_multiple_of(1000) => to.serialize_u32(whole / 1000),
            per_mille => to.serialize_f64(f64::from(per_mille) / 1000.0),
        }
    }
}

impl<'de> Deserialize<'de> for CallRate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(CallsASecond)
    }
}

struct CallsASecond;

impl de::Visitor<'_> for CallsASecond {
    type Value = CallRate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("calls a second: 0 (no limit) or a number from 0.1 to 100000 (SEC-11)")
    }

    fn visit_f64<E: de::Error>(self, calls: f64) -> Result<CallRate, E> {
        let per_mille = (calls * 1000.0).round();
        let exact = (calls * 1000.0 - per_mille).abs() < 1e-6;
        if !exact || !(calls == 0.0 || (0.1..=100_000.0).contains(&calls)) {
            return Err(E::invalid_value(de::Unexpected::Float(calls), &self));
        }
        // Within the range above.
        Ok(CallRate { per_mille: per_mille as u32 })
    }

    fn visit_i64<E: de::Error>(self, calls: i64) -> Result<CallRate, E> {
        let known = u32::try_from(calls).ok().filter(|calls| *calls <= 100_000);
        let calls = known.ok_or_else(|| E::invalid_value(de::Unexpected::Signed(calls), &self))?;
        Ok(CallRate { per_mille: calls * 1000 })
    }

    fn visit_u64<E: de::Error>(self, calls: u64) -> Result<CallRate, E> {
        self.visit_i64(i64::try_from(calls).unwrap_or(i64::MAX))
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

/// A source host or network: `192.0.2.1`, `10.0.0.0/8`, `192.0.2.1:5080`, `[2001:db8::1]:5060`
/// (ROUTE-09, ROUTE-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// First address.
    pub address: IpAddr,
    /// Prefix length, 0-32 or 0-128.
    pub prefix: u8,
    /// Source port; `None` is any.
    pub port: Option<u16>,
}

impl PeerAddress {
    /// Whether an address can lie in both.
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

/// A text hidden from logs and error messages.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

/// A digest algorithm (SIG-54).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigestAlgorithm {
    /// For peers that support no other.
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
