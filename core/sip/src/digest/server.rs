//! The server side: challenges and their verification.

use super::nonce::{Authority, CLOCK_SKEW_MS, same};
use super::{Algorithm, NONCE_LIFE_MS, pairs, response};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The values that credentials are checked against.
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
    /// Algorithms that the trunk may use.
    pub algorithms: &'a [Algorithm],
}

/// Stored `H(user:realm:password)`, hexadecimal, per algorithm. `Debug` shows neither.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ha1s {
    /// For MD5.
    pub md5: Option<String>,
    /// For SHA-256.
    pub sha256: Option<String>,
}

impl std::fmt::Debug for Ha1s {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1s")
    }
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

/// Why credentials are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The nonce is not ours, not for this peer, or too old: challenge again with `stale=true`
    /// (RFC 7616 3.3). The password was not checked.
    Stale,
    /// The password is right, but this nonce count was used before: challenge as for
    /// [`Denial::Stale`].
    Replayed,
    /// The password is right, but its hash algorithm is not allowed: challenge again.
    Algorithm,
    /// Wrong user, realm or password.
    Wrong,
}

/// The nonce count that a right password used, for [`super::ReplayGuard::admit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceUse<'a> {
    pub(super) nonce: &'a str,
    pub(super) made_ms: u64,
    pub(super) count: u32,
}

/// Value of an Authorization or Proxy-Authorization header, not yet verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// User name, escapes kept.
    pub username: &'a str,
    /// Realm of the answered challenge.
    pub realm: &'a str,
    /// Nonce of the answered challenge.
    pub nonce: &'a str,
    /// URI that the hash covers.
    pub uri: &'a str,
    /// The hash.
    pub response: &'a str,
    algorithm: Option<Algorithm>,
    /// `nc`, `cnonce`, `qop` as sent.
    qop: Option<(&'a str, &'a str, &'a str)>,
}

impl<'a> Credentials<'a> {
    /// Reads `Digest username="...", ...`; `None` for another scheme, or if a field required by
    /// RFC 3261 22.4 is missing.
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
    /// One value of WWW-Authenticate or Proxy-Authenticate per algorithm, to be written one per
    /// header line in this order: the preferred one first (RFC 8760 2.3). They share a nonce, which
    /// is valid for `peer` only.
    pub fn challenges<R: RngCore + ?Sized>(
        &self,
        peer: IpAddr,
        realm: &str,
        algorithms: &[Algorithm],
        utc_ms: u64,
        stale: bool,
        rng: &mut R,
    ) -> Vec<String> {
        let nonce = self.nonce(peer, realm, utc_ms, rng);
        let stale = if stale { ", stale=true" } else { "" };
        let value = |algorithm: &Algorithm| {
            let algorithm = algorithm.as_str();
            // Some clients find a parameter by the space before it.
            format!(
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}"
            )
        };
        algorithms.iter().map(value).collect()
    }

    /// Checks credentials of `peer`. A nonce that we did not make for this peer is refused before
    /// the password is hashed, so that a guesser must receive our challenges.
    ///
    /// # Errors
    /// Why the credentials are refused.
    pub fn verify<'a>(
        &self,
        peer: IpAddr,
        credentials: &Credentials<'a>,
        check: &Check<'_>,
        utc_ms: u64,
    ) -> Result<NonceUse<'a>, Denial> {
        let Credentials { nonce, uri, qop, .. } = *credentials;
        let made_ms = self.nonce_time(peer, check.realm, nonce).ok_or(Denial::Stale)?;
        if made_ms + NONCE_LIFE_MS < utc_ms || made_ms > utc_ms + CLOCK_SKEW_MS {
            return Err(Denial::Stale);
        }
        // Without `qop` (RFC 2069 peers) a nonce can be used once.
        let count = match qop {
            None => Some(1),
            Some((nc, _, qop)) if qop.eq_ignore_ascii_case("auth") && nc.len() == 8 => {
                u32::from_str_radix(nc, 16).ok()
            }
            Some(_) => None,
        };
        let (Some(algorithm), Some(count)) = (credentials.algorithm, count) else {
            return Err(Denial::Wrong);
        };
        let known = credentials.username == check.username && credentials.realm == check.realm;
        let Some(ha1) = check.ha1s.get(algorithm).filter(|_| known) else {
            return Err(Denial::Wrong);
        };
        let expected =
            response(algorithm, &ha1.to_ascii_lowercase(), nonce, qop, check.method, uri);
        if !same(expected.as_bytes(), credentials.response.to_ascii_lowercase().as_bytes()) {
            return Err(Denial::Wrong);
        }
        if !check.algorithms.contains(&algorithm) {
            return Err(Denial::Algorithm);
        }
        Ok(NonceUse { nonce, made_ms, count })
    }
}
