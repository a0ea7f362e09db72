//! What both agents share: a UDP socket, the transaction layer and a clock.

use super::ladder::{Ladder, Side};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
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

/// One SIP address and its transactions.
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) local: SocketAddr,
    socket: UdpSocket,
    poll: Poll,
    events: Events,
    transactions: Transactions<Line>,
    own: Own,
    rng: StdRng,
    ladder: Option<Arc<Ladder>>,
}

/// Names one call of an agent.
pub(super) type Line = usize;

/// An agent has one listener: itself.
struct Own {
    address: Arc<str>,
}

impl Listeners for Own {
    fn advertised(&self, _: u16) -> Arc<str> {
        Arc::clone(&self.address)
    }

    fn link(&self, _: u16) -> Link {
        Link::Datagram
    }
}

impl Endpoint {
    pub(super) fn bind(
        name: &str,
        address: SocketAddr,
        ladder: Option<Arc<Ladder>>,
    ) -> io::Result<Endpoint> {
        let mut socket = UdpSocket::bind(address)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
        let local = socket.local_addr()?;
        Ok(Endpoint {
            name: name.to_owned(),
            local,
            own: Own { address: local.to_string().into() },
            socket,
            poll,
            events: Events::with_capacity(8),
            transactions: Transactions::new(),
            rng: StdRng::from_os_rng(),
            ladder,
        })
    }

    /// Sends what is due, waits at most `patience` for more, and gives what happened.
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
        let mut buffer = [0; 65_536];
        // Errors of earlier sends come out of a read, too; the next read goes on.
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, remote)) => {
                    let Ok(mut message) = Message::parse(&buffer[..length]) else { continue };
                    if message.is_request() {
                        message.set_source(remote);
                    }
                    self.note(Side::Received, &message);
                    let flow = Flow::datagram(0, remote);
                    self.transactions.receive(Instant::now(), flow, message);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
        }
    }

    fn flush(&mut self) {
        while let Some(transmit) = self.transactions.poll_transmit() {
            if let Ok(message) = Message::parse(&transmit.bytes) {
                self.note(Side::Sent, &message);
            }
            if self.socket.send_to(&transmit.bytes, transmit.flow.remote).is_err() {
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

    /// What a leg needs.
    pub(super) fn wire(&mut self) -> Wire<'_, Line> {
        Wire {
            transactions: &mut self.transactions,
            rng: &mut self.rng,
            now: Instant::now(),
            listeners: &self.own,
        }
    }

    /// How the agent's legs behave: as those of the switch.
    pub(super) fn settings(&self) -> LegSettings {
        LegSettings { schedule: self.transactions.standard_schedule(), ..LegSettings::default() }
    }

    /// Gives a leg what the transactions tell of it, and the message that it follows from where
    /// the leg does not keep that.
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
            // Agents speak UDP alone.
            TransactionEvent::WentBack { .. } => (None, None),
            TransactionEvent::TimedOut { id, .. } => {
                (leg.on_transaction_over(wire, id, false), None)
            }
            TransactionEvent::TransportFailed { id, .. } => {
                (leg.on_transaction_over(wire, id, true), None)
            }
        }
    }

    /// Answers a request that belongs to no call.
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
