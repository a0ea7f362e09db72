//! The legs of one call and the audio between them.
//!
//! A bridge is told what the call wants with [`Bridge::handle`]; each packet goes through
//! [`Bridge::relay`], which neither allocates nor takes a lock.

use crate::counters::LegCounters;
use crate::leg::{Kind, Leg, Now, PayloadTypes, RemoteMedia};
use crate::rtcp;
use crate::rtp::RtpHeader;
use std::net::SocketAddr;
use std::sync::Arc;

/// The place of a leg in its bridge. A place is used again after its leg was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LegId(pub u8);

/// What a bridge can be told.
#[derive(Debug)]
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
    /// A leg has no ports any more; whoever heard it hears nothing.
    Close(LegId),
}

/// Where a received packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Leg whose socket sends it.
    pub leg: LegId,
    /// Port of that leg that sends it.
    pub kind: Kind,
    /// Destination.
    pub to: SocketAddr,
}

/// The legs of a call.
#[derive(Debug, Default)]
pub struct Bridge {
    /// By place.
    legs: Vec<Option<Joined>>,
}

#[derive(Debug)]
struct Joined {
    leg: Leg,
    /// Whom it hears and who hears it.
    peer: Option<LegId>,
}

impl Bridge {
    /// Does what it is told. What concerns a leg that is not open has no effect.
    pub fn handle(&mut self, input: Input) {
        match input {
            Input::Open { leg, counters } => {
                let place = usize::from(leg.0);
                if self.legs.len() <= place {
                    self.legs.resize_with(place + 1, || None);
                }
                self.part(leg);
                self.legs[place] = Some(Joined { leg: Leg::new(counters), peer: None });
            }
            Input::Remote { leg, media } => {
                if let Some(joined) = self.joined_mut(leg) {
                    joined.leg.set_remote(media);
                }
            }
            Input::Join(a, b) => self.join(a, b),
            Input::Close(leg) => {
                self.part(leg);
                if let Some(place) = self.legs.get_mut(usize::from(leg.0)) {
                    *place = None;
                }
            }
        }
    }

    /// Takes a packet that arrived from `source` at a leg's port and says where it goes; none:
    /// it was dropped and counted. Before a leg's SDP is known its packets are dropped: nothing
    /// says yet who may speak.
    pub fn relay(
        &mut self,
        now: Now,
        port: (LegId, Kind),
        source: SocketAddr,
        packet: &[u8],
    ) -> Option<Forward> {
        let (leg, kind) = port;
        // Only the head is checked: the rest of a secure compound (SRTCP) is not readable.
        let forward = if rtcp::is_rtcp(packet) {
            self.relay_rtcp(now, leg, kind, source)
        } else if kind == Kind::Rtp {
            self.relay_rtp(now, leg, source, packet)
        } else {
            None
        };
        if forward.is_none() {
            self.count_dropped(leg);
        }
        forward
    }

    /// Takes back what [`Bridge::relay`] counted as sent: the network refused the packet that
    /// came from `from`.
    pub fn not_sent(&mut self, from: LegId, forward: Forward, packet: &[u8]) {
        if let Some(joined) = self.joined(forward.leg).filter(|_| !rtcp::is_rtcp(packet)) {
            let out = &joined.leg.counters().rtp_out;
            out.set(out.get().saturating_sub(1));
        }
        self.count_dropped(from);
    }

    /// Counts a packet that arrived at a leg but was too long to be relayed whole.
    pub fn too_long(&mut self, leg: LegId) {
        self.count_dropped(leg);
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

    fn join(&mut self, a: LegId, b: LegId) {
        if a == b || self.joined(a).is_none() || self.joined(b).is_none() {
            return;
        }
        self.part(a);
        self.part(b);
        for (leg, peer) in [(a, b), (b, a)] {
            if let Some(joined) = self.joined_mut(leg) {
                joined.peer = Some(peer);
            }
        }
    }

    /// Ends what a leg hears and who hears it.
    fn part(&mut self, leg: LegId) {
        let peer = self.joined_mut(leg).and_then(|joined| joined.peer.take());
        if let Some(peer) = peer.and_then(|peer| self.joined_mut(peer)) {
            peer.peer = None;
        }
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
        packet: &[u8],
    ) -> Option<Forward> {
        let header = RtpHeader::parse(packet).ok()?;
        let peer = self.joined(leg)?.peer;
        let peers_media = peer.and_then(|peer| self.joined(peer)?.leg.media());
        let peers_types = peers_media.map_or(PayloadTypes::default(), |media| media.payload_types);
        let speaker = &mut self.joined_mut(leg)?.leg;
        if !speaker.accept_rtp(now, source, &header, packet.len(), peers_types) {
            return None;
        }
        let peer = peer?;
        let listener = &self.joined(peer)?.leg;
        let to = listener.rtp_target()?;
        listener.counters().rtp_out.add(1);
        Some(Forward { leg: peer, kind: Kind::Rtp, to })
    }

    fn relay_rtcp(
        &mut self,
        now: Now,
        leg: LegId,
        kind: Kind,
        source: SocketAddr,
    ) -> Option<Forward> {
        let joined = self.joined_mut(leg)?;
        if !joined.leg.accept_rtcp(now, kind, source) {
            return None;
        }
        let muxes = joined.leg.media().is_some_and(|media| media.rtcp_mux);
        let peer = joined.peer?;
        let (kind, to) = self.joined(peer)?.leg.rtcp_target(muxes)?;
        Some(Forward { leg: peer, kind, to })
    }
}

#[cfg(test)]
#[path = "bridge_tests.rs"]
mod tests;
