//! Digest towards a peer that wants us to prove who we are (SIG-53).

use crate::digest::{Algorithm, Answer, Challenge};
use crate::{Message, MessageBuilder, Method};
use compact_str::CompactString;
use rand::RngCore;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// User and password towards a peer. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// User name.
    pub user: Arc<str>,
    /// Password in clear: a client needs it for any realm.
    pub password: Arc<str>,
    /// Hashes that may be used; a challenge with others is a failure (SIG-53).
    pub algorithms: Arc<[Algorithm]>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A header line: name and value.
pub(super) type HeaderLine = (CompactString, String);

/// Challenges that one leg answers at most (SIG-53).
const MOST_CHALLENGES: u8 = 6;

/// What a peer wants proven on one leg. A proxy and the peer behind it may each ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Login {
    credentials: Credentials,
    /// Each with how many requests have used its nonce.
    challenges: Vec<(Challenge, u32)>,
    taken: u8,
    /// What the latest INVITE carried: its ACK carries the same (RFC 3261 section 13.2.2.4).
    invite: Vec<HeaderLine>,
}

impl Login {
    /// Nothing was asked for yet.
    pub(super) fn new(credentials: Credentials) -> Login {
        Login { credentials, challenges: Vec::new(), taken: 0, invite: Vec::new() }
    }

    /// Takes the challenge of a 401 or 407. False: it cannot be met with the hashes that may be
    /// used, or what we know was refused with a fresh nonce.
    pub(super) fn take(&mut self, response: &Message) -> bool {
        let Ok(challenge) = Challenge::choose(response, &self.credentials.algorithms) else {
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

    /// Adds the lines that the next request carries; each use counts.
    pub(super) fn sign<R: RngCore + ?Sized>(
        &mut self,
        mut request: MessageBuilder,
        method: &Method,
        uri: &str,
        mut rng: &mut R,
    ) -> MessageBuilder {
        let Login { credentials, challenges, .. } = self;
        let line = |(challenge, count): &mut (Challenge, u32)| {
            *count += 1;
            let answer = Answer {
                username: &credentials.user,
                password: &credentials.password,
                method: method.as_str(),
                uri,
                count: *count,
            };
            (CompactString::const_new(challenge.header_name()), challenge.answer(&answer, &mut rng))
        };
        let lines: Vec<HeaderLine> = challenges.iter_mut().map(line).collect();
        for (name, value) in &lines {
            request = request.header_of(name, &[value]);
        }
        if *method == Method::Invite {
            self.invite = lines;
        }
        request
    }

    /// Adds what the latest INVITE carried, to its ACK.
    pub(super) fn sign_ack(&self, mut ack: MessageBuilder) -> MessageBuilder {
        for (name, value) in &self.invite {
            ack = ack.header_of(name, &[value]);
        }
        ack
    }
}
