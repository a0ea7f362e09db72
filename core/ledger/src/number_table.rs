//! Tables of millions of numbers that are built once and then only read (SEC-17): deny lists,
//! ported numbers, prefixes with a value each.
//!
//! A number of up to 15 digits, `*`, `#` and `+` is one 64-bit key, one nibble per symbol, so that
//! keys sort like their numbers and a prefix sorts before every number that begins with it. The
//! keys lie sorted in blocks of two cache lines with a static B+ tree above them. The longest
//! prefix of a number is found from the greatest key that is not above it: every key between the
//! wanted prefix and the number begins with that prefix, so each key stores the lengths of the
//! shorter entries that it begins with, one bit each. For a set these bits are the answer; a table
//! searches once more for the entry of that length and its value. Measured on a million random
//! rows, a trie of nodes takes a memory access per digit and 50 to 100 bytes per row; binary search
//! over the bare keys takes twice the time; a directory of the first digits is faster than all of
//! them while numbers are evenly distributed, but no better than binary search for a list of the
//! mobile numbers of one country. The tree does the same work for any list and takes 8.6 bytes per
//! row, 2 more where entries are nested, and up to 4 for the position of the value. Longer numbers
//! and those with other characters are kept separately as sorted text, linked to shorter ones.

mod build;
mod layers;
mod packed;
mod text;

pub use build::{NumberTableBuilder, NumberTableError};
pub use layers::{LayeredNumbers, NumberChange};

use packed::{Packed, pack};
use text::{TextStore, Texts};

/// An immutable table from numbers or prefixes to values; a set if all values are equal.
///
/// Numbers are compared byte by byte, case-sensitively. The empty prefix matches every
/// number. Clones copy the table; share it behind an `Arc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberTable {
    packed: Packed,
    /// Numbers that do not fit into a key.
    others: Texts,
    values: TextStore,
    /// The value of each row: first the rows of `packed`, then those of `others`.
    places: Places,
}

/// Positions in the values, in the narrowest type that fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Places {
    /// All rows have the first value.
    #[default]
    First,
    /// Each row has its own value, in the order of the rows.
    Row,
    Byte(Box<[u8]>),
    Word(Box<[u16]>),
    Long(Box<[u32]>),
}

impl NumberTable {
    /// The longest entry that `number` begins with: its length in bytes and its value.
    #[must_use]
    pub fn longest(&self, number: &str) -> Option<(usize, &str)> {
        let (key, _) = pack(number);
        let found = self.packed.longest(key);
        if !self.others.is_empty()
            && let Some((row, length)) = self.others.longest(number)
            && found.as_ref().is_none_or(|found| found.symbols < length)
        {
            return Some((length, self.value(self.packed.len() + row)));
        }
        let found = found?;
        let row = match found.row {
            // All rows of a set share one value.
            _ if self.places == Places::First => 0,
            Some(row) => row,
            None => self.packed.find_first(key, found.symbols)?,
        };
        Some((found.symbols, self.value(row)))
    }

    /// The value of the entry that equals `number`.
    #[must_use]
    pub fn get(&self, number: &str) -> Option<&str> {
        let row = match pack(number) {
            (key, packed) if packed == number.len() => self.packed.find(key)?,
            _ => self.packed.len() + self.others.find(number)?,
        };
        Some(self.value(row))
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packed.len() + self.others.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory used by the table, values included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let places = match &self.places {
            Places::First | Places::Row => 0,
            Places::Byte(places) => size_of_val(&**places),
            Places::Word(places) => size_of_val(&**places),
            Places::Long(places) => size_of_val(&**places),
        };
        size_of::<Self>() + self.packed.bytes() + self.others.bytes() + self.values.bytes() + places
    }

    fn value(&self, row: usize) -> &str {
        let place = match &self.places {
            Places::First => 0,
            Places::Row => row,
            Places::Byte(places) => usize::from(places[row]),
            Places::Word(places) => usize::from(places[row]),
            Places::Long(places) => places[row] as usize,
        };
        self.values.get(place)
    }
}

impl Places {
    /// The smallest form of `places` in distinct `values`, with the values for it.
    fn of(places: Vec<u32>, mut values: TextStore) -> (Self, TextStore) {
        let width = match values.len() {
            0..=1 => 0,
            2..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        values.shrink();
        // Mostly distinct values take less space without positions, and are found faster.
        let row_text: usize = places.iter().map(|place| values.width(*place as usize)).sum();
        // With one length each, and one position per sixteen.
        let by_row = row_text + places.len() + places.len() / 4;
        if width > 0 && by_row <= values.bytes() + width * places.len() {
            let mut row_values = TextStore::default();
            if places.iter().all(|place| row_values.push(values.get(*place as usize)).is_some()) {
                row_values.shrink();
                return (Places::Row, row_values);
            }
        }
        // The highest position is one below the count, so no conversion loses a bit.
        let places = match width {
            0 => Places::First,
            1 => Places::Byte(places.into_iter().map(|place| place as u8).collect()),
            2 => Places::Word(places.into_iter().map(|place| place as u16).collect()),
            _ => Places::Long(places.into_boxed_slice()),
        };
        (places, values)
    }
}

#[cfg(test)]
mod tests;
