//! Nonces that need no stored state: a time, some random bits, and our signature (SIG-54).

use hmac::{Hmac, Mac};
use rand::{Rng, RngCore};
use sha2::Sha256;
use std::net::IpAddr;

/// Lifetime of a nonce, ms (SIG-54).
pub const NONCE_LIFE_MS: u64 = 300_000;

/// Largest clock difference between nodes that share a secret, ms.
pub(super) const CLOCK_SKEW_MS: u64 = 5_000;

/// Bytes of the time in ms, of the random part and of the signature. Together they encode to 24
/// characters: challenges go to unknown peers and must be small.
const TIME: usize = 6;
const SALT: usize = 4;
const SIGNATURE: usize = 8;
const SIGNED: usize = TIME + SALT;

/// Makes and checks nonces. Nodes with the same secret accept each other's (SIG-54).
#[derive(Clone)]
pub struct Authority {
    secret: [u8; 32],
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// `secret` must be random and the same on all nodes.
    pub fn new(secret: [u8; 32]) -> Authority {
        Authority { secret }
    }

    pub(super) fn nonce<R: RngCore + ?Sized>(
        &self,
        peer: IpAddr,
        realm: &str,
        utc_ms: u64,
        rng: &mut R,
    ) -> String {
        let mut bytes = [0; SIGNED + SIGNATURE];
        bytes[..TIME].copy_from_slice(&utc_ms.to_be_bytes()[8 - TIME..]);
        bytes[TIME..SIGNED].copy_from_slice(&rng.random::<[u8; SALT]>());
        let signature = self.signature(peer, realm, &bytes[..SIGNED]);
        bytes[SIGNED..].copy_from_slice(&signature);
        text_of(&bytes)
    }

    /// When we made `nonce` for this peer, UTC ms; `None` if we did not.
    pub(super) fn nonce_time(&self, peer: IpAddr, realm: &str, nonce: &str) -> Option<u64> {
        let bytes: [u8; SIGNED + SIGNATURE] = bytes_of(nonce)?;
        let signature = self.signature(peer, realm, &bytes[..SIGNED]);
        if !same(&bytes[SIGNED..], &signature) {
            return None;
        }
        Some(bytes[..TIME].iter().fold(0, |time, byte| time << 8 | u64::from(*byte)))
    }

    /// The first bytes of HMAC-SHA256 over time, salt, peer and realm.
    fn signature(&self, peer: IpAddr, realm: &str, signed: &[u8]) -> [u8; SIGNATURE] {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.secret) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes keys of any length"),
        };
        mac.update(signed);
        match peer {
            IpAddr::V4(address) => mac.update(&address.octets()),
            IpAddr::V6(address) => mac.update(&address.octets()),
        }
        mac.update(realm.as_bytes());
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|at| whole[at])
    }
}

/// Compares in a time that does not reveal the position of a difference.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    let difference = left.iter().zip(right).fold(0, |all, (l, r)| all | (l ^ r));
    left.len() == right.len() && difference == 0
}

/// Digits of six bits each (RFC 4648 section 5).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Four digits per three bytes; the number of bytes is a multiple of three.
fn text_of(bytes: &[u8]) -> String {
    let group = |three: &[u8]| three.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
    let digits = |bits: u32| [18, 12, 6, 0].map(|by| DIGITS[(bits >> by & 63) as usize]);
    bytes.chunks(3).map(group).flat_map(digits).map(char::from).collect()
}

/// The inverse of `text_of`; `None` unless the text encodes exactly `N` bytes.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N / 3 * 4 {
        return None;
    }
    let mut bytes = [0; N];
    for (three, four) in bytes.chunks_mut(3).zip(text.as_bytes().chunks(4)) {
        let mut bits = 0_u32;
        for digit in four {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        three.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn any_bytes_come_back_and_other_texts_are_refused() {
        let mut rng = SmallRng::seed_from_u64(5);
        for _ in 0..1000 {
            let bytes: [u8; 18] = rng.random();
            let text = text_of(&bytes);
            assert_eq!((text.len(), bytes_of(&text)), (24, Some(bytes)));
            // Arbitrary text is either refused or read back exactly.
            let odd: Vec<u8> = (0..rng.random_range(0..30)).map(|_| rng.random()).collect();
            let odd = String::from_utf8_lossy(&odd).into_owned();
            let read: Option<[u8; 18]> = bytes_of(&odd);
            assert_eq!(read.map(|bytes| text_of(&bytes)), read.map(|_| odd));
        }
    }
}
