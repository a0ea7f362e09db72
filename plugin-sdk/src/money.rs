//! Money as passed across the plugin boundary.

use std::fmt;
use std::str::FromStr;

/// An amount or a price: a whole number of 10^-10 of the currency unit, which allows about ±922
/// million units. Never a floating-point number.
///
/// ```
/// use plugin_sdk::Money;
/// let price: Money = "0.0049".parse().unwrap();
/// assert_eq!(price, Money(49_000_000));
/// assert_eq!(price.to_string(), "0.0049");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(
    /// In 10^-10 of the unit.
    pub i64,
);

impl Money {
    /// Zero.
    pub const ZERO: Money = Money(0);
    /// Decimal places of an amount.
    pub const DECIMALS: usize = 10;
    /// One unit of the currency.
    pub const UNIT: Money = Money(10_000_000_000);
}

impl fmt::Display for Money {
    /// Shortest exact form: `0.0049`, `-2`, `12.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let unit = Money::UNIT.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", magnitude / unit)?;
        let fraction = magnitude % unit;
        if fraction > 0 {
            let digits = format!("{fraction:010}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

/// A text that is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMoney(String);

impl fmt::Display for BadMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an amount with at most 10 decimals below 922 million", self.0)
    }
}

impl std::error::Error for BadMoney {}

impl FromStr for Money {
    type Err = BadMoney;

    /// Reads `12`, `0.0049`, `-1.5`; at most 10 decimals.
    fn from_str(text: &str) -> Result<Self, BadMoney> {
        let bad = || BadMoney(text.to_owned());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let empty_part = whole.is_empty() || (fraction.is_empty() && digits.contains('.'));
        if empty_part || !plain(whole) || !plain(fraction) || fraction.len() > Money::DECIMALS {
            return Err(bad());
        }
        let scaled: i64 = format!("{whole}{fraction:0<10}").parse().map_err(|_| bad())?;
        Ok(Money(if negative { -scaled } else { scaled }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_survive_display_and_parse() {
        for text in ["0", "0.0049", "1", "-2.5", "922337203.6854775807", "0.0000000001"] {
            let money: Money = text.parse().expect(text);
            assert_eq!(money.to_string(), text);
        }
    }

    #[test]
    fn what_is_not_an_amount_is_named() {
        for text in ["", ".", "1.", ".5", "1,5", "1.00000000001", "9223372037", "--1", "+1"] {
            let error = text.parse::<Money>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
