//! Formats of single values in the node file: durations, DSCP names, port ranges and sizes. Each
//! parser's error describes what would be right.

use platform::{NoProcessors, ProcessorSet};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// A value in the wrong format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Not a duration.
    #[error(
        "`{0}` is not a duration: write a whole number and a unit, such as \"5ms\", \"10s\", \"3m\" or \"12h\""
    )]
    Duration(String),
    /// Not a DSCP.
    #[error(
        "`{0}` is not a DSCP: write a name (EF, CS0-CS7, AF11-AF43, VA, LE) or a number from 0 to 63, never a ToS byte"
    )]
    Dscp(String),
    /// Not a port range.
    #[error(
        "`{0}` is not a port range: write \"FIRST-LAST\" with 1024 <= FIRST < LAST <= 65535, such as \"10000-39999\""
    )]
    Ports(String),
    /// Not a size.
    #[error("`{0}` is not a size: write a whole number and KiB, MiB or GiB, such as \"16MiB\"")]
    Size(String),
    /// Not a list of processors.
    #[error("{0}, or \"none\"")]
    Processors(#[from] NoProcessors),
}

/// Processors for housekeeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Housekeeping {
    /// Calls and everything else share all processors: `"none"`.
    None,
    /// These processors; calls use the others: `"7"`, `"6-7,15"`.
    On(ProcessorSet),
}

impl FromStr for Housekeeping {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Housekeeping::None);
        }
        Ok(Housekeeping::On(text.parse()?))
    }
}

impl<'de> Deserialize<'de> for Housekeeping {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Parses `"250us"`, `"5ms"`, `"10s"`, `"3m"`, `"12h"`; `"0s"` is zero.
///
/// # Errors
/// Anything else.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let wrong = || ValueError::Duration(text.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    match unit {
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        _ => None,
    }
    .ok_or_else(wrong)
}

/// For `#[serde(deserialize_with)]`.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// As [`duration`], for an optional setting.
pub(super) fn optional_duration<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

/// Parses `"64KiB"`, `"16MiB"`, `"1GiB"` into bytes.
///
/// # Errors
/// Anything else.
pub fn parse_size(text: &str) -> Result<usize, ValueError> {
    let wrong = || ValueError::Size(text.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: usize = number.parse().map_err(|_| wrong())?;
    let shift = match unit {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// For `#[serde(deserialize_with)]`.
pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    parse_size(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// A differentiated services code point, 0 to 63 (SIG-94): never a ToS byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dscp(u8);

impl Dscp {
    /// Expedited forwarding: RTP.
    pub const EF: Dscp = Dscp(46);
    /// Class selector 5: signalling (RFC 4594).
    pub const CS5: Dscp = Dscp(40);

    /// The code point, 0 to 63.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }

    /// The byte for the kernel: the code point in the six upper bits.
    #[must_use]
    pub fn tos(self) -> u32 {
        u32::from(self.0) << 2
    }
}

impl FromStr for Dscp {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ValueError::Dscp(text.to_owned());
        let digit = |at: usize| text.as_bytes().get(at).map(|b| b.wrapping_sub(b'0'));
        let code = match text {
            "EF" => 46,
            "VA" => 44,
            "LE" => 1,
            _ if text.len() == 3 && text.starts_with("CS") => match digit(2) {
                Some(class @ 0..=7) => class * 8,
                _ => return Err(wrong()),
            },
            _ if text.len() == 4 && text.starts_with("AF") => match (digit(2), digit(3)) {
                (Some(class @ 1..=4), Some(drop @ 1..=3)) => class * 8 + drop * 2,
                _ => return Err(wrong()),
            },
            _ => text.parse::<u8>().ok().filter(|code| *code <= 63).ok_or_else(wrong)?,
        };
        Ok(Dscp(code))
    }
}

impl fmt::Display for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            46 => f.write_str("EF"),
            code if code % 8 == 0 => write!(f, "CS{}", code / 8),
            code => write!(f, "{code}"),
        }
    }
}

impl<'de> Deserialize<'de> for Dscp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a DSCP: a name such as \"EF\" or a number from 0 to 63")]
        enum Written {
            Name(String),
            Number(i64),
        }
        let text = match Written::deserialize(from)? {
            Written::Name(name) => name,
            Written::Number(number) => number.to_string(),
        };
        text.parse().map_err(D::Error::custom)
    }
}

/// UDP ports of a media address, including both ends (MEDIA-08).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// Lowest port.
    pub first: u16,
    /// Highest port.
    pub last: u16,
}

impl FromStr for PortRange {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ValueError::Ports(text.to_owned());
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
        let range = PortRange { first: port(first)?, last: port(last)? };
        if range.first < 1024 || range.first >= range.last {
            return Err(wrong());
        }
        Ok(range)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(parse_duration("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("12h"), Ok(Duration::from_secs(43_200)));
        for text in ["", "5", "s", "5 s", "-5s", "1.5s", "5d", "99999999999999999999s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    /// SIG-94: a DSCP by name or number, never the ToS byte 0xb8.
    #[test]
    fn sig_94_dscp_is_a_name_or_0_to_63() {
        let code = |text: &str| text.parse::<Dscp>().map(Dscp::code);
        assert_eq!(code("EF"), Ok(46));
        assert_eq!(code("CS5"), Ok(40));
        assert_eq!(code("AF41"), Ok(34));
        assert_eq!(code("0"), Ok(0));
        assert_eq!(code("63"), Ok(63));
        for text in ["64", "184", "0xb8", "ef", "CS8", "AF51", "AF14", ""] {
            assert!(code(text).is_err(), "{text}");
        }
        assert_eq!(Dscp::EF.tos(), 0xb8);
    }

    #[test]
    fn media_08_port_ranges_are_ordered_and_unprivileged() {
        assert_eq!("10000-39999".parse(), Ok(PortRange { first: 10000, last: 39999 }));
        for text in ["10000", "39999-10000", "10-20", "10000-70000", "10000-10000"] {
            assert!(text.parse::<PortRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(parse_size("16MiB"), Ok(16 << 20));
        for text in ["16MB", "16", "MiB", "1.5MiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
