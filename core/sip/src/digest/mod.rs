//! Digest authentication (RFC 3261 22, RFC 7616, RFC 8760): SIG-50..54.
//!
//! [`Authority`] challenges and verifies, [`ReplayGuard`] remembers used nonce counts;
//! [`Challenge`] answers the challenges of peers.

mod client;
mod nonce;
mod replay;
mod server;

pub use client::{Answer, Challenge, ChallengeError};
pub use nonce::{Authority, NONCE_LIFE_MS};
pub use replay::ReplayGuard;
pub use server::{Check, Credentials, Denial, Ha1s, NonceUse};

use crate::params::{Parts, inner, trim};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt::Write as _;

/// A hash of RFC 8760. The `-sess` variants and other hashes are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// `MD5`, also the default if no algorithm is named.
    Md5,
    /// `SHA-256`.
    Sha256,
}

impl Algorithm {
    /// All, in the order in which a listener offers them by default. Clients older than RFC 8760
    /// take the first challenge or fail; newer clients may choose.
    pub const ALL: [Algorithm; 2] = [Algorithm::Md5, Algorithm::Sha256];

    /// As written in `algorithm=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn parse(name: Option<&str>) -> Option<Algorithm> {
        match name {
            None => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("MD5") => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        }
    }

    /// Hash of the parts joined by colons, lower-case hexadecimal.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Algorithm::Md5 => hex(&Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        }
    }
}

/// `H(user:realm:password)`, lower-case hexadecimal, stored instead of a password (SIG-51).
pub fn ha1(algorithm: Algorithm, username: &str, realm: &str, password: &str) -> String {
    algorithm.hash(&[username, realm, password])
}

/// The `response` value (RFC 7616 3.4.1); without `qop`, the value of RFC 2069.
fn response(
    algorithm: Algorithm,
    ha1: &str,
    nonce: &str,
    qop: Option<(&str, &str, &str)>,
    method: &str,
    uri: &str,
) -> String {
    let ha2 = algorithm.hash(&[method, uri]);
    match qop {
        Some((nc, cnonce, qop)) => algorithm.hash(&[ha1, nonce, nc, cnonce, qop, &ha2]),
        None => algorithm.hash(&[ha1, nonce, &ha2]),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `name=value` pairs separated by commas, without the quotes.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    Parts::new(text, b',')
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (trim(name), inner(trim(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7616_section_3_9_1_gives_its_responses() {
        let answer = |algorithm: Algorithm| {
            let ha1 = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            let qop = ("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "auth");
            let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
            response(algorithm, &ha1, nonce, Some(qop), "GET", "/dir/index.html")
        };
        assert_eq!(answer(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            answer(Algorithm::Sha256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }
}
