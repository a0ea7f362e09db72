//! Identifiers that this side creates: Via branches and tags.

use crate::MAGIC_COOKIE;
use compact_str::CompactString;
use rand::{Rng, RngCore};
use std::fmt;

/// A From or To tag (RFC 3261 19.3): 60 random bits, more than the required 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(u64);

impl Tag {
    /// Draws a tag.
    pub fn new<R: RngCore + ?Sized>(rng: &mut R) -> Tag {
        Tag(rng.random())
    }

    /// A tag from a number that is already random.
    pub(crate) fn from_bits(bits: u64) -> Tag {
        Tag(bits)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_digits(f, u128::from(self.0), 12)
    }
}

/// Writes `count` digits of 5 bits each. All are token characters (RFC 3261 25.1).
fn write_digits(f: &mut fmt::Formatter<'_>, mut bits: u128, count: usize) -> fmt::Result {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    for _ in 0..count {
        fmt::Write::write_char(f, char::from(DIGITS[(bits & 31) as usize]))?;
        bits >>= 5;
    }
    Ok(())
}

/// A branch parameter (RFC 3261 section 8.1.1.7): the cookie and 96 random bits.
#[must_use]
pub fn new_branch<R: RngCore + ?Sized>(rng: &mut R) -> CompactString {
    random_text::<31, R>(MAGIC_COOKIE, rng)
}

/// `start` and 96 random bits in hexadecimal, `LENGTH` bytes in all.
pub fn random_text<const LENGTH: usize, R: RngCore + ?Sized>(
    start: &str,
    rng: &mut R,
) -> CompactString {
    let mut bytes = [0; LENGTH];
    bytes[..start.len()].copy_from_slice(start.as_bytes());
    bytes[start.len()..start.len() + 16].copy_from_slice(&hex::<16>(rng.random()));
    bytes[start.len() + 16..].copy_from_slice(&hex::<8>(rng.random::<u32>().into()));
    CompactString::from_utf8(bytes).unwrap_or_default()
}

/// The lowest `DIGITS` hexadecimal digits of `value`.
#[must_use]
pub fn hex<const DIGITS: usize>(value: u64) -> [u8; DIGITS] {
    std::array::from_fn(|at| {
        let digit = value >> (4 * (DIGITS - 1 - at)) & 0xf;
        b"0123456789abcdef"[digit as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn branches_and_tags_are_tokens_and_repeat_with_the_seed() {
        let mut rng = SmallRng::seed_from_u64(1);
        let branch = new_branch(&mut rng);
        let tag = Tag::new(&mut rng).to_string();
        assert_eq!((branch.len(), tag.len()), (31, 12));
        assert!(branch.starts_with("z9hG4bK"));
        assert!(branch.chars().chain(tag.chars()).all(|char| char.is_ascii_alphanumeric()));
        let mut again = SmallRng::seed_from_u64(1);
        assert_eq!(new_branch(&mut again), branch);
        assert_ne!(new_branch(&mut again), branch);
    }
}
