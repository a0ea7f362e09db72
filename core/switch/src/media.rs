//! The relay as the machine uses it: legs that are opened alone and joined by paths.

use crate::io::CallKey;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// A leg of a call towards the relay: a caller, one of the vendors that are tried at the same
/// time or one after the other, or whoever else the call talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaLeg {
    /// The call that it belongs to.
    pub call: CallKey,
    /// Its number among the legs of the call, chosen by the call.
    pub leg: u16,
}

/// The relay. The shell implements it on sockets, tests in memory.
///
/// A leg has an RTP/RTCP pair of its own from [`MediaControl::open`] to [`MediaControl::close`].
/// It is heard by nobody until its SDP is told and it is joined to another.
pub trait MediaControl {
    /// Reserves and binds a pair at a media address (MEDIA-10); returns what is to be written
    /// into the leg's SDP. None: no ports (`media_resources`). A leg that is open is closed first.
    fn open(&mut self, leg: MediaLeg, media_address: u16) -> Option<SocketAddr>;
    /// Tells where the leg's SDP says that it receives, or that it changed.
    fn update(&mut self, leg: MediaLeg, remote: RemoteMedia);
    /// Has two legs of one call hear each other and nobody else: what the legs that they were
    /// joined to still send is dropped.
    fn join(&mut self, a: MediaLeg, b: MediaLeg);
    /// Counters so far; none for a leg that is not open.
    fn counters(&mut self, leg: MediaLeg) -> Option<LegCounters>;
    /// Ends the leg, frees its ports, returns the last counters.
    fn close(&mut self, leg: MediaLeg) -> Option<LegCounters>;
}

/// Where a leg receives, from its SDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Address and port of the first audio stream.
    pub rtp: SocketAddr,
    /// Where it wants RTCP unless that is muxed: `a=rtcp`, else port + 1.
    pub rtcp: SocketAddr,
    /// `a=rtcp-mux`: both sides must say it (RFC 5761).
    pub rtcp_mux: bool,
    /// Payload types that were negotiated; empty accepts any.
    pub payload_types: Vec<u8>,
    /// Host that its signalling comes from.
    pub signalling: IpAddr,
    /// MEDIA-11: only this address is accepted.
    pub strict: bool,
}

/// Relay counters of one leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegCounters {
    /// RTP packets received from it.
    pub rtp_in: u64,
    /// RTP packets sent to it.
    pub rtp_out: u64,
    /// Bytes of RTP received from it.
    pub bytes_in: u64,
    /// RTCP packets received from it.
    pub rtcp_in: u64,
    /// Packets dropped.
    pub dropped: u64,
    /// When the last packet came from it, none if none did (BILL-13).
    pub last_packet: Option<Instant>,
    /// How often another source took the leg over after a silence (MEDIA-11).
    pub takeovers: u64,
    /// Latched source.
    pub latched: Option<SocketAddr>,
}
