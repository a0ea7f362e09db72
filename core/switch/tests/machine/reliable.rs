//! Reliable provisional responses (RFC 3262, SIG-06), on either leg separately, and UPDATE inside
//! early dialogs (RFC 3311).

use crate::support::facts::{CALLER, customer, operator, small_operator, vendor};
use crate::support::facts::{VENDOR_A, VENDOR_B};
use crate::support::raw::{Raw, body, sdp};
use sip::{Message, Method};
use strowger_switch::facts::{CustomerTrunk, Reliability, VendorTrunk};

const KNOWS: (&str, &str) = ("Supported", "100rel");
const DEMANDS: (&str, &str) = ("Require", "100rel");

fn rseq(response: &Message) -> u32 {
    response.header("RSeq").expect("an RSeq").parse().expect("a number")
}

/// The caller's PRACK for a response.
fn prack(raw: &mut Raw, response: &Message, body: &str) {
    let rack = format!("{} {} INVITE", rseq(response), response.cseq().0);
    raw.asks(response, &Method::Prack, &[("RAck", &rack)], body);
}

/// A reliable 183 of the vendor.
fn vendor_progress(raw: &mut Raw, invite: &Message, number: u32, body: &str) {
    let number = number.to_string();
    let headers = [DEMANDS, ("RSeq", &number), ("Allow", "INVITE, ACK, BYE, PRACK, UPDATE")];
    raw.answers(invite, "183 Session Progress", &headers, body);
}

fn up_and_down(raw: &mut Raw, invite: &Message) {
    raw.answers(invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.vendor("ACK ");
    raw.ack(&ok, "");
    raw.hangs_up(&ok);
}

/// SIG-06: the switch acknowledges the vendor's reliable responses itself, in order and once each,
/// whatever the caller supports; a caller without support gets plain ones.
#[test]
fn a_vendors_reliable_response_is_acknowledged() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    assert!(invite.headers("Supported").any(|tag| tag == "100rel"));
    vendor_progress(&mut raw, &invite, 7000, &sdp("10.2.0.1", 42_000));
    let first = raw.vendor("PRACK ");
    assert_eq!(first.header("RAck"), Some(format!("7000 {} INVITE", invite.cseq().0).as_str()));
    assert_eq!((first.uri(), first.cseq().0), ("sip:gw@10.2.0.1:5060", invite.cseq().0 + 1));
    raw.answers(&first, "200 OK", &[], "");
    let early = raw.caller("SIP/2.0 183 ");
    assert!(early.header("RSeq").is_none() && body(&early).contains("m=audio 1"));
    // A repeated one, and one that overtook an earlier one.
    vendor_progress(&mut raw, &invite, 7000, &sdp("10.2.0.1", 42_000));
    vendor_progress(&mut raw, &invite, 7002, "");
    assert!(!raw.has(VENDOR_A, "PRACK ") && !raw.has(CALLER, "SIP/2.0 183 "));
    vendor_progress(&mut raw, &invite, 7001, "");
    let second = raw.vendor("PRACK ");
    assert_eq!(second.cseq().0, first.cseq().0 + 1);
    raw.answers(&second, "200 OK", &[], "");
    up_and_down(&mut raw, &invite);
}

/// SIG-06, RFC 3262 section 3: a caller that requires 100rel gets every 18x repeated until its
/// PRACK, one after the other, and the 200 after the last of them.
#[test]
fn a_caller_acknowledges_before_it_gets_the_next() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[DEMANDS], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "180 Ringing", &[], "");
    raw.answers(&invite, "183 Session Progress", &[], &sdp("10.2.0.1", 42_000));
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ringing = raw.caller("SIP/2.0 180 ");
    assert_eq!(ringing.header("Require"), Some("100rel"));
    assert!(!raw.has(CALLER, "SIP/2.0 183 ") && !raw.has(CALLER, "SIP/2.0 200 "));
    // SIG-21: it is sent again.
    raw.run(500);
    assert_eq!(raw.caller("SIP/2.0 180 ").to_bytes(), ringing.to_bytes());
    // A PRACK for another response changes nothing.
    let wrong = format!("{} 1 INVITE", rseq(&ringing) + 9);
    raw.asks(&ringing, &Method::Prack, &[("RAck", &wrong)], "");
    raw.caller("SIP/2.0 481 ");
    prack(&mut raw, &ringing, "");
    assert_eq!(*raw.caller("SIP/2.0 200 ").cseq().1, Method::Prack);
    let progress = raw.caller("SIP/2.0 183 ");
    assert_eq!(rseq(&progress), rseq(&ringing) + 1);
    prack(&mut raw, &progress, "");
    assert_eq!(*raw.caller("SIP/2.0 200 ").cseq().1, Method::Prack);
    let ok = raw.caller("SIP/2.0 200 ");
    assert_eq!(*ok.cseq().1, Method::Invite);
    raw.ack(&ok, "");
    raw.hangs_up(&ok);
}

/// SIG-06: a caller that only supports 100rel gets early media reliably, and other responses as
/// usual.
#[test]
fn early_media_arrive_for_certain_where_the_caller_knows_how() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[KNOWS], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "180 Ringing", &[], "");
    assert!(raw.caller("SIP/2.0 180 ").header("RSeq").is_none());
    raw.answers(&invite, "183 Session Progress", &[], &sdp("10.2.0.1", 42_000));
    let progress = raw.caller("SIP/2.0 183 ");
    prack(&mut raw, &progress, "");
    raw.caller("SIP/2.0 200 ");
    up_and_down(&mut raw, &invite);
}

/// SIG-06, SIG-93: no PRACK within W ends the call; so does a BYE or a CANCEL while the 200 waits.
#[test]
fn a_call_without_prack_ends() {
    for way in 0..3 {
        let mut raw = Raw::new(small_operator());
        raw.invite(&[DEMANDS], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        raw.answers(&invite, "180 Ringing", &[], "");
        let ringing = raw.caller("SIP/2.0 180 ");
        raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
        raw.vendor("ACK ");
        let (code, why) = match way {
            0 => {
                raw.run(32_100);
                ("SIP/2.0 504 ", "ack_timeout")
            }
            1 => {
                raw.cancel(&[]);
                ("SIP/2.0 487 ", "caller_cancelled")
            }
            _ => {
                raw.asks(&ringing, &Method::Bye, &[], "");
                raw.caller("SIP/2.0 200 ");
                ("SIP/2.0 504 ", "caller_hangup")
            }
        };
        raw.caller(code);
        let bye = raw.vendor("BYE ");
        raw.answers(&bye, "200 OK", &[], "");
        raw.ends();
        let record = &raw.stage.finals[0];
        assert_eq!(record.call.end_reason, why, "way {way}");
        assert!(record.attempts[0].buy.is_some(), "the vendor had answered");
    }
}

/// SIG-06: a trunk may require 100rel: 421 to a caller without support, Require to the vendor. Or
/// it may switch it off.
#[test]
fn a_trunk_may_require_or_refuse_reliable_responses() {
    let facts = |reliability| {
        operator(
            CustomerTrunk { reliability, ..customer(1, "acme", CALLER) },
            vec![VendorTrunk { reliability, ..vendor(11, "vendor-a", &[VENDOR_A], 1) }],
        )
    };
    let mut raw = Raw::new(facts(Reliability::Required));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let refused = raw.caller("SIP/2.0 421 ");
    assert_eq!(refused.header("Require"), Some("100rel"));
    raw.ends();
    assert_eq!(raw.stage.finals[0].call.end_reason, "bad_request");
    raw.call_id = "again".to_owned();
    raw.invite(&[KNOWS], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    assert_eq!(invite.header("Require"), Some("100rel"));
    raw.answers(&invite, "486 Busy Here", &[], "");
    raw.ends();

    let mut raw = Raw::new(facts(Reliability::Off));
    raw.invite(&[KNOWS], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    assert!(!invite.headers("Supported").any(|tag| tag == "100rel"));
    raw.answers(&invite, "183 Session Progress", &[], &sdp("10.2.0.1", 42_000));
    assert!(raw.caller("SIP/2.0 183 ").header("RSeq").is_none());
    up_and_down(&mut raw, &invite);
}

/// RFC 3262 section 5: a caller without an offer gets the vendor's offer in a reliable 183 and
/// answers it in its PRACK, which is passed on in our PRACK.
#[test]
fn an_offer_in_a_183_is_answered_in_prack() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[KNOWS], "");
    let invite = raw.vendor("INVITE ");
    assert!(invite.body().is_empty());
    vendor_progress(&mut raw, &invite, 1, &sdp("10.2.0.1", 42_000));
    assert!(!raw.has(VENDOR_A, "PRACK "), "it waits for the answer");
    let offer = raw.caller("SIP/2.0 183 ");
    assert!(body(&offer).contains("c=IN IP4 10.0.0.1"));
    prack(&mut raw, &offer, &sdp("10.1.0.1", 40_000));
    raw.caller("SIP/2.0 200 ");
    let answer = raw.vendor("PRACK ");
    assert!(body(&answer).contains("c=IN IP4 10.0.0.1"), "{}", body(&answer));
    raw.answers(&answer, "200 OK", &[], "");
    // The 200 needs no further description, and neither ACK has one.
    raw.answers(&invite, "200 OK", &[], "");
    let ok = raw.caller("SIP/2.0 200 ");
    assert!(raw.vendor("ACK ").body().is_empty());
    raw.ack(&ok, "");
    raw.hangs_up(&ok);
    assert_eq!(raw.stage.finals[0].call.end_reason, "caller_hangup");
}

/// RFC 3262 section 5: a caller without 100rel gets the offer in the 200, and the vendor is not
/// asked to make an earlier one.
#[test]
fn an_offer_that_nobody_can_answer_early_is_not_asked_for() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], "");
    let invite = raw.vendor("INVITE ");
    assert!(!invite.headers("Supported").any(|tag| tag == "100rel"));
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.ack(&ok, &sdp("10.1.0.1", 40_000));
    assert!(body(&raw.vendor("ACK ")).contains("m=audio"));
    raw.hangs_up(&ok);
}

/// RFC 3311 section 5.1: once both legs have a settled negotiation, either side may send a new
/// offer before the answer; it passes as on a call that is up.
#[test]
fn an_update_passes_inside_early_dialogs() {
    for from_caller in [true, false] {
        let mut raw = Raw::new(small_operator());
        let allow = ("Allow", "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE");
        raw.invite(&[KNOWS, allow], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        vendor_progress(&mut raw, &invite, 1, &sdp("10.2.0.1", 42_000));
        let acknowledged = raw.vendor("PRACK ");
        raw.answers(&acknowledged, "200 OK", &[], "");
        let progress = raw.caller("SIP/2.0 183 ");
        if from_caller {
            // Not before the caller's PRACK: its own answer is not settled yet.
            prack(&mut raw, &progress, "");
            raw.caller("SIP/2.0 200 ");
            raw.asks(&progress, &Method::Update, &[], &sdp("10.1.0.1", 40_002));
            let update = raw.vendor("UPDATE ");
            assert!(body(&update).contains("c=IN IP4 10.0.0.1"));
            raw.answers(&update, "200 OK", &[], &sdp("10.2.0.1", 42_002));
            assert!(body(&raw.caller("SIP/2.0 200 ")).contains("c=IN IP4 10.0.0.1"));
        } else {
            prack(&mut raw, &progress, "");
            raw.caller("SIP/2.0 200 ");
            raw.vendor_asks(&invite, &Method::Update, &[], &sdp("10.2.0.1", 42_002));
            let update = raw.caller("UPDATE ");
            raw.caller_answers(&update, "200 OK", &sdp("10.1.0.1", 40_002));
            assert!(body(&raw.vendor("SIP/2.0 200 ")).contains("c=IN IP4 10.0.0.1"));
        }
        let told = raw.stage.media.updates.iter().rev().take(2);
        let mut ports: Vec<u16> = told.map(|(_, remote)| remote.rtp.port()).collect();
        ports.sort_unstable();
        assert_eq!(ports, [40_002, 42_002]);
        raw.answers(&invite, "200 OK", &[], "");
        let ok = raw.caller("SIP/2.0 200 ");
        raw.ack(&ok, "");
        raw.hangs_up(&ok);
    }
}

/// RFC 3262 section 5: an offer in a PRACK is passed on as an UPDATE, and its answer comes back in
/// the 200; a vendor that cannot take it leaves the session unchanged.
#[test]
fn an_offer_in_a_prack_goes_on_as_an_update() {
    for takes in [true, false] {
        let mut raw = Raw::new(small_operator());
        raw.invite(&[KNOWS], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        if takes {
            vendor_progress(&mut raw, &invite, 1, &sdp("10.2.0.1", 42_000));
            let acknowledged = raw.vendor("PRACK ");
            raw.answers(&acknowledged, "200 OK", &[], "");
        } else {
            raw.answers(&invite, "183 Session Progress", &[], &sdp("10.2.0.1", 42_000));
        }
        let progress = raw.caller("SIP/2.0 183 ");
        prack(&mut raw, &progress, &sdp("10.1.0.1", 40_002));
        if takes {
            let update = raw.vendor("UPDATE ");
            raw.answers(&update, "200 OK", &[], &sdp("10.2.0.1", 42_002));
            let answered = raw.caller("SIP/2.0 200 ");
            assert!(*answered.cseq().1 == Method::Prack && body(&answered).contains("m=audio"));
        } else {
            raw.caller("SIP/2.0 488 ");
        }
        up_and_down(&mut raw, &invite);
        assert!(!raw.has(VENDOR_B, ""));
    }
}
