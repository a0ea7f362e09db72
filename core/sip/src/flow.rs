//! The path of a message.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The path of a message: one of our listeners and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// Index of the listener.
    pub listener: u16,
    /// The peer.
    pub remote: SocketAddr,
    /// The kind of transport between them.
    pub link: Link,
}

/// The kind of transport of a flow. The listener determines it, never the peer's message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Link {
    /// UDP: a datagram is a message, and may be lost.
    #[default]
    Datagram,
    /// TCP: nothing is lost or repeated while the connection lasts (SIG-23).
    Stream,
}

impl Link {
    /// Name of the transport in Via.
    #[must_use]
    pub fn via(self) -> &'static str {
        match self {
            Link::Datagram => "UDP",
            Link::Stream => "TCP",
        }
    }

    /// Name of the transport in records and URIs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Link::Datagram => "udp",
            Link::Stream => "tcp",
        }
    }

    /// The transport parameter for a URI; UDP is the default (RFC 3263 section 4.1).
    #[must_use]
    pub fn uri_parameter(self) -> &'static str {
        match self {
            Link::Datagram => "",
            Link::Stream => ";transport=tcp",
        }
    }

    /// Whether messages need no resends.
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
