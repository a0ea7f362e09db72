//! Building a deck from all its rows.

use super::terms::{Price, Slot, Span, Terms};
use super::{DeckError, RateDeck, RateRow};
use crate::{LayeredTable, PrefixTable};
use foldhash::HashMap;
use std::sync::Arc;

/// Takes the rows of a deck one by one.
#[derive(Debug)]
pub struct RateDeckBuilder {
    name: Arc<str>,
    currency: Arc<str>,
    table: PrefixTable<Slot>,
    terms: Terms,
    rows: usize,
    // Positions of the parts seen so far.
    prices: HashMap<Price, u32>,
    destinations: HashMap<Arc<str>, u32>,
    spans: HashMap<Span, u32>,
}

impl RateDeckBuilder {
    /// A builder without rows.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, currency: impl Into<Arc<str>>) -> Self {
        RateDeckBuilder {
            name: name.into(),
            currency: currency.into(),
            table: PrefixTable::new(),
            terms: Terms::default(),
            rows: 0,
            prices: HashMap::default(),
            destinations: HashMap::default(),
            spans: HashMap::default(),
        }
    }

    /// Adds a row next to those of the same prefix.
    ///
    /// # Errors
    ///
    /// If an amount is beyond the range of a deck, or there are too many rows.
    pub fn push(&mut self, row: &RateRow) -> Result<(), DeckError> {
        let price = Price::packed(row)?;
        let price = match self.prices.get(&price) {
            Some(known) => *known,
            None => {
                let at = self.terms.prices.add(price)?;
                self.prices.insert(price, at);
                at
            }
        };
        let destination = match self.destinations.get(&row.destination) {
            Some(known) => *known,
            None => {
                let at = self.terms.destinations.add(row.destination.clone())?;
                self.destinations.insert(row.destination.clone(), at);
                at
            }
        };
        let span = Span::of(row);
        let span = match self.spans.get(&span) {
            Some(known) => *known,
            None => {
                let at = self.terms.spans.add(span)?;
                self.spans.insert(span, at);
                at
            }
        };
        let slot = Slot::new(price, destination, span);
        if let Some(newest) = self.table.insert(&row.prefix, slot) {
            let slot = self.terms.after(Some(newest), slot)?;
            self.table.insert(&row.prefix, slot);
        }
        self.rows += 1;
        Ok(())
    }

    /// Builds the deck of all rows.
    #[must_use]
    pub fn build(self) -> RateDeck {
        let RateDeckBuilder { name, currency, mut table, mut terms, rows, .. } = self;
        table.compact();
        terms.settle();
        RateDeck { name, currency, table: LayeredTable::new(table), terms, rows }
    }
}
