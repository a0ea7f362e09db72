//! How legs reach the wire: transactions, time, chance, and the names of our listeners.

use super::{Manner, next_hop};
use crate::{
    Dialog, Flow, Link, MessageBuilder, Method, TransactionId, Transactions, new_branch,
    with_sent_by,
};
use rand::RngCore;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Methods that a leg takes (SIG-01), for Allow.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";

/// Extensions that Require may name, for Supported (RFC 3262, RFC 4028).
pub const EXTENSIONS: [&str; 2] = ["100rel", "timer"];

/// Our listeners as their peers see them.
pub trait Listeners {
    /// `host:port` for Via and Contact (SIG-64).
    fn advertised(&self, listener: u16) -> Arc<str>;
    /// How bytes travel at a listener.
    fn link(&self, listener: u16) -> Link;

    /// Where a request goes that is too large for a datagram on this flow; none: it goes there
    /// nevertheless.
    fn for_large(&self, _now: Instant, _flow: Flow) -> Option<Flow> {
        None
    }

    /// The address of a host name in a peer's URI, if it is known without asking anybody.
    fn address_of(&self, _host: &str, _port: Option<u16>, _flow: Flow) -> Option<SocketAddr> {
        None
    }
}

/// Bytes that a datagram of a request may have where nobody knows what the path takes (RFC 3261
/// section 18.1.1).
const LARGEST_DATAGRAM: usize = 1300;

/// All that a leg needs beside itself for one step.
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
    /// Sends a request of a leg. A large one that would go by datagram goes over a stream where
    /// there is one and the leg allows it; the datagram is its way back if nobody takes the
    /// connection. Only the Via tells: later requests of the dialog go as they would have.
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
    /// Where requests of a dialog go whose messages come from `flow`.
    pub(super) fn hop(&self, dialog: &Dialog, flow: Flow) -> Flow {
        next_hop(dialog, flow, |host, port| self.listeners.address_of(host, port, flow))
    }

    /// Adds our Via with a new branch.
    pub fn with_via(&mut self, builder: MessageBuilder, listener: u16) -> MessageBuilder {
        let branch = new_branch(self.rng);
        let host = self.listeners.advertised(listener);
        let transport = self.listeners.link(listener).via();
        builder.header_of("Via", &["SIP/2.0/", transport, " ", &host, ";rport;branch=", &branch])
    }

    /// Begins a request of ours outside any dialog.
    pub fn request_to(&mut self, method: &Method, uri: &str, listener: u16) -> MessageBuilder {
        self.with_via(MessageBuilder::request(method, uri), listener)
    }

    /// Adds our Contact with this user, escaped already (SIG-79), and Allow.
    pub fn with_contact(
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
