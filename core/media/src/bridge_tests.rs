//! A relayed call in virtual time.

use super::*;
use crate::leg::RTCP_SILENCE;
use crate::path::tests::Named;
use crate::{LATCH_PACKETS, LATCH_SILENCE, LegReading, TAKEOVER_PACKETS};
use std::time::{Duration, Instant};

/// The caller's leg, and the vendor's.
pub(crate) const A: LegId = LegId(0);
pub(crate) const B: LegId = LegId(1);

pub(crate) const CALLER: &str = "192.0.2.10:4000";
pub(crate) const CALLER_RTCP: &str = "192.0.2.10:4001";
pub(crate) const VENDOR: &str = "192.0.2.20:6000";
const NAT: &str = "198.51.100.7:61000";
const INTRUDER: &str = "203.0.113.66:7000";
const UTC: u64 = 1_700_000_000_000;

/// A call with both SDPs known.
pub(crate) struct Call {
    pub(crate) bridge: Bridge,
    counters: Vec<Arc<LegCounters>>,
    pub(crate) now: Instant,
}

pub(crate) fn at(address: &str) -> SocketAddr {
    address.parse().expect("address")
}

pub(crate) fn remote(rtp: &str, payload_types: &[u8]) -> RemoteMedia {
    let rtp = at(rtp);
    RemoteMedia {
        rtp,
        rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1),
        rtcp_mux: false,
        payload_types: payload_types.iter().copied().collect(),
        signalling: at(NAT).ip(),
        strict: false,
        clock_hz: 8_000,
        sealed: false,
        sends: true,
        receives: true,
        formats: None,
    }
}

fn rtp(payload_type: u8, sequence: u8) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 1];
    packet.extend([0xd5; 160]);
    packet
}

fn report() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 1]
}

impl Call {
    /// Two joined legs whose SDP is not known.
    pub(crate) fn begun() -> Call {
        let (bridge, counters) = (Bridge::new(Arc::new(Named)), Vec::new());
        let mut call = Call { bridge, counters, now: Instant::now() };
        call.open(A);
        call.open(B);
        call.handle(Input::Join(A, B));
        call
    }

    pub(crate) fn up() -> Call {
        let mut call = Call::begun();
        call.told(A, remote(CALLER, &[8, 0, 101]));
        call.told(B, remote(VENDOR, &[8, 101]));
        call
    }

    pub(crate) fn open(&mut self, leg: LegId) {
        let counters = Arc::<LegCounters>::default();
        self.handle(Input::Open { leg, counters: Arc::clone(&counters) });
        self.counters.truncate(usize::from(leg.0));
        self.counters.push(counters);
    }

    pub(crate) fn handle(&mut self, input: Input) {
        self.bridge.handle(self.now, input);
    }

    pub(crate) fn told(&mut self, leg: LegId, media: RemoteMedia) {
        self.handle(Input::Remote { leg, media });
    }

    pub(crate) fn counters(&self, leg: LegId) -> LegReading {
        self.counters[usize::from(leg.0)].read()
    }

    pub(crate) fn hears(
        &mut self,
        leg: LegId,
        kind: Kind,
        from: &str,
        packet: &[u8],
    ) -> Option<Forward> {
        let now = Now { instant: self.now, utc_ms: UTC };
        let (mut buffer, len) = (packet.to_vec(), packet.len());
        self.bridge.relay(now, (leg, kind), at(from), &mut buffer, len)
    }

    pub(crate) fn hears_rtp(&mut self, leg: LegId, from: &str) -> Option<SocketAddr> {
        self.hears(leg, Kind::Rtp, from, &rtp(8, 1)).map(|forward| forward.to)
    }

    fn hears_rtcp(&mut self, leg: LegId, from: &str) -> Option<SocketAddr> {
        self.hears(leg, Kind::Rtcp, from, &report()).map(|forward| forward.to)
    }

    fn latches_caller_to(&mut self, source: &str) {
        for _ in 0..LATCH_PACKETS {
            assert!(self.hears_rtp(A, source).is_some());
        }
        assert_eq!(self.counters(A).latched, Some(at(source)));
    }
}

/// MEDIA-12: RTP goes out of the other side's RTP port.
#[test]
fn audio_crosses_from_side_to_side_and_is_counted() {
    let mut call = Call::up();
    let to_vendor = call.hears(A, Kind::Rtp, CALLER, &rtp(8, 1));
    assert_eq!(to_vendor, Some(Forward { leg: B, kind: Kind::Rtp, to: at(VENDOR), len: 172 }));
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(CALLER)));
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(CALLER)));
    let caller = call.counters(A);
    assert_eq!((caller.rtp_in, caller.rtp_out, caller.bytes_in), (1, 2, 172));
    assert_eq!((caller.dropped, caller.last_packet_ms), (0, UTC));
    assert_eq!(caller.latched, Some(at(CALLER)));
    assert_eq!(call.counters(B).rtp_out, 1);
}

/// MEDIA-11: a private address in the SDP means NAT; audio returns to the real source from the
/// first packet on. A public address is trusted until the latch is sure.
#[test]
fn a_caller_behind_a_nat_hears_the_vendor_at_its_real_address() {
    const PRIVATE: &str = "192.168.1.10:4000";
    for (sdp, meanwhile) in [(PRIVATE, NAT), (CALLER, CALLER)] {
        let mut call = Call::up();
        call.told(A, remote(sdp, &[8]));
        assert_eq!(call.hears_rtp(B, VENDOR), Some(at(sdp)));
        assert_eq!(call.hears_rtp(A, NAT), Some(at(VENDOR)));
        assert_eq!(call.hears_rtp(B, VENDOR), Some(at(meanwhile)));
    }
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(NAT)));
}

/// MEDIA-11: packets of other sources are dropped and counted.
#[test]
fn an_intruder_is_neither_heard_nor_spoken_to() {
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    for _ in 0..5 {
        assert_eq!(call.hears_rtp(A, INTRUDER), None);
    }
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(NAT)));
    let caller = call.counters(A);
    assert_eq!((caller.rtp_in, caller.dropped, caller.latched), (3, 5, Some(at(NAT))));
}

/// MEDIA-11: a new SDP address is learned again; a refresh with the same address is not new.
#[test]
fn a_new_sdp_is_learned_anew_and_a_refresh_is_not() {
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    call.told(A, remote(CALLER, &[8]));
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(NAT)));
    call.told(A, remote("192.0.2.11:4400", &[8]));
    assert_eq!(call.counters(A).latched, None);
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at("192.0.2.11:4400")));
    assert!(call.hears_rtp(A, "192.0.2.11:4400").is_some());
    assert_eq!(call.hears_rtp(A, NAT), None, "locked to the new address at once");
}

/// MEDIA-11: after 5 s of silence of the locked source another is learned, from more than three
/// packets; a takeover is counted, and the former party is not locked out by it.
#[test]
fn a_silent_source_gives_way_to_one_that_speaks_and_has_its_side_back() {
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    call.now += LATCH_SILENCE - Duration::from_millis(1);
    assert_eq!(call.hears_rtp(A, INTRUDER), None);
    call.now += Duration::from_millis(1);
    for _ in 1..TAKEOVER_PACKETS {
        assert_eq!(call.hears_rtp(A, INTRUDER), None);
        call.now += Duration::from_millis(20);
    }
    assert!(call.hears_rtp(A, INTRUDER).is_some());
    assert_eq!(call.counters(A).takeovers, 1);
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(INTRUDER)));
    assert!(call.hears_rtp(A, NAT).is_some());
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(NAT)));
    assert_eq!(call.hears_rtp(A, INTRUDER), None);
    assert!(call.hears_rtp(A, CALLER).is_some(), "the SDP address at any time");
    let caller = call.counters(A);
    assert_eq!((caller.takeovers, caller.latched), (1, Some(at(CALLER))));
}

/// MEDIA-11: an announcement comes from one address, the answer names another. Packets of the
/// announcement still in transit do not take the stream.
#[test]
fn late_packets_of_an_old_source_do_not_win_over_the_new_one() {
    const SERVER: &str = "192.0.2.20:6000";
    for phone in ["192.0.2.20:6002", "192.0.2.77:6000"] {
        let mut call = Call::up();
        assert!(call.hears_rtp(B, SERVER).is_some());
        call.told(B, remote(phone, &[8]));
        for _ in 0..50 {
            assert_eq!(call.hears_rtp(B, SERVER), None);
            assert_eq!(call.hears_rtp(A, CALLER), Some(at(phone)));
            call.now += Duration::from_millis(20);
        }
        assert_eq!(call.hears_rtp(B, phone), Some(at(CALLER)));
        assert_eq!(call.hears_rtp(B, SERVER), None);
    }
}

/// MEDIA-12, ROUTE-52: vendors ring one after the other or at once, each at its own ports; the
/// caller hears the one that it is joined to, whatever the others send.
#[test]
fn the_caller_hears_the_vendor_that_it_is_joined_to() {
    const NEXT: LegId = LegId(2);
    const NEXT_VENDOR: &str = "192.0.2.30:7000";
    let mut call = Call::up();
    call.open(NEXT);
    call.told(NEXT, remote(NEXT_VENDOR, &[8]));
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(CALLER)));
    assert_eq!(call.hears_rtp(NEXT, NEXT_VENDOR), None, "not joined yet");
    let next = call.counters(NEXT);
    assert_eq!((next.rtp_in, next.dropped), (1, 1), "that it speaks is known");

    call.handle(Input::Join(A, NEXT));
    assert_eq!(call.hears_rtp(B, VENDOR), None, "still sends, and is not heard");
    assert_eq!(call.hears_rtp(NEXT, NEXT_VENDOR), Some(at(CALLER)));
    assert_eq!(call.hears_rtp(A, CALLER), Some(at(NEXT_VENDOR)));

    call.handle(Input::Close(NEXT));
    assert_eq!(call.hears_rtp(A, CALLER), None, "nobody hears it");
    call.handle(Input::Join(A, NEXT));
    assert_eq!(call.hears_rtp(A, CALLER), None, "there is no such leg");
    call.handle(Input::Close(A));
    assert!(!call.bridge.is_empty());
    call.handle(Input::Close(B));
    assert!(call.bridge.is_empty());
}

/// SSRC, sequence number and timestamp of a relayed packet of a vendor.
fn heard_from(call: &mut Call, leg: LegId, from: &str, ssrc: u8, sequence: u8) -> Option<[u32; 3]> {
    let mut packet = rtp(8, sequence);
    packet[7] = sequence * 10;
    packet[11] = ssrc;
    let now = Now { instant: call.now, utc_ms: UTC };
    let len = packet.len();
    call.bridge.relay(now, (leg, Kind::Rtp), at(from), &mut packet, len)?;
    let header = RtpHeader::parse(&packet).expect("RTP");
    Some([header.ssrc, header.sequence.into(), header.timestamp])
}

/// MEDIA-12: across a failover and a re-INVITE the caller hears one stream, and vendors that are no
/// longer joined do not disturb it.
#[test]
fn the_caller_hears_one_stream_from_all_vendors() {
    const NEXT: LegId = LegId(2);
    const FIRST: &str = VENDOR;
    const SECOND: &str = "192.0.2.30:7000";
    const MOVED: &str = "192.0.2.31:7000";
    let mut call = Call::up();
    assert_eq!(heard_from(&mut call, B, FIRST, 1, 3), Some([1, 3, 30]), "untouched");
    call.open(NEXT);
    call.told(NEXT, remote(SECOND, &[8]));
    call.handle(Input::Join(A, NEXT));
    call.now += Duration::from_millis(500);
    assert_eq!(heard_from(&mut call, B, FIRST, 1, 4), None);
    assert_eq!(heard_from(&mut call, NEXT, SECOND, 2, 20), Some([1, 4, 4_030]));
    call.handle(Input::Join(NEXT, A));
    assert_eq!(heard_from(&mut call, NEXT, SECOND, 2, 21), Some([1, 5, 4_040]), "joined already");
    call.told(NEXT, remote(MOVED, &[8]));
    call.now += Duration::from_millis(20);
    assert_eq!(heard_from(&mut call, NEXT, MOVED, 3, 1), Some([1, 6, 4_200]));
    assert_eq!(heard_from(&mut call, NEXT, SECOND, 2, 22), None, "it has moved");
    call.handle(Input::Join(A, B));
    call.now += Duration::from_millis(20);
    assert_eq!(heard_from(&mut call, B, FIRST, 1, 9), Some([1, 7, 4_360]));
}

/// RTP that is encrypted end to end authenticates its header: it passes unchanged.
#[test]
fn sealed_packets_are_never_renumbered() {
    let mut call = Call::up();
    call.told(A, RemoteMedia { sealed: true, ..remote(CALLER, &[8]) });
    assert_eq!(heard_from(&mut call, B, VENDOR, 1, 3), Some([1, 3, 30]));
    assert_eq!(heard_from(&mut call, B, VENDOR, 2, 20), Some([2, 20, 200]));
}

/// RFC 2543 hold behind a NAT: the SDP has no new address, so nothing is learned again, and nothing
/// is sent during the hold although the caller is heard.
#[test]
fn a_hold_without_address_keeps_what_was_learned() {
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    call.told(A, remote("0.0.0.0:4000", &[8]));
    assert_eq!(call.hears_rtp(A, NAT), Some(at(VENDOR)));
    assert_eq!(call.hears_rtp(B, VENDOR), None, "it hears nothing");
    assert_eq!(call.hears_rtcp(B, VENDOR), None);
    call.told(A, remote(CALLER, &[8]));
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(NAT)));
}

/// MEDIA-11: strict mode.
#[test]
fn a_strict_side_is_heard_from_its_sdp_address_only() {
    let mut call = Call::up();
    call.told(A, RemoteMedia { strict: true, ..remote(CALLER, &[8]) });
    assert_eq!(call.hears_rtp(A, NAT), None);
    assert_eq!(call.hears_rtcp(A, "192.0.2.10:4009"), None);
    assert!(call.hears_rtp(A, CALLER).is_some());
    assert!(call.hears_rtcp(A, "192.0.2.10:4001").is_some());
    assert_eq!(call.counters(A).dropped, 2);
}

/// MEDIA-12: unknown payload types are relayed if negotiated; comfort noise always.
#[test]
fn only_negotiated_payload_types_pass() {
    let mut call = Call::up();
    for (payload_type, passes) in [(8, true), (101, true), (13, true), (18, false), (96, false)] {
        let forward = call.hears(B, Kind::Rtp, VENDOR, &rtp(payload_type, 1));
        assert_eq!(forward.is_some(), passes, "payload type {payload_type}");
    }
    assert!(
        call.hears(B, Kind::Rtp, VENDOR, &rtp(0, 1)).is_some(),
        "in the caller's list: it is the caller who receives it (RFC 3264 section 6.1)"
    );
    call.told(B, remote(VENDOR, &[]));
    assert!(call.hears(B, Kind::Rtp, VENDOR, &rtp(96, 1)).is_some(), "any accepted");
    assert_eq!(call.counters(B).dropped, 2);
}

/// MEDIA-11: packets of a type that was not negotiated latch nothing.
#[test]
fn a_foreign_payload_type_does_not_latch() {
    let mut call = Call::up();
    for _ in 0..LATCH_PACKETS {
        assert_eq!(call.hears(A, Kind::Rtp, INTRUDER, &rtp(96, 1)), None);
    }
    for _ in 0..LATCH_PACKETS {
        assert_eq!(call.hears(A, Kind::Rtp, INTRUDER, &rtp(13, 1)), None);
    }
    assert_eq!(call.hears_rtp(B, VENDOR), Some(at(CALLER)));
}

#[test]
fn nothing_passes_before_the_sdp_of_the_sender_is_known() {
    let mut call = Call::begun();
    call.told(A, remote(CALLER, &[8]));
    assert_eq!(call.hears_rtp(B, VENDOR), None);
    assert_eq!(call.hears_rtp(A, CALLER), None);
    let caller = call.counters(A);
    assert_eq!((caller.rtp_in, caller.dropped), (1, 1), "heard, but nowhere to send");
    assert_eq!(call.counters(B).dropped, 1);
}

/// RFC 2543 hold: the held side hears nothing but may still speak.
#[test]
fn a_side_on_hold_with_a_null_address_gets_nothing() {
    let mut call = Call::up();
    call.told(A, remote("0.0.0.0:4000", &[8]));
    assert_eq!(call.hears_rtp(B, VENDOR), None);
    assert_eq!(call.hears_rtcp(B, "192.0.2.20:6001"), None);
    assert_eq!(call.hears_rtp(A, CALLER), Some(at(VENDOR)));
}

#[test]
fn what_is_not_rtp_is_dropped() {
    let mut call = Call::up();
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for packet in [&[][..], &[0x80], &stun, &rtp(8, 1)[..11]] {
        assert_eq!(call.hears(A, Kind::Rtp, CALLER, packet), None);
    }
    assert_eq!(call.hears(A, Kind::Rtcp, CALLER, &rtp(8, 1)), None, "RTP on RTCP port");
    assert_eq!(call.counters(A).dropped, 5);
}

/// RFC 3550 section 11: RTCP on the next port; answers go to its source.
#[test]
fn rtcp_crosses_between_the_odd_ports() {
    let mut call = Call::up();
    let to_vendor = call.hears(A, Kind::Rtcp, "192.0.2.10:4001", &report());
    let expected = Forward { leg: B, kind: Kind::Rtcp, to: at("192.0.2.20:6001"), len: 8 };
    assert_eq!(to_vendor, Some(expected));
    assert_eq!(call.hears_rtcp(B, VENDOR), Some(at("192.0.2.10:4001")));
    let caller = call.counters(A);
    assert_eq!((caller.rtcp_in, caller.rtp_in, caller.last_packet_ms), (1, 0, UTC));
}

/// MEDIA-11: RTCP has one source too: another port of the host takes over only after a silence
/// longer than the interval of reports, or at once if the SDP names it.
#[test]
fn rtcp_keeps_its_source() {
    const ELSEWHERE: &str = "192.0.2.10:4055";
    let mut call = Call::up();
    assert!(call.hears_rtcp(A, ELSEWHERE).is_some());
    assert_eq!(call.hears_rtcp(B, VENDOR), Some(at(ELSEWHERE)));
    assert_eq!(call.hears_rtcp(A, "192.0.2.10:4066"), None);
    assert!(call.hears_rtcp(A, "192.0.2.10:4001").is_some());
    assert_eq!(call.hears_rtcp(A, ELSEWHERE), None);
    assert_eq!(call.hears_rtcp(B, VENDOR), Some(at("192.0.2.10:4001")));
    call.now += RTCP_SILENCE;
    assert!(call.hears_rtcp(A, ELSEWHERE).is_some());
    assert_eq!(call.hears_rtcp(B, VENDOR), Some(at(ELSEWHERE)));
}

/// MEDIA-11: RTCP is accepted from the host that RTP was learned from.
#[test]
fn rtcp_follows_the_rtp_latch() {
    let mut call = Call::up();
    assert_eq!(call.hears_rtcp(A, "198.51.100.7:61001"), None, "not learned yet");
    call.latches_caller_to(NAT);
    assert_eq!(call.hears_rtcp(B, VENDOR), Some(at("198.51.100.7:4001")), "a guess");
    assert!(call.hears_rtcp(A, "198.51.100.7:61001").is_some());
    assert_eq!(call.hears_rtcp(B, VENDOR), Some(at("198.51.100.7:61001")));
    assert_eq!(call.hears_rtcp(A, INTRUDER), None);
    assert_eq!(call.hears_rtcp(A, "192.0.2.10:4001"), None, "the SDP's host is not it");
}

/// RFC 5761 section 5.1.1: muxed once both sides offer it; an offer alone decides nothing, though
/// muxed RTCP is understood from any side.
#[test]
fn rtcp_is_muxed_when_both_sides_can() {
    let mut call = Call::up();
    let muxes = |address| RemoteMedia { rtcp_mux: true, ..remote(address, &[8]) };
    call.told(A, muxes(CALLER));
    let to_vendor = call.hears(A, Kind::Rtp, CALLER, &report());
    let expected = Forward { leg: B, kind: Kind::Rtcp, to: at("192.0.2.20:6001"), len: 8 };
    assert_eq!(to_vendor, Some(expected));
    let to_caller = call.hears(B, Kind::Rtcp, "192.0.2.20:6001", &report());
    let expected = Forward { leg: A, kind: Kind::Rtcp, to: at("192.0.2.10:4001"), len: 8 };
    assert_eq!(to_caller, Some(expected));
    call.told(B, muxes(VENDOR));
    for (from, to, leg, other) in [(CALLER, VENDOR, A, B), (VENDOR, CALLER, B, A)] {
        let forward = call.hears(leg, Kind::Rtp, from, &report());
        let expected = Forward { leg: other, kind: Kind::Rtp, to: at(to), len: 8 };
        assert_eq!(forward, Some(expected));
    }
}

#[test]
fn a_packet_that_the_network_refused_counts_as_dropped() {
    let mut call = Call::up();
    let forward = call.hears(A, Kind::Rtp, CALLER, &rtp(8, 1)).expect("relayed");
    call.bridge.not_sent(Some(A), forward, &rtp(8, 1));
    call.bridge.too_long(A);
    assert_eq!(call.counters(B).rtp_out, 0);
    assert_eq!(call.counters(A).dropped, 2);
}

#[test]
fn payload_types_above_127_do_not_exist() {
    let set: PayloadTypes = [0, 127, 128, 255].into_iter().collect();
    assert!(set.contains(0) && set.contains(127) && !set.contains(128) && !set.contains(1));
    assert!(PayloadTypes::default().is_empty() && !set.is_empty());
}
