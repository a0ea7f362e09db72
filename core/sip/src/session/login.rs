//! Digest authentication towards a peer that challenges us (SIG-53).

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
    /// Hashes that may be used; a challenge that offers only others fails (SIG-53).
    pub algorithms: Arc<[Algorithm]>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A header line: name and value.
pub(super) type HeaderLine = (CompactString, String);

/// Most challenges that one leg answers (SIG-53).
const MOST_CHALLENGES: u8 = 6;

/// The challenges of one leg. A proxy and the peer behind it may each send one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Login {
    credentials: Credentials,
    /// Each challenge, with the number of requests that used its nonce.
    challenges: Vec<(Challenge, u32)>,
    taken: u8,
    /// The lines of the latest INVITE; its ACK repeats them (RFC 3261 section 13.2.2.4).
    invite: Vec<HeaderLine>,
}

impl Login {
    /// No challenge has come yet.
    pub(super) fn new(credentials: Credentials) -> Login {
        Login { credentials, challenges: Vec::new(), taken: 0, invite: Vec::new() }
    }

    /// Takes the challenge of a 401 or 407. Returns false if no allowed hash meets it, or if the
    /// peer refused our credentials with a fresh nonce.
    pub(super) fn take(&mut self, response: &Message) -> bool {
        let Ok(challenge) = Challenge::choose(response, &self.credentials.algorithms) else {
            return false;
        };
        let same =
            |known: &Challenge| (&known.realm, known.proxy) == (&challenge.realm, challenge.proxy);
        let known = self.challenges.iter_mut().find(|(known, _)| same(known));
        if known.as_ref().is_some_and(|(known, uses)| known.nonce != challenge.nonce && *uses > 1) {
            // The old nonce had satisfied an earlier request: some peers want a fresh nonce for
            // each request, and do not mark the old one as stale.
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

    /// Adds the lines for the next request; each use counts.
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

    /// Adds the lines of the latest INVITE to its ACK.
    pub(super) fn sign_ack(&self, mut ack: MessageBuilder) -> MessageBuilder {
        for (name, value) in &self.invite {
            ack = ack.header_of(name, &[value]);
        }
        ack
    }
}
