//! What both agents share: a UDP socket, the transaction layer and a clock.

use super::ladder::{Ladder, Side};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::{
    Branch, Flow, Message, MessageBuilder, ResendSchedule, Tag, TransactionEvent, TransactionId,
    Transactions,
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
    transactions: Transactions,
    schedule: Arc<ResendSchedule>,
    rng: StdRng,
    ladder: Option<Arc<Ladder>>,
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
        Ok(Endpoint {
            name: name.to_owned(),
            local: socket.local_addr()?,
            socket,
            poll,
            events: Events::with_capacity(8),
            transactions: Transactions::new(),
            schedule: Arc::new(ResendSchedule::standard()),
            rng: StdRng::from_os_rng(),
            ladder,
        })
    }

    /// Sends what is due, waits at most `patience` for more, and gives what happened.
    pub(super) fn turn(&mut self, patience: Duration) -> io::Result<Vec<TransactionEvent>> {
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

    /// A request with Via and Contact added, in a transaction of its own.
    pub(super) fn request(&mut self, to: SocketAddr, request: MessageBuilder) -> TransactionId {
        let bytes = self.addressed(request).finish();
        self.transactions.request(Instant::now(), flow(to), bytes, &self.schedule)
    }

    /// As [`Endpoint::request`] for bytes that have their Via.
    pub(super) fn request_bytes(&mut self, to: SocketAddr, bytes: Vec<u8>) -> TransactionId {
        self.transactions.request(Instant::now(), flow(to), bytes, &self.schedule)
    }

    /// The ACK for a 2xx.
    pub(super) fn ack(&mut self, invite: TransactionId, to: SocketAddr, ack: MessageBuilder) {
        let bytes = self.addressed(ack).finish();
        self.transactions.ack(Instant::now(), invite, flow(to), bytes);
    }

    pub(super) fn respond(
        &mut self,
        request: TransactionId,
        status: u16,
        response: MessageBuilder,
    ) {
        self.transactions.respond(Instant::now(), request, status, response.finish());
    }

    /// Adds our Via with a new branch, and our Contact.
    pub(super) fn addressed(&mut self, message: MessageBuilder) -> MessageBuilder {
        let branch = Branch::new(&mut self.rng);
        message
            .header("Via", format_args!("SIP/2.0/UDP {};branch={branch};rport", self.local))
            .header("Contact", format_args!("<sip:{}@{}>", self.name, self.local))
    }

    pub(super) fn tag(&mut self) -> String {
        Tag::new(&mut self.rng).to_string()
    }

    pub(super) fn random(&mut self) -> u32 {
        self.rng.random()
    }
}

fn flow(remote: SocketAddr) -> Flow {
    Flow::datagram(0, remote)
}
