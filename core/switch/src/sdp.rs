//! Session descriptions as they pass from leg to leg.

use crate::media::{AudioFormat, AudioFormats};
use ledger::Text;
use rand::Rng;
use serde::{Deserialize, Serialize};
pub(crate) use sip::sdp::body_of;
use sip::sdp::{Audio, Direction, PayloadType, SessionDescription, Side};
use std::net::{IpAddr, SocketAddr};

/// Session id and version that one side sees from us, whatever the other side does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    session_id: u64,
    version: u64,
    /// Hash of what was sent last: the version grows only when something changed.
    last: u64,
}

impl Origin {
    pub(crate) fn new(rng: &mut impl Rng) -> Origin {
        Origin { session_id: rng.random_range(1..=i64::MAX as u64), version: 0, last: 0 }
    }
}

/// Where a description's sender receives its audio.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Remote {
    pub(crate) rtp: SocketAddr,
    pub(crate) rtcp: SocketAddr,
    pub(crate) rtcp_mux: bool,
    pub(crate) payload_types: Vec<u8>,
    pub(crate) codec: Text,
    pub(crate) clock_hz: u32,
    pub(crate) sealed: bool,
    pub(crate) sends: bool,
    pub(crate) receives: bool,
    /// How it writes its audio, if the other side has another codec or hears a sound of ours.
    pub(crate) formats: Option<AudioFormats>,
}

/// Why no audio can be relayed to the sender of a description. Whoever answered it all the
/// same would connect silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unusable {
    /// It cannot be read, or has no audio stream.
    NoAudio,
    /// Its address is missing or a host name.
    NoAddress,
    /// Its address is that of a group.
    Multicast,
    /// Its address is of the IP version that our media address for this side is not.
    OtherVersion,
    /// We have to speak to its sender ourselves, and know none of its codecs.
    NoCodec,
}

impl Unusable {
    /// In words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Unusable::NoAudio => "the SDP has no audio stream that can be read",
            Unusable::NoAddress => "the SDP names no numeric address for its audio",
            Unusable::Multicast => "the SDP wants its audio sent to a group",
            Unusable::OtherVersion => {
                "the SDP's address is of another IP version than the media address of this trunk"
            }
            Unusable::NoCodec => "the SDP has no codec that the switch speaks by itself",
        }
    }

    /// Value of a Warning header (RFC 3261 section 20.43); `host` is us.
    pub(crate) fn warning(self, host: &str) -> String {
        let code = match self {
            Unusable::NoAudio => 304,
            Unusable::NoAddress => 301,
            Unusable::Multicast => 330,
            Unusable::OtherVersion => 300,
            Unusable::NoCodec => 305,
        };
        format!("{code} {host} \"{}\"", self.text())
    }
}

/// Which way the media of a call take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// Through the relay.
    Relayed {
        /// Where it receives from whoever made the description.
        own: SocketAddr,
        /// Where it receives from the other side.
        local: SocketAddr,
    },
    /// Past us; our address stands in `o=` alone.
    Direct(IpAddr),
}

/// Reads a description.
pub(crate) fn read(body: &[u8]) -> Result<SessionDescription, Unusable> {
    SessionDescription::parse(body).map_err(|_| Unusable::NoAudio)
}

/// The description as the other side gets it, with nothing in it that tells who made it
/// (SIG-04), and where its sender receives. On the relayed way its audio is led to the relay, with
/// formats of ours behind its own, and every other stream refused.
///
/// # Errors
/// Why it has no audio stream that can be relayed.
pub(crate) fn pass(
    description: &SessionDescription,
    way: Way,
    origin: &mut Origin,
    added: &[PayloadType],
) -> Result<(Vec<u8>, Option<Remote>), Unusable> {
    let (address, remote) = match way {
        Way::Relayed { own, local } => (local.ip(), Some(remote_of(description, own)?)),
        Way::Direct(address) => (address, None),
    };
    let passed = origin.write(address, |own| match way {
        Way::Relayed { local, .. } => description.extend_first_audio(own, local, added),
        Way::Direct(_) => description.conceal(own),
    });
    Ok((passed, remote))
}

/// An offer of ours.
pub(crate) fn offer(audio: &Audio<'_>, origin: &mut Origin) -> Vec<u8> {
    origin.write(audio.rtp.ip(), |own| audio.offer(own))
}

/// An answer of ours to an offer.
pub(crate) fn answer(
    offer: &SessionDescription,
    audio: &Audio<'_>,
    origin: &mut Origin,
) -> Vec<u8> {
    origin.write(audio.rtp.ip(), |own| audio.answer(offer, own))
}

impl Origin {
    /// Writes a description; its version grows if it is not what was sent last.
    fn write(&mut self, address: IpAddr, write: impl Fn(&sip::sdp::Origin) -> Vec<u8>) -> Vec<u8> {
        let Origin { session_id, version, last } = *self;
        let mut own = sip::sdp::Origin { session_id, version, address };
        let mut written = write(&own);
        if fingerprint(&written) != last {
            if last != 0 {
                own.version += 1;
                written = write(&own);
            }
            self.version = own.version;
            self.last = fingerprint(&written);
        }
        written
    }
}

/// Where the describer receives the first audio stream; `own` is our address towards it.
pub(crate) fn remote_of(
    description: &SessionDescription,
    own: SocketAddr,
) -> Result<Remote, Unusable> {
    let (_, audio) = description.first_audio().ok_or(Unusable::NoAudio)?;
    let address = audio.connection.ok_or(Unusable::NoAddress)?;
    if address.is_multicast() {
        return Err(Unusable::Multicast);
    }
    // The address zero of a hold is nowhere in both versions.
    if address.is_ipv4() != own.is_ipv4() && !address.is_unspecified() {
        return Err(Unusable::OtherVersion);
    }
    let port = audio.rtcp_port.unwrap_or(audio.port.saturating_add(1));
    let (direction, first) = (audio.direction, audio.payload_types.first());
    Ok(Remote {
        rtp: SocketAddr::new(address, audio.port),
        rtcp: SocketAddr::new(audio.rtcp_connection.unwrap_or(address), port),
        rtcp_mux: audio.rtcp_mux,
        payload_types: audio.payload_types.iter().map(|payload| payload.number).collect(),
        codec: first.map(|payload| payload.name.clone()).unwrap_or_default(),
        clock_hz: first.map_or(0, |payload| payload.clock_hz),
        sealed: audio.is_sealed(),
        sends: matches!(direction, Direction::SendRecv | Direction::SendOnly),
        receives: matches!(direction, Direction::SendRecv | Direction::RecvOnly),
        formats: None,
    })
}

/// The codecs that the relay converts between (MEDIA-21), the one of most of the world first.
pub(crate) fn convertible() -> [PayloadType; 2] {
    let of = |number, name: &str| PayloadType {
        number,
        name: name.into(),
        clock_hz: 8_000,
        channels: 1,
        fmtp: None,
    };
    [of(8, "PCMA"), of(0, "PCMU")]
}

/// What we offer where we speak by ourselves: those codecs, and telephone events (RFC 4733).
pub(crate) fn spoken() -> Vec<PayloadType> {
    let events = PayloadType {
        number: 101,
        name: "telephone-event".into(),
        clock_hz: 8_000,
        channels: 1,
        fmtp: Some("0-16".into()),
    };
    convertible().into_iter().chain([events]).collect()
}

/// How a side that does not share the other's codec writes its audio.
pub(crate) fn formats_of(side: &Side) -> AudioFormats {
    let format = |payload: &PayloadType| match payload.name.as_str() {
        _ if payload.is_events() => AudioFormat::Events,
        name if name.eq_ignore_ascii_case("PCMA") => AudioFormat::Pcma,
        name if name.eq_ignore_ascii_case("PCMU") => AudioFormat::Pcmu,
        _ => AudioFormat::Other,
    };
    let of = |list: &[PayloadType]| {
        list.iter().map(|payload| (payload.number, format(payload))).collect()
    };
    AudioFormats { sends: of(&side.sends), wants: of(&side.wants) }
}

/// Whether the sender wants to hear nothing: `sendonly`, `inactive` or address zero.
pub(crate) fn is_hold(body: &[u8]) -> bool {
    let Ok(description) = SessionDescription::parse(body) else { return false };
    description.first_audio().is_some_and(|(_, audio)| {
        matches!(audio.direction, Direction::SendOnly | Direction::Inactive)
            || audio.connection.is_some_and(|address| address.is_unspecified())
    })
}

/// FNV-1a; zero is kept for "nothing sent yet".
fn fingerprint(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}
