//! From rows in any order to a table.

use super::packed::{Packed, pack};
use super::text::{Distinct, TextStore, Texts};
use super::{NumberTable, Places};
use thiserror::Error;

/// Collects rows for a [`NumberTable`].
#[derive(Debug, Default)]
pub struct NumberTableBuilder {
    /// Rows whose number is a key; the value's position beside it.
    keys: Vec<u64>,
    key_places: Vec<u32>,
    /// All other rows.
    others: Vec<(Box<str>, u32)>,
    values: Distinct,
    /// Position of the value of the row before: neighbours mostly agree.
    last: Option<u32>,
}

/// Why a row does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NumberTableError {
    /// More rows than a table takes (SEC-17).
    #[error("more than {} rows", NumberTable::MOST_ROWS)]
    Rows,
    /// A value, or a number that is kept as text, of more than 255 bytes; or all of them are
    /// of more than 4 GiB together.
    #[error("a text of more than 255 bytes, or 4 GiB of text")]
    Text,
}

impl NumberTable {
    /// Most rows that a table is built from; a number that comes twice counts twice.
    pub const MOST_ROWS: usize = 10_000_000;
}

impl NumberTableBuilder {
    /// Without rows.
    #[must_use]
    pub fn new() -> Self {
        NumberTableBuilder::default()
    }

    /// Adds a row. Of rows with the same number the last one counts, as if each had been
    /// written over the one before.
    ///
    /// # Errors
    ///
    /// When the table is full; it stays as it was.
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

    /// The table of all rows.
    ///
    /// # Errors
    ///
    /// When a number that is kept as text is too long, or they are together.
    pub fn build(self) -> Result<NumberTable, NumberTableError> {
        let NumberTableBuilder { mut keys, key_places, mut others, values, .. } = self;
        let values = values.into_texts();
        let mut places = Vec::new();
        if values.len() > 1 {
            let mut rows: Vec<(u64, u32)> = keys.into_iter().zip(key_places).collect();
            // Stable, so that of equal numbers the last row comes last.
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
