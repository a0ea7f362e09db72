//! Media features: converted codecs, our own tones, silence that ends calls.

use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, change_vendors, customer, operator, vendor,
};
use crate::support::media::CALLER_LEG;
use crate::support::raw::{Raw, body, sdp};
use sip::Method;
use std::sync::Arc;
use std::time::Duration;
use strowger_switch::facts::{CustomerTrunk, Facts, Ringback, RingbackMode, VendorTrunk};
use strowger_switch::{AudioFormat, AudioFormats, MediaEvent, RemoteMedia};

/// The flag in the record of a one-way call.
const FLAG: &[ledger::Text] = &[ledger::Text::const_new("one_way")];

const PCMA: AudioFormat = AudioFormat::Pcma;
const PCMU: AudioFormat = AudioFormat::Pcmu;
const EVENTS: AudioFormat = AudioFormat::Events;

/// A description of a side that speaks µ-law, and names telephone events 97.
fn mu_law(ip: &str, port: u16) -> String {
    sdp(ip, port).replace("8 101", "0 97").replace("8 PCMA", "0 PCMU").replace(":101", ":97")
}

fn two_vendors(a: VendorTrunk) -> Facts {
    let b = vendor(12, "vendor-b", &[VENDOR_B], 2);
    operator(customer(1, "acme", CALLER), vec![a, b])
}

/// Vendors whose callers hear the British tone.
fn rings(mode: RingbackMode) -> Facts {
    let ringback = Ringback { mode, sound: Arc::from("gb") };
    let b = VendorTrunk { ringback: ringback.clone(), ..vendor(12, "vendor-b", &[VENDOR_B], 2) };
    let a = VendorTrunk { ringback, ..vendor(11, "vendor-a", &[VENDOR_A], 1) };
    operator(customer(1, "acme", CALLER), vec![a, b])
}

/// The `m=` line of a description.
fn media_line(description: &str) -> &str {
    description.lines().find(|line| line.starts_with("m=")).expect("a stream")
}

/// The latest formats that the relay was given for a leg.
fn formats(raw: &Raw, leg: u16) -> Option<AudioFormats> {
    let told: Option<&(u16, RemoteMedia)> =
        raw.stage.media.updates.iter().rfind(|(number, _)| *number == leg);
    told.and_then(|(_, remote)| remote.formats.clone())
}

/// MEDIA-22, MEDIA-23: the vendor is offered the caller's codecs and those that we can convert to;
/// its choice is converted, and each side uses its own payload numbers.
#[test]
fn a_vendor_with_another_codec_is_reached_by_conversion() {
    let mut raw = Raw::new(two_vendors(vendor(11, "vendor-a", &[VENDOR_A], 1)));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    assert!(media_line(&body(&invite)).ends_with(" RTP/AVP 8 101 0"), "{}", body(&invite));
    assert!(body(&invite).contains("a=rtpmap:0 PCMU/8000\r\n"));
    raw.answers(&invite, "200 OK", &[], &mu_law("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    assert!(media_line(&body(&ok)).ends_with(" RTP/AVP 8 101"), "{}", body(&ok));
    assert!(body(&ok).contains("c=IN IP4 10.0.0.1\r\n") && !body(&ok).contains("10.2.0.1"));
    raw.ack(&ok, "");
    raw.run(5);
    let caller = formats(&raw, CALLER_LEG).expect("described by us");
    assert_eq!(caller.wants, [(8, PCMA), (101, EVENTS)]);
    let vendor = formats(&raw, 1).expect("described by us");
    assert_eq!(vendor.wants, [(0, PCMU), (97, EVENTS)]);
    assert_eq!(vendor.sends, [(8, PCMA), (101, EVENTS), (0, PCMU)]);
    raw.hangs_up(&ok);
    let record = &raw.stage.finals[0];
    assert_eq!((&*record.call.media.codec, &*record.attempts[0].media.codec), ("PCMA", "PCMU"));
}

/// MEDIA-23: nothing is converted if the sides share a codec.
#[test]
fn a_shared_codec_is_not_converted() {
    let mut raw = Raw::new(two_vendors(vendor(11, "vendor-a", &[VENDOR_A], 1)));
    let (_, ok) = raw.connects();
    assert_eq!((formats(&raw, CALLER_LEG), formats(&raw, 1)), (None, None));
    raw.hangs_up(&ok);
}

/// MEDIA-23: `never` on either side.
#[test]
fn whoever_does_not_want_conversion_is_offered_none() {
    let never = VendorTrunk { transcode: false, ..vendor(11, "vendor-a", &[VENDOR_A], 1) };
    let customer = CustomerTrunk { transcode: false, ..customer(1, "acme", CALLER) };
    let auto = vendor(11, "vendor-a", &[VENDOR_A], 1);
    for facts in [two_vendors(never), operator(customer, vec![auto])] {
        let mut raw = Raw::new(facts);
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        assert!(media_line(&body(&invite)).ends_with(" RTP/AVP 8 101"), "{}", body(&invite));
        // A codec that was not offered passes unchanged, so that its receiver notices.
        raw.answers(&invite, "200 OK", &[], &mu_law("10.2.0.1", 42_000));
        let ok = raw.caller("SIP/2.0 200 ");
        assert!(media_line(&body(&ok)).contains(" RTP/AVP 0"), "{}", body(&ok));
        assert_eq!(formats(&raw, 1), None, "nothing is converted");
        raw.ack(&ok, "");
        raw.vendor("ACK ");
        raw.hangs_up(&ok);
    }
}

/// MEDIA-23: a re-INVITE of the vendor is converted too, and one with a shared codec ends the
/// conversion.
#[test]
fn conversion_follows_a_re_invite() {
    let mut raw = Raw::new(two_vendors(vendor(11, "vendor-a", &[VENDOR_A], 1)));
    let (_, ok) = raw.connects();
    raw.asks(&ok, &Method::Invite, &[], &mu_law("10.1.0.1", 40_000));
    let again = raw.vendor("INVITE ");
    assert!(media_line(&body(&again)).ends_with(" RTP/AVP 0 97 8"), "{}", body(&again));
    raw.answers(&again, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let answer = raw.caller("SIP/2.0 200 ");
    assert!(media_line(&body(&answer)).ends_with(" RTP/AVP 0 97"), "{}", body(&answer));
    raw.ack(&answer, "");
    raw.run(5);
    assert_eq!(formats(&raw, CALLER_LEG).expect("converted").wants[0], (0, PCMU));
    raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_000));
    let again = raw.vendor("INVITE ");
    raw.answers(&again, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let answer = raw.caller("SIP/2.0 200 ");
    raw.ack(&answer, "");
    raw.run(5);
    assert_eq!((formats(&raw, CALLER_LEG), formats(&raw, 1)), (None, None));
    raw.hangs_up(&ok);
}

/// MEDIA-13: after 180 without SDP the caller gets 183 with our answer and hears the tone until the
/// vendor answers. The vendor's answer is converted to ours, which stands.
#[test]
fn a_silent_vendor_rings_with_our_tone() {
    let mut raw = Raw::new(rings(RingbackMode::IfNoEarlyMedia));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "180 Ringing", &[], "");
    let progress = raw.caller("SIP/2.0 183 ");
    let early = body(&progress);
    assert!(media_line(&early).ends_with(" RTP/AVP 8 101"), "{early}");
    assert_eq!(raw.stage.media.plays, [(CALLER_LEG, "gb".to_owned())]);
    let joins = raw.stage.media.joins.len();
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.run(5);
    assert_eq!(raw.stage.media.plays.len(), 1, "it goes on");
    raw.answers(&invite, "200 OK", &[], &mu_law("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    assert_eq!(body(&ok), early, "the same answer (RFC 3261 section 13.2.1)");
    assert_eq!(raw.stage.media.joins[joins..], [(CALLER_LEG, 1)]);
    raw.ack(&ok, "");
    raw.run(5);
    raw.hangs_up(&ok);
}

/// MEDIA-13, MEDIA-14: the caller hears the early media of a vendor, before a tone or after it.
#[test]
fn early_media_of_the_vendor_end_the_tone() {
    let mut raw = Raw::new(rings(RingbackMode::IfNoEarlyMedia));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.caller("SIP/2.0 183 ");
    let joins = raw.stage.media.joins.len();
    raw.answers(&invite, "183 Session Progress", &[], &sdp("10.2.0.1", 42_000));
    raw.caller("SIP/2.0 183 ");
    assert_eq!(raw.stage.media.joins[joins..], [(CALLER_LEG, 1)]);
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.caller("SIP/2.0 180 ");
    assert_eq!(raw.stage.media.plays.len(), 1, "it is heard already");
    raw.cancel(&[]);
    raw.answers(&invite, "487 Request Terminated", &[], "");
    raw.ends();
}

/// MEDIA-13: `always` hides the vendor's media before the answer.
#[test]
fn always_means_until_the_answer() {
    let mut raw = Raw::new(rings(RingbackMode::Always));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "183 Session Progress", &[], &mu_law("10.2.0.1", 42_000));
    let early = body(&raw.caller("SIP/2.0 183 "));
    assert!(media_line(&early).ends_with(" RTP/AVP 8 101"), "{early}");
    assert_eq!(raw.stage.media.plays.len(), 1);
    let joins = raw.stage.media.joins.len();
    raw.answers(&invite, "183 Session Progress", &[], &mu_law("10.2.0.1", 42_000));
    raw.run(5);
    assert_eq!(raw.stage.media.joins.len(), joins);
    raw.answers(&invite, "200 OK", &[], "");
    let ok = raw.caller("SIP/2.0 200 ");
    assert_eq!(body(&ok), early);
    assert_eq!(raw.stage.media.joins[joins..], [(CALLER_LEG, 1)]);
    raw.ack(&ok, "");
    raw.run(5);
    raw.hangs_up(&ok);
}

/// MEDIA-13: the caller keeps hearing the tone while the next vendor is tried.
#[test]
fn the_tone_goes_on_over_a_failover() {
    let mut raw = Raw::new(rings(RingbackMode::IfNoEarlyMedia));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.caller("SIP/2.0 183 ");
    let joins = raw.stage.media.joins.len();
    raw.answers(&invite, "503 Service Unavailable", &[], "");
    let next = raw.at(VENDOR_B, "INVITE ");
    assert_eq!(raw.stage.media.joins.len(), joins);
    raw.answers_from(VENDOR_B, &next, "200 OK", &[], &sdp("10.3.0.1", 43_000));
    let ok = raw.caller("SIP/2.0 200 ");
    assert_eq!(raw.stage.media.joins[joins..], [(CALLER_LEG, 2)]);
    raw.ack(&ok, "");
    raw.run(5);
    raw.stage.close_all();
    raw.ends();
}

/// MEDIA-13: no tone for callers whose codecs we do not support, for direct media, or when it is
/// off.
#[test]
fn a_caller_that_we_cannot_speak_to_hears_the_vendors_180() {
    let foreign = sdp("10.1.0.1", 40_000).replace("8 101", "18 101").replace("8 PCMA", "18 G729");
    let mut direct = rings(RingbackMode::Always);
    change_vendors(&mut direct, |trunk| trunk.relay = false);
    let usual = sdp("10.1.0.1", 40_000);
    for (facts, offer) in [
        (rings(RingbackMode::IfNoEarlyMedia), &foreign),
        (direct, &usual),
        (rings(RingbackMode::Off), &usual),
    ] {
        let mut raw = Raw::new(facts);
        raw.invite(&[], offer);
        let invite = raw.vendor("INVITE ");
        raw.answers(&invite, "180 Ringing", &[], "");
        assert!(raw.caller("SIP/2.0 180 ").body().is_empty());
        assert!(raw.stage.media.plays.is_empty());
        raw.cancel(&[]);
        raw.answers(&invite, "487 Request Terminated", &[], "");
        raw.ends();
    }
}

/// MEDIA-16, MEDIA-17, MEDIA-20, BILL-13: a call that died in silence ends with cause 41 and is
/// billed up to its last packet.
#[test]
fn silence_ends_a_call_and_is_not_billed() {
    let reasons = [
        (MediaEvent::NoMedia, "no RTP within 30s of the answer"),
        (MediaEvent::BothSilent, "neither side has sent anything for 60s"),
        (MediaEvent::HeldTooLong, "on hold for longer than 3600s"),
    ];
    for (event, detail) in reasons {
        let mut raw = Raw::new(two_vendors(vendor(11, "vendor-a", &[VENDOR_A], 1)));
        raw.connects();
        raw.stage.media.last_packet = Some(raw.stage.now + Duration::from_secs(10));
        raw.run(70_000);
        raw.stage.media_event(event);
        let byes = [raw.vendor("BYE "), raw.caller("BYE ")];
        for bye in &byes {
            let reason = bye.header("Reason").unwrap_or_default();
            assert!(reason.contains("cause=41"), "{reason}");
        }
        raw.answers(&byes[0], "200 OK", &[], "");
        raw.caller_answers(&byes[1], "200 OK", "");
        raw.ends();
        let record = &raw.stage.finals[0].call;
        assert_eq!((record.end_reason.as_str(), &*record.detail), ("media_timeout", detail));
        assert!((70_000..70_100).contains(&record.duration_ms), "{}", record.duration_ms);
        let billed = [record.billable_ms, raw.stage.finals[0].attempts[0].billable_ms];
        let full = event == MediaEvent::HeldTooLong;
        let expected = if full { 70_000..70_100 } else { 10_000..10_100 };
        assert!(billed.iter().all(|ms| expected.contains(ms)), "{event:?}: {billed:?}");
    }
}

/// MEDIA-18: one silent side does not end a call; the trail notes it.
#[test]
fn a_one_way_call_is_flagged() {
    let mut raw = Raw::new(two_vendors(vendor(11, "vendor-a", &[VENDOR_A], 1)));
    let (_, ok) = raw.connects();
    raw.stage.media_event(MediaEvent::SideSilent(1));
    raw.stage.media_event(MediaEvent::SideHeard(1));
    raw.stage.media_event(MediaEvent::SideSilent(1));
    raw.hangs_up(&ok);
    let trail = &raw.stage.finals[0].trail;
    let told: Vec<&str> = trail
        .iter()
        .filter(|line| &*line.hook == "media")
        .map(|line| line.answer.as_str())
        .collect();
    let silent = "vendor one-way: is silent";
    assert_eq!(told, [silent, "vendor is heard again", silent]);
    let record = &raw.stage.finals[0];
    assert_eq!((&record.call.flags[..], &record.attempts[0].flags[..]), (FLAG, FLAG));
    raw.stage.media_event(MediaEvent::BothSilent);
    assert_eq!(raw.stage.finals.len(), 1, "it is over");
}

/// MEDIA-19: the relay is told which side is on hold, so that it does not wait for its packets.
#[test]
fn a_hold_is_told_to_the_relay() {
    let mut raw = Raw::new(two_vendors(vendor(11, "vendor-a", &[VENDOR_A], 1)));
    let (_, ok) = raw.connects();
    let hold = sdp("10.1.0.1", 40_000).replace("sendrecv", "sendonly");
    raw.asks(&ok, &Method::Invite, &[], &hold);
    let again = raw.vendor("INVITE ");
    let held = sdp("10.2.0.1", 42_000).replace("sendrecv", "recvonly");
    raw.answers(&again, "200 OK", &[], &held);
    let answer = raw.caller("SIP/2.0 200 ");
    raw.ack(&answer, "");
    raw.run(5);
    let told = |leg| {
        let found = raw.stage.media.updates.iter().rfind(|(number, _)| *number == leg);
        found.map(|(_, remote)| (remote.sends, remote.receives))
    };
    assert_eq!((told(CALLER_LEG), told(1)), (Some((true, false)), Some((false, true))));
    raw.hangs_up(&ok);
}
