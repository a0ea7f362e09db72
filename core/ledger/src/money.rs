use crate::Text;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;
use thiserror::Error;

/// Money in 10^-10 of the currency unit. Never floating point.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(pub i128);

impl Money {
    /// Decimal places kept.
    pub const DECIMALS: u32 = 10;
    /// One currency unit.
    pub const ONE: Money = Money(10_000_000_000);
    /// Zero.
    pub const ZERO: Money = Money(0);
    /// The largest single amount that can be booked or configured, positive or negative: 10^12
    /// units.
    pub const LARGEST_AMOUNT: Money = Money(1_000_000_000_000 * Money::ONE.0);
    /// The largest balance that payments may lead to, positive or negative: a thousand times as
    /// much. A database column holds nine thousand times that, so that charges of calls, which
    /// cannot be refused, always fit.
    pub const LARGEST_BALANCE: Money = Money(1000 * Money::LARGEST_AMOUNT.0);

    /// Whether its magnitude is at most `limit`.
    #[must_use]
    pub fn is_within(self, limit: Money) -> bool {
        self.0.unsigned_abs() <= limit.0.unsigned_abs()
    }
}

/// Why a text is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not an amount: expected digits with at most 10 decimals, such as `0.0049` or `-12.5`"
)]
pub struct MoneyError(pub String);

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || MoneyError(text.to_owned());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if digits.starts_with('.') && fraction.is_empty()
            || whole.is_empty() && fraction.is_empty()
            || whole.len() > 18
            || fraction.len() > Self::DECIMALS as usize
            || !plain(whole)
            || !plain(fraction)
        {
            return Err(wrong());
        }
        let mut value: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            value = value * 10 + i128::from(byte - b'0');
        }
        value *= 10_i128.pow(Self::DECIMALS - fraction.len() as u32);
        Ok(Money(if negative { -value } else { value }))
    }
}

impl fmt::Display for Money {
    /// See [`Money::text`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Money {
    /// Shortest exact form: `0.0050633`, `12`, `-3.5`.
    #[must_use]
    pub fn text(self) -> Text {
        let value = self.0.unsigned_abs();
        let unit = Money::ONE.0.unsigned_abs();
        let (whole, fraction) = (value / unit, value % unit);
        let mut text = Text::const_new(if self.0 < 0 { "-" } else { "" });
        text.push_str(itoa::Buffer::new().format(whole));
        if fraction == 0 {
            return text;
        }
        // Below 10^10.
        let mut left = fraction as u64;
        let mut digits = [b'0'; 10];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        let shown = std::str::from_utf8(&digits).unwrap_or_default();
        text.push('.');
        text.push_str(shown.trim_end_matches('0'));
        text
    }
}

impl TryFrom<Money> for i64 {
    type Error = std::num::TryFromIntError;

    /// Amount at the plugin boundary: about ±922 million units.
    fn try_from(money: Money) -> Result<i64, Self::Error> {
        money.0.try_into()
    }
}

impl From<i64> for Money {
    fn from(amount: i64) -> Money {
        Money(amount.into())
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Money;
    fn neg(self) -> Money {
        Money(-self.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        self.0 += other.0;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Money) {
        self.0 -= other.0;
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_exactly() {
        for text in ["0", "0.0050633", "12", "-3.5", "0.0000000001", "-0.0000000001"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        assert_eq!("1.50".parse::<Money>().unwrap(), Money(15_000_000_000));
        assert_eq!(".5".parse::<Money>().unwrap(), Money(5_000_000_000));
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", ".", "-", "1,5", "0.00000000001", "1e3", "+1", "1.2.3", " 1"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }
}
