//! Many texts in one allocation, and numbers kept as sorted text.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Texts per run: one position is stored per run, one length per text.
const RUN: usize = 16;

/// Short texts, concatenated.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct TextStore {
    text: String,
    /// Start of each run.
    runs: Vec<u32>,
    lengths: Vec<u8>,
}

impl TextStore {
    /// Adds a text of at most 255 bytes, unless 4 GiB would be exceeded.
    pub(super) fn push(&mut self, text: &str) -> Option<()> {
        let length = u8::try_from(text.len()).ok()?;
        if self.lengths.len().is_multiple_of(RUN) {
            self.runs.push(u32::try_from(self.text.len()).ok()?);
        }
        self.text.push_str(text);
        self.lengths.push(length);
        Some(())
    }

    pub(super) fn get(&self, position: usize) -> &str {
        let run = position / RUN;
        let before = &self.lengths[run * RUN..position];
        let start = self.runs[run] as usize + before.iter().map(|n| usize::from(*n)).sum::<usize>();
        &self.text[start..start + self.width(position)]
    }

    /// Bytes of the text at a position.
    pub(super) fn width(&self, position: usize) -> usize {
        usize::from(self.lengths[position])
    }

    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.runs.capacity() * size_of::<u32>() + self.lengths.capacity()
    }

    /// Frees the spare capacity of the vectors.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.runs.shrink_to_fit();
        self.lengths.shrink_to_fit();
    }
}

impl fmt::Debug for TextStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextStore").field("texts", &self.len()).finish_non_exhaustive()
    }
}

/// Distinct texts, while a table is built.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    texts: TextStore,
    /// Positions plus one by hash, open addressing; 0 is free. At most half of the slots are taken.
    slots: Vec<u32>,
    hasher: RandomState,
}

impl Distinct {
    /// The position of a text, which is added if it is new; `None` if it is longer than 255 bytes
    /// or all texts are longer than 4 GiB.
    pub(super) fn place(&mut self, text: &str) -> Option<u32> {
        if self.slots.len() <= 2 * self.texts.len() {
            self.grow();
        }
        let slot = self.slot(text);
        if let Some(place) = self.slots[slot].checked_sub(1) {
            return Some(place);
        }
        let place = u32::try_from(self.texts.len()).ok()?;
        self.texts.push(text)?;
        self.slots[slot] = place + 1;
        Some(place)
    }

    pub(super) fn texts(&self) -> &TextStore {
        &self.texts
    }

    pub(super) fn into_texts(self) -> TextStore {
        self.texts
    }

    /// The slot of a text, or the free slot that it would take.
    fn slot(&self, text: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(text) as usize & mask;
        while let Some(place) = self.slots[slot].checked_sub(1)
            && self.texts.get(place as usize) != text
        {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        self.slots = vec![0; (4 * self.texts.len()).next_power_of_two().max(16)];
        for place in 0..self.texts.len() {
            let slot = self.slot(self.texts.get(place));
            self.slots[slot] = place as u32 + 1;
        }
    }
}

/// Sorted texts, each linked to the longest other one that it begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    keys: TextStore,
    links: Box<[u32]>,
}

impl Texts {
    /// `keys` must be sorted and distinct.
    pub(super) fn new(mut keys: TextStore) -> Self {
        keys.shrink();
        let links = links(&keys);
        Texts { keys, links }
    }

    /// The longest row that `number` begins with, and its length in bytes.
    pub(super) fn longest(&self, number: &str) -> Option<(usize, usize)> {
        let mut row = self.at_or_below(number)?;
        loop {
            let key = self.keys.get(row);
            if number.starts_with(key) {
                return Some((row, key.len()));
            }
            row = *self.links.get(row).filter(|link| **link != NONE)? as usize;
        }
    }

    pub(super) fn find(&self, number: &str) -> Option<usize> {
        self.at_or_below(number).filter(|row| self.keys.get(*row) == number)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.len() == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes() + size_of_val(&*self.links)
    }

    /// The last row whose key does not sort after `number`.
    fn at_or_below(&self, number: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.keys.get(middle) <= number {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }
}

/// No shorter entry.
const NONE: u32 = u32::MAX;

/// For each of the sorted texts the longest other text that it begins with; empty if there is no
/// such pair.
fn links(keys: &TextStore) -> Box<[u32]> {
    let holds = |one: u32, other| keys.get(other).starts_with(keys.get(one as usize));
    let mut open: Vec<u32> = Vec::new();
    let mut links = vec![NONE; keys.len()];
    let mut nested = false;
    for (row, link) in links.iter_mut().enumerate() {
        while open.last().is_some_and(|last| !holds(*last, row)) {
            open.pop();
        }
        if let Some(last) = open.last() {
            *link = *last;
            nested = true;
        }
        // A table has at most 10 million rows.
        open.push(row as u32);
    }
    if nested { links.into_boxed_slice() } else { Box::default() }
}
