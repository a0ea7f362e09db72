//! One call on a relay thread: its bridge and the sockets of its legs.

use super::Report;
use super::relay_thread::{Reports, SessionId};
use super::sockets::{ConnectedBudget, LatchedSocket, SocketPair};
use super::sounds::G711;
use crate::seldom::Seldom;
use media::{Bridge, Event, Forward, Input, Kind, LegCounters, LegId, Now};
use rustix::event::epoll::{self, EventData, EventFlags};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;
use switch::{CallKey, MediaEvent};

/// Longest packet relayed, bytes; longer ones would be fragmented on any usual link.
pub(super) const LONGEST_PACKET: usize = 2_048;
/// Packets drained from the first socket when its leg gets a connected one: more than a socket's
/// default buffer holds.
const HANDOVER: usize = 512;

/// Token of the waker; no slot reaches it.
pub(super) const WAKE: Token = Token(u64::MAX);

/// Limits log lines about sockets refused by the poll.
static NOT_POLLED: Seldom = Seldom::new();

/// The token of a ready socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(pub(super) u64);

/// The bridge of a call and the sockets of its legs, by leg index.
pub(super) struct Relayed {
    pub(super) id: SessionId,
    pub(super) call: CallKey,
    reports: Reports,
    /// When the thread wakes it.
    pub(super) wake: Option<Instant>,
    /// Its slot in the thread.
    slot: usize,
    bridge: Bridge,
    legs: Vec<Option<LegSockets>>,
}

/// The sockets of a leg.
struct LegSockets {
    /// The leg's number within the call.
    number: u16,
    pair: SocketPair,
    latched: Latched,
}

/// Whether a leg's RTP has a connected socket.
enum Latched {
    /// Its source is not locked yet.
    Not,
    /// It has one, which receives most packets.
    Connected(LatchedSocket),
    /// The system refused a connected socket for this source; the bound one serves alone.
    Refused(SocketAddr),
}

/// A socket of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// The bound socket of this kind.
    Bound(LegId, Kind),
    /// The leg's connected RTP socket.
    Connected(LegId),
}

/// Totals of the thread; published once per wake-up.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) packets_in: u64,
    pub(super) packets_out: u64,
    pub(super) dropped: u64,
    pub(super) takeovers: u64,
}

/// What a thread needs to open and poll sockets.
pub(super) struct Means {
    pub(super) poll: OwnedFd,
    pub(super) dscp: u8,
    pub(super) budget: Arc<ConnectedBudget>,
}

impl Relayed {
    /// A call without legs.
    pub(super) fn new(id: SessionId, slot: usize, call: CallKey, reports: Reports) -> Relayed {
        let (bridge, legs) = (Bridge::new(Arc::new(G711)), Vec::new());
        Relayed { id, call, reports, wake: None, slot, bridge, legs }
    }

    /// Reports to the call's shard.
    pub(super) fn report(&self, report: Report) {
        (self.reports.0)(self.call, report);
    }

    pub(super) fn open(
        &mut self,
        (leg, number): (LegId, u16),
        pair: SocketPair,
        counters: Arc<LegCounters>,
        means: &Means,
    ) {
        watch_pair(&means.poll, &pair, self.slot, leg);
        let place = usize::from(leg.0);
        if self.legs.len() <= place {
            self.legs.resize_with(place + 1, || None);
        }
        self.legs[place] = Some(LegSockets { number, pair, latched: Latched::Not });
        self.bridge.handle(Instant::now(), Input::Open { leg, counters });
    }

    /// Passes an input to the bridge.
    pub(super) fn tell(&mut self, input: Input, now: Instant, means: &Means) {
        let changed = match &input {
            Input::Remote { leg, .. } => Some(*leg),
            _ => None,
        };
        self.bridge.handle(now, input);
        if let Some(leg) = changed {
            self.follow_latch(leg, means);
        }
    }

    /// Sends due packets and reports events.
    pub(super) fn drain(&mut self, now: Now, buffer: &mut [u8], sums: &mut Sums) {
        while let Some(forward) = self.bridge.poll_transmit(now, buffer) {
            let packet = &buffer[..forward.len];
            if self.send(forward, packet) {
                sums.packets_out += 1;
            } else {
                self.bridge.not_sent(None, forward, packet);
            }
        }
        while let Some(event) = self.bridge.poll_event() {
            if let Some(event) = self.in_numbers(event) {
                self.report(Report::Event(event));
            }
        }
    }

    /// An event with leg numbers of the call.
    fn in_numbers(&self, event: Event) -> Option<MediaEvent> {
        let number = |leg| self.sockets(leg).map(|sockets| sockets.number);
        Some(match event {
            Event::NoMedia => MediaEvent::NoMedia,
            Event::BothSilent => MediaEvent::BothSilent,
            Event::HeldTooLong => MediaEvent::HeldTooLong,
            Event::SideSilent(leg) => MediaEvent::SideSilent(number(leg)?),
            Event::SideHeard(leg) => MediaEvent::SideHeard(number(leg)?),
            Event::ProbeDue(leg) => MediaEvent::ProbeDue(number(leg)?),
            Event::PlayEnded(leg) => MediaEvent::PlayEnded(number(leg)?),
        })
    }

    /// When it must be woken next.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.bridge.poll_timeout()
    }

    /// Whether its last leg is closed.
    pub(super) fn is_empty(&self) -> bool {
        self.bridge.is_empty()
    }

    /// Serves a socket that has a packet.
    pub(super) fn serve(
        &mut self,
        now: Now,
        port: Port,
        buffer: &mut [u8],
        sums: &mut Sums,
        means: &Means,
    ) {
        let leg = port.leg();
        self.relay_one(now, port, buffer, sums);
        if self.latch_moved(leg) {
            sums.takeovers += u64::from(self.bridge.is_taken_over(leg));
            self.follow_latch(leg, means);
            // From here on the source's packets reach the connected socket; those still waiting at
            // the bound socket arrived earlier and go first.
            let first = Port::Bound(leg, Kind::Rtp);
            for _ in 0..HANDOVER {
                if !self.relay_one(now, first, buffer, sums) {
                    break;
                }
            }
        }
    }

    /// Closes the sockets of a leg, which also removes them from the poll.
    pub(super) fn close(&mut self, leg: LegId) {
        self.bridge.handle(Instant::now(), Input::Close(leg));
        if let Some(sockets) = self.legs.get_mut(usize::from(leg.0)) {
            *sockets = None;
        }
    }

    fn sockets(&self, leg: LegId) -> Option<&LegSockets> {
        self.legs.get(usize::from(leg.0))?.as_ref()
    }

    /// Relays a waiting packet of a socket; `false` if there is none.
    fn relay_one(&mut self, now: Now, port: Port, buffer: &mut [u8], sums: &mut Sums) -> bool {
        let (leg, kind) = (port.leg(), port.kind());
        // An error means an empty socket or an ICMP error for an earlier packet: in that case the
        // socket is reported again.
        let Some(Ok((len, source))) = self.receive(port, buffer) else {
            return false;
        };
        sums.packets_in += 1;
        if len > LONGEST_PACKET {
            self.bridge.too_long(leg);
            sums.dropped += 1;
            return true;
        }
        #[cfg(test)]
        assert!(!buffer[..len].ends_with(super::tests::DEFECT), "a deliberate fault");
        match self.bridge.relay(now, (leg, kind), source, buffer, len) {
            Some(forward) if self.send(forward, &buffer[..forward.len]) => sums.packets_out += 1,
            Some(forward) => {
                self.bridge.not_sent(Some(leg), forward, &buffer[..forward.len]);
                sums.dropped += 1;
            }
            None => sums.dropped += 1,
        }
        true
    }

    /// `false` if the network took no packet: full queue, no route.
    fn send(&self, forward: Forward, packet: &[u8]) -> bool {
        let Some(sockets) = self.sockets(forward.leg) else { return false };
        let sent = match (forward.kind, &sockets.latched) {
            (Kind::Rtp, Latched::Connected(latched)) if latched.peer == forward.to => {
                latched.send(packet)
            }
            (Kind::Rtp, _) => sockets.pair.rtp.send_to(packet, forward.to),
            (Kind::Rtcp, _) => sockets.pair.rtcp.send_to(packet, forward.to),
        };
        sent.is_ok()
    }

    /// Whether the leg's connected socket differs from its latch.
    fn latch_moved(&self, leg: LegId) -> bool {
        self.sockets(leg).is_some_and(|sockets| self.bridge.locked(leg) != sockets.latched.peer())
    }

    /// Connects a socket to the source of the leg's latch.
    fn follow_latch(&mut self, leg: LegId, means: &Means) {
        if !self.latch_moved(leg) {
            return;
        }
        let locked = self.bridge.locked(leg);
        let Some(Some(sockets)) = self.legs.get_mut(usize::from(leg.0)) else { return };
        sockets.latched = Latched::Not;
        if let Some(peer) = locked {
            let token = Token::of(self.slot, Port::Connected(leg));
            let first = &sockets.pair.rtp;
            let connected = LatchedSocket::connect(first, peer, means.dscp, &means.budget);
            let watched = connected.and_then(|latched| {
                watch(&means.poll, &latched.socket, token)?;
                Ok(latched)
            });
            sockets.latched = match watched {
                Ok(connected) => Latched::Connected(connected),
                Err(error) => {
                    tracing::debug!(%peer, %error, "no connected socket for a latched source");
                    Latched::Refused(peer)
                }
            };
        }
    }

    /// A waiting packet of a port with its source; `None` if there is no such socket.
    fn receive(&self, port: Port, buffer: &mut [u8]) -> Option<io::Result<(usize, SocketAddr)>> {
        let LegSockets { pair, latched, .. } = self.sockets(port.leg())?;
        Some(match (port, latched) {
            (Port::Bound(_, Kind::Rtp), _) => pair.rtp.recv_from(buffer),
            (Port::Bound(_, Kind::Rtcp), _) => pair.rtcp.recv_from(buffer),
            (Port::Connected(_), Latched::Connected(latched)) => latched.receive(buffer),
            (Port::Connected(_), _) => return None,
        })
    }
}

impl Latched {
    /// The source to which the leg is locked.
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Latched::Not => None,
            Latched::Connected(latched) => Some(latched.peer),
            Latched::Refused(peer) => Some(*peer),
        }
    }
}

impl Port {
    fn leg(self) -> LegId {
        match self {
            Port::Bound(leg, _) | Port::Connected(leg) => leg,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Port::Bound(_, kind) => kind,
            Port::Connected(_) => Kind::Rtp,
        }
    }
}

/// Adds a descriptor to the poll for reading. Closing it removes it.
pub(super) fn watch(poll: &OwnedFd, readable: &impl AsFd, token: Token) -> io::Result<()> {
    Ok(epoll::add(poll, readable, EventData::new_u64(token.0), EventFlags::IN)?)
}

/// Adds both sockets of a leg to the poll.
fn watch_pair(poll: &OwnedFd, pair: &SocketPair, slot: usize, leg: LegId) {
    for (socket, kind) in [(&pair.rtp, Kind::Rtp), (&pair.rtcp, Kind::Rtcp)] {
        if let Err(error) = watch(poll, socket, Token::of(slot, Port::Bound(leg, kind)))
            && let Some(held) = NOT_POLLED.pass()
        {
            tracing::error!(%error, ?leg, ?kind, held, "relay socket cannot be polled");
        }
    }
}

impl Token {
    /// Two bits for the socket, eight for the leg, the rest for the slot.
    fn of(slot: usize, port: Port) -> Token {
        let socket = match port {
            Port::Bound(_, Kind::Rtp) => 0,
            Port::Bound(_, Kind::Rtcp) => 1,
            Port::Connected(_) => 2,
        };
        Token((slot as u64) << 10 | u64::from(port.leg().0) << 2 | socket)
    }

    /// The slot and port of the token.
    pub(super) fn split(self) -> (usize, Port) {
        let [.., leg] = (self.0 >> 2).to_be_bytes();
        let leg = LegId(leg);
        let port = match self.0 & 3 {
            0 => Port::Bound(leg, Kind::Rtp),
            1 => Port::Bound(leg, Kind::Rtcp),
            _ => Port::Connected(leg),
        };
        ((self.0 >> 10) as usize, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_socket_of_one_call() {
        let mut tokens = Vec::new();
        for slot in [0, 1, 7_499] {
            for leg in [0, 1, 255].map(LegId) {
                for port in [
                    Port::Bound(leg, Kind::Rtp),
                    Port::Bound(leg, Kind::Rtcp),
                    Port::Connected(leg),
                ] {
                    let token = Token::of(slot, port);
                    assert!(token.split() == (slot, port) && !tokens.contains(&token));
                    tokens.push(token);
                }
            }
        }
    }
}
