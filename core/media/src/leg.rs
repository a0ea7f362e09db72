//! One leg of a call: the source of its packets, the destination of packets for it, its counters.

use crate::counters::LegCounters;
use crate::latch::Latch;
use crate::outgoing::Outgoing;
use crate::path::{COMFORT_NOISE, Formats, Path};
use crate::play::Player;
use crate::rtp::RtpHeader;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Silence of a leg's RTCP source after which another may take its place: reports come every five
/// seconds, plus or minus half of that (RFC 3550 section 6.2).
pub(crate) const RTCP_SILENCE: Duration = Duration::from_secs(15);

/// The two clocks, which the shell reads together.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic: silences and deadlines.
    pub instant: Instant,
    /// UTC milliseconds: the time of the last packet, used for billing.
    pub utc_ms: u64,
}

/// A port of a leg.
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

/// The receiving side of a leg, from its SDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Address of its audio stream. An unspecified address or port 0 means nowhere.
    pub rtp: SocketAddr,
    /// Address for its RTCP, unless that is muxed.
    pub rtcp: SocketAddr,
    /// It can receive RTCP on the RTP port (RFC 5761), and will if its peer can too.
    pub rtcp_mux: bool,
    /// Negotiated payload types; empty accepts any.
    pub payload_types: PayloadTypes,
    /// Host of its signalling: packets from there are trusted sooner than others (MEDIA-11).
    pub signalling: IpAddr,
    /// Only the SDP address is accepted (MEDIA-11).
    pub strict: bool,
    /// RTP clock of its audio.
    pub clock_hz: u32,
    /// Its packets are encrypted end to end (SRTP that passes through): a changed header would
    /// invalidate them.
    pub sealed: bool,
    /// Its SDP says that it sends audio.
    pub sends: bool,
    /// Its SDP says that it wants audio: it does not hold its peer.
    pub receives: bool,
    /// Its audio formats, if the call has described them itself; `None` means those of its peer.
    pub formats: Option<Formats>,
}

/// A leg with its own ports.
#[derive(Debug)]
pub(crate) struct Leg {
    remote: Option<Remote>,
    counters: Arc<LegCounters>,
    /// Arrival of the last RTP packet.
    rtp_at: Option<Instant>,
    /// Arrival of the last RTP or RTCP packet.
    heard_at: Option<Instant>,
    /// The stream that it hears.
    pub(crate) outgoing: Outgoing,
    /// How its peer's packets are translated for it.
    pub(crate) path: Path,
    /// The sound that it hears instead of its peer.
    pub(crate) player: Option<Player>,
}

/// The other end of a leg, once its SDP is known.
#[derive(Debug)]
struct Remote {
    media: RemoteMedia,
    latch: Latch,
    /// Source of its accepted RTCP on the RTCP port, and when it was last heard.
    rtcp_source: Option<(SocketAddr, Instant)>,
}

/// A step of a sound.
pub(crate) enum Played {
    /// Send a packet of this length to this address.
    Packet(SocketAddr, usize),
    /// There is nothing to send now.
    Nothing,
    /// The sound has ended.
    Ended,
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
    /// Collects payload types; values above 127 do not exist in RTP and are skipped.
    fn from_iter<I: IntoIterator<Item = u8>>(types: I) -> PayloadTypes {
        PayloadTypes(types.into_iter().filter(|t| *t < 128).fold(0, |set, t| set | 1 << t))
    }
}

impl Leg {
    /// A leg whose SDP is not known yet.
    pub(crate) fn new(counters: Arc<LegCounters>) -> Leg {
        Leg {
            remote: None,
            counters,
            rtp_at: None,
            heard_at: None,
            outgoing: Outgoing::default(),
            path: Path::default(),
            player: None,
        }
    }

    /// Applies the leg's SDP. A new address or strictness makes the latch learn its source again
    /// (MEDIA-11). A refresh with the same address keeps the latch, so that session timers never
    /// interrupt audio; so does a hold that names no address, because the same party returns from
    /// it.
    pub(crate) fn set_remote(&mut self, media: RemoteMedia) {
        let latch = match &mut self.remote {
            Some(known) => {
                let announced = known.latch.announced();
                let same = announced == media.rtp || reachable(media.rtp).is_none();
                if same && known.media.strict == media.strict {
                    if known.media.rtcp != media.rtcp {
                        known.rtcp_source = None;
                    }
                    known.media = media;
                    return;
                }
                if reachable(announced).is_some() && announced != media.rtp {
                    known.latch.succeeded_by(media.rtp, media.signalling, media.strict)
                } else {
                    Latch::new(media.rtp, media.signalling, media.strict)
                }
            }
            None => Latch::new(media.rtp, media.signalling, media.strict),
        };
        self.remote = Some(Remote { media, latch, rtcp_source: None });
        self.counters.set_latched(None);
    }

    /// The media in its SDP.
    pub(crate) fn media(&self) -> Option<&RemoteMedia> {
        self.remote.as_ref().map(|remote| &remote.media)
    }

    pub(crate) fn counters(&self) -> &LegCounters {
        &self.counters
    }

    /// Rewrites a packet for this leg to the numbers of the stream that it hears. False means a
    /// late packet of a former source.
    #[inline]
    pub(crate) fn renumber(&mut self, now: Now, header: &RtpHeader, packet: &mut [u8]) -> bool {
        match &self.remote {
            Some(remote) if !remote.media.sealed => {
                let clock_hz = remote.media.clock_hz;
                self.outgoing.renumber(now.instant, clock_hz, header, packet)
            }
            _ => true,
        }
    }

    /// Takes the next step of the sound that the leg hears.
    pub(crate) fn play(&mut self, now: Now, buffer: &mut [u8]) -> Played {
        // On hold it hears nothing.
        let to = self.rtp_target().filter(|_| self.media().is_some_and(|media| media.receives));
        let speech = self.formats().and_then(Formats::speech);
        let Some(player) = &mut self.player else { return Played::Nothing };
        let Some(to) = to else {
            player.wait(now.instant);
            return Played::Nothing;
        };
        let next = speech.and_then(|speech| player.next(now, speech, buffer));
        let Some((header, len)) = next else {
            self.player = None;
            self.outgoing.change_source();
            return Played::Ended;
        };
        if !self.renumber(now, &header, &mut buffer[..len]) {
            return Played::Nothing;
        }
        self.counters.rtp_out.add(1);
        Played::Packet(to, len)
    }

    /// Its audio formats, if the call has described them.
    pub(crate) fn formats(&self) -> Option<&Formats> {
        self.media()?.formats.as_ref()
    }

    /// Arrival of the last RTP packet.
    pub(crate) fn rtp_at(&self) -> Option<Instant> {
        self.rtp_at
    }

    /// Arrival of the last RTP or RTCP packet.
    pub(crate) fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }

    /// The locked source of its RTP.
    pub(crate) fn locked(&self) -> Option<SocketAddr> {
        self.remote.as_ref()?.latch.locked()
    }

    /// Whether that source took over the leg from another one.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.latch.is_taken_over())
    }

    /// Judges an RTP packet that arrived at this leg and counts it if it is the leg's own. A
    /// payload type counts as negotiated if the SDP of the leg or of its peer lists it: an answerer
    /// may number a codec differently from the offer (RFC 3264 section 6.1), and each party then
    /// sends with the other's number.
    pub(crate) fn accept_rtp(
        &mut self,
        now: Now,
        source: SocketAddr,
        header: &RtpHeader,
        bytes: usize,
        peers_types: PayloadTypes,
    ) -> bool {
        let Some(remote) = &mut self.remote else { return false };
        let own_types = remote.media.payload_types;
        let negotiated = own_types.is_empty()
            || own_types.contains(header.payload_type)
            || peers_types.contains(header.payload_type);
        if !negotiated && header.payload_type != COMFORT_NOISE {
            return false;
        }
        let locked = remote.latch.locked();
        let accepted = match negotiated {
            true => remote.latch.accept(now.instant, source, header.ssrc),
            false => remote.latch.keep(now.instant, source),
        };
        let counted = &self.counters;
        if remote.latch.locked() != locked {
            counted.set_latched(remote.latch.locked());
            counted.takeovers.add(u64::from(remote.latch.is_taken_over()));
            // Reports must not go to the party's former source.
            remote.rtcp_source = None;
        }
        if accepted {
            counted.rtp_in.add(1);
            counted.bytes_in.add(bytes as u64);
            counted.last_packet_ms.set(now.utc_ms);
            self.rtp_at = Some(now.instant);
            self.heard_at = self.rtp_at;
        }
        accepted
    }

    /// Judges an RTCP packet that arrived at this leg and counts it if it is the leg's own.
    pub(crate) fn accept_rtcp(&mut self, now: Now, kind: Kind, source: SocketAddr) -> bool {
        let Some(remote) = &mut self.remote else { return false };
        if !remote.accepts_rtcp(source) {
            return false;
        }
        if kind == Kind::Rtcp {
            if !remote.may_report(now.instant, source) {
                return false;
            }
            remote.rtcp_source = Some((source, now.instant));
        }
        self.counters.rtcp_in.add(1);
        self.counters.last_packet_ms.set(now.utc_ms);
        self.heard_at = Some(now.instant);
        true
    }

    /// Where RTP for this leg goes; `None` while its SDP says nowhere, even if it was heard.
    pub(crate) fn rtp_target(&self) -> Option<SocketAddr> {
        self.remote.as_ref()?.rtp_target()
    }

    /// Where RTCP for this leg goes, and from which port; `muxed` if its peer can mux too. An offer
    /// to mux counts once the other side's SDP accepts it (RFC 5761 section 5.1.1); each side's SDP
    /// passes to the other.
    pub(crate) fn rtcp_target(&self, muxed: bool) -> Option<(Kind, SocketAddr)> {
        let remote = self.remote.as_ref()?;
        remote.rtcp_target(muxed && remote.media.rtcp_mux)
    }
}

impl Remote {
    /// RTCP must come from the host of the RTP; before any RTP, from a host that the SDP names.
    fn accepts_rtcp(&self, source: SocketAddr) -> bool {
        if self.media.strict {
            return source == self.media.rtcp || source == self.media.rtp;
        }
        match self.latch.target() {
            rtp if rtp.ip() != self.media.rtp.ip() => source.ip() == rtp.ip(),
            _ => [self.media.rtp.ip(), self.media.rtcp.ip()].contains(&source.ip()),
        }
    }

    /// Whether RTCP may come from and go to this source: the address that the SDP names at any
    /// time, another one before any was heard or after its silence.
    fn may_report(&self, now: Instant, source: SocketAddr) -> bool {
        source == self.media.rtcp
            || self.rtcp_source.is_none_or(|(known, heard)| {
                known == source || now.duration_since(heard) >= RTCP_SILENCE
            })
    }

    fn rtp_target(&self) -> Option<SocketAddr> {
        reachable(self.media.rtp)?;
        reachable(self.latch.target())
    }

    /// The RTP address if muxed, else the source of its own RTCP, else the SDP's address. Behind a
    /// NAT whose RTCP was not heard yet, the learned host with the SDP's port is the best guess.
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

/// `to`, unless it is nowhere (RFC 2543 hold, refused stream) or a multicast or broadcast address.
fn reachable(to: SocketAddr) -> Option<SocketAddr> {
    let nowhere = to.port() == 0 || to.ip().is_unspecified() || to.ip().is_multicast();
    (!nowhere && to.ip() != IpAddr::from([255; 4])).then_some(to)
}
