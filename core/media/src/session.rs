//! One relayed call: two sides, RTP and RTCP, packets passed on byte for byte (MEDIA-12).

use crate::counters::{SessionCounters, SharedSide, SideCounters};
use crate::latch::Latch;
use crate::rtcp;
use crate::rtp::RtpHeader;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Silence of a side's RTCP source after which another may take its place: reports come every
/// five seconds, give or take a half (RFC 3550 section 6.2).
const RTCP_SILENCE: Duration = Duration::from_secs(15);

/// Comfort noise (RFC 3389): sent by many gateways that never offered it.
const COMFORT_NOISE: u8 = 13;

/// Side of a relayed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Towards the customer trunk.
    Caller,
    /// Towards the vendor trunk.
    Vendor,
}

/// Which port of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The even port: RTP, and RTCP when muxed (RFC 5761).
    Rtp,
    /// The odd port: RTCP.
    Rtcp,
}

/// A set of RTP payload types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadTypes(u128);

/// Where a side receives, from its SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Address of its audio stream. An unspecified address or port 0 is "nowhere".
    pub rtp: SocketAddr,
    /// Address where it wants RTCP unless that is muxed.
    pub rtcp: SocketAddr,
    /// It can take RTCP on the RTP port (RFC 5761); it will if the other side can too.
    pub rtcp_mux: bool,
    /// Payload types that were negotiated; empty accepts any.
    pub payload_types: PayloadTypes,
    /// Host of its signalling: packets from there are its own sooner than others (MEDIA-11).
    pub signalling: IpAddr,
    /// Only the SDP address is accepted (MEDIA-11).
    pub strict: bool,
}

/// Where a received packet goes, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Side whose socket sends it.
    pub side: Side,
    /// Port of that side that sends it.
    pub kind: Kind,
    /// Destination.
    pub to: SocketAddr,
}

/// The relay of one call. Give it each packet, send what it says.
#[derive(Debug)]
pub struct RelaySession {
    sides: [Option<RemoteSide>; 2],
    /// Of a party that has left, until the SDP of the next one comes.
    left: [Option<Latch>; 2],
    counters: Arc<SessionCounters>,
}

/// A side whose SDP is known.
#[derive(Debug)]
struct RemoteSide {
    media: RemoteMedia,
    latch: Latch,
    /// Source of its accepted RTCP on the RTCP port, and when it was last heard.
    rtcp_source: Option<(SocketAddr, Instant)>,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Caller => Side::Vendor,
            Side::Vendor => Side::Caller,
        }
    }

    /// 0 for the caller, 1 for the vendor: the order of every `[_; 2]` of this crate.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl PayloadTypes {
    /// True if nothing was negotiated.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if `payload_type` is in the set.
    pub fn contains(self, payload_type: u8) -> bool {
        payload_type < 128 && self.0 >> payload_type & 1 == 1
    }
}

impl FromIterator<u8> for PayloadTypes {
    /// Collects payload types; values above 127 do not exist in RTP and are left out.
    fn from_iter<I: IntoIterator<Item = u8>>(types: I) -> PayloadTypes {
        PayloadTypes(types.into_iter().filter(|t| *t < 128).fold(0, |set, t| set | 1 << t))
    }
}

impl RelaySession {
    /// A session that knows neither side yet and counts into `counters`.
    pub fn new(counters: Arc<SessionCounters>) -> RelaySession {
        RelaySession { sides: [None, None], left: [None, None], counters }
    }

    /// Tells what a side's SDP says. If its address or strictness changed, its source is
    /// learned anew (MEDIA-11); a refresh with the same address keeps the latch, so that
    /// session timers never interrupt audio. So does a hold that names no address: whoever
    /// comes back from it is still the same.
    pub fn set_remote(&mut self, side: Side, media: RemoteMedia) {
        let left = self.left[side.index()].take();
        let slot = &mut self.sides[side.index()];
        if let Some(known) = slot {
            let same = known.latch.announced() == media.rtp || reachable(media.rtp).is_none();
            if same && known.media.strict == media.strict {
                if known.media.rtcp != media.rtcp {
                    known.rtcp_source = None;
                }
                known.media = media;
                return;
            }
        }
        let before = slot.as_ref().map(|known| &known.latch).or(left.as_ref());
        let latch = match before.filter(|before| reachable(before.announced()).is_some()) {
            Some(before) if before.announced() != media.rtp => {
                before.succeeded_by(media.rtp, media.signalling, media.strict)
            }
            _ => Latch::new(media.rtp, media.signalling, media.strict),
        };
        *slot = Some(RemoteSide { media, latch, rtcp_source: None });
        self.counters.shared(side).set_latched(None);
    }

    /// Forgets what a side's SDP said and where its packets came from: another party takes
    /// its place. Until that one's SDP is known the side is heard by nobody and hears nobody,
    /// and what the one before still sends is never taken for it.
    pub fn forget(&mut self, side: Side) {
        if let Some(known) = self.sides[side.index()].take() {
            self.left[side.index()] = Some(known.latch);
        }
        self.counters.shared(side).set_latched(None);
    }

    /// Takes a packet that arrived from `source` at `port` and says where it goes; none:
    /// it was dropped and counted. Before a side's SDP is known its packets are dropped:
    /// nothing says yet who may speak.
    pub fn receive(
        &mut self,
        now: Instant,
        utc_ms: u64,
        port: (Side, Kind),
        source: SocketAddr,
        packet: &[u8],
    ) -> Option<Forward> {
        let (side, kind) = port;
        // Only the head is checked: the rest of a secure compound (SRTCP) is not readable.
        let forward = if rtcp::is_rtcp(packet) {
            self.receive_rtcp(now, utc_ms, side, kind, source)
        } else if kind == Kind::Rtp {
            self.receive_rtp(now, utc_ms, side, source, packet)
        } else {
            None
        };
        if forward.is_none() {
            self.counters.shared(side).dropped.add(1);
        }
        forward
    }

    /// Takes back what [`RelaySession::receive`] counted as sent: the network refused it.
    pub fn not_sent(&mut self, forward: Forward, packet: &[u8]) {
        if !rtcp::is_rtcp(packet) {
            let out = &self.counters.shared(forward.side).rtp_out;
            out.set(out.get().saturating_sub(1));
        }
        self.counters.shared(forward.side.other()).dropped.add(1);
    }

    /// Counts a packet that arrived at a side but was too long to be relayed whole.
    pub fn too_long(&mut self, side: Side) {
        self.counters.shared(side).dropped.add(1);
    }

    /// The source that a side's RTP is locked to.
    pub fn locked(&self, side: Side) -> Option<SocketAddr> {
        self.sides[side.index()].as_ref()?.latch.locked()
    }

    /// Whether the source that a side is locked to took it over from another one.
    pub fn is_taken_over(&self, side: Side) -> bool {
        self.sides[side.index()].as_ref().is_some_and(|known| known.latch.is_taken_over())
    }

    /// The counters of one side.
    pub fn counters(&self, side: Side) -> SideCounters {
        self.counters.side(side)
    }

    fn receive_rtp(
        &mut self,
        now: Instant,
        utc_ms: u64,
        side: Side,
        source: SocketAddr,
        packet: &[u8],
    ) -> Option<Forward> {
        let header = RtpHeader::parse(packet).ok()?;
        let negotiated = self.is_negotiated(side, header.payload_type);
        if !negotiated && header.payload_type != COMFORT_NOISE {
            return None;
        }
        let remote = self.sides[side.index()].as_mut()?;
        let locked = remote.latch.locked();
        let accepted = match negotiated {
            true => remote.latch.accept(now, source, header.ssrc),
            false => remote.latch.keep(now, source),
        };
        let counted = self.counters.shared(side);
        if remote.latch.locked() != locked {
            counted.set_latched(remote.latch.locked());
            counted.takeovers.add(u64::from(remote.latch.is_taken_over()));
            // Reports for the party are not left to go where it was.
            remote.rtcp_source = None;
        }
        if !accepted {
            return None;
        }
        counted.rtp_in.add(1);
        counted.bytes_in.add(packet.len() as u64);
        counted.last_packet_ms.set(utc_ms);
        let to = self.sides[side.other().index()].as_ref()?.rtp_target()?;
        self.counters.shared(side.other()).rtp_out.add(1);
        Some(Forward { side: side.other(), kind: Kind::Rtp, to })
    }

    fn receive_rtcp(
        &mut self,
        now: Instant,
        utc_ms: u64,
        side: Side,
        kind: Kind,
        source: SocketAddr,
    ) -> Option<Forward> {
        let remote = self.sides[side.index()].as_mut()?;
        if !remote.accepts_rtcp(source) {
            return None;
        }
        if kind == Kind::Rtcp {
            if !remote.may_report(now, source) {
                return None;
            }
            remote.rtcp_source = Some((source, now));
        }
        let counted: &SharedSide = self.counters.shared(side);
        counted.rtcp_in.add(1);
        counted.last_packet_ms.set(utc_ms);
        // An offer to mux counts when the other side's SDP takes it (RFC 5761 section 5.1.1);
        // the SDP of each passes to the other.
        let offered = remote.media.rtcp_mux;
        let other = self.sides[side.other().index()].as_ref()?;
        let (kind, to) = other.rtcp_target(offered && other.media.rtcp_mux)?;
        Some(Forward { side: side.other(), kind, to })
    }

    /// A payload type counts as negotiated if either side's SDP lists it: an answerer may
    /// number a codec differently from the offer (RFC 3264 section 6.1), and each party
    /// then sends with the other's number.
    fn is_negotiated(&self, side: Side, payload_type: u8) -> bool {
        let listed = |side: Side| {
            self.sides[side.index()]
                .as_ref()
                .map_or(PayloadTypes::default(), |r| r.media.payload_types)
        };
        let own = listed(side);
        own.is_empty() || own.contains(payload_type) || listed(side.other()).contains(payload_type)
    }
}

impl RemoteSide {
    /// RTCP comes from the host that RTP comes from; before any RTP, from one that the SDP names.
    fn accepts_rtcp(&self, source: SocketAddr) -> bool {
        if self.media.strict {
            return source == self.media.rtcp || source == self.media.rtp;
        }
        match self.latch.target() {
            rtp if rtp.ip() != self.media.rtp.ip() => source.ip() == rtp.ip(),
            _ => [self.media.rtp.ip(), self.media.rtcp.ip()].contains(&source.ip()),
        }
    }

    /// Whether this source may be the one that RTCP comes from and goes to: the address that
    /// the SDP names at any time, another one until a first was heard or after its silence.
    fn may_report(&self, now: Instant, source: SocketAddr) -> bool {
        source == self.media.rtcp
            || self.rtcp_source.is_none_or(|(known, heard)| {
                known == source || now.duration_since(heard) >= RTCP_SILENCE
            })
    }

    /// Where RTP for this side goes; none while its SDP says nowhere, wherever it was heard.
    fn rtp_target(&self) -> Option<SocketAddr> {
        reachable(self.media.rtp)?;
        reachable(self.latch.target())
    }

    /// Where RTCP for this side goes and from which port: its RTP address when muxed, else
    /// the source of its own RTCP, else the SDP's address. Behind a NAT whose RTCP was not
    /// heard yet, the learned host with the SDP's port is the best guess.
    fn rtcp_target(&self, muxed: bool) -> Option<(Kind, SocketAddr)> {
        let rtp = self.rtp_target()?;
        if muxed {
            return Some((Kind::Rtp, rtp));
        }
        let to = match self.rtcp_source {
            Some((source, _)) => source,
            None if rtp.ip() != self.media.rtp.ip() => {
                SocketAddr::new(rtp.ip(), self.media.rtcp.port())
            }
            None => self.media.rtcp,
        };
        Some((Kind::Rtcp, reachable(to)?))
    }
}

/// `to`, unless it is nowhere (hold in the manner of RFC 2543, refused stream) or a group.
fn reachable(to: SocketAddr) -> Option<SocketAddr> {
    let nowhere = to.port() == 0 || to.ip().is_unspecified() || to.ip().is_multicast();
    (!nowhere && to.ip() != IpAddr::from([255; 4])).then_some(to)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
