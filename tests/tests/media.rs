//! Audio through the relay, packet by packet.

use std::net::SocketAddr;
use std::time::Duration;
use strowger_tests::rtp::{MediaPeer, talk};
use strowger_tests::sipp::audio_address;
use strowger_tests::stage::{CALL_LIMIT, Stage};

const PACKETS: u16 = 100;

/// MEDIA-11, MEDIA-08, SIG-04: every packet passes both ways, unchanged and in order, and
/// comes from the switch's media address.
#[test]
fn every_packet_passes_both_ways() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("talk_ms", 4000).calls();

    let at_caller = MediaPeer::bind(SocketAddr::new(stage.net.caller(), 40000), 0xCA11);
    let at_vendor = MediaPeer::bind(SocketAddr::new(stage.net.vendor_a(), 40000), 0xFE2D);
    let offer = audio_address(&vendor.hears("INVITE")).expect("an offer");
    let answer = audio_address(&caller.hears("SIP/2.0 200")).expect("an answer");
    assert_eq!(offer.ip(), stage.net.media());
    assert_eq!(answer.ip(), stage.net.media());
    assert_ne!(offer.port(), answer.port());
    for port in [offer.port(), answer.port()] {
        assert!((20_000..30_000).contains(&port) && port % 2 == 0, "port {port}");
    }

    let [heard_by_caller, heard_by_vendor] =
        talk((&at_caller, answer), (&at_vendor, offer), PACKETS, Duration::from_millis(20));
    for (heard, sender, source) in
        [(heard_by_caller, &at_vendor, answer), (heard_by_vendor, &at_caller, offer)]
    {
        assert_eq!(heard.len(), usize::from(PACKETS), "packets were lost");
        for (number, arrival) in (0..PACKETS).zip(heard) {
            assert_eq!(arrival.bytes, sender.packet(number), "packet {number} was changed");
            assert_eq!(arrival.source, source, "packet {number} came from elsewhere");
        }
    }

    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let record = stage.switch.record();
    let packets = u64::from(PACKETS);
    record
        .shows("/media/rtp_in", packets)
        .shows("/media/rtp_out", packets)
        .shows("/attempts/0/media/rtp_in", packets)
        .shows("/attempts/0/media/rtp_out", packets);
}

/// MEDIA-11: once latched, packets of anybody else are dropped and counted.
#[test]
fn a_third_party_cannot_speak_into_a_call() {
    let stage = Stage::new();
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("talk_ms", 3000).calls();
    let at_caller = MediaPeer::bind(SocketAddr::new(stage.net.caller(), 40000), 0xCA11);
    let at_vendor = MediaPeer::bind(SocketAddr::new(stage.net.vendor_a(), 40000), 0xFE2D);
    let intruder = MediaPeer::bind(SocketAddr::new(stage.net.stranger(), 40000), 0xBAD);
    let offer = audio_address(&vendor.hears("INVITE")).expect("an offer");
    let answer = audio_address(&caller.hears("SIP/2.0 200")).expect("an answer");

    let heard = talk((&at_caller, answer), (&at_vendor, offer), 10, Duration::from_millis(20));
    assert_eq!(heard.map(|packets| packets.len()), [10, 10]);
    for number in 0..10 {
        intruder.send(number, answer);
    }
    assert!(at_vendor.take(1).is_empty(), "the vendor hears the intruder");

    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    stage.switch.record().shows("/media/dropped", 10);
}
