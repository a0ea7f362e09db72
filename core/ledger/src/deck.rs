//! Rate decks: the price of a destination and its validity (BILL-01 to BILL-06).
//!
//! Operators have decks of a million rows, and edit one. So a row takes 16 bytes: its prefix is
//! only in the table, and the parts that rows share, prices, destinations and times, are stored
//! once ([`terms`]). A changed deck is a new value that shares everything unchanged
//! ([`RateDeck::with`]).

mod build;
mod price;
mod terms;

pub use build::RateDeckBuilder;
pub use price::{DurationRounding, PriceRounding, PriceRow};

use crate::{LayeredTable, Text};
use std::fmt;
use std::sync::Arc;
use terms::{Slot, Terms};
use thiserror::Error;

/// Prices of destinations in one currency; sell and buy decks have the same form.
#[derive(Clone, Default)]
pub struct RateDeck {
    /// Unique name.
    pub name: Arc<str>,
    /// ISO 4217 code (BILL-74).
    pub currency: Arc<str>,
    /// For each prefix the row added last, which links to the earlier ones.
    table: LayeredTable<Slot>,
    terms: Terms,
    rows: usize,
}

/// One row of a deck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateRow {
    /// 0 to 20 digits; empty is the default row.
    pub prefix: Text,
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

/// A change of one row. A row is known by its prefix and the instant it is valid from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// Adds this row and replaces those with the same prefix and instant.
    Put(RateRow),
    /// Removes the rows with this prefix and instant; it is not an error if there are none.
    Remove {
        /// As in [`RateRow::prefix`].
        prefix: Text,
        /// As in [`RateRow::valid_from_ms`].
        valid_from_ms: u64,
    },
}

/// Why a deck cannot have a row.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeckError {
    /// An amount beyond 64 bits.
    #[error("prefix `{prefix}`: an amount beyond the range of a deck, about 922 million units")]
    Amount {
        /// Prefix of the row.
        prefix: Text,
    },
    /// More rows than can be numbered.
    #[error("more than 4,294,967,295 rows")]
    Rows,
}

/// The row of a deck that prices a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundRow<'a> {
    /// The digits that matched; empty is the default row.
    pub prefix: &'a str,
    /// Named destination (BILL-06).
    pub destination: &'a Arc<str>,
    /// Its prices.
    pub price: PriceRow,
}

/// The result of a lookup in a deck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLookup<'a> {
    /// This row prices the number.
    Found(FoundRow<'a>),
    /// The number is not sold (BILL-04).
    Blocked,
    /// No row matches (BILL-05).
    None,
}

impl RateDeck {
    /// An empty deck.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, currency: impl Into<Arc<str>>) -> Self {
        RateDeck { name: name.into(), currency: currency.into(), ..RateDeck::default() }
    }

    /// A deck with these rows. [`RateDeckBuilder`] takes them one by one.
    ///
    /// # Errors
    ///
    /// If the deck cannot hold one of them.
    pub fn from_rows(
        name: impl Into<Arc<str>>,
        currency: impl Into<Arc<str>>,
        rows: impl IntoIterator<Item = RateRow>,
    ) -> Result<Self, DeckError> {
        let mut builder = RateDeckBuilder::new(name, currency);
        rows.into_iter().try_for_each(|row| builder.push(&row))?;
        Ok(builder.build())
    }

    /// The row for `number` at `at_ms` (UTC ms): the longest prefix with a row in force (BILL-02),
    /// among rows of that prefix the latest `valid_from` (BILL-03); among rows with the same
    /// `valid_from` the one added last. A prefix whose rows are all expired or in the future does
    /// not hide a shorter one.
    #[must_use]
    pub fn find<'a>(&'a self, number: &'a str, at_ms: u64) -> RateLookup<'a> {
        let Some((length, slot)) = self.table.longest(number) else { return RateLookup::None };
        let found = match self.terms.in_force(*slot, at_ms) {
            Some(row) => Some((length, row)),
            None => self.table.matches(number).find_map(|(length, slot)| {
                self.terms.in_force(*slot, at_ms).map(|row| (length, row))
            }),
        };
        match found {
            None => RateLookup::None,
            Some((_, slot)) if self.terms.span(slot).blocked => RateLookup::Blocked,
            Some((length, slot)) => RateLookup::Found(FoundRow {
                prefix: &number[..length],
                destination: self.terms.destination(slot),
                price: self.terms.price(slot),
            }),
        }
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Every row: shorter prefixes before longer ones that begin with them, digits in ascending
    /// order; rows of one prefix by the instant from which they are valid, those of the same
    /// instant in the order they were added.
    pub fn rows(&self) -> impl Iterator<Item = RateRow> {
        self.table.iter().flat_map(move |(prefix, slot)| {
            let mut slots = self.terms.oldest_first(*slot);
            slots.sort_by_key(|slot| self.terms.span(*slot).valid_from_ms);
            slots.into_iter().map(move |slot| self.terms.row(&prefix, slot))
        })
    }

    /// The rows of exactly this prefix, in the order of [`RateDeck::rows`].
    pub fn rows_of(&self, prefix: &str) -> Vec<RateRow> {
        let slots = self.table.get(prefix).map(|slot| self.terms.oldest_first(*slot));
        let rows = slots.into_iter().flatten().map(|slot| self.terms.row(prefix, slot));
        let mut rows: Vec<RateRow> = rows.collect();
        rows.sort_by_key(|row| row.valid_from_ms);
        rows
    }

    /// This deck with some rows changed, one change after the other. The new value shares
    /// everything with this one that neither these changes nor those since the last fold touch, so
    /// that changing one row costs microseconds in a deck of any size.
    ///
    /// # Errors
    ///
    /// If the deck cannot hold one of the rows.
    pub fn with(
        &self,
        changes: impl IntoIterator<Item = RowChange>,
    ) -> Result<RateDeck, DeckError> {
        let mut next = self.clone();
        for change in changes {
            next.change(change)?;
        }
        Ok(next)
    }

    /// Whether [`RateDeck::fold`] is worthwhile after the changes so far. The deck stays correct
    /// without it, but changes become more and more expensive.
    #[must_use]
    pub fn needs_fold(&self) -> bool {
        self.table.needs_fold() || self.terms.needs_fold()
    }

    /// The same deck as if it had been built from its rows. This takes as long as building it, so
    /// it belongs on a thread that carries no calls. Changes made in the meantime must be applied
    /// to the folded deck too.
    #[must_use]
    pub fn fold(&self) -> RateDeck {
        // These rows were accepted before, so they are accepted again. If not, the unfolded deck is
        // equivalent.
        self.rebuilt().unwrap_or_else(|_| self.clone())
    }

    fn rebuilt(&self) -> Result<RateDeck, DeckError> {
        let mut builder = RateDeckBuilder::new(self.name.clone(), self.currency.clone());
        // Not in the order of `rows`: the order of addition decides between equal rows.
        for (prefix, slot) in self.table.iter() {
            for slot in self.terms.oldest_first(*slot) {
                builder.push(&self.terms.row(&prefix, slot))?;
            }
        }
        Ok(builder.build())
    }

    fn change(&mut self, change: RowChange) -> Result<(), DeckError> {
        let (prefix, valid_from_ms) = match &change {
            RowChange::Put(row) => (row.prefix.clone(), row.valid_from_ms),
            RowChange::Remove { prefix, valid_from_ms } => (prefix.clone(), *valid_from_ms),
        };
        let before = self.table.get(&prefix).map(|slot| self.terms.oldest_first(*slot));
        let mut slots = before.unwrap_or_default();
        self.rows -= slots.len();
        slots.retain(|slot| self.terms.span(*slot).valid_from_ms != valid_from_ms);
        if let RowChange::Put(row) = &change {
            slots.push(self.terms.add(row)?);
        }
        self.rows += slots.len();
        let newest = self.terms.chain(slots)?;
        self.table.set(&prefix, newest);
        Ok(())
    }
}

impl fmt::Debug for RateDeck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("RateDeck");
        told.field("name", &self.name).field("currency", &self.currency).field("rows", &self.rows);
        told.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
