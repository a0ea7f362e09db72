//! What goes into the machine and what comes out of it.

use crate::facts::Facts;
use ledger::{CallDocument, Text};
use policy::{CallDetails, Pin, Question};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// The two clocks, read together by the shell.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic: timers and durations.
    pub instant: Instant,
    /// UTC milliseconds: timestamps.
    pub utc_ms: u64,
}

/// What new calls see: a snapshot and a plugin generation, replaced together.
#[derive(Debug)]
pub struct World {
    /// The configuration snapshot.
    pub facts: Arc<Facts>,
    /// The plugin generation with the snapshot's lookups.
    pub pin: Pin,
}

/// A call inside one shard; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub u64);

/// What the machine wants done. Datagrams come first, then questions and records in their
/// order.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once; a box would cost more than the copy")]
pub enum Output {
    /// Send this datagram.
    Transmit(sip::Transmit),
    /// Ask the policy and give the answer to [`crate::Switch::answer`].
    Ask(Ask),
    /// Keep this record: interim (at answer and every 60 s) or final (once).
    Document(Box<CallDocument>),
}

/// A policy question of one call. Until it is answered only that call waits.
#[derive(Debug)]
pub struct Ask {
    /// Who asks.
    pub call: CallKey,
    /// Which question of the call: an answer with an old ticket is ignored.
    pub ticket: u32,
    /// The generation and snapshot that the call pinned.
    pub pin: Pin,
    /// The question.
    pub question: Question,
    /// What else the call knows, if a plugin of this hook may ask.
    pub details: Option<Arc<CallDetails>>,
}

/// Side of a relayed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaSide {
    /// Towards the customer trunk.
    Caller,
    /// Towards the vendor trunk.
    Vendor,
}

/// The relay, as the machine uses it. The shell implements it on sockets, tests in memory.
pub trait MediaControl {
    /// Reserves and binds an RTP/RTCP pair for both sides; returns the addresses to
    /// write into SDP: caller side, vendor side. None: no ports (`media_resources`).
    fn open(&mut self, session: CallKey, caller: u16, vendor: u16) -> Option<[SocketAddr; 2]>;
    /// Moves the vendor's side to a pair of another media address, for the next vendor; what
    /// was known of the last one is forgotten. The caller's side stays as it is (ROUTE-55).
    /// Returns the vendor side's address for SDP. None: no ports (`media_resources`), or an
    /// unknown session; then nothing has changed.
    fn move_vendor(&mut self, session: CallKey, vendor: u16) -> Option<SocketAddr>;
    /// Another vendor takes the place of the last one at the same pair: what was known of that
    /// one is forgotten, and nobody is heard until the next one's SDP is told.
    fn forget_vendor(&mut self, session: CallKey);
    /// Tells where a side's SDP says that it receives, or that it changed.
    fn update(&mut self, session: CallKey, side: MediaSide, remote: RemoteMedia);
    /// Counters so far; none for an unknown session.
    fn counters(&mut self, session: CallKey) -> Option<[LegCounters; 2]>;
    /// Ends the session, frees its ports, returns the last counters.
    fn close(&mut self, session: CallKey) -> Option<[LegCounters; 2]>;
}

/// Where a side receives, from its SDP.
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

/// Relay counters of one side.
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
    /// How often another source took this side over after a silence (MEDIA-11).
    pub takeovers: u64,
    /// Latched source.
    pub latched: Option<SocketAddr>,
}

impl LegCounters {
    /// What came after `before`; the time of the last packet and the source are as they are now.
    #[must_use]
    pub fn since(&self, before: &LegCounters) -> LegCounters {
        LegCounters {
            rtp_in: self.rtp_in.saturating_sub(before.rtp_in),
            rtp_out: self.rtp_out.saturating_sub(before.rtp_out),
            bytes_in: self.bytes_in.saturating_sub(before.bytes_in),
            rtcp_in: self.rtcp_in.saturating_sub(before.rtcp_in),
            dropped: self.dropped.saturating_sub(before.dropped),
            takeovers: self.takeovers.saturating_sub(before.takeovers),
            ..self.clone()
        }
    }
}

/// A running call, for `strowger calls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallView {
    /// Call id.
    pub id: u128,
    /// Customer trunk name.
    pub trunk: Arc<str>,
    /// Account name.
    pub account: Arc<str>,
    /// Vendor trunk of the current attempt, empty if none.
    pub vendor: Arc<str>,
    /// `caller_route`, or `caller_in` before the rewrite.
    pub caller: Text,
    /// `callee_route`, or `callee_in` before the rewrite.
    pub callee: Text,
    /// `deciding`, `calling`, `ringing`, `answered`, `ending`.
    pub state: &'static str,
    /// UTC ms of the INVITE.
    pub invite_ms: u64,
    /// UTC ms of the answer.
    pub answer_ms: Option<u64>,
    /// Attempts so far.
    pub attempts: u16,
    /// Plugin generation.
    pub generation: u64,
}

/// Counters of one shard since start; the shell adds them up for `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams in.
    pub datagrams_in: u64,
    /// Datagrams from unknown sources, dropped in silence (SIG-92).
    pub unknown_source: u64,
    /// Malformed messages from known peers.
    pub malformed: u64,
    /// Malformed messages from strangers, dropped in silence.
    pub malformed_unknown: u64,
    /// Datagrams from strangers beyond their budget or locked out, dropped (SEC-01, SEC-22).
    pub held_back: u64,
    /// INVITEs of known trunks that were not answered, because too many had been refused.
    pub refusals_held_back: u64,
    /// INVITEs answered with a challenge (SIG-52).
    pub challenges: u64,
    /// INVITEs with wrong credentials (SEC-01).
    pub auth_failed: u64,
    /// Calls admitted to the checks.
    pub calls: u64,
    /// Calls answered.
    pub answered: u64,
    /// Calls ended, by code returned to the caller (200 = answered).
    pub ended: std::collections::BTreeMap<u16, u64>,
    /// Calls ended, by end reason.
    pub reasons: std::collections::BTreeMap<Text, u64>,
    /// Vendor INVITEs sent (not resends), by trunk name.
    pub attempts: std::collections::BTreeMap<Arc<str>, u64>,
    /// Final codes from vendors.
    pub vendor_codes: std::collections::BTreeMap<u16, u64>,
    /// Requests and responses resent by us.
    pub retransmissions: u64,
    /// Hook fallbacks used, by hook name.
    pub fallbacks: std::collections::BTreeMap<&'static str, u64>,
}

/// End reasons that are counted by name; plugins make up their own, and a counter each would
/// have no end.
const MOST_REASONS: usize = 128;

impl Counters {
    /// Counts a call that ended for this reason; beyond the first 128 of them as `other`.
    pub(crate) fn count_reason(&mut self, reason: &Text) {
        let known = self.reasons.len() < MOST_REASONS || self.reasons.contains_key(reason);
        let name = if known { reason.clone() } else { "other".into() };
        *self.reasons.entry(name).or_default() += 1;
    }
}
