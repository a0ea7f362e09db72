//! A relayed call in virtual time.

use super::*;
use crate::{LATCH_PACKETS, LATCH_SILENCE, TAKEOVER_PACKETS};
use std::time::Duration;

const CALLER: &str = "192.0.2.10:4000";
const VENDOR: &str = "192.0.2.20:6000";
const NAT: &str = "198.51.100.7:61000";
const INTRUDER: &str = "203.0.113.66:7000";
const UTC: u64 = 1_700_000_000_000;

/// A call whose two SDPs are known.
struct Call {
    relay: RelaySession,
    now: Instant,
}

fn at(address: &str) -> SocketAddr {
    address.parse().expect("address")
}

fn remote(rtp: &str, payload_types: &[u8]) -> RemoteMedia {
    let rtp = at(rtp);
    RemoteMedia {
        rtp,
        rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1),
        rtcp_mux: false,
        payload_types: payload_types.iter().copied().collect(),
        signalling: at(NAT).ip(),
        strict: false,
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
    fn up() -> Call {
        let mut relay = RelaySession::new(Arc::default());
        relay.set_remote(Side::Caller, remote(CALLER, &[8, 0, 101]));
        relay.set_remote(Side::Vendor, remote(VENDOR, &[8, 101]));
        Call { relay, now: Instant::now() }
    }

    fn hears(&mut self, side: Side, kind: Kind, from: &str, packet: &[u8]) -> Option<Forward> {
        self.relay.receive(self.now, UTC, (side, kind), at(from), packet)
    }

    fn hears_rtp(&mut self, side: Side, from: &str) -> Option<SocketAddr> {
        self.hears(side, Kind::Rtp, from, &rtp(8, 1)).map(|forward| forward.to)
    }

    fn hears_rtcp(&mut self, side: Side, from: &str) -> Option<SocketAddr> {
        self.hears(side, Kind::Rtcp, from, &report()).map(|forward| forward.to)
    }

    fn latches_caller_to(&mut self, source: &str) {
        for _ in 0..LATCH_PACKETS {
            assert!(self.hears_rtp(Side::Caller, source).is_some());
        }
        assert_eq!(self.relay.counters(Side::Caller).latched, Some(at(source)));
    }
}

/// MEDIA-12: RTP goes out of the other side's RTP port.
#[test]
fn audio_crosses_from_side_to_side_and_is_counted() {
    let mut call = Call::up();
    let to_vendor = call.hears(Side::Caller, Kind::Rtp, CALLER, &rtp(8, 1));
    assert_eq!(to_vendor, Some(Forward { side: Side::Vendor, kind: Kind::Rtp, to: at(VENDOR) }));
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(CALLER)));
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(CALLER)));
    let caller = call.relay.counters(Side::Caller);
    assert_eq!((caller.rtp_in, caller.rtp_out, caller.bytes_in), (1, 2, 172));
    assert_eq!((caller.dropped, caller.last_packet_ms), (0, UTC));
    assert_eq!(caller.latched, Some(at(CALLER)));
    assert_eq!(call.relay.counters(Side::Vendor).rtp_out, 1);
}

/// MEDIA-11: the private address of the SDP is a NAT; audio finds its way back from the
/// first packet on. A public one is believed until the latch is sure.
#[test]
fn a_caller_behind_a_nat_hears_the_vendor_at_its_real_address() {
    const PRIVATE: &str = "192.168.1.10:4000";
    for (sdp, meanwhile) in [(PRIVATE, NAT), (CALLER, CALLER)] {
        let mut call = Call::up();
        call.relay.set_remote(Side::Caller, remote(sdp, &[8]));
        assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(sdp)));
        assert_eq!(call.hears_rtp(Side::Caller, NAT), Some(at(VENDOR)));
        assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(meanwhile)));
    }
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(NAT)));
}

/// MEDIA-11: other sources dropped and counted.
#[test]
fn an_intruder_is_neither_heard_nor_spoken_to() {
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    for _ in 0..5 {
        assert_eq!(call.hears_rtp(Side::Caller, INTRUDER), None);
    }
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(NAT)));
    let caller = call.relay.counters(Side::Caller);
    assert_eq!((caller.rtp_in, caller.dropped, caller.latched), (3, 5, Some(at(NAT))));
}

/// MEDIA-11: re-learn after new SDP; a refresh with the same address is not new.
#[test]
fn a_new_sdp_is_learned_anew_and_a_refresh_is_not() {
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    call.relay.set_remote(Side::Caller, remote(CALLER, &[8]));
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(NAT)));
    call.relay.set_remote(Side::Caller, remote("192.0.2.11:4400", &[8]));
    assert_eq!(call.relay.counters(Side::Caller).latched, None);
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at("192.0.2.11:4400")));
    assert!(call.hears_rtp(Side::Caller, "192.0.2.11:4400").is_some());
    assert_eq!(call.hears_rtp(Side::Caller, NAT), None, "locked to the new address at once");
}

/// MEDIA-11: re-learn after 5 s silence of the locked source, by more than three packets; a
/// takeover is counted, and the party that spoke before is not locked out by it.
#[test]
fn a_silent_source_gives_way_to_one_that_speaks_and_has_its_side_back() {
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    call.now += LATCH_SILENCE - Duration::from_millis(1);
    assert_eq!(call.hears_rtp(Side::Caller, INTRUDER), None);
    call.now += Duration::from_millis(1);
    for _ in 1..TAKEOVER_PACKETS {
        assert_eq!(call.hears_rtp(Side::Caller, INTRUDER), None);
        call.now += Duration::from_millis(20);
    }
    assert!(call.hears_rtp(Side::Caller, INTRUDER).is_some());
    assert_eq!(call.relay.counters(Side::Caller).takeovers, 1);
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(INTRUDER)));
    assert!(call.hears_rtp(Side::Caller, NAT).is_some());
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(NAT)));
    assert_eq!(call.hears_rtp(Side::Caller, INTRUDER), None);
    assert!(call.hears_rtp(Side::Caller, CALLER).is_some(), "the SDP address at any time");
    let caller = call.relay.counters(Side::Caller);
    assert_eq!((caller.takeovers, caller.latched), (1, Some(at(CALLER))));
}

/// MEDIA-11: an announcement comes from one address, the answer names another. Packets of the
/// announcement that are still on their way do not take the stream.
#[test]
fn late_packets_of_an_old_source_do_not_win_over_the_new_one() {
    const SERVER: &str = "192.0.2.20:6000";
    for phone in ["192.0.2.20:6002", "192.0.2.77:6000"] {
        for changed_by_failover in [false, true] {
            let mut call = Call::up();
            assert!(call.hears_rtp(Side::Vendor, SERVER).is_some());
            if changed_by_failover {
                call.relay.forget(Side::Vendor);
                assert_eq!(call.hears_rtp(Side::Vendor, SERVER), None, "nobody's yet");
            }
            call.relay.set_remote(Side::Vendor, remote(phone, &[8]));
            for _ in 0..50 {
                assert_eq!(call.hears_rtp(Side::Vendor, SERVER), None);
                assert_eq!(call.hears_rtp(Side::Caller, CALLER), Some(at(phone)));
                call.now += Duration::from_millis(20);
            }
            assert_eq!(call.hears_rtp(Side::Vendor, phone), Some(at(CALLER)));
            assert_eq!(call.hears_rtp(Side::Vendor, SERVER), None);
        }
    }
}

/// RFC 2543 hold behind a NAT: no new SDP address, so nothing is learned anew, and nothing is
/// sent while it lasts although the caller is heard.
#[test]
fn a_hold_without_address_keeps_what_was_learned() {
    let mut call = Call::up();
    call.latches_caller_to(NAT);
    call.relay.set_remote(Side::Caller, remote("0.0.0.0:4000", &[8]));
    assert_eq!(call.hears_rtp(Side::Caller, NAT), Some(at(VENDOR)));
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), None, "it hears nothing");
    assert_eq!(call.hears_rtcp(Side::Vendor, VENDOR), None);
    call.relay.set_remote(Side::Caller, remote(CALLER, &[8]));
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(NAT)));
}

/// MEDIA-11: strict mode.
#[test]
fn a_strict_side_is_heard_from_its_sdp_address_only() {
    let mut call = Call::up();
    call.relay.set_remote(Side::Caller, RemoteMedia { strict: true, ..remote(CALLER, &[8]) });
    assert_eq!(call.hears_rtp(Side::Caller, NAT), None);
    assert_eq!(call.hears_rtcp(Side::Caller, "192.0.2.10:4009"), None);
    assert!(call.hears_rtp(Side::Caller, CALLER).is_some());
    assert!(call.hears_rtcp(Side::Caller, "192.0.2.10:4001").is_some());
    assert_eq!(call.relay.counters(Side::Caller).dropped, 2);
}

/// MEDIA-12: unknown payload types are relayed if negotiated; comfort noise always.
#[test]
fn only_negotiated_payload_types_pass() {
    let mut call = Call::up();
    for (payload_type, passes) in [(8, true), (101, true), (13, true), (18, false), (96, false)] {
        let forward = call.hears(Side::Vendor, Kind::Rtp, VENDOR, &rtp(payload_type, 1));
        assert_eq!(forward.is_some(), passes, "payload type {payload_type}");
    }
    assert!(
        call.hears(Side::Vendor, Kind::Rtp, VENDOR, &rtp(0, 1)).is_some(),
        "in the caller's list: it is the caller who receives it (RFC 3264 section 6.1)"
    );
    call.relay.set_remote(Side::Vendor, remote(VENDOR, &[]));
    assert!(call.hears(Side::Vendor, Kind::Rtp, VENDOR, &rtp(96, 1)).is_some(), "any accepted");
    assert_eq!(call.relay.counters(Side::Vendor).dropped, 2);
}

/// MEDIA-11: packets of a type that was not negotiated latch nothing.
#[test]
fn a_foreign_payload_type_does_not_latch() {
    let mut call = Call::up();
    for _ in 0..LATCH_PACKETS {
        assert_eq!(call.hears(Side::Caller, Kind::Rtp, INTRUDER, &rtp(96, 1)), None);
    }
    for _ in 0..LATCH_PACKETS {
        assert_eq!(call.hears(Side::Caller, Kind::Rtp, INTRUDER, &rtp(13, 1)), None);
    }
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), Some(at(CALLER)));
}

#[test]
fn nothing_passes_before_the_sdp_of_the_sender_is_known() {
    let mut relay = RelaySession::new(Arc::default());
    relay.set_remote(Side::Caller, remote(CALLER, &[8]));
    let now = Instant::now();
    let port = (Side::Vendor, Kind::Rtp);
    assert_eq!(relay.receive(now, UTC, port, at(VENDOR), &rtp(8, 1)), None);
    let port = (Side::Caller, Kind::Rtp);
    assert_eq!(relay.receive(now, UTC, port, at(CALLER), &rtp(8, 1)), None);
    let caller = relay.counters(Side::Caller);
    assert_eq!((caller.rtp_in, caller.dropped), (1, 1), "heard, but nowhere to send");
    assert_eq!(relay.counters(Side::Vendor).dropped, 1);
}

/// RFC 2543 hold: the held side hears nothing but may still speak.
#[test]
fn a_side_on_hold_with_a_null_address_gets_nothing() {
    let mut call = Call::up();
    call.relay.set_remote(Side::Caller, remote("0.0.0.0:4000", &[8]));
    assert_eq!(call.hears_rtp(Side::Vendor, VENDOR), None);
    assert_eq!(call.hears_rtcp(Side::Vendor, "192.0.2.20:6001"), None);
    assert_eq!(call.hears_rtp(Side::Caller, CALLER), Some(at(VENDOR)));
}

#[test]
fn what_is_not_rtp_is_dropped() {
    let mut call = Call::up();
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for packet in [&[][..], &[0x80], &stun, &rtp(8, 1)[..11]] {
        assert_eq!(call.hears(Side::Caller, Kind::Rtp, CALLER, packet), None);
    }
    assert_eq!(call.hears(Side::Caller, Kind::Rtcp, CALLER, &rtp(8, 1)), None, "RTP on RTCP port");
    assert_eq!(call.relay.counters(Side::Caller).dropped, 5);
}

/// RFC 3550 section 11: RTCP on the next port; answers go where it came from.
#[test]
fn rtcp_crosses_between_the_odd_ports() {
    let mut call = Call::up();
    let to_vendor = call.hears(Side::Caller, Kind::Rtcp, "192.0.2.10:4001", &report());
    let expected = Forward { side: Side::Vendor, kind: Kind::Rtcp, to: at("192.0.2.20:6001") };
    assert_eq!(to_vendor, Some(expected));
    assert_eq!(call.hears_rtcp(Side::Vendor, VENDOR), Some(at("192.0.2.10:4001")));
    let caller = call.relay.counters(Side::Caller);
    assert_eq!((caller.rtcp_in, caller.rtp_in, caller.last_packet_ms), (1, 0, UTC));
}

/// MEDIA-11: RTCP has one source as well: another port of the host leads the reports away only
/// after it was silent for longer than reports may be apart, or at once if the SDP names it.
#[test]
fn rtcp_keeps_its_source() {
    const ELSEWHERE: &str = "192.0.2.10:4055";
    let mut call = Call::up();
    assert!(call.hears_rtcp(Side::Caller, ELSEWHERE).is_some());
    assert_eq!(call.hears_rtcp(Side::Vendor, VENDOR), Some(at(ELSEWHERE)));
    assert_eq!(call.hears_rtcp(Side::Caller, "192.0.2.10:4066"), None);
    assert!(call.hears_rtcp(Side::Caller, "192.0.2.10:4001").is_some());
    assert_eq!(call.hears_rtcp(Side::Caller, ELSEWHERE), None);
    assert_eq!(call.hears_rtcp(Side::Vendor, VENDOR), Some(at("192.0.2.10:4001")));
    call.now += RTCP_SILENCE;
    assert!(call.hears_rtcp(Side::Caller, ELSEWHERE).is_some());
    assert_eq!(call.hears_rtcp(Side::Vendor, VENDOR), Some(at(ELSEWHERE)));
}

/// MEDIA-11: RTCP is accepted from the host that RTP was learned from.
#[test]
fn rtcp_follows_the_rtp_latch() {
    let mut call = Call::up();
    assert_eq!(call.hears_rtcp(Side::Caller, "198.51.100.7:61001"), None, "not learned yet");
    call.latches_caller_to(NAT);
    assert_eq!(call.hears_rtcp(Side::Vendor, VENDOR), Some(at("198.51.100.7:4001")), "a guess");
    assert!(call.hears_rtcp(Side::Caller, "198.51.100.7:61001").is_some());
    assert_eq!(call.hears_rtcp(Side::Vendor, VENDOR), Some(at("198.51.100.7:61001")));
    assert_eq!(call.hears_rtcp(Side::Caller, INTRUDER), None);
    assert_eq!(call.hears_rtcp(Side::Caller, "192.0.2.10:4001"), None, "the SDP's host is not it");
}

/// RFC 5761 section 5.1.1: muxed once both sides say so; an offer alone decides nothing, though
/// muxed RTCP is understood from anybody.
#[test]
fn rtcp_is_muxed_when_both_sides_can() {
    let mut call = Call::up();
    let muxes = |address| RemoteMedia { rtcp_mux: true, ..remote(address, &[8]) };
    call.relay.set_remote(Side::Caller, muxes(CALLER));
    let to_vendor = call.hears(Side::Caller, Kind::Rtp, CALLER, &report());
    let expected = Forward { side: Side::Vendor, kind: Kind::Rtcp, to: at("192.0.2.20:6001") };
    assert_eq!(to_vendor, Some(expected));
    let to_caller = call.hears(Side::Vendor, Kind::Rtcp, "192.0.2.20:6001", &report());
    let expected = Forward { side: Side::Caller, kind: Kind::Rtcp, to: at("192.0.2.10:4001") };
    assert_eq!(to_caller, Some(expected));
    call.relay.set_remote(Side::Vendor, muxes(VENDOR));
    for (from, to, side) in [(CALLER, VENDOR, Side::Caller), (VENDOR, CALLER, Side::Vendor)] {
        let forward = call.hears(side, Kind::Rtp, from, &report());
        let expected = Forward { side: side.other(), kind: Kind::Rtp, to: at(to) };
        assert_eq!(forward, Some(expected));
    }
}

#[test]
fn a_packet_that_the_network_refused_counts_as_dropped() {
    let mut call = Call::up();
    let forward = call.hears(Side::Caller, Kind::Rtp, CALLER, &rtp(8, 1)).expect("relayed");
    call.relay.not_sent(forward, &rtp(8, 1));
    call.relay.too_long(Side::Caller);
    assert_eq!(call.relay.counters(Side::Vendor).rtp_out, 0);
    assert_eq!(call.relay.counters(Side::Caller).dropped, 2);
}

#[test]
fn payload_types_above_127_do_not_exist() {
    let set: PayloadTypes = [0, 127, 128, 255].into_iter().collect();
    assert!(set.contains(0) && set.contains(127) && !set.contains(128) && !set.contains(1));
    assert!(PayloadTypes::default().is_empty() && !set.is_empty());
}
