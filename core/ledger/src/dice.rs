//! Random numbers for tests and benchmarks, the same in every run.

use std::ops::RangeInclusive;

/// A fixed-seed source (xorshift64); the seed must not be zero.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// From 0 to `sides` - 1.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// A text of characters from the alphabet, with a length in this range.
    pub(crate) fn text(&mut self, alphabet: &[u8], lengths: RangeInclusive<u64>) -> String {
        let length = lengths.start() + self.roll(lengths.end() - lengths.start() + 1);
        (0..length)
            .map(|_| char::from(alphabet[self.roll(alphabet.len() as u64) as usize]))
            .collect()
    }
}
