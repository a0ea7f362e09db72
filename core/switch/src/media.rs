//! The relay's interface for the machine: single legs, joined by paths.

use crate::shard::CallKey;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A sound that every relay has besides the files of its node: 1004 Hz at -10 dBm0 without a pause.
pub const TEST_TONE: &str = "tone:1004";

/// A sound that every relay has besides the files of its node: silent audio.
pub const SILENCE: &str = "tone:silence";

/// A leg of a call at the relay: the caller, or one of the vendors that are tried at the same time
/// or one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MediaLeg {
    /// The call that it belongs to.
    pub call: CallKey,
    /// Its number among the legs of the call, chosen by the call.
    pub leg: u16,
}

/// The relay. The shell implements it on sockets, tests in memory.
///
/// A leg has its own RTP/RTCP pair from [`MediaControl::open`] to [`MediaControl::close`]. Its
/// audio goes nowhere until its SDP is known and it is joined to another leg.
pub trait MediaControl {
    /// Reserves and binds a pair at a media address (MEDIA-10); returns the address for the leg's
    /// SDP. None: no ports (`media_resources`). A leg that is already open is closed first.
    fn open(&mut self, leg: MediaLeg, media_address: u16) -> Option<SocketAddr>;
    /// Opens a leg of a call that another machine has serialised, at the port that its peer knows.
    /// False: the port is not available, and the leg has none.
    fn reopen(&mut self, leg: MediaLeg, media_address: u16, local: SocketAddr) -> bool;
    /// Sets or changes the leg's remote side, from its SDP.
    fn update(&mut self, leg: MediaLeg, remote: RemoteMedia);
    /// Joins two legs of one call, so that they hear each other and no other leg: audio from the
    /// legs that they were joined to before is dropped.
    fn join(&mut self, a: MediaLeg, b: MediaLeg);
    /// Plays a sound to a leg instead of the audio of the leg it is joined to: a file of the node
    /// by its name, the ringback tone of a country by its code, [`TEST_TONE`] or [`SILENCE`]. It
    /// plays once, or, as tones always do, repeatedly until the leg is joined. The leg's
    /// [`RemoteMedia::formats`] give its encoding. False: there is no such leg or sound.
    fn play(&mut self, leg: MediaLeg, sound: &str, repeats: bool) -> bool;
    /// The call was answered: from now on [`MediaEvent`]s report its silence.
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
    /// SRTP that passes through us: its packets cannot be changed.
    pub sealed: bool,
    /// It sends audio, by its SDP.
    pub sends: bool,
    /// It wants to receive audio, by its SDP: it does not hold the other side.
    pub receives: bool,
    /// The formats of its audio if we wrote its description; none: those of its peer.
    pub formats: Option<AudioFormats>,
}

/// The audio formats of a leg whose description we wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioFormats {
    /// Formats that it may send, by payload type.
    pub sends: Vec<(u8, AudioFormat)>,
    /// Formats that it wants to receive, its preferred codec first.
    pub wants: Vec<(u8, AudioFormat)>,
}

/// The codec of a payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AudioFormat {
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
    /// Telephone events (RFC 4733).
    Events,
    /// The one codec that both sides have and that is not converted.
    Other,
}

/// How long an answered call may be silent. Zero disables a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceLimits {
    /// No RTP from either side since the answer (MEDIA-16).
    pub no_media: Duration,
    /// No RTP or RTCP from either side (MEDIA-17).
    pub both_silent: Duration,
    /// Nothing from one side while the other speaks: the call is one-way (MEDIA-18).
    pub one_silent: Duration,
    /// As `one_silent`, after which the silent leg is probed (MEDIA-18).
    pub probe: Duration,
    /// Interval after which a leg that is still silent is probed again.
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

/// An event of the relay about a call, for [`crate::Switch::media_event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// Neither side has sent RTP since the answer (MEDIA-16).
    NoMedia,
    /// Neither side sends any more (MEDIA-17).
    BothSilent,
    /// This leg is silent while the other one sends (MEDIA-18).
    SideSilent(u16),
    /// A silent leg is heard again.
    SideHeard(u16),
    /// A silent leg is due to be probed (MEDIA-18).
    ProbeDue(u16),
    /// A side has been on hold longer than allowed (MEDIA-19).
    HeldTooLong,
    /// A sound for this leg has played to its end.
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
    /// Time of its last packet, none if there was none (BILL-13).
    pub last_packet: Option<Instant>,
    /// How often another source took the leg over after a silence (MEDIA-11).
    pub takeovers: u64,
    /// The latched source.
    pub latched: Option<SocketAddr>,
}
