//! Digest authentication of customers (ROUTE-11, SIG-50 to SIG-54).

use super::Core;
use crate::facts::DigestUser;
use crate::io::Now;
use crate::strangers::source_of;
use sip::digest::{Algorithm, Authority, Check, Denial};
use sip::{Flow, Message};
use std::sync::Arc;

/// Result of checking an INVITE's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// The password is right.
    Proven,
    /// No credentials for our realm yet.
    Absent,
    /// The nonce is no longer valid, or the hash is not accepted: authenticate again.
    Stale,
    /// Right, but for another number than the request calls (RFC 7616 section 3.4.6).
    OfAnotherNumber,
    /// Wrong.
    Wrong,
}

/// Header lines that may carry credentials.
fn authorizations(request: &Message) -> impl Iterator<Item = &str> {
    request.headers("Authorization").chain(request.headers("Proxy-Authorization"))
}

/// The first credentials of the request, not verified.
pub(crate) fn claim_of(request: &Message) -> Option<sip::digest::Credentials<'_>> {
    authorizations(request).find_map(sip::digest::Credentials::parse)
}

/// The credentials of the request for this realm, not verified.
pub(crate) fn credentials_for<'a>(
    request: &'a Message,
    realm: &str,
) -> Option<sip::digest::Credentials<'a>> {
    let mut all = authorizations(request).filter_map(sip::digest::Credentials::parse);
    all.find(|credentials| credentials.realm == realm)
}

/// Whether the hashed URI calls the same number as the request (RFC 7616 section 3.4.6). Proxies on
/// the way may have changed the rest of it.
fn is_for(uri: &str, request: &Message) -> bool {
    let called = |uri: &str| Some(crate::number::of_uri(&sip::UriRef::parse(uri).ok()?));
    called(uri).is_some_and(|number| Some(number) == called(request.uri()))
}

/// Credentials of a request for a trunk's user.
pub(crate) struct Proof<'a> {
    pub(crate) request: &'a Message,
    pub(crate) flow: Flow,
    pub(crate) user: &'a DigestUser,
}

impl Core {
    /// Hashes that are offered to and accepted from a user at a listener (SIG-54).
    pub(crate) fn algorithms(&self, listener: u16, user: Option<&DigestUser>) -> Arc<[Algorithm]> {
        let own = user.and_then(|user| user.algorithms.clone());
        let of_listener = || self.world.facts.listeners.get(usize::from(listener));
        own.or_else(|| of_listener().map(|listener| Arc::clone(&listener.digest_algorithms)))
            .unwrap_or_else(|| Arc::from(Algorithm::ALL))
    }

    /// Checks the request's credentials against a trunk's user. Only a right password reaches the
    /// table of used nonces, which all shards share.
    pub(crate) fn verify(&self, now: Now, proof: &Proof<'_>) -> Verified {
        let Proof { request, flow, user } = proof;
        let Some(credentials) = credentials_for(request, &user.realm) else {
            return Verified::Absent;
        };
        let check = Check {
            method: request.method().as_str(),
            realm: &user.realm,
            username: &user.user,
            ha1s: &user.ha1s,
            algorithms: &self.algorithms(flow.listener, Some(user)),
        };
        let authority = Authority::new(self.world.facts.settings.nonce_secret);
        let peer = source_of(flow.remote);
        let used = match authority.verify(peer, &credentials, &check, now.utc_ms) {
            Ok(_) if !is_for(credentials.uri, request) => return Verified::OfAnotherNumber,
            Ok(used) => used,
            Err(denial) => return denial.into(),
        };
        let admitted = self.settings.live.nonces.admit(&used, now.utc_ms);
        admitted.map_or_else(Verified::from, |()| Verified::Proven)
    }

    /// The lines of a challenge with a fresh nonce (SIG-50).
    pub(crate) fn challenge_lines(
        &mut self,
        now: Now,
        flow: Flow,
        realm: &str,
        algorithms: &[Algorithm],
        stale: bool,
    ) -> Vec<String> {
        self.counters.challenges += 1;
        let authority = Authority::new(self.world.facts.settings.nonce_secret);
        let peer = source_of(flow.remote);
        authority.challenges(peer, realm, algorithms, now.utc_ms, stale, &mut self.rng)
    }

    /// Values of WWW-Authenticate for a caller whose call has already begun.
    pub(crate) fn challenge_values(
        &mut self,
        now: Now,
        flow: Flow,
        user: &DigestUser,
    ) -> Vec<String> {
        let algorithms = self.algorithms(flow.listener, Some(user));
        self.challenge_lines(now, flow, &user.realm, &algorithms, false)
    }
}

impl From<Denial> for Verified {
    fn from(denial: Denial) -> Verified {
        match denial {
            // Challenges again with a fresh nonce, so that the client can use the better hash.
            Denial::Stale | Denial::Replayed | Denial::Algorithm => Verified::Stale,
            Denial::Wrong => Verified::Wrong,
        }
    }
}
