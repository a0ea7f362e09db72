//! Prices in the form of the plugin interface.

use super::{Account, Facts};
use ledger::{Money, PriceRow, RateLookup};
use policy::{DeckRow, Price};
use std::sync::Arc;

impl Facts {
    /// The price of `number` at `at_ms` (UTC) in the deck of an account; `None` if it is not sold,
    /// or an amount is out of the range of the plugin interface.
    #[must_use]
    pub fn price(&self, account: &Account, number: &str, at_ms: u64) -> Option<Price> {
        let RateLookup::Found(found) = self.deck_of(account)?.find(number, at_ms) else {
            return None;
        };
        Some(Price {
            prefix: found.prefix.into(),
            destination: Arc::clone(found.destination),
            row: deck_row(&found.price)?,
        })
    }
}

/// The prices of a row; none if one is out of range.
pub(crate) fn deck_row(row: &PriceRow) -> Option<DeckRow> {
    let money = |amount: Money| i64::try_from(amount.0).ok();
    Some(DeckRow {
        price_first: money(row.price_first)?,
        price_next: money(row.price_next)?,
        connect_fee: money(row.connect_fee)?,
        first_increment_s: row.first_increment_s,
        next_increment_s: row.next_increment_s,
        free_seconds: row.free_seconds,
        minimum_charge: money(row.minimum_charge)?,
    })
}
