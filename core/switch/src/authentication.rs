//! Digest on both sides: customers prove who they are (ROUTE-11, SIG-50 to SIG-54), we
//! prove it to vendors (SIG-53).

use crate::facts::{Credentials, DigestUser};
use crate::io::Now;
use crate::reason::Causes;
use crate::strangers::source_of;
use crate::switch::Core;
use rand::RngCore;
use sip::digest::{Algorithm, Answer, Authority, Challenge, Check, Denial};
use sip::{Dialog, Flow, Message, TransactionId};
use std::sync::{Arc, PoisonError};

/// What an INVITE's credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It knows the password.
    Proven,
    /// It has none for our realm yet.
    Absent,
    /// To be proven again: the nonce is no good, or the hash is one that is not taken.
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

/// What the request says of who it is, not verified.
pub(crate) fn claim_of(request: &Message) -> Option<sip::digest::Credentials<'_>> {
    authorizations(request).find_map(sip::digest::Credentials::parse)
}

/// What the request says to the challenge of this realm, not verified.
pub(crate) fn credentials_for<'a>(
    request: &'a Message,
    realm: &str,
) -> Option<sip::digest::Credentials<'a>> {
    let mut all = authorizations(request).filter_map(sip::digest::Credentials::parse);
    all.find(|credentials| credentials.realm == realm)
}

/// Whether the URI that was hashed calls the same number as the request (RFC 7616 section
/// 3.4.6). Proxies on the way may have changed the rest of it.
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
    /// What is offered and taken from a user at a listener (SIG-54).
    pub(crate) fn algorithms(&self, listener: u16, user: Option<&DigestUser>) -> Arc<[Algorithm]> {
        let own = user.and_then(|user| user.algorithms.clone());
        let of_listener = || self.world.facts.listeners.get(usize::from(listener));
        own.or_else(|| of_listener().map(|listener| Arc::clone(&listener.digest_algorithms)))
            .unwrap_or_else(|| Arc::from(Algorithm::ALL))
    }

    /// Checks the request's credentials against a trunk's user. Only who knows the password
    /// comes to the table of used nonces, which all shards share.
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
        let mut replays = self.settings.replays.lock().unwrap_or_else(PoisonError::into_inner);
        replays.admit(&used, now.utc_ms).map_or_else(Verified::from, |()| Verified::Proven)
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

    /// 401 to a caller whose call has begun.
    pub(crate) fn challenge(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        request: &Message,
        user: &DigestUser,
    ) {
        let algorithms = self.algorithms(flow.listener, Some(user));
        let values = self.challenge_lines(now, flow, &user.realm, &algorithms, false);
        let headers: Vec<_> =
            values.into_iter().map(|value| ("WWW-Authenticate".to_owned(), value)).collect();
        self.respond_plain(now, id, request, 401, "", &headers);
    }
}

impl From<Denial> for Verified {
    fn from(denial: Denial) -> Verified {
        match denial {
            // The better hash is asked for with a fresh nonce.
            Denial::Stale | Denial::Replayed | Denial::Algorithm => Verified::Stale,
            Denial::Wrong => Verified::Wrong,
        }
    }
}

/// A header line: name and value.
pub(crate) type HeaderLine = (&'static str, String);

/// Challenges that one leg answers at most (SIG-53).
const MOST_CHALLENGES: u8 = 6;

/// What a vendor wants proven on one leg. A proxy and the vendor behind it may each ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    /// Each with how many requests have used its nonce.
    challenges: Vec<(Challenge, u32)>,
    taken: u8,
    /// What the latest INVITE carried: its ACK carries the same (RFC 3261 section 13.2.2.4).
    invite: Vec<HeaderLine>,
}

impl Login {
    /// Takes the challenge of a 401 or 407. False: it cannot be met with the hashes that may be
    /// used, or what we know was refused with a fresh nonce.
    pub(crate) fn take(&mut self, response: &Message, credentials: &Credentials) -> bool {
        let Ok(challenge) = Challenge::choose(response, &credentials.algorithms) else {
            return false;
        };
        let same =
            |known: &Challenge| (&known.realm, known.proxy) == (&challenge.realm, challenge.proxy);
        let known = self.challenges.iter_mut().find(|(known, _)| same(known));
        if known.as_ref().is_some_and(|(known, uses)| known.nonce != challenge.nonce && *uses > 1) {
            // It had satisfied an earlier request: some want a fresh nonce for each one, and do
            // not call the old one stale.
            self.taken = 0;
        } else if known
            .as_ref()
            .is_some_and(|(known, _)| !challenge.stale || known.nonce == challenge.nonce)
        {
            return false;
        }
        self.taken += 1;
        if self.taken > MOST_CHALLENGES {
            return false;
        }
        match known {
            Some(known) => *known = (challenge, 0),
            None => self.challenges.push((challenge, 0)),
        }
        true
    }

    /// The lines that the next request carries; each use counts.
    pub(crate) fn lines<R: RngCore>(
        &mut self,
        credentials: &Credentials,
        method: &sip::Method,
        uri: &str,
        rng: &mut R,
    ) -> Vec<HeaderLine> {
        let line = |(challenge, count): &mut (Challenge, u32)| {
            *count += 1;
            let answer = Answer {
                username: &credentials.user,
                password: &credentials.password,
                method: method.as_str(),
                uri,
                count: *count,
            };
            (challenge.header_name(), challenge.answer(&answer, rng))
        };
        let lines: Vec<HeaderLine> = self.challenges.iter_mut().map(line).collect();
        if *method == sip::Method::Invite {
            self.invite.clone_from(&lines);
        }
        lines
    }

    /// What the latest INVITE carried.
    pub(crate) fn of_invite(&self) -> &[HeaderLine] {
        &self.invite
    }
}

/// A BYE whose answer may be a challenge; its call may be over.
#[derive(Debug)]
pub(crate) struct PendingBye {
    pub(crate) dialog: Dialog,
    pub(crate) flow: Flow,
    pub(crate) login: Box<Login>,
    pub(crate) credentials: Credentials,
    pub(crate) causes: Causes,
}

impl Core {
    /// BYE to a vendor that wants us to prove who we are, with what it knows of us.
    pub(crate) fn send_bye(&mut self, now: Now, mut bye: PendingBye) {
        let uri = bye.dialog.remote_target().to_owned();
        let lines = bye.login.lines(&bye.credentials, &sip::Method::Bye, &uri, &mut self.rng);
        let request = bye.dialog.request(&sip::Method::Bye);
        let mut request =
            self.with_via(request, bye.flow.listener).header_of("Reason", &[&bye.causes.text()]);
        for (name, value) in lines {
            request = request.header(name, value);
        }
        let standard = self.transactions.standard_schedule();
        let bytes = request.finish();
        let id = self.transactions.request(now.instant, bye.flow, bytes, &standard);
        self.byes.insert(id, Box::new(bye));
    }

    /// The answer to such a BYE: it is sent again if its nonce was too old. False: no BYE of
    /// ours waits for it.
    pub(crate) fn on_bye_response(
        &mut self,
        now: Now,
        id: TransactionId,
        response: &Message,
    ) -> bool {
        if response.status() < 200 {
            return self.byes.contains_key(&id);
        }
        let Some(mut bye) = self.byes.remove(&id) else { return false };
        if matches!(response.status(), 401 | 407) && bye.login.take(response, &bye.credentials) {
            self.send_bye(now, *bye);
        }
        true
    }
}
