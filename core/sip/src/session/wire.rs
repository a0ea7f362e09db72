//! How legs reach the wire: transactions, time, random numbers, and the names of our listeners.

use super::{Manner, next_hop};
use crate::{
    Dialog, Flow, Link, MessageBuilder, Method, TransactionId, Transactions, new_branch,
    with_sent_by,
};
use rand::RngCore;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Methods that a leg supports (SIG-01), for Allow.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";

/// Extensions that Require may name, for Supported (RFC 3262, RFC 4028).
pub const EXTENSIONS: [&str; 2] = ["100rel", "timer"];

/// Our listeners as their peers see them.
pub trait Listeners {
    /// `host:port` for Via and Contact (SIG-64).
    fn advertised(&self, listener: u16) -> Arc<str>;
    /// The kind of transport at a listener.
    fn link(&self, listener: u16) -> Link;

    /// The flow for a request that is too large for a datagram on this flow; `None` sends it on
    /// this flow nevertheless.
    fn for_large(&self, _now: Instant, _flow: Flow) -> Option<Flow> {
        None
    }

    /// The address of a host name in a peer's URI, if it is known without a lookup.
    fn address_of(&self, _host: &str, _port: Option<u16>, _flow: Flow) -> Option<SocketAddr> {
        None
    }
}

/// Largest request that is sent as a datagram when the path MTU is unknown, bytes (RFC 3261
/// section 18.1.1).
const LARGEST_DATAGRAM: usize = 1300;

/// Everything that a leg needs besides its own state for one step.
pub struct Wire<'a, U> {
    /// The transactions of the shard.
    pub transactions: &'a mut Transactions<U>,
    /// For branches, RSeq numbers and waiting times.
    pub rng: &'a mut dyn RngCore,
    /// Monotonic time.
    pub now: Instant,
    /// Our listeners.
    pub listeners: &'a dyn Listeners,
}

impl<U: Copy> Wire<'_, U> {
    /// Sends a request of a leg. A request too large for a datagram goes over a stream if there is
    /// one and the leg allows it; if the connection is refused, it falls back to the datagram. Only
    /// the Via reflects the detour: later requests of the dialog are not affected.
    pub(super) fn request_of(
        &mut self,
        owner: U,
        flow: Flow,
        bytes: Vec<u8>,
        manner: &Manner,
    ) -> TransactionId {
        let large = flow.link == Link::Datagram
            && bytes.len() > LARGEST_DATAGRAM
            && manner.large_over_stream;
        let detour = large.then(|| self.listeners.for_large(self.now, flow)).flatten();
        let detour = detour.and_then(|stream| {
            let host = self.listeners.advertised(stream.listener);
            Some((stream, with_sent_by(&bytes, stream.link, &host)?))
        });
        let (owner, now, schedule) = (Some(owner), self.now, &manner.schedule);
        match detour {
            Some(detour) => {
                let ways = [detour, (flow, bytes)];
                self.transactions.request_with_way_back(owner, now, ways, schedule)
            }
            None => self.transactions.request_of(owner, now, flow, bytes, schedule),
        }
    }
}

impl<U> Wire<'_, U> {
    /// The next hop for requests of a dialog whose messages come from `flow`.
    pub(super) fn hop(&self, dialog: &Dialog, flow: Flow) -> Flow {
        next_hop(dialog, flow, |host, port| self.listeners.address_of(host, port, flow))
    }

    /// Adds our Via with a new branch.
    pub(crate) fn with_via(&mut self, builder: MessageBuilder, listener: u16) -> MessageBuilder {
        let branch = new_branch(self.rng);
        let host = self.listeners.advertised(listener);
        let transport = self.listeners.link(listener).via();
        builder.header_of("Via", &["SIP/2.0/", transport, " ", &host, ";rport;branch=", &branch])
    }

    /// Begins a request of ours outside any dialog.
    pub(crate) fn request_to(
        &mut self,
        method: &Method,
        uri: &str,
        listener: u16,
    ) -> MessageBuilder {
        self.with_via(MessageBuilder::request(method, uri), listener)
    }

    /// Adds our Contact with this user, already escaped (SIG-79), and Allow.
    pub(crate) fn with_contact(
        &self,
        builder: MessageBuilder,
        listener: u16,
        user: &str,
    ) -> MessageBuilder {
        let host = self.listeners.advertised(listener);
        let at = if user.is_empty() { "" } else { "@" };
        let transport = self.listeners.link(listener).uri_parameter();
        builder
            .header_of("Contact", &["<sip:", user, at, &host, transport, ">"])
            .header_of("Allow", &[ALLOW])
    }
}
