//! The client side: answering a vendor's 401 or 407 (SIG-53).

use super::{Algorithm, hex, pairs, response};
use crate::message::Message;
use crate::params::Parts;
use rand::RngCore;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a challenge cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChallengeError {
    /// The response is not a 401 with WWW-Authenticate or a 407 with Proxy-Authenticate.
    #[error("response {status} carries no digest challenge")]
    Missing {
        /// Its status.
        status: u16,
    },
    /// No challenge offers an algorithm and a qop that we support and may use.
    #[error("no algorithm and qop that may be used in `{offered}`")]
    Unsupported {
        /// The challenges.
        offered: String,
    },
}

/// The challenge chosen from a 401 or 407.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Realm, as written between its quotes.
    pub realm: String,
    /// Nonce; each new one allows one attempt (SIG-53).
    pub nonce: String,
    /// Hash to use.
    pub algorithm: Algorithm,
    /// The previous nonce expired; the password is not in doubt.
    pub stale: bool,
    /// From a proxy (407): answered in Proxy-Authorization.
    pub proxy: bool,
    opaque: Option<String>,
    /// `qop=auth` was offered; otherwise the rules of RFC 2069 apply.
    qop: bool,
    /// The challenge named its algorithm; otherwise the answer does not name one either.
    names_algorithm: bool,
}

/// The input of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Our name at the vendor.
    pub username: &'a str,
    /// Our password.
    pub password: &'a str,
    /// Method of the repeated request.
    pub method: &'a str,
    /// Its Request-URI.
    pub uri: &'a str,
    /// Number of requests that use the nonce, this one included.
    pub count: u32,
}

impl Challenge {
    /// Chooses SHA-256 if offered, else MD5 (RFC 8760 2.4), and only if it is `allowed`: an
    /// attacker on the path may have removed the better offer.
    ///
    /// # Errors
    /// No challenge, or none that we support and may use.
    pub fn choose(response: &Message, allowed: &[Algorithm]) -> Result<Challenge, ChallengeError> {
        let status = response.status();
        let (header, proxy) = match status {
            401 => ("WWW-Authenticate", false),
            407 => ("Proxy-Authenticate", true),
            _ => return Err(ChallengeError::Missing { status }),
        };
        let lines: Vec<&str> = response.headers(header).collect();
        if lines.is_empty() {
            return Err(ChallengeError::Missing { status });
        }
        let found = lines.iter().flat_map(|line| split_challenges(line));
        let usable = found
            .filter_map(|text| Challenge::parse(text, proxy))
            .filter(|challenge| allowed.contains(&challenge.algorithm));
        // Among equals, the first wins.
        usable
            .reduce(|best, next| if next.algorithm > best.algorithm { next } else { best })
            .ok_or_else(|| ChallengeError::Unsupported { offered: lines.join(", ") })
    }

    fn parse(text: &str, proxy: bool) -> Option<Challenge> {
        let (scheme, rest) = text.split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let field = |wanted: &str| {
            pairs(rest).find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
        };
        let qop = match field("qop") {
            None | Some("") => false,
            Some(list) => {
                Parts::new(list, b',').find(|qop| qop.eq_ignore_ascii_case("auth")).map(|_| true)?
            }
        };
        // Our answer repeats these values between quotes, so they must be quotable.
        let repeated = |wanted: &str| field(wanted).filter(|value| is_quotable(value));
        if field("opaque").is_some_and(|opaque| !is_quotable(opaque)) {
            return None;
        }
        Some(Challenge {
            realm: repeated("realm")?.to_owned(),
            nonce: repeated("nonce")?.to_owned(),
            algorithm: Algorithm::parse(field("algorithm"))?,
            stale: field("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            proxy,
            opaque: field("opaque").map(str::to_owned),
            qop,
            names_algorithm: field("algorithm").is_some(),
        })
    }

    /// Name of the header that carries the answer.
    pub fn header_name(&self) -> &'static str {
        if self.proxy { "Proxy-Authorization" } else { "Authorization" }
    }

    /// Value of that header.
    pub fn answer<R: RngCore + ?Sized>(&self, answer: &Answer<'_>, rng: &mut R) -> String {
        let Answer { username, password, method, uri, count } = *answer;
        let (algorithm, realm, nonce) = (self.algorithm, &self.realm, &self.nonce);
        let ha1 = super::ha1(algorithm, username, realm, password);
        let count = format!("{count:08x}");
        let cnonce = hex(&rng.next_u64().to_be_bytes());
        let qop = self.qop.then_some((count.as_str(), cnonce.as_str(), "auth"));
        let response = response(algorithm, &ha1, nonce, qop, method, uri);
        let mut value = format!(
            "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", \
             uri=\"{uri}\", response=\"{response}\""
        );
        if self.names_algorithm {
            value.push_str(&format!(", algorithm={}", algorithm.as_str()));
        }
        if self.qop {
            value.push_str(&format!(", qop=auth, nc={count}, cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        value
    }
}

/// Whether a value, as written, can stand between quotes: every quote and every backslash in it is
/// escaped.
fn is_quotable(value: &str) -> bool {
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return false,
            b'\\' if bytes.next().is_none() => return false,
            _ => {}
        }
    }
    true
}

/// Several challenges may share a line: a part that begins with `scheme name=` starts a new one.
fn split_challenges(line: &str) -> Vec<&str> {
    let offset = |part: &str| part.as_ptr() as usize - line.as_ptr() as usize;
    let opens = |part: &str| {
        let before_value = part.split('=').next().unwrap_or(part).trim_end();
        before_value.contains([' ', '\t'])
    };
    let starts: Vec<usize> =
        Parts::new(line, b',').filter(|part| opens(part)).map(offset).collect();
    let ends = starts.iter().skip(1).copied().chain([line.len()]);
    let cut = |(start, end): (&usize, usize)| line[*start..end].trim_end_matches([',', ' ', '\t']);
    starts.iter().zip(ends).map(cut).collect()
}
