//! The server side: stateless nonces, verification, replay.

use super::{Algorithm, hex, pairs, response};
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::Sha256;
use std::collections::{HashMap, VecDeque};

/// How long a nonce may be used, ms (SIG-54).
pub const NONCE_LIFE_MS: u64 = 300_000;

/// Clocks of the nodes that share a secret may differ by this much, ms.
const CLOCK_SKEW_MS: u64 = 5_000;
const TIME_DIGITS: usize = 12;
const SALT_DIGITS: usize = 16;
const MAC_DIGITS: usize = 32;

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

/// Against what credentials are checked.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// Method of the request.
    pub method: &'a str,
    /// Realm of the listener.
    pub realm: &'a str,
    /// User name of the trunk.
    pub username: &'a str,
    /// Its stored hashes.
    pub ha1s: &'a Ha1s,
}

/// Stored `H(user:realm:password)`, hexadecimal, per algorithm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ha1s {
    /// For MD5.
    pub md5: Option<String>,
    /// For SHA-256.
    pub sha256: Option<String>,
}

impl Ha1s {
    /// Both hashes of one password.
    pub fn of_password(username: &str, realm: &str, password: &str) -> Ha1s {
        Ha1s {
            md5: Some(super::ha1(Algorithm::Md5, username, realm, password)),
            sha256: Some(super::ha1(Algorithm::Sha256, username, realm, password)),
        }
    }

    fn get(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Md5 => self.md5.as_deref(),
            Algorithm::Sha256 => self.sha256.as_deref(),
        }
    }
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The peer knows the password.
    Ok,
    /// It does, but the nonce is too old: challenge again with `stale=true`.
    Stale,
    /// It does, but this nonce count was used before: challenge again with `stale=true`.
    Replayed,
    /// Wrong user, realm, password, algorithm or a nonce that is not ours.
    Wrong,
}

/// Value of an Authorization or Proxy-Authorization header, not yet verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// User name, escapes kept.
    pub username: &'a str,
    /// Realm that the peer answers to.
    pub realm: &'a str,
    /// Nonce that it answers to.
    pub nonce: &'a str,
    /// URI that it hashed.
    pub uri: &'a str,
    /// The hash.
    pub response: &'a str,
    algorithm: Option<Algorithm>,
    /// `nc`, `cnonce`, `qop` as sent.
    qop: Option<(&'a str, &'a str, &'a str)>,
}

impl<'a> Credentials<'a> {
    /// Reads `Digest username="...", ...`; `None` if the scheme is another or a field
    /// that RFC 3261 22.4 demands is missing.
    pub fn parse(value: &'a str) -> Option<Credentials<'a>> {
        let (scheme, rest) = value.trim_start().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let field = |wanted: &str| {
            pairs(rest).find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
        };
        let qop = match field("qop") {
            Some(qop) => Some((field("nc")?, field("cnonce")?, qop)),
            None => None,
        };
        Some(Credentials {
            username: field("username")?,
            realm: field("realm")?,
            nonce: field("nonce")?,
            uri: field("uri").filter(|uri| !uri.is_empty())?,
            response: field("response")?,
            algorithm: Algorithm::parse(field("algorithm")),
            qop,
        })
    }
}

impl Authority {
    /// `secret` must be random and the same on all nodes.
    pub fn new(secret: [u8; 32]) -> Authority {
        Authority { secret }
    }

    /// Two values for WWW-Authenticate or Proxy-Authenticate, one per header line, the
    /// preferred algorithm first (RFC 8760 2.3). They share a nonce.
    pub fn challenges<R: RngCore + ?Sized>(
        &self,
        realm: &str,
        utc_ms: u64,
        stale: bool,
        rng: &mut R,
    ) -> [String; 2] {
        let nonce = self.nonce(realm, utc_ms, rng);
        let stale = if stale { ", stale=true" } else { "" };
        [Algorithm::Sha256, Algorithm::Md5].map(|algorithm| {
            let algorithm = algorithm.as_str();
            format!(
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}"
            )
        })
    }

    fn nonce<R: RngCore + ?Sized>(&self, realm: &str, utc_ms: u64, rng: &mut R) -> String {
        let salted = format!("{utc_ms:0TIME_DIGITS$x}{:0SALT_DIGITS$x}", rng.next_u64());
        let mac = self.mac(realm, &salted);
        salted + &mac
    }

    /// First half of HMAC-SHA256 over realm, time and salt.
    fn mac(&self, realm: &str, salted: &str) -> String {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.secret) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes keys of any length"),
        };
        mac.update(salted.as_bytes());
        mac.update(realm.as_bytes());
        hex(&mac.finalize().into_bytes()[..MAC_DIGITS / 2])
    }

    /// When we made `nonce`; `None` if we did not.
    fn nonce_time(&self, realm: &str, nonce: &str) -> Option<u64> {
        let salted = nonce.get(..TIME_DIGITS + SALT_DIGITS)?;
        let mac = nonce.get(TIME_DIGITS + SALT_DIGITS..)?;
        if !same(mac, &self.mac(realm, salted)) {
            return None;
        }
        u64::from_str_radix(&salted[..TIME_DIGITS], 16).ok()
    }

    /// Checks credentials. Without `qop` (RFC 2069 peers) a nonce can be used once.
    pub fn verify(
        &self,
        credentials: &Credentials<'_>,
        check: &Check<'_>,
        guard: &mut ReplayGuard,
        utc_ms: u64,
    ) -> Verdict {
        let count = match credentials.qop {
            None => Some(1),
            Some((nc, _, qop)) if qop.eq_ignore_ascii_case("auth") && nc.len() == 8 => {
                u32::from_str_radix(nc, 16).ok()
            }
            Some(_) => None,
        };
        let (Some(algorithm), Some(count)) = (credentials.algorithm, count) else {
            return Verdict::Wrong;
        };
        let Some(made_ms) = self.nonce_time(check.realm, credentials.nonce) else {
            return Verdict::Wrong;
        };
        let (Some(ha1), true, true) = (
            check.ha1s.get(algorithm),
            credentials.username == check.username,
            credentials.realm == check.realm,
        ) else {
            return Verdict::Wrong;
        };
        let ha1 = ha1.to_ascii_lowercase();
        let Credentials { nonce, uri, qop, .. } = *credentials;
        let expected = response(algorithm, &ha1, nonce, qop, check.method, uri);
        if !same(&expected, &credentials.response.to_ascii_lowercase()) {
            return Verdict::Wrong;
        }
        if made_ms + NONCE_LIFE_MS < utc_ms || made_ms > utc_ms + CLOCK_SKEW_MS {
            return Verdict::Stale;
        }
        guard.admit(nonce, made_ms, count, utc_ms)
    }
}

/// Compares without telling by its duration where the difference is.
fn same(left: &str, right: &str) -> bool {
    let difference = left.bytes().zip(right.bytes()).fold(0, |all, (l, r)| all | (l ^ r));
    left.len() == right.len() && difference == 0
}

/// Remembers which nonce counts were used, for a bounded number of nonces.
///
/// When a nonce has to be forgotten before its end, everything as old as it is treated
/// as stale from then on: memory is bounded and no replay slips through.
#[derive(Clone, Debug)]
pub struct ReplayGuard {
    capacity: usize,
    seen: HashMap<String, Counts>,
    /// In order of first use.
    order: VecDeque<(u64, String)>,
    /// Nonces not in `seen` made up to this time are stale.
    forgotten_ms: u64,
}

/// The highest count and which of the 63 below it were used: requests may overtake.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    highest: u32,
    window: u64,
}

impl ReplayGuard {
    /// Remembers at most `capacity` nonces (at least one) made after `since_ms`. What was
    /// used before is not known any more, so that older ones are stale.
    pub fn new(capacity: usize, since_ms: u64) -> ReplayGuard {
        ReplayGuard {
            capacity: capacity.max(1),
            seen: HashMap::new(),
            order: VecDeque::new(),
            forgotten_ms: since_ms,
        }
    }

    /// Nonces remembered now.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Nothing remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn admit(&mut self, nonce: &str, made_ms: u64, count: u32, utc_ms: u64) -> Verdict {
        if let Some(counts) = self.seen.get_mut(nonce) {
            return if counts.use_up(count) { Verdict::Ok } else { Verdict::Replayed };
        }
        if made_ms <= self.forgotten_ms {
            return Verdict::Stale;
        }
        self.make_room(utc_ms);
        let mut counts = Counts::default();
        let fresh = counts.use_up(count);
        self.seen.insert(nonce.to_owned(), counts);
        self.order.push_back((made_ms, nonce.to_owned()));
        if fresh { Verdict::Ok } else { Verdict::Replayed }
    }

    fn make_room(&mut self, utc_ms: u64) {
        while let Some((made_ms, _)) = self.order.front() {
            let expired = *made_ms + NONCE_LIFE_MS < utc_ms;
            if !expired && self.seen.len() < self.capacity {
                return;
            }
            if let Some((made_ms, nonce)) = self.order.pop_front() {
                self.seen.remove(&nonce);
                if !expired {
                    self.forgotten_ms = self.forgotten_ms.max(made_ms);
                }
            }
        }
    }
}

impl Counts {
    /// Whether `count` is new; remembers it.
    fn use_up(&mut self, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        if count > self.highest {
            let ahead = count - self.highest;
            self.window = self.window.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let bit = 1_u64.checked_shl(behind).unwrap_or(0);
        let fresh = bit != 0 && self.window & bit == 0;
        self.window |= bit;
        fresh
    }
}
