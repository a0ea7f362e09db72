//! The relay as the machine uses it: legs that are opened alone and joined by paths.

use crate::io::CallKey;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Sound of every relay beside the files of its node: 1004 Hz at -10 dBm0 without a pause.
pub const TEST_TONE: &str = "tone:1004";

/// Sound of every relay beside the files of its node: audio in which nothing is heard.
pub const SILENCE: &str = "tone:silence";

/// A leg of a call towards the relay: a caller, one of the vendors that are tried at the same
/// time or one after the other, or whoever else the call talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Opens a leg of a call that another machine has written down, at the port that its peer knows;
    /// false: the port is not to be had, and the leg has none.
    fn reopen(&mut self, leg: MediaLeg, media_address: u16, local: SocketAddr) -> bool;
    /// Tells where the leg's SDP says that it receives, or that it changed.
    fn update(&mut self, leg: MediaLeg, remote: RemoteMedia);
    /// Has two legs of one call hear each other and nobody else: what the legs that they were
    /// joined to still send is dropped.
    fn join(&mut self, a: MediaLeg, b: MediaLeg);
    /// Has a leg hear a sound in place of whom it is joined to: a file of the node by its name,
    /// the ringback tone of a country by its code, [`TEST_TONE`] or [`SILENCE`], once or, as tones
    /// always are, again and again until the leg is joined. The leg's [`RemoteMedia::formats`] say how it is written. False:
    /// there is no such leg or sound.
    fn play(&mut self, leg: MediaLeg, sound: &str, repeats: bool) -> bool;
    /// The call was answered: from now on its silence is told by [`MediaEvent`]s.
    fn watch(&mut self, call: CallKey, limits: SilenceLimits);
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
    /// RTP clock of its audio, Hz.
    pub clock_hz: u32,
    /// SRTP that passes through us: nothing in its packets can be changed.
    pub sealed: bool,
    /// It sends audio, by its SDP.
    pub sends: bool,
    /// It wants to hear audio, by its SDP: it does not hold the other side.
    pub receives: bool,
    /// How its audio is written, if we have described it; none: as its peer's is.
    pub formats: Option<AudioFormats>,
}

/// How a leg whose audio we have described writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioFormats {
    /// What may come from it, by payload type.
    pub sends: Vec<(u8, AudioFormat)>,
    /// What it wants to hear, the codec that it likes best first.
    pub wants: Vec<(u8, AudioFormat)>,
}

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AudioFormat {
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
    /// Telephone events (RFC 4733).
    Events,
    /// The one codec that both sides have and nobody converts.
    Other,
}

/// How long an answered call may be silent. Zero switches a limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceLimits {
    /// No RTP from anybody since the answer (MEDIA-16).
    pub no_media: Duration,
    /// No RTP or RTCP from either side (MEDIA-17).
    pub both_silent: Duration,
    /// Nothing from one side while the other speaks: the call is one-way (MEDIA-18).
    pub one_silent: Duration,
    /// As before, and the silent leg is to be probed (MEDIA-18).
    pub probe: Duration,
    /// A leg that is still silent after its probe is probed again after this.
    pub probe_again: Duration,
    /// A side is on hold (MEDIA-19).
    pub hold: Duration,
}

impl Default for SilenceLimits {
    fn default() -> Self {
        SilenceLimits {
            no_media: Duration::from_secs(30),
            both_silent: Duration::from_secs(60),
            one_silent: Duration::from_secs(20),
            probe: Duration::from_secs(60),
            probe_again: Duration::from_secs(300),
            hold: Duration::from_secs(3_600),
        }
    }
}

/// What the relay tells of a call, for [`crate::Switch::media_event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// Nobody has sent RTP since the answer (MEDIA-16).
    NoMedia,
    /// Neither side sends any more (MEDIA-17).
    BothSilent,
    /// This leg sends nothing while the other one does (MEDIA-18).
    SideSilent(u16),
    /// A leg that was silent is heard again.
    SideHeard(u16),
    /// A silent leg is to be asked whether it is still there (MEDIA-18).
    ProbeDue(u16),
    /// A side has been on hold for longer than it may (MEDIA-19).
    HeldTooLong,
    /// A sound that a leg heard has ended by itself.
    PlayEnded(u16),
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
