//! The parts that rows of a deck refer to, each stored once.

use super::{DeckError, PriceRow, RateRow};
use crate::{Money, Text};
use std::sync::Arc;

/// A row without its prefix: the positions of its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    price: u32,
    destination: u32,
    span: u32,
    /// The previous row of the same prefix; [`NO_ROW`] for the first.
    before: u32,
}

const NO_ROW: u32 = u32::MAX;

/// When a row is in force, and whether it blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Span {
    pub(super) valid_from_ms: u64,
    valid_to_ms: Option<u64>,
    pub(super) blocked: bool,
}

/// A [`PriceRow`] with amounts of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Price {
    price_first: i64,
    price_next: i64,
    connect_fee: i64,
    minimum_charge: i64,
    first_increment_s: u32,
    next_increment_s: u32,
    free_seconds: u32,
}

/// The parts of all rows. A clone shares the parts that existed when the deck was built.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) prices: Pile<Price>,
    pub(super) destinations: Pile<Arc<str>>,
    pub(super) spans: Pile<Span>,
    /// Rows that are not the newest of their prefix.
    pub(super) earlier: Pile<Slot>,
}

/// Values by position: many that are shared, and a few that were added later.
#[derive(Clone, Debug)]
pub(super) struct Pile<T> {
    base: Arc<[T]>,
    later: Vec<T>,
}

impl Terms {
    /// Number of parts added since the last fold that makes another one worthwhile. Some of them
    /// belong to rows that have been removed.
    const LATER: usize = 4000;

    pub(super) fn needs_fold(&self) -> bool {
        let Terms { prices, destinations, spans, earlier } = self;
        let later = prices.later.len() + destinations.later.len() + spans.later.len();
        later + earlier.later.len() >= Self::LATER
    }

    /// After a deck was built from scratch, makes its parts shared by its clones.
    pub(super) fn settle(&mut self) {
        let Terms { prices, destinations, spans, earlier } = self;
        prices.settle();
        destinations.settle();
        spans.settle();
        earlier.settle();
    }

    pub(super) fn price(&self, slot: Slot) -> PriceRow {
        self.prices.get(slot.price).unpacked()
    }

    pub(super) fn destination(&self, slot: Slot) -> &Arc<str> {
        self.destinations.get(slot.destination)
    }

    pub(super) fn span(&self, slot: Slot) -> &Span {
        self.spans.get(slot.span)
    }

    /// The row in force at `at_ms` among those of a prefix, given the newest of them.
    #[inline]
    pub(super) fn in_force(&self, newest: Slot, at_ms: u64) -> Option<Slot> {
        let mut found: Option<(u64, Slot)> = None;
        let mut slot = newest;
        loop {
            let span = self.span(slot);
            let valid =
                span.valid_from_ms <= at_ms && span.valid_to_ms.is_none_or(|end| at_ms < end);
            // For equal instants the newest row wins; it is visited first.
            if valid && found.is_none_or(|(from, _)| from < span.valid_from_ms) {
                found = Some((span.valid_from_ms, slot));
            }
            if slot.before == NO_ROW {
                return found.map(|(_, slot)| slot);
            }
            slot = *self.earlier.get(slot.before);
        }
    }

    /// The rows of a prefix in the order of addition, given the newest.
    pub(super) fn oldest_first(&self, newest: Slot) -> Vec<Slot> {
        let mut slots = vec![newest];
        let mut before = newest.before;
        while before != NO_ROW {
            let slot = *self.earlier.get(before);
            slots.push(slot);
            before = slot.before;
        }
        slots.reverse();
        slots
    }

    /// Links the rows of a prefix, oldest first, and returns the newest.
    pub(super) fn chain(&mut self, slots: Vec<Slot>) -> Result<Option<Slot>, DeckError> {
        let mut newest: Option<Slot> = None;
        for slot in slots {
            newest = Some(self.after(newest, slot)?);
        }
        Ok(newest)
    }

    /// Makes `slot` the newest row of its prefix, after the previous newest.
    pub(super) fn after(&mut self, newest: Option<Slot>, slot: Slot) -> Result<Slot, DeckError> {
        let before = match newest {
            Some(newest) => self.earlier.add(newest)?,
            None => NO_ROW,
        };
        Ok(Slot { before, ..slot })
    }

    /// Adds the parts of a row of a changed deck. They are not deduplicated; the next fold does
    /// that.
    pub(super) fn add(&mut self, row: &RateRow) -> Result<Slot, DeckError> {
        let price = self.prices.add(Price::packed(row)?)?;
        let destination = self.destinations.add(row.destination.clone())?;
        let span = self.spans.add(Span::of(row))?;
        Ok(Slot::new(price, destination, span))
    }

    pub(super) fn row(&self, prefix: &str, slot: Slot) -> RateRow {
        let Span { valid_from_ms, valid_to_ms, blocked } = *self.span(slot);
        RateRow {
            prefix: Text::from(prefix),
            destination: self.destination(slot).clone(),
            price: self.price(slot),
            valid_from_ms,
            valid_to_ms,
            blocked,
        }
    }
}

impl Slot {
    pub(super) fn new(price: u32, destination: u32, span: u32) -> Self {
        Slot { price, destination, span, before: NO_ROW }
    }
}

impl Span {
    pub(super) fn of(row: &RateRow) -> Self {
        let RateRow { valid_from_ms, valid_to_ms, blocked, .. } = *row;
        Span { valid_from_ms, valid_to_ms, blocked }
    }
}

impl Price {
    pub(super) fn packed(row: &RateRow) -> Result<Self, DeckError> {
        let beyond = |_| DeckError::Amount { prefix: row.prefix.clone() };
        let amount = |money: Money| i64::try_from(money).map_err(beyond);
        let price = &row.price;
        Ok(Price {
            price_first: amount(price.price_first)?,
            price_next: amount(price.price_next)?,
            connect_fee: amount(price.connect_fee)?,
            minimum_charge: amount(price.minimum_charge)?,
            first_increment_s: price.first_increment_s,
            next_increment_s: price.next_increment_s,
            free_seconds: price.free_seconds,
        })
    }

    fn unpacked(&self) -> PriceRow {
        PriceRow {
            price_first: self.price_first.into(),
            price_next: self.price_next.into(),
            connect_fee: self.connect_fee.into(),
            first_increment_s: self.first_increment_s,
            next_increment_s: self.next_increment_s,
            free_seconds: self.free_seconds,
            minimum_charge: self.minimum_charge.into(),
        }
    }
}

impl<T> Pile<T> {
    pub(super) fn get(&self, at: u32) -> &T {
        let at = at as usize;
        self.base.get(at).unwrap_or_else(|| &self.later[at - self.base.len()])
    }

    pub(super) fn add(&mut self, value: T) -> Result<u32, DeckError> {
        let at = self.base.len() + self.later.len();
        self.later.push(value);
        u32::try_from(at).ok().filter(|at| *at != NO_ROW).ok_or(DeckError::Rows)
    }

    /// After a deck was built from scratch, makes its values shared by its clones.
    fn settle(&mut self) {
        self.base = std::mem::take(&mut self.later).into();
    }
}

impl<T> Default for Pile<T> {
    fn default() -> Self {
        Pile { base: Arc::from([]), later: Vec::new() }
    }
}
