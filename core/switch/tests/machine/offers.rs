//! Offers and answers as peers make them in practice: which pass, which are refused, and what
//! neither side learns of the other.

use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, operator, small_operator, vendor,
};
use crate::support::media::CALLER_LEG;
use crate::support::raw::{Raw, body, sdp};
use sip::Method;
use strowger_switch::facts::{CustomerTrunk, Facts, VendorTrunk};

const FAX_ALONE: &str = "v=0\r\no=fax 1 1 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\n\
    m=image 6002 udptl t38\r\na=T38FaxVersion:0\r\n";

/// A description that reveals too much about its peer: its name, program, private addresses.
fn talkative(ip: &str, port: u16) -> String {
    format!(
        "v=0\r\no=secret 1 1 IN IP4 {ip}\r\ns=secret.example\r\ni=secret\r\nu=http://secret/\r\n\
         e=secret@secret\r\np=+1 secret\r\nc=IN IP4 {ip}\r\nt=0 0\r\na=tool:secret 1\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n\
         a=candidate:1 1 UDP 1 192.168.7.7 {port} typ host\r\na=x-from:192.168.7.7:9\r\n"
    )
}

/// RFC 8866 section 5.7: a `c=` after the only `m=` line is enough.
#[test]
fn an_address_may_stand_in_the_stream_alone() {
    let mut raw = Raw::new(small_operator());
    let offer = "v=0\r\no=desk-phone 1101 0 IN IP4 10.1.0.1\r\ns=call\r\nt=0 0\r\n\
        m=audio 40000 RTP/AVP 0 8 18 112 101\r\nc=IN IP4 10.1.0.1\r\na=rtpmap:18 G729/8000\r\n\
        a=fmtp:18 annexb=no\r\na=rtpmap:112 iLBC/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
    raw.invite(&[], offer);
    let invite = raw.vendor("INVITE ");
    let offered = body(&invite);
    assert!(offered.contains(" RTP/AVP 0 8 18 112 101\r\nc=IN IP4 10.0.0.1\r\n"), "{offered}");
    let (leg, remote) = raw.stage.media.updates[0].clone();
    assert_eq!((leg, remote.rtp.to_string()), (CALLER_LEG, "10.1.0.1:40000".to_owned()));
    raw.answers(&invite, "486 Busy Here", &[], "");
    raw.ends();
}

/// SIG-13: a large INVITE with many lines passes completely, as far as it concerns the vendor.
#[test]
fn a_large_invite_passes() {
    let mut raw = Raw::new(small_operator());
    let lines: Vec<String> =
        (0..60).map(|n| format!("a=x-param-{n}: {}\r\n", "v".repeat(60))).collect();
    let names: Vec<String> = (0..40).map(|n| format!("X-Trace-{n}")).collect();
    let value = "h".repeat(80);
    let headers: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), value.as_str())).collect();
    raw.from = format!("\"{}\" <sip:4930123@{CALLER}>;tag=caller", "Long Name ".repeat(18));
    raw.invite(&headers, &(sdp("10.1.0.1", 40_000) + &lines.concat()));
    let offered = body(&raw.vendor("INVITE "));
    assert!(lines.iter().all(|line| offered.contains(line)), "{offered}");
    raw.cancel(&[]);
    raw.ends();
}

/// RFC 3264 sections 5.1 and 6.1: each side may number its payload types; both numberings pass, and
/// the relay knows both.
#[test]
fn payload_types_are_each_sides_own() {
    let mut raw = Raw::new(small_operator());
    let offer = sdp("10.1.0.1", 40_000).replace("101", "96");
    let answer = sdp("10.2.0.1", 42_000).replace("AVP 8", "AVP 121").replace(":8 P", ":121 P");
    raw.invite(&[], &offer);
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &answer);
    let ok = raw.caller("SIP/2.0 200 ");
    raw.ack(&ok, "");
    assert!(body(&invite).contains(" RTP/AVP 8 96 0\r\n"), "{}", body(&invite));
    assert!(body(&ok).contains(" RTP/AVP 121 101\r\n"), "{}", body(&ok));
    let told: Vec<_> =
        raw.stage.media.updates.iter().map(|(_, remote)| remote.payload_types.clone()).collect();
    assert_eq!(told, [vec![8, 96], vec![121, 101]]);
    raw.hangs_up(&ok);
}

/// RFC 3264 section 6: an image stream offered beside the audio is refused, the audio is not.
#[test]
fn a_fax_beside_the_audio_is_refused_alone() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &(sdp("10.1.0.1", 40_000) + "m=image 6002 udptl t38\r\n"));
    let invite = raw.vendor("INVITE ");
    assert!(body(&invite).ends_with("m=image 0 udptl t38\r\n"), "{}", body(&invite));
    raw.answers(&invite, "200 OK", &[], &(sdp("10.2.0.1", 42_000) + "m=image 0 udptl t38\r\n"));
    let ok = raw.caller("SIP/2.0 200 ");
    assert!(body(&ok).contains("m=audio 1") && body(&ok).ends_with("m=image 0 udptl t38\r\n"));
    raw.ack(&ok, "");
    raw.hangs_up(&ok);
}

/// SIG-93, RFC 3261 section 21.4.26: an offer that we cannot pass on is the caller's problem, so it
/// gets 488 at once and no vendor is called. The same holds for a body that is not a description.
#[test]
fn an_offer_without_audio_gets_488() {
    for offer in [FAX_ALONE, "v=0\r\nnonsense\r\n", &sdp("10.1.0.1", 0)] {
        let mut raw = Raw::new(small_operator());
        raw.invite(&[], offer);
        raw.caller("SIP/2.0 488 Not Acceptable Here");
        raw.ends();
        let record = &raw.stage.finals[0].call;
        assert_eq!(record.end_reason, "codec_mismatch");
        assert_eq!((record.code_received, record.code_returned), (0, 488));
        assert!(!raw.has(VENDOR_A, "INVITE ") && !raw.has(VENDOR_B, "INVITE "));
    }
}

/// MEDIA-03: if media bypass us, the vendor may refuse the offer itself.
#[test]
fn a_fax_goes_to_a_vendor_whose_media_we_do_not_relay() {
    let direct = VendorTrunk { relay: false, ..vendor(12, "vendor-b", &[VENDOR_B], 2) };
    let vendors = vec![vendor(11, "vendor-a", &[VENDOR_A], 1), direct];
    let mut raw = Raw::new(operator(customer(1, "acme", CALLER), vendors));
    raw.invite(&[], FAX_ALONE);
    let invite = raw.at(VENDOR_B, "INVITE ");
    assert!(body(&invite).contains("m=image 6002 udptl t38\r\n"), "{}", body(&invite));
    raw.answers_from(VENDOR_B, &invite, "488 Not Acceptable Here", &[], "");
    raw.caller("SIP/2.0 488 ");
    raw.ends();
    assert_eq!(raw.stage.finals[0].attempts[0].end_reason, "codec_mismatch");
    assert_eq!(raw.stage.finals[0].attempts[1].end_reason, "device_codec");
}

/// RFC 3264 section 8: a fax re-INVITE without audio is refused and changes nothing; the next one
/// is negotiated in full.
#[test]
fn a_refused_fax_leaves_the_audio_as_it_was() {
    let mut raw = Raw::new(small_operator());
    let (invite, ok) = raw.connects();
    let told = raw.stage.media.updates.len();
    let fax = "v=0\r\no=fax 500 501 IN IP4 10.2.0.1\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n\
        m=image 6002 udptl t38\r\nc=IN IP4 10.2.0.1\r\na=T38FaxVersion:0\r\n";
    raw.vendor_asks(&invite, &Method::Invite, &[], fax);
    raw.vendor("SIP/2.0 488 ");
    assert_eq!(raw.stage.media.updates.len(), told, "nothing has changed");
    raw.vendor_asks(&invite, &Method::Invite, &[], &sdp("10.2.0.1", 42_010));
    let offer = raw.caller("INVITE ");
    raw.caller_answers(&offer, "200 OK", &sdp("10.1.0.1", 40_000));
    let accepted = raw.vendor("SIP/2.0 200 ");
    assert!(body(&accepted).contains("m=audio 1"), "{}", body(&accepted));
    raw.caller("ACK ");
    raw.hangs_up(&ok);
}

/// RFC 3261 section 13.2.1, RFC 6337 section 3.1.1: the SDP of the 183 is the answer. If the 200
/// has none, the caller gets it in the 200, because it may not have trusted an unreliable 183.
#[test]
fn the_answer_of_a_183_is_in_the_200() {
    for (code, repeated) in [("183 Session Progress", false), ("180 Ringing", true)] {
        let mut raw = Raw::new(small_operator());
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        raw.answers(&invite, code, &[], &sdp("10.2.0.1", 42_000));
        let early = raw.caller(&format!("SIP/2.0 {code}"));
        let again = if repeated { sdp("10.2.0.1", 42_000) } else { String::new() };
        raw.answers(&invite, "200 OK", &[], &again);
        let ok = raw.caller("SIP/2.0 200 ");
        assert_eq!(body(&ok), body(&early), "RFC 3264 section 8: and `o=` is the same");
        raw.ack(&ok, "");
        raw.hangs_up(&ok);
    }
}

/// A missing answer stays missing: the early answer of a vendor that failed is not that of the next
/// one.
#[test]
fn a_200_that_answers_no_offer_ends_the_call() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let first = raw.vendor("INVITE ");
    raw.answers(&first, "183 Session Progress", &[], &sdp("10.2.0.1", 42_000));
    raw.answers(&first, "503 Service Unavailable", &[], "");
    let second = raw.at(VENDOR_B, "INVITE ");
    raw.answers_from(VENDOR_B, &second, "200 OK", &[], "");
    raw.at(VENDOR_B, "ACK ");
    let bye = raw.at(VENDOR_B, "BYE ");
    raw.answers_from(VENDOR_B, &bye, "200 OK", &[], "");
    raw.caller("SIP/2.0 488 ");
    raw.ends();
    assert_eq!(raw.stage.finals[0].call.end_reason, "codec_mismatch");
}

/// SIG-93, BILL-28: a vendor with an unusable offer has answered: it gets ACK and BYE, and is paid
/// for an instant; the caller gets 488 and pays nothing.
#[test]
fn an_answer_that_cannot_be_used_is_ended_and_paid() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], "");
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &FAX_ALONE.replace("10.1.0.1", "10.2.0.1"));
    raw.vendor("ACK ");
    let bye = raw.vendor("BYE ");
    raw.answers(&bye, "200 OK", &[], "");
    raw.caller("SIP/2.0 488 ");
    raw.ends();
    let document = &raw.stage.finals[0];
    let attempt = &document.attempts[0];
    assert_eq!((attempt.end_reason.as_str(), attempt.billable_ms), ("codec_mismatch", 1));
    assert!(document.call.sell.is_none() && document.call.cost > ledger::Money::ZERO);
}

/// A vendor whose audio moves between 183 and 200, as behind an announcement server: the caller's
/// answer stands (RFC 3261 section 13.2.1), and the relay follows.
#[test]
fn a_stream_that_moves_between_183_and_200_is_followed() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "183 Session Progress", &[], &sdp("10.2.0.9", 45_000));
    let early = body(&raw.caller("SIP/2.0 183 "));
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    assert_eq!(body(&ok), early);
    let told = raw.stage.media.updates.iter().rfind(|(leg, _)| *leg != CALLER_LEG);
    assert_eq!(told.map(|(_, remote)| remote.rtp.to_string()), Some("10.2.0.1:42000".to_owned()));
    raw.ack(&ok, "");
    raw.vendor("ACK ");
    raw.hangs_up(&ok);
}

/// RFC 3261 sections 13.2.1 and 13.3.1.4: a delayed offer whose ACK is lost and is sent twice.
#[test]
fn a_delayed_offer_survives_repetitions() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], "");
    let invite = raw.vendor("INVITE ");
    assert!(invite.body().is_empty());
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    assert!(body(&ok).contains("m=audio 1"));
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    raw.run(600);
    raw.caller("SIP/2.0 200 ");
    assert!(!raw.has(VENDOR_A, "ACK "), "the answer is not there yet");
    raw.ack(&ok, &sdp("10.1.0.1", 40_000));
    raw.ack(&ok, &sdp("10.1.0.1", 40_000));
    let ack = raw.vendor("ACK ");
    assert!(body(&ack).contains("c=IN IP4 10.0.0.1"), "{}", body(&ack));
    assert!(!raw.has(VENDOR_A, "ACK "), "the repeated ACK changes nothing");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    assert_eq!(raw.vendor("ACK ").to_bytes(), ack.to_bytes());
    raw.hangs_up(&ok);
}

/// RFC 3261 section 13.2.2.4: the ACK does not answer the vendor's offer in the 200. Neither side
/// would be heard, and both would pay.
#[test]
fn a_delayed_offer_that_is_not_answered_ends_the_call() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], "");
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.ack(&ok, "");
    raw.vendor("ACK ");
    let bye = raw.vendor("BYE ");
    raw.answers(&bye, "200 OK", &[], "");
    let bye = raw.caller("BYE ");
    raw.caller_answers(&bye, "200 OK", "");
    raw.ends();
    assert_eq!(&*raw.stage.finals[0].call.end_reason, "codec_mismatch");
}

/// RFC 3264 sections 6.1 and 8.4: hold passes unchanged, even if its last line has no line end, and
/// our address stays in `c=`.
#[test]
fn a_hold_without_line_end_is_a_hold() {
    let mut raw = Raw::new(small_operator());
    let (_, ok) = raw.connects();
    let hold = sdp("10.1.0.1", 40_000).replace("a=sendrecv\r\n", "a=sendonly");
    raw.asks(&ok, &Method::Invite, &[], &hold);
    let offer = raw.vendor("INVITE ");
    assert!(body(&offer).contains("c=IN IP4 10.0.0.1\r\n"), "{}", body(&offer));
    assert!(body(&offer).contains("\r\na=sendonly\r\na=rtpmap:0 "), "{}", body(&offer));
    let answer = sdp("10.2.0.1", 42_000).replace("a=sendrecv\r\n", "a=recvonly");
    raw.answers(&offer, "200 OK", &[], &answer);
    let held = raw.caller("SIP/2.0 200 ");
    assert!(body(&held).contains("c=IN IP4 10.0.0.1\r\n") && body(&held).ends_with("a=recvonly"));
    raw.ack(&held, "");
    raw.run(5);
    assert_eq!(raw.stage.switch.calls().next().expect("a call").state, "held");
    raw.hangs_up(&ok);
}

/// SIG-18, SIG-20, RFC 3960 section 3: media are early media in any 18x, with the time limit of 18x
/// with SDP; without media, 181 and 182 count as 183.
#[test]
fn early_media_may_come_in_any_18x() {
    for code in ["180 Ringing", "181 Forwarded", "182 Queued", "183 Session Progress"] {
        for early in [true, false] {
            if !early && code.starts_with("180") {
                continue;
            }
            let mut raw = Raw::new(small_operator());
            raw.invite(&[], &sdp("10.1.0.1", 40_000));
            let invite = raw.vendor("INVITE ");
            let media = if early { sdp("10.2.0.1", 42_000) } else { String::new() };
            raw.answers(&invite, code, &[], &media);
            let heard = raw.caller(&format!("SIP/2.0 {}", &code[..3]));
            assert_eq!(body(&heard).contains("m=audio 1"), early, "{code}");
            raw.run(19_900);
            assert!(!raw.has(VENDOR_A, "CANCEL "), "{code}");
            raw.run(200);
            assert_eq!(raw.has(VENDOR_A, "CANCEL "), !early, "{code}, SIG-17 after 20 s");
            if !early {
                raw.cancel(&[]);
                raw.ends();
                continue;
            }
            raw.run(99_000);
            assert!(!raw.has(VENDOR_A, "CANCEL "), "{code}");
            raw.run(1_500);
            assert!(raw.has(VENDOR_A, "CANCEL "), "{code}, SIG-18 after 120 s");
            raw.ends();
        }
    }
}

/// SIG-04: text that a side writes for people, and anything in its description that identifies it,
/// stays on its leg: in provisional and final responses and in requests inside the dialog, both
/// ways, with and without relay.
#[test]
fn neither_side_learns_who_the_other_is() {
    for relay in [true, false] {
        let acme = CustomerTrunk { relay, ..customer(1, "acme", CALLER) };
        let mut raw = Raw::new(one_vendor(acme));
        let telling = [
            ("Server", "secret"),
            ("User-Agent", "secret"),
            ("Warning", "399 secret \"secret\""),
            ("P-Asserted-Identity", "\"secret\" <sip:secret@secret>"),
            ("Organization", "secret"),
            ("Contact", "\"secret\" <sip:secret@10.2.0.1:5060>"),
            ("Reason", "Q.850;cause=31;text=\"secret\""),
        ];
        raw.invite(
            &[("Subject", "secret"), ("User-Agent", "secret")],
            &talkative("10.1.0.1", 4_000),
        );
        let invite = raw.vendor("INVITE ");
        raw.answers(&invite, "180 secret", &telling, "");
        raw.answers(&invite, "183 secret", &telling, &talkative("10.2.0.1", 4_200));
        raw.answers(&invite, "200 secret", &telling, &talkative("10.2.0.1", 4_200));
        let ok = raw.caller("SIP/2.0 200 ");
        raw.ack(&ok, "");
        raw.asks(&ok, &Method::Invite, &telling[..5], &talkative("10.1.0.1", 4_002));
        let again = raw.vendor("INVITE ");
        raw.answers(&again, "200 secret", &telling, &talkative("10.2.0.1", 4_202));
        let accepted = raw.caller("SIP/2.0 200 ");
        raw.ack(&accepted, "");
        raw.asks(&ok, &Method::Invite, &[], &talkative("10.1.0.1", 4_004));
        let refused = raw.vendor("INVITE ");
        raw.answers(&refused, "488 secret", &telling, "");
        raw.caller("SIP/2.0 488 Not Acceptable Here");
        raw.hangs_up(&ok);
        for (_, to, bytes) in &raw.stage.wire {
            // Our responses repeat From, To, Call-ID and Via of their own leg only.
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains("192.168.7.7"), "to {to}, relay {relay}: {text}");
            // Requests to the vendor itself may contain the user of its Contact.
            let theirs = text.replace("sip:secret@10.2.0.1", "");
            assert!(!theirs.contains("secret"), "to {to}, relay {relay}: {text}");
            let other = if to.to_string() == CALLER { "10.2.0.1" } else { "10.1.0.1" };
            let media = text.matches(&format!("c=IN IP4 {other}")).count();
            assert_eq!(text.matches(other).count(), media, "to {to}, relay {relay}: {text}");
            assert!(!relay || media == 0, "to {to}: {text}");
        }
    }
}

/// SIG-04: a refusal is passed on in our own words too.
#[test]
fn a_refusal_is_told_in_our_words() {
    let mut raw = Raw::new(one_vendor(customer(1, "acme", CALLER)));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "486 Busy at secret.example", &[("Warning", "399 secret \"x\"")], "");
    let refused = raw.caller("SIP/2.0 486 Busy Here");
    assert!(!String::from_utf8_lossy(&refused.to_bytes()).contains("secret"));
    raw.ends();
}

/// MEDIA-03: either trunk may have its media bypass us; then nothing is relayed, and each side gets
/// the other's address.
#[test]
fn one_trunk_is_enough_for_direct_media() {
    for (of_customer, of_vendor) in [(false, true), (true, false), (false, false)] {
        let acme = CustomerTrunk { relay: of_customer, ..customer(1, "acme", CALLER) };
        let first = VendorTrunk { relay: of_vendor, ..vendor(11, "vendor-a", &[VENDOR_A], 1) };
        let mut raw = Raw::new(operator(acme, vec![first]));
        let (invite, ok) = raw.connects();
        assert!(body(&invite).contains("c=IN IP4 10.1.0.1\r\nt=0 0\r\nm=audio 40000 "));
        assert!(body(&ok).contains("c=IN IP4 10.2.0.1\r\nt=0 0\r\nm=audio 42000 "));
        assert!(
            body(&invite).contains("o=switch ") && body(&invite).contains(" 0 IN IP4 10.0.0.1\r\n")
        );
        assert_eq!(raw.stage.media.open_legs(), 0);
        raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_002));
        let moved = raw.vendor("INVITE ");
        assert!(body(&moved).contains(" 1 IN IP4 10.0.0.1\r\n"), "RFC 3264 section 8");
        raw.answers(&moved, "488 Not Acceptable Here", &[], "");
        raw.hangs_up(&ok);
    }
}

fn one_vendor(customer: CustomerTrunk) -> Facts {
    operator(customer, vec![vendor(11, "vendor-a", &[VENDOR_A], 1)])
}
