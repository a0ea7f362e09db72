//! Offer and answer on one leg (RFC 3264, RFC 6337): which side has an open offer, and the last
//! agreed description of each side.

use serde::{Deserialize, Serialize};

/// A side of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Party {
    /// The switch.
    Us,
    /// The other end of the leg.
    Peer,
}

/// An offer that awaits its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Offer {
    by: Party,
    sdp: Box<[u8]>,
}

/// The state of offer and answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Negotiation {
    open: Option<Offer>,
    /// Our description in the last completed exchange.
    local: Option<Box<[u8]>>,
    /// The peer's description in the last completed exchange.
    remote: Option<Box<[u8]>>,
}

impl Negotiation {
    /// Records an offer. It replaces an older one that is still open.
    pub fn offer(&mut self, by: Party, sdp: &[u8]) {
        self.open = Some(Offer { by, sdp: sdp.into() });
    }

    /// Records the answer to the open offer; does nothing if none is open.
    pub fn answer(&mut self, sdp: &[u8]) {
        let Some(offer) = self.open.take() else { return };
        let answer = Some(sdp.into());
        (self.local, self.remote) = match offer.by {
            Party::Us => (Some(offer.sdp), answer),
            Party::Peer => (answer, Some(offer.sdp)),
        };
    }

    /// The open offer was refused: the previous agreement stands (RFC 3261 section 14.1).
    pub fn refuse(&mut self) {
        self.open = None;
    }

    /// The side whose offer awaits an answer.
    #[must_use]
    pub fn open(&self) -> Option<Party> {
        self.open.as_ref().map(|offer| offer.by)
    }

    /// Whether an exchange is complete and none is open.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.open.is_none() && self.local.is_some()
    }

    /// Our last agreed description.
    #[must_use]
    pub fn local(&self) -> Option<&[u8]> {
        self.local.as_deref()
    }

    /// The peer's last agreed description.
    #[must_use]
    pub fn remote(&self) -> Option<&[u8]> {
        self.remote.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3264 section 4, RFC 3261 section 14.1
    #[test]
    fn a_refused_offer_leaves_what_was_agreed_before() {
        let mut state = Negotiation::default();
        assert!(!state.is_settled());
        state.offer(Party::Peer, b"a");
        assert_eq!(state.open(), Some(Party::Peer));
        state.answer(b"b");
        assert_eq!((state.local(), state.remote()), (Some(&b"b"[..]), Some(&b"a"[..])));
        state.offer(Party::Us, b"c");
        assert!(!state.is_settled());
        state.refuse();
        assert_eq!((state.local(), state.remote()), (Some(&b"b"[..]), Some(&b"a"[..])));
        assert!(state.is_settled());
        state.offer(Party::Us, b"c");
        state.answer(b"d");
        assert_eq!((state.local(), state.remote()), (Some(&b"c"[..]), Some(&b"d"[..])));
        state.answer(b"e");
        assert_eq!(state.remote(), Some(&b"d"[..]), "nobody had offered");
    }
}
