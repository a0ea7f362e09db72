//! Session descriptions on their way from leg to leg.

use crate::media::{AudioFormat, AudioFormats};
use ledger::Text;
use rand::Rng;
use serde::{Deserialize, Serialize};
pub(crate) use sip::sdp::body_of;
use sip::sdp::{Audio, Direction, PayloadType, SessionDescription, Side};
use std::net::{IpAddr, SocketAddr};

/// Session id and version that one side sees from us, independent of the other side.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    session_id: u64,
    version: u64,
    /// Hash of the latest description: the version grows only when something changed.
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
    /// Its audio formats, if the other side has another codec or we play a sound to it.
    pub(crate) formats: Option<AudioFormats>,
}

/// Why no audio can be relayed to the sender of a description. Answering it anyway would connect
/// silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unusable {
    /// It cannot be read, or has no audio stream.
    NoAudio,
    /// Its address is missing or a host name.
    NoAddress,
    /// Its address is a multicast group.
    Multicast,
    /// Its address has another IP version than our media address for this side.
    OtherVersion,
    /// We have to send our own audio to its sender, and support none of its codecs.
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

/// The path of a call's media.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// Through the relay.
    Relayed {
        /// Our address towards the author of the description.
        own: SocketAddr,
        /// Our address towards the other side.
        local: SocketAddr,
    },
    /// Past us; our address is only in `o=`.
    Direct(IpAddr),
}

/// Reads a description.
pub(crate) fn read(body: &[u8]) -> Result<SessionDescription, Unusable> {
    SessionDescription::parse(body).map_err(|_| Unusable::NoAudio)
}

/// The description for the other side, with nothing in it that identifies its author (SIG-04), and
/// where its sender receives. On the relayed path its audio is led to the relay, with our formats
/// after its own, and every other stream is refused.
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

/// Our own offer.
pub(crate) fn offer(audio: &Audio<'_>, origin: &mut Origin) -> Vec<u8> {
    origin.write(audio.rtp.ip(), |own| audio.offer(own))
}

/// Our own answer to an offer.
pub(crate) fn answer(
    offer: &SessionDescription,
    audio: &Audio<'_>,
    origin: &mut Origin,
) -> Vec<u8> {
    origin.write(audio.rtp.ip(), |own| audio.answer(offer, own))
}

impl Origin {
    /// Writes a description; its version grows if it differs from the latest one.
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

/// Where the author receives the first audio stream; `own` is our address towards it.
pub(crate) fn remote_of(
    description: &SessionDescription,
    own: SocketAddr,
) -> Result<Remote, Unusable> {
    let (_, audio) = description.first_audio().ok_or(Unusable::NoAudio)?;
    let address = audio.connection.ok_or(Unusable::NoAddress)?;
    if address.is_multicast() {
        return Err(Unusable::Multicast);
    }
    // The zero address of a hold is valid for both IP versions.
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

/// The codecs that the relay can convert (MEDIA-21), the most widely used one first.
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

/// Our offer when we send our own audio: those codecs, and telephone events (RFC 4733).
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

/// The audio formats of a side that does not share the other's codec.
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

/// Whether the sender wants to receive nothing: `sendonly`, `inactive` or the zero address.
pub(crate) fn is_hold(body: &[u8]) -> bool {
    let Ok(description) = SessionDescription::parse(body) else { return false };
    description.first_audio().is_some_and(|(_, audio)| audio.is_held())
}

/// Zero is reserved for "nothing sent yet".
fn fingerprint(bytes: &[u8]) -> u64 {
    sip::stable_hash(bytes).max(1)
}
