//! Rate decks: what a destination costs and from when (BILL-01 to BILL-06).

use crate::{Money, PrefixTable};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Prices of destinations in one currency; sell and buy decks have the same form.
#[derive(Clone, Debug, Default)]
pub struct RateDeck {
    /// Unique name.
    pub name: Arc<str>,
    /// ISO 4217 code (BILL-74).
    pub currency: Arc<str>,
    /// Rows by prefix; several of one prefix differ in when they are valid.
    pub rows: PrefixTable<Vec<RateRow>>,
}

/// One row of a deck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateRow {
    /// 0 to 20 digits; empty is the default row.
    pub prefix: Arc<str>,
    /// Named destination (BILL-06).
    pub destination: Arc<str>,
    /// Its prices.
    pub price: PriceRow,
    /// Valid from this instant on, UTC ms; 0 is always.
    pub valid_from_ms: u64,
    /// Not valid from this instant on, UTC ms.
    pub valid_to_ms: Option<u64>,
    /// Not sold, even if a shorter prefix has a price (BILL-04).
    pub blocked: bool,
}

/// Price fields of a deck row (BILL-01). The store accepts amounts of at least 0 that fit
/// into an `i64`, so that they cross the plugin boundary unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRow {
    /// Price a minute of the initial block.
    pub price_first: Money,
    /// Price a minute after the initial block.
    pub price_next: Money,
    /// Charged once if charged time is above 0.
    pub connect_fee: Money,
    /// Minimum charged seconds, 0 to 3600; 0 is 1.
    pub first_increment_s: u32,
    /// Step after it, 1 to 3600 seconds.
    pub next_increment_s: u32,
    /// Seconds deducted before increments, 0 to 3600 (BILL-14).
    pub free_seconds: u32,
    /// Lowest charge of a charged call.
    pub minimum_charge: Money,
}

/// Duration and money rounding of the side that pays (BILL-11, BILL-17, BILL-18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRounding {
    /// Unit of duration rounding, 1 to 60,000 ms.
    pub unit_ms: u32,
    /// Its direction.
    pub mode: DurationRounding,
    /// Decimals of a charge, 0 to 10.
    pub decimals: u8,
    /// Above 0: charges are rounded up to a multiple of it instead.
    pub fee_unit: Money,
}

impl Default for PriceRounding {
    /// 1000 ms up, 7 decimals: the values of a fresh installation.
    fn default() -> Self {
        PriceRounding {
            unit_ms: 1000,
            mode: DurationRounding::Up,
            decimals: 7,
            fee_unit: Money::ZERO,
        }
    }
}

/// Direction of duration rounding (BILL-11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DurationRounding {
    /// Away from zero.
    #[default]
    Up,
    /// Half up.
    Nearest,
    /// Towards zero.
    Down,
}

/// What a deck says about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLookup<'a> {
    /// This row prices it.
    Found(&'a RateRow),
    /// It is not sold (BILL-04).
    Blocked,
    /// No row matches (BILL-05).
    None,
}

impl RateDeck {
    /// An empty deck.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, currency: impl Into<Arc<str>>) -> Self {
        RateDeck { name: name.into(), currency: currency.into(), rows: PrefixTable::new() }
    }

    /// Adds a row beside those of the same prefix.
    pub fn push(&mut self, row: RateRow) {
        self.rows.entry(&row.prefix.clone()).push(row);
    }

    /// The row for `number` at `at_ms` (UTC ms): the longest prefix with a row in force
    /// (BILL-02), among rows of that prefix the latest `valid_from` (BILL-03); of rows
    /// with the same `valid_from` the one added last. A prefix whose rows are all expired
    /// or still to come does not hide a shorter one.
    #[must_use]
    pub fn find(&self, number: &str, at_ms: u64) -> RateLookup<'_> {
        let row = match self.rows.longest(number) {
            None => None,
            Some((_, rows)) => in_force(rows, at_ms)
                .or_else(|| self.rows.matches(number).find_map(|(_, rows)| in_force(rows, at_ms))),
        };
        match row {
            None => RateLookup::None,
            Some(row) if row.blocked => RateLookup::Blocked,
            Some(row) => RateLookup::Found(row),
        }
    }
}

/// The row that counts at `at_ms` among those of one prefix.
fn in_force(rows: &[RateRow], at_ms: u64) -> Option<&RateRow> {
    let valid = |row: &&RateRow| {
        row.valid_from_ms <= at_ms && row.valid_to_ms.is_none_or(|end| at_ms < end)
    };
    rows.iter().filter(valid).max_by_key(|row| row.valid_from_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(prefix: &str, price: i128, valid_from_ms: u64) -> RateRow {
        RateRow {
            prefix: prefix.into(),
            destination: "somewhere".into(),
            price: PriceRow { price_first: Money(price), ..PriceRow::default() },
            valid_from_ms,
            valid_to_ms: None,
            blocked: false,
        }
    }

    fn price(lookup: RateLookup<'_>) -> Option<i128> {
        match lookup {
            RateLookup::Found(row) => Some(row.price.price_first.0),
            RateLookup::Blocked | RateLookup::None => None,
        }
    }

    #[test]
    fn bill_02_the_longest_prefix_prices_and_the_empty_prefix_is_the_default() {
        let mut deck = RateDeck::new("retail", "EUR");
        deck.push(row("", 9, 0));
        deck.push(row("44", 2, 0));
        deck.push(row("447", 5, 0));
        assert_eq!(price(deck.find("44770090", 1)), Some(5));
        assert_eq!(price(deck.find("4420", 1)), Some(2));
        assert_eq!(price(deck.find("33", 1)), Some(9));
    }

    #[test]
    fn bill_03_the_latest_row_in_force_wins() {
        let mut deck = RateDeck::new("retail", "EUR");
        deck.push(row("4", 1, 0));
        deck.push(row("44", 3, 200));
        deck.push(row("44", 2, 100));
        deck.push(RateRow { valid_to_ms: Some(400), ..row("44", 7, 300) });
        assert_eq!(price(deck.find("44", 99)), Some(1), "no row of 44 is in force yet");
        assert_eq!(price(deck.find("44", 100)), Some(2));
        assert_eq!(price(deck.find("44", 200)), Some(3));
        assert_eq!(price(deck.find("44", 399)), Some(7));
        assert_eq!(price(deck.find("44", 400)), Some(3), "the expired row gives way");
    }

    #[test]
    fn bill_04_a_blocked_row_hides_the_price_of_a_shorter_prefix() {
        let mut deck = RateDeck::new("retail", "EUR");
        deck.push(row("44", 2, 0));
        deck.push(RateRow { blocked: true, ..row("447", 0, 0) });
        assert_eq!(deck.find("4477", 1), RateLookup::Blocked);
        assert_eq!(deck.find("1", 1), RateLookup::None, "BILL-05");
    }
}
