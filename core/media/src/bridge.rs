//! The legs of one call and the audio between them.
//!
//! [`Bridge::handle`] gives a bridge the call's wishes; then the bridge is drained: its own packets
//! with [`Bridge::poll_transmit`], events for the call with [`Bridge::poll_event`], the next
//! wake-up with [`Bridge::poll_timeout`]. Each packet of a peer goes through [`Bridge::relay`],
//! which neither allocates nor takes a lock.

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

/// The place of a leg in its bridge. A place is reused after its leg was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LegId(pub u8);

/// An instruction to a bridge.
pub enum Input {
    /// A leg has ports now. Until its SDP is known, its packets are dropped.
    Open {
        /// A free place.
        leg: LegId,
        /// The counters of the leg.
        counters: Arc<LegCounters>,
    },
    /// A leg's SDP came or changed.
    Remote {
        /// The leg.
        leg: LegId,
        /// The media in its SDP.
        media: RemoteMedia,
    },
    /// Two legs hear each other and no other leg.
    Join(LegId, LegId),
    /// A leg hears a sound instead of its peer, until the sound ends or the leg is joined.
    Play {
        /// The leg that hears it.
        leg: LegId,
        /// The sound.
        sound: Box<dyn Play>,
        /// A random number.
        seed: u64,
    },
    /// The call was answered: from now on silence is judged.
    Watch(Limits),
    /// Time has passed: send it at or after [`Bridge::poll_timeout`].
    Timeout,
    /// A leg has no ports any more; its peer hears nothing.
    Close(LegId),
}

/// The next hop of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Leg whose socket sends it.
    pub leg: LegId,
    /// Port of that leg that sends it.
    pub kind: Kind,
    /// Destination.
    pub to: SocketAddr,
    /// Length of the packet, which begins at the start of the buffer.
    pub len: usize,
}

/// Why a packet is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nowhere {
    /// It is not the leg's own, or cannot be passed to its hearer.
    Dropped,
    /// It has arrived: its leg has no peer and hears a sound of ours.
    Arrived,
}

/// The legs of a call.
pub struct Bridge {
    /// By place.
    legs: Vec<Option<Joined>>,
    codecs: Arc<dyn Codecs>,
    watch: Option<Watch>,
    events: VecDeque<Event>,
    /// The next time at which [`Bridge::handle`] must judge silence.
    wake: Option<Instant>,
}

#[derive(Debug)]
struct Joined {
    leg: Leg,
    /// The leg that it hears and that hears it.
    peer: Option<LegId>,
    /// Since when it is expected to send: it is not on hold, and its peer wants to hear it.
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

    /// Carries out an instruction. An instruction for a leg that is not open has no effect.
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
    /// leg's port, and returns where it goes. The packet is rewritten in place: to the audio
    /// formats of its hearer (MEDIA-23) and to the numbers of the hearer's stream (MEDIA-12).
    /// `None` means that it goes nowhere: it was dropped and counted, or it is for us alone.
    /// Packets of a leg whose SDP is not known yet are dropped, because nothing says who may speak.
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

    /// Corrects the counters for a packet that the network refused; `packet` still contains it.
    /// `from` is the leg that it came from; `None` if it was one of our own.
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

    /// Writes our next due packet into `buffer`.
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

    /// The next event for the call; `None` if nothing has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to send [`Input::Timeout`] and drain the bridge.
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

    /// Separates a leg from its peer, in both directions.
    fn part(&mut self, leg: LegId) {
        let peer = self.joined_mut(leg).and_then(|joined| joined.peer.take());
        if let Some(peer) = peer.and_then(|peer| self.joined_mut(peer)) {
            peer.peer = None;
        }
    }

    /// Adapts a leg to its SDP and its peer's: how its peer's packets reach it, and whether it is
    /// expected to send.
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

    /// Judges silence and schedules the next judgement.
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

    /// The two legs that hear each other; a leg without a peer counts as both.
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
