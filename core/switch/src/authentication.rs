//! Digest on both sides: customers prove who they are (ROUTE-11, SIG-50 to SIG-54), we
//! prove it to vendors (SIG-53).

use crate::facts::{Credentials, DigestUser};
use crate::io::Now;
use crate::switch::Core;
use rand::RngCore;
use sip::digest::{Answer, Authority, Challenge, Check, Ha1s, Verdict};
use sip::{Message, TransactionId};

/// What an INVITE's credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It knows the password.
    Proven,
    /// It has none for our realm yet.
    Absent,
    /// Right, but the nonce is used up.
    Stale,
    /// Wrong.
    Wrong,
}

/// Header lines that may carry credentials.
fn authorizations(request: &Message) -> impl Iterator<Item = &str> {
    request.headers("Authorization").chain(request.headers("Proxy-Authorization"))
}

/// The user that the request claims to be.
pub(crate) fn user_of(request: &Message) -> Option<String> {
    authorizations(request)
        .find_map(sip::digest::Credentials::parse)
        .map(|credentials| credentials.username.to_owned())
}

impl Core {
    /// Checks the request's credentials against a trunk's user.
    pub(crate) fn verify(&mut self, now: Now, request: &Message, user: &DigestUser) -> Verified {
        let credentials = authorizations(request)
            .filter_map(sip::digest::Credentials::parse)
            .find(|credentials| *credentials.realm == *user.realm);
        let Some(credentials) = credentials else {
            return Verified::Absent;
        };
        let ha1s =
            Ha1s { md5: Some(user.ha1_md5.to_string()), sha256: Some(user.ha1_sha256.to_string()) };
        let check = Check {
            method: request.method().as_str(),
            realm: &user.realm,
            username: &user.user,
            ha1s: &ha1s,
        };
        let authority = Authority::new(self.world.facts.settings.nonce_secret);
        match authority.verify(&credentials, &check, &mut self.replays, now.utc_ms) {
            Verdict::Ok => Verified::Proven,
            Verdict::Stale | Verdict::Replayed => Verified::Stale,
            Verdict::Wrong => Verified::Wrong,
        }
    }

    /// 401 with a fresh nonce (SIG-50). False, and nothing sent, if there is no realm.
    pub(crate) fn challenge(
        &mut self,
        now: Now,
        id: TransactionId,
        request: &Message,
        user: Option<&DigestUser>,
        stale: bool,
    ) -> bool {
        let facts = std::sync::Arc::clone(&self.world.facts);
        let any = || facts.customers.values().find_map(|trunk| trunk.digest.as_ref());
        let Some(user) = user.or_else(any) else { return false };
        let authority = Authority::new(facts.settings.nonce_secret);
        let challenges = authority.challenges(&user.realm, now.utc_ms, stale, &mut self.rng);
        let headers = challenges.map(|value| ("WWW-Authenticate".to_owned(), value));
        self.counters.challenges += 1;
        self.respond_plain(now, id, request, 401, "", &headers);
        true
    }
}

/// Header name and value that answer a vendor's 401 or 407; none if it asks for what we
/// cannot do.
pub(crate) fn answer<R: RngCore>(
    response: &Message,
    credentials: &Credentials,
    uri: &str,
    rng: &mut R,
) -> Option<(&'static str, String)> {
    let challenge = Challenge::choose(response).ok()?;
    let answer = Answer {
        username: &credentials.user,
        password: &credentials.password,
        method: "INVITE",
        uri,
        count: 1,
    };
    Some((challenge.header_name(), challenge.answer(&answer, rng)))
}
