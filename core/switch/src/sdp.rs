//! Session descriptions as they pass from leg to leg.

use ledger::Text;
use rand::Rng;
pub(crate) use sip::sdp::body_of;
use sip::sdp::{Direction, SessionDescription};
use std::net::{IpAddr, SocketAddr};

/// Session id and version that one side sees from us, whatever the other side does.
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) rtp: SocketAddr,
    pub(crate) rtcp: SocketAddr,
    pub(crate) rtcp_mux: bool,
    pub(crate) payload_types: Vec<u8>,
    pub(crate) codec: Text,
}

/// Which way the media of a call take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// Through the relay, which receives here.
    Relayed(SocketAddr),
    /// Past us; our address stands in `o=` alone.
    Direct(IpAddr),
}

/// The description as the other side gets it, with nothing in it that tells who made it
/// (SIG-04), and where its sender receives. On the relayed way its audio is led to the relay and
/// every other stream refused. None if it is no description, or has no audio stream that can be
/// relayed.
pub(crate) fn rewrite(
    body: &[u8],
    way: Way,
    origin: &mut Origin,
) -> Option<(Vec<u8>, Option<Remote>)> {
    let description = SessionDescription::parse(body).ok()?;
    let (address, remote) = match way {
        Way::Relayed(local) => (local.ip(), remote_of(description.first_audio()?.1)),
        Way::Direct(address) => (address, None),
    };
    let write = |own: &sip::sdp::Origin| match way {
        Way::Relayed(local) => description.rewrite_first_audio(own, local),
        Way::Direct(_) => description.conceal(own),
    };
    let mut own =
        sip::sdp::Origin { session_id: origin.session_id, version: origin.version, address };
    let mut rewritten = write(&own);
    let fingerprint = fingerprint(&rewritten);
    if fingerprint != origin.last {
        if origin.last != 0 {
            own.version += 1;
            rewritten = write(&own);
        }
        origin.version = own.version;
        origin.last = self::fingerprint(&rewritten);
    }
    Some((rewritten, remote))
}

fn remote_of(audio: &sip::sdp::Stream) -> Option<Remote> {
    let address = audio.connection?;
    let rtp = SocketAddr::new(address, audio.port);
    let port = audio.rtcp_port.unwrap_or(audio.port.saturating_add(1));
    let rtcp = SocketAddr::new(audio.rtcp_connection.unwrap_or(address), port);
    Some(Remote {
        rtp,
        rtcp,
        rtcp_mux: audio.rtcp_mux,
        payload_types: audio.payload_types.iter().map(|payload| payload.number).collect(),
        codec: audio.payload_types.first().map(|p| p.name.clone()).unwrap_or_default(),
    })
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
