//! Audio through the relay, packet by packet.

use std::net::SocketAddr;
use std::time::Duration;
use strowger_tests::rtp::{MediaPeer, talk};
use strowger_tests::sipp::audio_address;
use strowger_tests::stage::{CALL_LIMIT, Stage};
use strowger_tests::switch::Setup;
use strowger_tests::wait;

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

/// MEDIA-11: once latched, packets from other sources are dropped and counted.
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

/// MEDIA-09: one call takes all four ports. The alarm stands, and the next call gets no ports and
/// is refused with the reason; MEDIA-08: the ports rest after the call.
#[test]
fn the_alarm_stands_while_the_ports_run_out() {
    let mut setup = Setup::new();
    setup.media_ports = "20000-20003".to_owned();
    let stage = Stage::with(&setup);
    let nearly_full = || stage.switch.metric("strowger_relay_nearly_full", &["main"]);
    assert_eq!(nearly_full(), 0.0);
    let mut vendor = stage.vendor_a().answers();
    let mut caller = stage.caller().with("talk_ms", 4000).calls();
    audio_address(&caller.hears("SIP/2.0 200")).expect("an answer");
    assert_eq!(nearly_full(), 1.0);
    let log = stage.switch.log();
    assert!(log.contains("80 % of the media ports are in use"), "{log}");
    let refused = stage.caller().with("code", 503).script("caller_expects_refusal").port(5062);
    refused.start(stage.switch.folder().path()).succeeds(CALL_LIMIT);
    // One call, attempted at both vendors.
    wait::until("the alarm", CALL_LIMIT, || {
        let alarms = stage.switch.get("/v1/alarms").to_string();
        alarms.contains("\"2 attempts got no media port\"").then_some(())
    });

    caller.succeeds(CALL_LIMIT);
    vendor.succeeds(CALL_LIMIT);
    let records = stage.switch.settled_records(2);
    let refused = records.iter().find(|record| record["code_returned"] == 503).expect("refused");
    assert_eq!(refused["end_reason"], "media_resources", "{refused}");
    assert_eq!(refused["attempts"][0]["end_reason"], "media_resources", "{refused}");
    assert_eq!(stage.switch.metric("strowger_relay_pairs_used", &[]), 0.0);
    assert_eq!(stage.switch.metric("strowger_relay_pairs_resting", &["main"]), 2.0);
}
