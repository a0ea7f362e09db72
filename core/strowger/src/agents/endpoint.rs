//! Common part of both agents: sockets, transaction layer and clock.

use super::ladder::{Ladder, Side};
use super::transport::Transport;
use mio::{Events, Poll, Registry};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::session::{Leg, LegEvent, LegSettings, Listeners, Wire};
use sip::{
    Flow, Link, Message, MessageBuilder, Method, Tag, TransactionEvent, TransactionId, Transactions,
};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A SIP address and its transactions.
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) local: SocketAddr,
    transport: Transport,
    poll: Poll,
    events: Events,
    transactions: Transactions<Line>,
    own: Own,
    rng: StdRng,
    ladder: Option<Arc<Ladder>>,
}

/// Identifies a call of an agent.
pub(super) type Line = usize;

/// The only listener of an agent.
struct Own {
    address: Arc<str>,
    link: Link,
}

impl Listeners for Own {
    fn advertised(&self, _: u16) -> Arc<str> {
        Arc::clone(&self.address)
    }

    fn link(&self, _: u16) -> Link {
        self.link
    }
}

impl Endpoint {
    pub(super) fn bind(
        name: &str,
        address: SocketAddr,
        ladder: Option<Arc<Ladder>>,
    ) -> io::Result<Endpoint> {
        Endpoint::start(name, ladder, |registry| Transport::bind(address, registry))
    }

    /// The same, for peers that connect over TCP.
    pub(super) fn listen(
        name: &str,
        address: SocketAddr,
        ladder: Option<Arc<Ladder>>,
    ) -> io::Result<Endpoint> {
        Endpoint::start(name, ladder, |registry| Transport::listen(address, registry))
    }

    fn start(
        name: &str,
        ladder: Option<Arc<Ladder>>,
        open: impl FnOnce(&Registry) -> io::Result<(Transport, SocketAddr)>,
    ) -> io::Result<Endpoint> {
        let poll = Poll::new()?;
        let (transport, local) = open(poll.registry())?;
        Ok(Endpoint {
            name: name.to_owned(),
            local,
            own: Own { address: local.to_string().into(), link: transport.link() },
            transport,
            poll,
            events: Events::with_capacity(8),
            transactions: Transactions::new(),
            rng: StdRng::from_os_rng(),
            ladder,
        })
    }

    /// Sends what is due, waits at most `patience` for messages, and returns the events.
    pub(super) fn turn(&mut self, patience: Duration) -> io::Result<Vec<TransactionEvent<Line>>> {
        self.flush();
        let until = self.transactions.poll_timeout();
        let due = until.map(|at| at.saturating_duration_since(Instant::now()));
        let wait = due.unwrap_or(patience).min(patience);
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.take_in();
        self.transactions.handle_timeout(Instant::now());
        self.flush();
        let mut happened = Vec::new();
        while let Some(event) = self.transactions.poll_event() {
            happened.push(event);
        }
        Ok(happened)
    }

    fn take_in(&mut self) {
        for (flow, bytes) in self.transport.receive(self.poll.registry()) {
            let Ok(mut message) = Message::parse_on(flow.link, &bytes) else { continue };
            if message.is_request() {
                message.set_source(flow.remote);
            }
            self.note(Side::Received, &message);
            self.transactions.receive(Instant::now(), flow, message);
        }
    }

    fn flush(&mut self) {
        while let Some(transmit) = self.transactions.poll_transmit() {
            if let Ok(message) = Message::parse(&transmit.bytes) {
                self.note(Side::Sent, &message);
            }
            if self.transport.send(transmit.flow, &transmit.bytes).is_err() {
                self.transactions.transport_error(Instant::now(), transmit.flow);
            }
        }
    }

    fn note(&self, side: Side, message: &Message) {
        if let Some(ladder) = &self.ladder {
            ladder.note(&self.name, side, message);
        }
    }

    pub(super) fn remark(&self, call_id: &str, text: String) {
        if let Some(ladder) = &self.ladder {
            ladder.remark(&self.name, call_id, text);
        }
    }

    /// The wire for a leg.
    pub(super) fn wire(&mut self) -> Wire<'_, Line> {
        Wire {
            transactions: &mut self.transactions,
            rng: &mut self.rng,
            now: Instant::now(),
            listeners: &self.own,
        }
    }

    /// Leg settings, the same as the switch's.
    pub(super) fn settings(&self) -> LegSettings {
        LegSettings { schedule: self.transactions.standard_schedule(), ..LegSettings::default() }
    }

    /// Passes a transaction event to its leg; returns the leg's event and, unless the leg keeps it,
    /// the message.
    pub(super) fn hand_over(
        &mut self,
        leg: &mut Leg<Line>,
        event: TransactionEvent<Line>,
    ) -> (Option<LegEvent>, Option<Message>) {
        let wire = &mut self.wire();
        match event {
            TransactionEvent::Request { id, flow, message } => {
                wire.transactions.set_owner(id, Some(leg.owner()));
                (leg.on_request(wire, id, flow, message), None)
            }
            TransactionEvent::Cancelled { invite, message, .. } => {
                (leg.on_cancel(invite), Some(message))
            }
            TransactionEvent::Acknowledged { invite, message, .. } => {
                (leg.on_ack(wire, invite, &message), Some(message))
            }
            TransactionEvent::Response { id, flow, message, .. } => {
                (leg.on_response(wire, id, flow, &message), Some(message))
            }
            // Requests of an agent always fit into a datagram.
            TransactionEvent::WentBack { .. } => (None, None),
            TransactionEvent::TimedOut { id, .. } => {
                (leg.on_transaction_over(wire, id, false), None)
            }
            TransactionEvent::TransportFailed { id, .. } => {
                (leg.on_transaction_over(wire, id, true), None)
            }
        }
    }

    /// Sends 100 for an INVITE.
    pub(super) fn tries(&mut self, id: TransactionId, invite: &Message) {
        let trying = MessageBuilder::response_to(invite, 100, "Trying").finish();
        self.transactions.respond(Instant::now(), id, 100, trying);
    }

    /// Answers a request outside of any call.
    pub(super) fn turn_away(&mut self, id: TransactionId, request: &Message) {
        let (status, reason) = match request.method() {
            Method::Options => (200, "OK"),
            _ if request.to_tag().is_some() => (481, "Unknown call"),
            _ => (501, "Not Implemented"),
        };
        let response = MessageBuilder::response_to(request, status, reason);
        self.transactions.respond(Instant::now(), id, status, response.finish());
    }

    pub(super) fn tag(&mut self) -> String {
        Tag::new(&mut self.rng).to_string()
    }

    pub(super) fn random(&mut self) -> u32 {
        self.rng.random()
    }
}

/// A flow from the agent to a peer.
pub(super) fn flow(remote: SocketAddr) -> Flow {
    Flow::datagram(0, remote)
}
