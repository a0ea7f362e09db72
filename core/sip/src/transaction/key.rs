//! The transaction that a message belongs to (RFC 3261 17.1.3, 17.2.3).

use crate::token::Tag;
use crate::{Message, Method};
use siphasher::sip::SipHasher13;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// A transaction's identity: a keyed hash of the fields that RFC 3261 matches by. 64 bits under a
/// secret key need no comparison of the original text: among 100,000 transactions a false match
/// takes 10^14 messages, and a peer cannot provoke one.
pub(super) type Key = u64;

/// A map whose keys are already random.
pub(super) type KeyMap<V> = std::collections::HashMap<Key, V, BuildHasherDefault<Plain>>;

/// Makes keys under one secret.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The hasher, with the secret already fed in. The algorithm is fixed: a machine with another
    /// build continues with the keys that were saved.
    seeded: SipHasher13,
    secret: [u8; 16],
}

/// Keeps the kinds of keys apart.
#[derive(Clone, Copy)]
enum Kind {
    Client,
    Server,
    ServerRfc2543,
    Acknowledgement,
    LocalTag,
}

impl Keys {
    /// A secret from the operating system.
    pub(super) fn random() -> Keys {
        let word = || u128::from(RandomState::new().build_hasher().finish());
        Keys::from_secret((word() << 64 | word()).to_ne_bytes())
    }

    /// A given secret, so that a simulation repeats itself.
    pub(super) fn from_secret(secret: [u8; 16]) -> Keys {
        Keys { seeded: SipHasher13::new_with_key(&secret), secret }
    }

    /// The secret, for a successor that continues with these keys.
    pub(super) fn secret(&self) -> [u8; 16] {
        self.secret
    }

    /// A client transaction: branch of the top Via and method of CSeq (17.1.3). ACK never has one.
    pub(super) fn client(&self, branch: &str, method: &Method) -> Key {
        self.hash(Kind::Client, [branch, method.as_str()])
    }

    /// The server transaction that a request belongs to; for ACK, the transaction of the INVITE.
    pub(super) fn server(&self, request: &Message) -> Key {
        match request.method() {
            Method::Ack => self.server_of(request, &Method::Invite),
            method => self.server_of(request, method),
        }
    }

    /// The server transaction of the INVITE that a CANCEL refers to (9.2).
    pub(super) fn cancelled_invite(&self, cancel: &Message) -> Key {
        self.server_of(cancel, &Method::Invite)
    }

    fn server_of(&self, request: &Message, method: &Method) -> Key {
        let via = request.top_via();
        let branch = via.branch().unwrap_or_default();
        if via.has_unique_branch() {
            return self.hash(Kind::Server, [branch, via.sent_by(), method.as_str()]);
        }
        // The To tag of an ACK comes from our response; the INVITE did not have it.
        let to_tag = match method {
            Method::Invite => "",
            _ => request.to_tag().unwrap_or_default(),
        };
        let (number, _) = request.cseq();
        let parts = [
            method.as_str(),
            branch,
            via.sent_by(),
            via.transport(),
            request.uri(),
            request.call_id(),
            request.from_tag().unwrap_or_default(),
            to_tag,
        ];
        self.hash_numbered(Kind::ServerRfc2543, number, parts)
    }

    /// The key that ties the ACK for our 2xx to the INVITE (RFC 3261 13.3.1.4): Call-ID, CSeq
    /// number and both tags, the same in the response and in its ACK.
    pub(super) fn acknowledgement(&self, message: &Message) -> Key {
        let (number, _) = message.cseq();
        self.acknowledgement_of(message.call_id(), number, message.from_tag(), message.to_tag())
    }

    /// The same key, from the parts of a message that was not indexed.
    pub(super) fn acknowledgement_of(
        &self,
        call_id: &str,
        cseq: u32,
        from_tag: Option<&str>,
        to_tag: Option<&str>,
    ) -> Key {
        let parts = [call_id, from_tag.unwrap_or_default(), to_tag.unwrap_or_default()];
        self.hash_numbered(Kind::Acknowledgement, cseq, parts)
    }

    /// A To tag for responses that this layer sends itself.
    pub(super) fn local_tag(&self, key: Key) -> Tag {
        Tag::from_bits(self.hash_numbered(Kind::LocalTag, 0, [key.to_string().as_str()]))
    }

    fn hash<const N: usize>(&self, kind: Kind, parts: [&str; N]) -> Key {
        self.hash_numbered(kind, 0, parts)
    }

    fn hash_numbered<const N: usize>(&self, kind: Kind, number: u32, parts: [&str; N]) -> Key {
        let mut hasher = self.seeded;
        hasher.write_u64(u64::from(number) << 8 | kind as u64);
        for part in parts {
            hasher.write(part.as_bytes());
            // No header text contains it, so `ab` + `c` differs from `a` + `bc`.
            hasher.write_u8(0);
        }
        hasher.finish()
    }
}

/// Passes a [`Key`] through.
#[derive(Default)]
pub(super) struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
