//! Numbers of up to 15 symbols, sorted, under a static B+ tree.

use std::fmt;

/// Symbols of a key, one nibble each: the longest number of E.164. The four bits above them are
/// never set, so that the sign of a difference shows which of two keys is greater.
const SYMBOLS: usize = 15;
/// Keys per block: two cache lines, which processors fetch together.
const FAN: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(align(128))]
struct Block([u64; FAN]);

/// A partly filled block ends with keys above every number.
const UNUSED: u64 = i64::MAX as u64;

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Packed {
    /// Levels of the tree, root first; the last one holds the keys, each level above it the first
    /// key of every block below.
    levels: Box<[Box<[Block]>]>,
    rows: usize,
    /// For each row the lengths of the rows that it begins with, one bit each; empty if no row
    /// begins with another.
    shorter: Box<[u16]>,
}

/// The longest row that a number begins with.
pub(super) struct Found {
    pub(super) symbols: usize,
    /// The row, if the search reached it; otherwise it must be searched for.
    pub(super) row: Option<usize>,
}

/// The key of the symbols that a number begins with, and their number. The key covers the whole
/// number if that equals its bytes.
pub(super) fn pack(number: &str) -> (u64, usize) {
    let mut key = 0;
    let mut count = 0;
    for byte in number.bytes().take(SYMBOLS) {
        let symbol = match byte {
            b'0'..=b'9' => byte - b'0' + 1,
            b'*' => 11,
            b'#' => 12,
            b'+' => 13,
            _ => break,
        };
        key = key << 4 | u64::from(symbol);
        count += 1;
    }
    (key << (4 * (SYMBOLS - count)), count)
}

/// Symbols of a key.
fn symbols(key: u64) -> usize {
    SYMBOLS.saturating_sub(key.trailing_zeros() as usize / 4)
}

/// Number of leading symbols that two keys have in common.
fn common(one: u64, other: u64) -> usize {
    (one ^ other).leading_zeros() as usize / 4 - 1
}

impl Packed {
    /// `keys` must be sorted and distinct.
    pub(super) fn new(keys: &[u64]) -> Self {
        let mut levels = Vec::new();
        let mut level = blocks(keys);
        while level.len() > 1 {
            let above: Vec<u64> = level.iter().map(|block| block.0[0]).collect();
            levels.push(std::mem::replace(&mut level, blocks(&above)));
        }
        levels.push(level);
        levels.reverse();
        Packed { levels: levels.into_boxed_slice(), rows: keys.len(), shorter: shorter(keys) }
    }

    /// Symbols of the longest row that the number of `key` begins with.
    #[inline]
    pub(super) fn longest(&self, key: u64) -> Option<Found> {
        let (row, found) = self.at_or_below(key)?;
        let common = common(found, key);
        if symbols(found) <= common {
            return Some(Found { symbols: symbols(found), row: Some(row) });
        }
        let fitting = self.shorter.get(row)? & ((2 << common) - 1);
        Some(Found { symbols: fitting.checked_ilog2()? as usize, row: None })
    }

    /// The row of the first `symbols` symbols of `key`, if there is one.
    pub(super) fn find_first(&self, key: u64, symbols: usize) -> Option<usize> {
        self.find(key & !(u64::MAX >> (4 * symbols + 4)))
    }

    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<usize> {
        self.at_or_below(key).filter(|(_, found)| *found == key).map(|(row, _)| row)
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    pub(super) fn bytes(&self) -> usize {
        let blocks: usize = self.levels.iter().map(|level| size_of_val(&**level)).sum();
        blocks + size_of_val(&*self.levels) + size_of_val(&*self.shorter)
    }

    /// The row of the greatest key that is not above `key`, and that key.
    #[inline]
    fn at_or_below(&self, key: u64) -> Option<(usize, u64)> {
        let mut row = 0;
        let mut found = None;
        for level in &self.levels {
            let block = level.get(row)?;
            // Counts keys up to `key`. Differences instead of comparisons: they are added four at a
            // time without a branch.
            let reached: u64 = block.0.iter().map(|other| other.wrapping_sub(key + 1) >> 63).sum();
            let place = (reached as usize).checked_sub(1)?;
            row = row * FAN + place;
            found = Some(block.0[place]);
        }
        found.map(|found| (row, found))
    }
}

/// For each key the lengths of the other keys that it begins with.
fn shorter(keys: &[u64]) -> Box<[u16]> {
    let mut lengths = vec![0; keys.len()];
    let mut open: Vec<usize> = Vec::new();
    for (row, key) in keys.iter().enumerate() {
        while open.last().is_some_and(|last| symbols(keys[*last]) > common(keys[*last], *key)) {
            open.pop();
        }
        if let Some(last) = open.last() {
            lengths[row] = lengths[*last] | 1 << symbols(keys[*last]);
        }
        open.push(row);
    }
    if lengths.iter().all(|bits| *bits == 0) { Box::default() } else { lengths.into() }
}

fn blocks(keys: &[u64]) -> Box<[Block]> {
    let block = |keys: &[u64]| {
        let mut block = Block([UNUSED; FAN]);
        block.0[..keys.len()].copy_from_slice(keys);
        block
    };
    keys.chunks(FAN).map(block).collect()
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("rows", &self.rows).finish_non_exhaustive()
    }
}
