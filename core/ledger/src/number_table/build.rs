//! Builds a table from rows in any order.

use super::packed::{Packed, pack};
use super::text::{Distinct, TextStore, Texts};
use super::{NumberTable, Places};
use thiserror::Error;

/// Collects rows for a [`NumberTable`].
#[derive(Debug, Default)]
pub struct NumberTableBuilder {
    /// Rows whose number fits into a key, with the position of the value.
    keys: Vec<u64>,
    key_places: Vec<u32>,
    /// All other rows.
    others: Vec<(Box<str>, u32)>,
    values: Distinct,
    /// Position of the previous row's value: neighbours are mostly equal.
    last: Option<u32>,
}

/// Why a row cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NumberTableError {
    /// More rows than a table can hold (SEC-17).
    #[error("more than {} rows", NumberTable::MOST_ROWS)]
    Rows,
    /// A value, or a number kept as text, exceeds 255 bytes; or the texts exceed 4 GiB together.
    #[error("a text of more than 255 bytes, or 4 GiB of text")]
    Text,
}

impl NumberTable {
    /// Most rows that a table is built from; a repeated number counts twice.
    pub const MOST_ROWS: usize = 10_000_000;
}

impl NumberTableBuilder {
    /// A builder without rows.
    #[must_use]
    pub fn new() -> Self {
        NumberTableBuilder::default()
    }

    /// Adds a row. Among rows with the same number the last one wins, as if each had overwritten
    /// the one before.
    ///
    /// # Errors
    ///
    /// If the table is full; it stays unchanged.
    pub fn push(&mut self, number: &str, value: &str) -> Result<(), NumberTableError> {
        if self.keys.len() + self.others.len() == NumberTable::MOST_ROWS {
            return Err(NumberTableError::Rows);
        }
        let place = self.place(value)?;
        match pack(number) {
            (key, packed) if packed == number.len() => {
                self.keys.push(key);
                self.key_places.push(place);
            }
            _ => self.others.push((number.into(), place)),
        }
        Ok(())
    }

    /// The position of a value.
    fn place(&mut self, value: &str) -> Result<u32, NumberTableError> {
        if let Some(last) = self.last
            && self.values.texts().get(last as usize) == value
        {
            return Ok(last);
        }
        let place = self.values.place(value).ok_or(NumberTableError::Text)?;
        self.last = Some(place);
        Ok(place)
    }

    /// Builds the table of all rows.
    ///
    /// # Errors
    ///
    /// If a number kept as text is too long, or all of them are together.
    pub fn build(self) -> Result<NumberTable, NumberTableError> {
        let NumberTableBuilder { mut keys, key_places, mut others, values, .. } = self;
        let values = values.into_texts();
        let mut places = Vec::new();
        if values.len() > 1 {
            let mut rows: Vec<(u64, u32)> = keys.into_iter().zip(key_places).collect();
            // Stable, so that among equal numbers the last row stays last.
            rows.sort_by_key(|(key, _)| *key);
            keys = Vec::with_capacity(rows.len());
            places.reserve(rows.len() + others.len());
            for (row, (key, place)) in rows.iter().enumerate() {
                if rows.get(row + 1).is_none_or(|(next, _)| next != key) {
                    keys.push(*key);
                    places.push(*place);
                }
            }
        } else {
            keys.sort_unstable();
            keys.dedup();
        }
        others.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut texts = TextStore::default();
        for (row, (number, place)) in others.iter().enumerate() {
            if others.get(row + 1).is_none_or(|(next, _)| next != number) {
                texts.push(number).ok_or(NumberTableError::Text)?;
                places.push(*place);
            }
        }
        let (places, values) = Places::of(places, values);
        Ok(NumberTable { packed: Packed::new(&keys), others: Texts::new(texts), values, places })
    }
}
