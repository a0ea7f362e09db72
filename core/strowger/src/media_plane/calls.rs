//! The calls of a relay thread: sessions, their sockets, what is told about them. Engines
//! bring packets here and carry them away.

use super::port::{Port, Token};
use super::relay_thread::{Command, Engine, SessionId};
use super::sockets::{LatchedSocket, SocketPair};
use media::{Forward, Kind, RelaySession, SessionCounters, Side};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Longest packet relayed; longer ones would not cross any usual link in one piece.
pub(super) const LONGEST_PACKET: usize = 2_048;
/// Packets taken at once from the first socket when its side gets a connected one: more than
/// a socket's default buffer holds.
const HANDOVER: usize = 512;

/// The calls of one relay thread.
pub(super) struct Calls {
    /// Sessions by slot; the slot is part of a [`Token`].
    slots: Vec<Option<Relayed>>,
    free: Vec<usize>,
    by_id: HashMap<SessionId, usize>,
    /// One byte longer than the longest packet, to notice what was cut.
    buffer: Box<[u8; LONGEST_PACKET + 1]>,
    sums: Sums,
    dscp: u8,
}

/// A session and its sockets, indexed by side.
struct Relayed {
    id: SessionId,
    session: RelaySession,
    sockets: Box<[SocketPair; 2]>,
    latched: [Latched; 2],
}

/// Whether a side's RTP has a connected socket.
enum Latched {
    /// Its source is not locked.
    Not,
    /// It is, and most packets take this socket.
    Connected(LatchedSocket),
    /// The system gave no socket for this source; the first one serves alone.
    Refused(SocketAddr),
}

/// The totals as the thread counts them; published once per wake.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) packets_in: u64,
    pub(super) packets_out: u64,
    pub(super) dropped: u64,
}

/// The clocks, read once per wake.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    now: Instant,
    utc_ms: u64,
}

/// A packet on its way out, for an engine whose sends end later.
#[derive(Clone, Copy)]
pub(super) struct Outgoing {
    slot: usize,
    /// Not to be taken for the next session in the slot.
    id: SessionId,
    forward: Forward,
}

/// Whether to go on after a command.
#[derive(PartialEq, Eq)]
pub(super) enum Obeyed {
    Continue,
    Stop,
}

impl Calls {
    /// No calls yet; packets carry `dscp`.
    pub(super) fn new(dscp: u8) -> Calls {
        Calls {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            buffer: Box::new([0; LONGEST_PACKET + 1]),
            sums: Sums::default(),
            dscp,
        }
    }

    /// Totals since start.
    pub(super) fn sums(&self) -> Sums {
        self.sums
    }

    /// Does what signalling says.
    pub(super) fn obey(&mut self, command: Command, engine: &mut impl Engine) -> Obeyed {
        match command {
            Command::Open { id, sockets, counters } => self.open(id, sockets, counters, engine),
            Command::Update { id, side, remote } => {
                if let Some(&slot) = self.by_id.get(&id)
                    && let Some(relayed) = &mut self.slots[slot]
                {
                    relayed.session.set_remote(side, remote);
                    relayed.follow_latch(side, slot, engine, self.dscp);
                }
            }
            Command::Close { id } => {
                if let Some(slot) = self.by_id.remove(&id) {
                    for port in Port::ALL {
                        engine.forget(Token::new(slot, port));
                    }
                    self.slots[slot] = None;
                    self.free.push(slot);
                }
            }
            Command::Stop => return Obeyed::Stop,
        }
        Obeyed::Continue
    }

    fn open(
        &mut self,
        id: SessionId,
        sockets: Box<[SocketPair; 2]>,
        counters: Arc<SessionCounters>,
        engine: &mut impl Engine,
    ) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        for side in [Side::Caller, Side::Vendor] {
            let pair = &sockets[side.index()];
            for (socket, kind) in [(&pair.rtp, Kind::Rtp), (&pair.rtcp, Kind::Rtcp)] {
                let token = Token::new(slot, Port::Bound(side, kind));
                if let Err(error) = engine.watch(token, socket) {
                    tracing::error!(%error, ?side, ?kind, "relay socket cannot be watched");
                }
            }
        }
        let session = RelaySession::new(counters);
        let latched = [Latched::Not, Latched::Not];
        self.slots[slot] = Some(Relayed { id, session, sockets, latched });
        self.by_id.insert(id, slot);
    }

    /// Relays the packet that waits at a socket, by system calls; false if there is none.
    pub(super) fn relay_waiting(&mut self, clocks: Clocks, token: Token) -> bool {
        let Some(Some(relayed)) = self.slots.get_mut(token.slot()) else {
            return false;
        };
        // An error is an empty socket, or the refusal of an earlier packet: then the socket
        // is reported again.
        let Some(Ok((len, source))) =
            relayed.socket(token.port()).map(|socket| socket.recv_from(&mut self.buffer[..]))
        else {
            return false;
        };
        let packet = &self.buffer[..len];
        if let Some(forward) = relayed.receive(clocks, token.port(), source, packet, &mut self.sums)
        {
            if relayed.send(forward, packet) {
                self.sums.packets_out += 1;
            } else {
                relayed.session.not_sent(forward, packet);
                self.sums.dropped += 1;
            }
        }
        true
    }

    /// Relays what waits at a side's first RTP socket when it has just got a connected one:
    /// from here on the source's packets reach that one, and what came before goes ahead.
    pub(super) fn hand_over(&mut self, clocks: Clocks, token: Token) {
        let first = token.sibling(Port::Bound(token.port().side(), Kind::Rtp));
        for _ in 0..HANDOVER {
            if !self.relay_waiting(clocks, first) {
                break;
            }
        }
    }

    /// Takes a packet that an engine received; without `source` it came from the peer of a
    /// connected socket. None: it was dropped and counted.
    pub(super) fn receive(
        &mut self,
        clocks: Clocks,
        token: Token,
        source: Option<SocketAddr>,
        packet: &[u8],
    ) -> Option<Outgoing> {
        let slot = token.slot();
        let relayed = self.slots.get_mut(slot)?.as_mut()?;
        let source = source.or_else(|| relayed.latched[token.port().side().index()].peer())?;
        let forward = relayed.receive(clocks, token.port(), source, packet, &mut self.sums)?;
        Some(Outgoing { slot, id: relayed.id, forward })
    }

    /// The socket that sends a packet, and the address if it is not connected to it. None:
    /// the session is gone.
    pub(super) fn way(&self, outgoing: Outgoing) -> Option<(Token, Option<SocketAddr>)> {
        let Outgoing { slot, id, forward } = outgoing;
        let relayed = self.slots[slot].as_ref().filter(|relayed| relayed.id == id)?;
        Some(match (forward.kind, &relayed.latched[forward.side.index()]) {
            (Kind::Rtp, Latched::Connected(latched)) if latched.peer == forward.to => {
                (Token::new(slot, Port::Connected(forward.side)), None)
            }
            (kind, _) => (Token::new(slot, Port::Bound(forward.side, kind)), Some(forward.to)),
        })
    }

    /// Counts a packet that the network took.
    pub(super) fn sent(&mut self) {
        self.sums.packets_out += 1;
    }

    /// Counts a packet that the network did not take: a full queue, no route.
    pub(super) fn not_sent(&mut self, outgoing: Outgoing, packet: &[u8]) {
        self.sums.dropped += 1;
        if let Some(relayed) = &mut self.slots[outgoing.slot]
            && relayed.id == outgoing.id
        {
            relayed.session.not_sent(outgoing.forward, packet);
        }
    }

    /// Gives a side the connected socket that its latch asks for; true if that changed
    /// something. To be asked after each packet.
    pub(super) fn follow_latch(&mut self, token: Token, engine: &mut impl Engine) -> bool {
        let (slot, side) = (token.slot(), token.port().side());
        match self.slots.get_mut(slot) {
            Some(Some(relayed)) => relayed.follow_latch(side, slot, engine, self.dscp),
            _ => false,
        }
    }
}

impl Relayed {
    /// Counts and judges a packet.
    fn receive(
        &mut self,
        clocks: Clocks,
        port: Port,
        source: SocketAddr,
        packet: &[u8],
        sums: &mut Sums,
    ) -> Option<Forward> {
        let (side, kind) = (port.side(), port.kind());
        sums.packets_in += 1;
        let forward = if packet.len() > LONGEST_PACKET {
            self.session.too_long(side);
            None
        } else {
            self.session.receive(clocks.now, clocks.utc_ms, (side, kind), source, packet)
        };
        if forward.is_none() {
            sums.dropped += 1;
        }
        forward
    }

    /// False if the network took no packet.
    fn send(&self, forward: Forward, packet: &[u8]) -> bool {
        let pair = &self.sockets[forward.side.index()];
        let sent = match (forward.kind, &self.latched[forward.side.index()]) {
            (Kind::Rtp, Latched::Connected(latched)) if latched.peer == forward.to => {
                latched.send(packet)
            }
            (Kind::Rtp, _) => pair.rtp.send_to(packet, forward.to),
            (Kind::Rtcp, _) => pair.rtcp.send_to(packet, forward.to),
        };
        sent.is_ok()
    }

    fn follow_latch(
        &mut self,
        side: Side,
        slot: usize,
        engine: &mut impl Engine,
        dscp: u8,
    ) -> bool {
        let latched = &mut self.latched[side.index()];
        let locked = self.session.locked(side);
        if locked == latched.peer() {
            return false;
        }
        let token = Token::new(slot, Port::Connected(side));
        engine.forget(token);
        *latched = Latched::Not;
        if let Some(peer) = locked {
            let first = &self.sockets[side.index()].rtp;
            let connected = LatchedSocket::connect(first, peer, dscp).and_then(|latched| {
                engine.watch(token, &latched.socket)?;
                Ok(latched)
            });
            *latched = match connected {
                Ok(connected) => Latched::Connected(connected),
                Err(error) => {
                    tracing::debug!(%peer, %error, "no connected socket for a latched source");
                    Latched::Refused(peer)
                }
            };
        }
        true
    }

    fn socket(&self, port: Port) -> Option<&UdpSocket> {
        let pair = &self.sockets[port.side().index()];
        match (port, &self.latched[port.side().index()]) {
            (Port::Bound(_, Kind::Rtp), _) => Some(&pair.rtp),
            (Port::Bound(_, Kind::Rtcp), _) => Some(&pair.rtcp),
            (Port::Connected(_), Latched::Connected(latched)) => Some(&latched.socket),
            (Port::Connected(_), _) => None,
        }
    }
}

impl Latched {
    /// The source that the side is known to be locked to.
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Latched::Not => None,
            Latched::Connected(latched) => Some(latched.peer),
            Latched::Refused(peer) => Some(*peer),
        }
    }
}

impl Clocks {
    /// Reads both.
    pub(super) fn read() -> Clocks {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let utc_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Clocks { now: Instant::now(), utc_ms }
    }
}
