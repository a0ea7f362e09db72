//! Identifiers that this side makes up: Via branches and tags.

use rand::{Rng, RngCore};
use std::fmt;

/// A Via branch (RFC 3261 8.1.1.7): the cookie `z9hG4bK` and 100 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Branch(u128);

/// A From or To tag (RFC 3261 19.3): 60 random bits, more than the 32 it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag(u64);

impl Branch {
    /// What every branch of RFC 3261 begins with.
    pub const COOKIE: &str = "z9hG4bK";

    /// Draws a branch.
    pub fn new<R: RngCore + ?Sized>(rng: &mut R) -> Branch {
        Branch(rng.random())
    }
}

impl Tag {
    /// Draws a tag.
    pub fn new<R: RngCore + ?Sized>(rng: &mut R) -> Tag {
        Tag(rng.random())
    }

    /// A tag made of a number that is random already.
    pub(crate) fn from_bits(bits: u64) -> Tag {
        Tag(bits)
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::COOKIE)?;
        write_digits(f, self.0, 20)
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn branches_and_tags_are_tokens_and_repeat_with_the_seed() {
        let mut rng = SmallRng::seed_from_u64(1);
        let branch = Branch::new(&mut rng).to_string();
        let tag = Tag::new(&mut rng).to_string();
        assert_eq!((branch.len(), tag.len()), (27, 12));
        assert!(branch.starts_with("z9hG4bK"));
        assert!(branch.chars().chain(tag.chars()).all(|char| char.is_ascii_alphanumeric()));
        let mut again = SmallRng::seed_from_u64(1);
        assert_eq!(Branch::new(&mut again).to_string(), branch);
        assert_ne!(Branch::new(&mut again).to_string(), branch);
    }
}
