//! What goes in and out of the transaction layer.

use crate::Message;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;

/// Between which of our listeners and which peer a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// Index of the listener.
    pub listener: u16,
    /// The peer.
    pub remote: SocketAddr,
    /// How bytes travel between them.
    pub link: Link,
}

/// How bytes travel on a flow. It is a fact of the listener, never of what the peer writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Link {
    /// UDP: a datagram is a message, and may be lost.
    #[default]
    Datagram,
    /// TCP: nothing is lost or repeated while the connection stands (SIG-23).
    Stream,
}

impl Link {
    /// Name of the transport as Via writes it.
    #[must_use]
    pub fn via(self) -> &'static str {
        match self {
            Link::Datagram => "UDP",
            Link::Stream => "TCP",
        }
    }

    /// Name of the transport as records and URIs write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Link::Datagram => "udp",
            Link::Stream => "tcp",
        }
    }

    /// Parameter of a URI that leads here; UDP is the default (RFC 3263 section 4.1).
    #[must_use]
    pub fn uri_parameter(self) -> &'static str {
        match self {
            Link::Datagram => "",
            Link::Stream => ";transport=tcp",
        }
    }

    /// Whether what is sent need not be sent again.
    #[must_use]
    pub fn is_reliable(self) -> bool {
        self == Link::Stream
    }
}

impl Flow {
    /// A flow over UDP.
    #[must_use]
    pub fn datagram(listener: u16, remote: SocketAddr) -> Flow {
        Flow { listener, remote, link: Link::Datagram }
    }
}

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transmit {
    /// From where and to whom.
    pub flow: Flow,
    /// The whole message, shared with the transaction that may send it again.
    pub bytes: Arc<[u8]>,
}

/// A transaction of one [`crate::Transactions`]; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TransactionId(pub(super) u64);

/// What the transaction user has to know. `U` is the user's own name for the owner of a
/// transaction: it comes back with each event as it was given.
#[derive(Debug)]
pub enum TransactionEvent<U = ()> {
    /// A new request to be answered with [`crate::Transactions::respond`]; never a
    /// repeated one, an ACK or a CANCEL.
    Request {
        /// Its server transaction.
        id: TransactionId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        message: Message,
    },
    /// A CANCEL for an INVITE that has no final response yet. The CANCEL itself is
    /// answered already; the INVITE wants a 487 (RFC 3261 9.2).
    Cancelled {
        /// Server transaction of the INVITE.
        invite: TransactionId,
        /// Whom its user named as its owner.
        owner: Option<U>,
        /// The CANCEL.
        message: Message,
    },
    /// The ACK for our 2xx, once.
    Acknowledged {
        /// Server transaction of the INVITE.
        invite: TransactionId,
        /// Whom its user named as its owner.
        owner: Option<U>,
        /// The ACK.
        message: Message,
    },
    /// A provisional response, the first final response, or a 2xx with a To tag not seen
    /// before (SIG-07). A 2xx to INVITE wants [`crate::Transactions::ack`].
    Response {
        /// Client transaction.
        id: TransactionId,
        /// Whom its user named as its owner.
        owner: Option<U>,
        /// Where it came from.
        flow: Flow,
        /// The response.
        message: Message,
        /// How often the request has been sent.
        sends: u16,
    },
    /// Client: nobody takes a connection, so the request was sent over `flow` instead of `from`
    /// (RFC 3261 section 18.1.1).
    WentBack {
        /// The transaction.
        id: TransactionId,
        /// Whom its user named as its owner.
        owner: Option<U>,
        /// The flow that broke.
        from: Flow,
        /// The flow that it goes on over.
        flow: Flow,
    },
    /// Client: no final response within W (for an INVITE: no response at all within W, or
    /// no final one within 32 s of the CANCEL). Server INVITE: no ACK for our 2xx within W, or no
    /// PRACK for a reliable provisional response; the INVITE then still wants its final response.
    TimedOut {
        /// The transaction.
        id: TransactionId,
        /// Whom its user named as its owner.
        owner: Option<U>,
        /// How often its message has been sent.
        sends: u16,
    },
    /// The peer cannot be reached (SIG-24); the transaction is over.
    TransportFailed {
        /// The transaction.
        id: TransactionId,
        /// Whom its user named as its owner.
        owner: Option<U>,
        /// How often its message has been sent.
        sends: u16,
    },
}
