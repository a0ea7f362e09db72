//! The legs of one call and the audio between them.
//!
//! A bridge is told what the call wants with [`Bridge::handle`]; then it is drained: packets of
//! its own with [`Bridge::poll_transmit`], what the call has to know with [`Bridge::poll_event`],
//! when to come back with [`Bridge::poll_timeout`]. Each packet of a peer goes through
//! [`Bridge::relay`], which neither allocates nor takes a lock.

use crate::counters::LegCounters;
use crate::leg::{Kind, Leg, Now, PayloadTypes, Played, RemoteMedia};
use crate::outgoing::renumber_rtcp;
use crate::path::Codecs;
use crate::play::{Play, Player};
use crate::rtcp;
use crate::rtp::RtpHeader;
use crate::watch::{Event, Limits, Watch, Witness};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// The place of a leg in its bridge. A place is used again after its leg was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LegId(pub u8);

/// What a bridge can be told.
pub enum Input {
    /// A leg has ports from now on. Until its SDP is known it is heard by nobody.
    Open {
        /// A free place.
        leg: LegId,
        /// What it counts into.
        counters: Arc<LegCounters>,
    },
    /// A leg's SDP came or changed.
    Remote {
        /// Whose.
        leg: LegId,
        /// What it says.
        media: RemoteMedia,
    },
    /// Two legs hear each other and nobody else.
    Join(LegId, LegId),
    /// A leg hears a sound in place of its peer, until it has ended or the leg is joined.
    Play {
        /// Who hears it.
        leg: LegId,
        /// What.
        sound: Box<dyn Play>,
        /// A random number.
        seed: u64,
    },
    /// The call was answered: silence matters from now on.
    Watch(Limits),
    /// Time has passed: at or after [`Bridge::poll_timeout`].
    Timeout,
    /// A leg has no ports any more; whoever heard it hears nothing.
    Close(LegId),
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Leg whose socket sends it.
    pub leg: LegId,
    /// Port of that leg that sends it.
    pub kind: Kind,
    /// Destination.
    pub to: SocketAddr,
    /// Length of the packet, which stands at the begin of the buffer.
    pub len: usize,
}

/// Why a packet goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nowhere {
    /// It is not the leg's own, or cannot be told to its hearer.
    Dropped,
    /// It has arrived: its leg talks with us alone, who play it a sound.
    Arrived,
}

/// The legs of a call.
pub struct Bridge {
    /// By place.
    legs: Vec<Option<Joined>>,
    codecs: Arc<dyn Codecs>,
    watch: Option<Watch>,
    events: VecDeque<Event>,
    /// Something is due that [`Bridge::poll_transmit`] has not given out.
    wake: Option<Instant>,
}

#[derive(Debug)]
struct Joined {
    leg: Leg,
    /// Whom it hears and who hears it.
    peer: Option<LegId>,
    /// Since when it is expected to send: it is not on hold, and somebody wants to hear it.
    expected: Option<Instant>,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.legs).finish()
    }
}

impl Bridge {
    /// A bridge without legs.
    pub fn new(codecs: Arc<dyn Codecs>) -> Bridge {
        Bridge { legs: Vec::new(), codecs, watch: None, events: VecDeque::new(), wake: None }
    }

    /// Does what it is told. What concerns a leg that is not open has no effect.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Open { leg, counters } => {
                let place = usize::from(leg.0);
                if self.legs.len() <= place {
                    self.legs.resize_with(place + 1, || None);
                }
                self.part(leg);
                self.legs[place] =
                    Some(Joined { leg: Leg::new(counters), peer: None, expected: None });
            }
            Input::Remote { leg, media } => {
                let peer = self.joined(leg).and_then(|joined| joined.peer);
                if let Some(joined) = self.joined_mut(leg) {
                    joined.leg.set_remote(media);
                }
                self.fit(now, leg);
                if let Some(peer) = peer {
                    self.fit(now, peer);
                }
            }
            Input::Join(a, b) => self.join(now, a, b),
            Input::Play { leg, sound, seed } => {
                if let Some(joined) = self.joined_mut(leg) {
                    joined.leg.player = Some(Player::new(now, sound, seed));
                    joined.leg.outgoing.change_source();
                }
            }
            Input::Watch(limits) => self.watch = Some(Watch::new(limits, now)),
            Input::Timeout => {}
            Input::Close(leg) => {
                self.part(leg);
                if let Some(place) = self.legs.get_mut(usize::from(leg.0)) {
                    *place = None;
                }
            }
        }
        self.judge(now);
    }

    /// Takes the packet in the first `len` bytes of `buffer`, which arrived from `source` at a
    /// leg's port, and says where it goes. It is rewritten in its place: as its hearer writes
    /// audio (MEDIA-23), in the numbers of the stream that is heard there (MEDIA-12). None: it was
    /// dropped and counted. Before a leg's SDP is known its packets are dropped: nothing says yet
    /// who may speak.
    pub fn relay(
        &mut self,
        now: Now,
        port: (LegId, Kind),
        source: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<Forward> {
        let (leg, kind) = port;
        let packet = buffer.get(..len)?;
        // Only the head is checked: the rest of a secure compound (SRTCP) is not readable.
        let forward = if rtcp::is_rtcp(packet) {
            self.relay_rtcp(now, leg, kind, source, &mut buffer[..len])
        } else if kind == Kind::Rtp {
            self.relay_rtp(now, leg, source, buffer, len)
        } else {
            Err(Nowhere::Dropped)
        };
        if forward == Err(Nowhere::Dropped) {
            self.count_dropped(leg);
        }
        forward.ok()
    }

    /// Takes back what was counted as sent: the network refused a packet, which is still in
    /// `packet`. `from` is the leg that it came from; none if it was one of our own.
    pub fn not_sent(&mut self, from: Option<LegId>, forward: Forward, packet: &[u8]) {
        if let Some(joined) = self.joined(forward.leg).filter(|_| !rtcp::is_rtcp(packet)) {
            let out = &joined.leg.counters().rtp_out;
            out.set(out.get().saturating_sub(1));
        }
        if let Some(from) = from {
            self.count_dropped(from);
        }
    }

    /// Counts a packet that arrived at a leg but was too long to be relayed whole.
    pub fn too_long(&mut self, leg: LegId) {
        self.count_dropped(leg);
    }

    /// The next packet of our own that is due, written into `buffer`.
    pub fn poll_transmit(&mut self, now: Now, buffer: &mut [u8]) -> Option<Forward> {
        for place in 0..self.legs.len() {
            let Some(Some(Joined { leg, .. })) = self.legs.get_mut(place) else { continue };
            let id = LegId(u8::try_from(place).ok()?);
            while leg.player.as_ref().is_some_and(|player| player.due() <= now.instant) {
                match leg.play(now, buffer) {
                    Played::Packet(to, len) => {
                        return Some(Forward { leg: id, kind: Kind::Rtp, to, len });
                    }
                    Played::Nothing => {}
                    Played::Ended => self.events.push_back(Event::PlayEnded(id)),
                }
            }
        }
        None
    }

    /// What the call has to know; none if nothing has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to come back with [`Input::Timeout`] and to drain the bridge.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let players = self.legs.iter().flatten().filter_map(|joined| joined.leg.player.as_ref());
        players.map(Player::due).chain(self.wake).min()
    }

    /// The source that a leg's RTP is locked to.
    pub fn locked(&self, leg: LegId) -> Option<SocketAddr> {
        self.joined(leg)?.leg.locked()
    }

    /// Whether the source that a leg is locked to took it over from another one.
    pub fn is_taken_over(&self, leg: LegId) -> bool {
        self.joined(leg).is_some_and(|joined| joined.leg.is_taken_over())
    }

    /// Whether no leg is open.
    pub fn is_empty(&self) -> bool {
        self.legs.iter().all(Option::is_none)
    }

    fn joined(&self, leg: LegId) -> Option<&Joined> {
        self.legs.get(usize::from(leg.0))?.as_ref()
    }

    fn joined_mut(&mut self, leg: LegId) -> Option<&mut Joined> {
        self.legs.get_mut(usize::from(leg.0))?.as_mut()
    }

    fn join(&mut self, now: Instant, a: LegId, b: LegId) {
        let peer_of = |leg| self.joined(leg).map(|joined| joined.peer);
        let (Some(a_hears), Some(_)) = (peer_of(a), peer_of(b)) else { return };
        if a == b {
            return;
        }
        if a_hears != Some(b) {
            self.part(a);
            self.part(b);
        }
        for (leg, peer) in [(a, b), (b, a)] {
            if let Some(joined) = self.joined_mut(leg) {
                if joined.peer != Some(peer) || joined.leg.player.is_some() {
                    joined.leg.outgoing.change_source();
                }
                joined.peer = Some(peer);
                joined.leg.player = None;
            }
        }
        self.fit(now, a);
        self.fit(now, b);
    }

    /// Ends what a leg hears and who hears it.
    fn part(&mut self, leg: LegId) {
        let peer = self.joined_mut(leg).and_then(|joined| joined.peer.take());
        if let Some(peer) = peer.and_then(|peer| self.joined_mut(peer)) {
            peer.peer = None;
        }
    }

    /// Fits a leg to what its SDP and its peer's say now: how its peer's packets reach it, and
    /// whether it is expected to send.
    fn fit(&mut self, now: Instant, leg: LegId) {
        let codecs = Arc::clone(&self.codecs);
        let Some(joined) = self.joined(leg) else { return };
        let peer = joined.peer.and_then(|peer| self.joined(peer)).map(|peer| &peer.leg);
        let speaker = peer.and_then(Leg::formats).cloned();
        let wanted = match (joined.peer, peer.and_then(Leg::media)) {
            (Some(_), Some(media)) => media.receives && peer.and_then(Leg::rtp_target).is_some(),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let Some(joined) = self.joined_mut(leg) else { return };
        let hearer = joined.leg.formats().cloned();
        joined.leg.path.fit(speaker.as_ref(), hearer.as_ref(), codecs.as_ref());
        let sends = joined.leg.media().is_some_and(|media| media.sends);
        let reachable = joined.leg.rtp_target().is_some();
        joined.expected = (wanted && sends && reachable).then(|| joined.expected.unwrap_or(now));
    }

    /// Judges silence and arranges when to do so again.
    fn judge(&mut self, now: Instant) {
        let Some(witnesses) = self.witnesses() else {
            self.wake = None;
            return;
        };
        let Some(watch) = &mut self.watch else { return };
        while let Some(event) = watch.judge(now, witnesses) {
            self.events.push_back(event);
        }
        self.wake = watch.next(now, witnesses);
    }

    /// The two legs that hear each other; a leg that is alone is both.
    fn witnesses(&self) -> Option<[Witness; 2]> {
        let places = self.legs.iter().enumerate();
        let mut open = places.filter_map(|(at, joined)| Some((at, joined.as_ref()?)));
        let first =
            open.clone().find(|(_, joined)| joined.peer.is_some()).or_else(|| open.next())?;
        let witness = |(at, joined): (usize, &Joined)| {
            Some(Witness {
                leg: LegId(u8::try_from(at).ok()?),
                rtp: joined.leg.rtp_at(),
                heard: joined.leg.heard_at(),
                expected: joined.expected,
            })
        };
        let peer = first.1.peer.and_then(|peer| Some((usize::from(peer.0), self.joined(peer)?)));
        Some([witness(first)?, witness(peer.unwrap_or(first))?])
    }

    fn count_dropped(&mut self, leg: LegId) {
        if let Some(joined) = self.joined(leg) {
            joined.leg.counters().dropped.add(1);
        }
    }

    fn relay_rtp(
        &mut self,
        now: Now,
        leg: LegId,
        source: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<Forward, Nowhere> {
        const DROPPED: Nowhere = Nowhere::Dropped;
        let header = RtpHeader::parse(&buffer[..len]).map_err(|_| DROPPED)?;
        let peer = self.joined(leg).ok_or(DROPPED)?.peer;
        let peers_media = peer.and_then(|peer| self.joined(peer)?.leg.media());
        let peers_types = peers_media.map_or(PayloadTypes::default(), |media| media.payload_types);
        let speaker = &mut self.joined_mut(leg).ok_or(DROPPED)?.leg;
        if !speaker.accept_rtp(now, source, &header, len, peers_types) {
            return Err(DROPPED);
        }
        let with_us = speaker.player.is_some();
        let Some(peer) = peer else {
            return Err(if with_us { Nowhere::Arrived } else { DROPPED });
        };
        let listener = &mut self.joined_mut(peer).ok_or(DROPPED)?.leg;
        let to = listener.rtp_target().filter(|_| listener.player.is_none()).ok_or(DROPPED)?;
        let len = listener.path.pass(&header, buffer, len).ok_or(DROPPED)?;
        if !listener.renumber(now, &header, &mut buffer[..len]) {
            return Err(DROPPED);
        }
        listener.counters().rtp_out.add(1);
        Ok(Forward { leg: peer, kind: Kind::Rtp, to, len })
    }

    fn relay_rtcp(
        &mut self,
        now: Now,
        leg: LegId,
        kind: Kind,
        source: SocketAddr,
        packet: &mut [u8],
    ) -> Result<Forward, Nowhere> {
        const DROPPED: Nowhere = Nowhere::Dropped;
        let joined = self.joined_mut(leg).ok_or(DROPPED)?;
        if !joined.leg.accept_rtcp(now, kind, source) {
            return Err(DROPPED);
        }
        let muxes = joined.leg.media().is_some_and(|media| media.rtcp_mux);
        let with_us = joined.leg.player.is_some();
        let Some(peer) = joined.peer else {
            return Err(if with_us { Nowhere::Arrived } else { DROPPED });
        };
        let sender = &self.joined(leg).ok_or(DROPPED)?.leg;
        let hearer = &self.joined(peer).ok_or(DROPPED)?.leg;
        let (kind, to) = hearer.rtcp_target(muxes).ok_or(DROPPED)?;
        renumber_rtcp(&hearer.outgoing, &sender.outgoing, packet);
        Ok(Forward { leg: peer, kind, to, len: packet.len() })
    }
}

#[cfg(test)]
#[path = "bridge_tests.rs"]
pub(crate) mod tests;
