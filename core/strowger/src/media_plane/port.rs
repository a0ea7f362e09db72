//! Which socket of which session: the names that engines and the kernel use.

use media::{Kind, Side};

/// Tokens of a slot: three sockets for each side, two tokens unused.
const PER_SLOT: u32 = 8;

/// A socket of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// The bound socket of this kind.
    Bound(Side, Kind),
    /// The side's connected RTP socket.
    Connected(Side),
}

/// A socket of the session in a slot, as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(pub(super) u32);

impl Port {
    /// All sockets that a session may have.
    pub(super) const ALL: [Port; 6] = [
        Port::Bound(Side::Caller, Kind::Rtp),
        Port::Bound(Side::Caller, Kind::Rtcp),
        Port::Connected(Side::Caller),
        Port::Bound(Side::Vendor, Kind::Rtp),
        Port::Bound(Side::Vendor, Kind::Rtcp),
        Port::Connected(Side::Vendor),
    ];

    /// The side that it belongs to.
    pub(super) fn side(self) -> Side {
        match self {
            Port::Bound(side, _) | Port::Connected(side) => side,
        }
    }

    /// What arrives at it.
    pub(super) fn kind(self) -> Kind {
        match self {
            Port::Bound(_, kind) => kind,
            Port::Connected(_) => Kind::Rtp,
        }
    }
}

impl Token {
    /// The token of a port of the session in `slot`.
    pub(super) fn new(slot: usize, port: Port) -> Token {
        let socket = match port {
            Port::Bound(_, Kind::Rtp) => 0,
            Port::Bound(_, Kind::Rtcp) => 1,
            Port::Connected(_) => 2,
        };
        Token(slot as u32 * PER_SLOT + port.side().index() as u32 * 4 + socket)
    }

    /// The slot of its session.
    pub(super) fn slot(self) -> usize {
        (self.0 / PER_SLOT) as usize
    }

    /// Its port.
    pub(super) fn port(self) -> Port {
        let side = if self.0 & 4 == 0 { Side::Caller } else { Side::Vendor };
        match self.0 & 3 {
            0 => Port::Bound(side, Kind::Rtp),
            1 => Port::Bound(side, Kind::Rtcp),
            _ => Port::Connected(side),
        }
    }

    /// Another port of the same session.
    pub(super) fn sibling(self, port: Port) -> Token {
        Token::new(self.slot(), port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_socket_of_one_session() {
        let mut tokens = Vec::new();
        for slot in [0, 1, 7_499] {
            for port in Port::ALL {
                let token = Token::new(slot, port);
                assert_eq!((token.slot(), token.port()), (slot, port));
                assert!(!tokens.contains(&token));
                tokens.push(token);
            }
        }
    }
}
