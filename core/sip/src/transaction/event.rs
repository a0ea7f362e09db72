//! The input and output of the transaction layer.

use crate::{Flow, Message};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transmit {
    /// The listener to send from and the peer to send to.
    pub flow: Flow,
    /// The whole message, shared with the transaction that may resend it.
    pub bytes: Arc<[u8]>,
}

/// A transaction of one [`crate::Transactions`]; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TransactionId(pub(super) u64);

/// What the transaction user must know. `U` is the user's own name for the owner of a transaction;
/// each event returns it unchanged.
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
    /// A CANCEL for an INVITE that has no final response yet. The CANCEL itself is already
    /// answered; the INVITE needs a 487 (RFC 3261 9.2).
    Cancelled {
        /// Server transaction of the INVITE.
        invite: TransactionId,
        /// The owner set by the transaction user.
        owner: Option<U>,
        /// The CANCEL.
        message: Message,
    },
    /// The ACK for our 2xx, once.
    Acknowledged {
        /// Server transaction of the INVITE.
        invite: TransactionId,
        /// The owner set by the transaction user.
        owner: Option<U>,
        /// The ACK.
        message: Message,
    },
    /// A provisional response, the first final response, or a 2xx with a To tag not seen before
    /// (SIG-07). A 2xx to INVITE needs [`crate::Transactions::ack`].
    Response {
        /// Client transaction.
        id: TransactionId,
        /// The owner set by the transaction user.
        owner: Option<U>,
        /// Where it came from.
        flow: Flow,
        /// The response.
        message: Message,
        /// How often the request has been sent.
        sends: u16,
    },
    /// Client: the connection failed, so the request was sent over `flow` instead of `from`
    /// (RFC 3261 section 18.1.1).
    WentBack {
        /// The transaction.
        id: TransactionId,
        /// The owner set by the transaction user.
        owner: Option<U>,
        /// The flow that broke.
        from: Flow,
        /// The flow that it continues on.
        flow: Flow,
    },
    /// Client: no final response within W (for an INVITE: no response at all within W, or no final
    /// one within 32 s of the CANCEL). Server INVITE: no ACK for our 2xx within W, or no PRACK for
    /// a reliable provisional response; the INVITE then still needs its final response.
    TimedOut {
        /// The transaction.
        id: TransactionId,
        /// The owner set by the transaction user.
        owner: Option<U>,
        /// How often its message has been sent.
        sends: u16,
    },
    /// The peer cannot be reached (SIG-24); the transaction is over.
    TransportFailed {
        /// The transaction.
        id: TransactionId,
        /// The owner set by the transaction user.
        owner: Option<U>,
        /// How often its message has been sent.
        sends: u16,
    },
}
