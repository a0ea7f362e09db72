//! Requests inside the dialogs: crossing offers, UPDATE to a peer without it, early dialogs.

use crate::support::facts::{CALLER, VENDOR_A, small_operator};
use crate::support::raw::{Raw, body, sdp};
use sip::{Message, Method};

const NO_UPDATE: (&str, &str) = ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS");

fn retry_after(response: &Message) -> Option<u8> {
    response.header("Retry-After").and_then(|value| value.parse().ok())
}

/// RFC 3261 section 14.2: the second re-INVITE of one side gets 500 with a Retry-After of at most
/// 10 s; the first one is unaffected.
#[test]
fn a_second_re_invite_of_one_side_gets_500() {
    let mut raw = Raw::new(small_operator());
    let (_, ok) = raw.connects();
    raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_002));
    let first = raw.vendor("INVITE ");
    for method in [Method::Invite, Method::Update] {
        raw.asks(&ok, &method, &[], &sdp("10.1.0.1", 40_004));
        let refused = raw.caller("SIP/2.0 500 ");
        assert!(retry_after(&refused).is_some_and(|seconds| seconds <= 10), "{method}");
    }
    // The vendor's own 500 also has a Retry-After.
    raw.answers(&first, "500 Server Internal Error", &[("Retry-After", "3 (busy)")], "");
    assert_eq!(retry_after(&raw.caller("SIP/2.0 500 ")), Some(3));
    raw.hangs_up(&ok);
}

/// RFC 3311 section 5.2, RFC 3261 section 14.2: an offer, in a re-INVITE or an UPDATE, that crosses
/// one of the other side gets 491 and is not passed on.
#[test]
fn offers_that_cross_get_491() {
    for (first, second) in [
        (Method::Update, Method::Invite),
        (Method::Invite, Method::Update),
        (Method::Invite, Method::Invite),
        (Method::Update, Method::Update),
    ] {
        for caller_first in [true, false] {
            let mut raw = Raw::new(small_operator());
            let (invite, ok) = raw.connects();
            let (ours, theirs) = (sdp("10.1.0.1", 40_002), sdp("10.2.0.1", 42_002));
            if caller_first {
                raw.asks(&ok, &first, &[], &ours);
                let open = raw.vendor(first.as_str());
                raw.vendor_asks(&invite, &second, &[], &theirs);
                raw.vendor("SIP/2.0 491 ");
                assert!(!raw.has(CALLER, second.as_str()), "{first}, {second}");
                raw.answers(&open, "200 OK", &[], &theirs);
                let accepted = raw.caller("SIP/2.0 200 ");
                if first == Method::Invite {
                    raw.ack(&accepted, "");
                }
            } else {
                raw.vendor_asks(&invite, &first, &[], &theirs);
                let open = raw.caller(first.as_str());
                raw.asks(&ok, &second, &[], &ours);
                raw.caller("SIP/2.0 491 ");
                raw.caller_answers(&open, "488 Not Acceptable Here", "");
                raw.vendor("SIP/2.0 488 ");
            }
            // No offer is open any more.
            raw.asks(&ok, &second, &[], &sdp("10.1.0.1", 40_004));
            let next = raw.vendor(second.as_str());
            raw.answers(&next, "488 Not Acceptable Here", &[], "");
            raw.caller("SIP/2.0 488 ");
            raw.hangs_up(&ok);
        }
    }
}

/// RFC 3311 section 5.2, RFC 4028 section 10: an UPDATE without offer refreshes its own leg. It is
/// answered whatever the other side supports, even while an offer is open, and changes its Contact.
#[test]
fn an_update_without_offer_is_answered_here() {
    let refresh = [("Supported", "timer"), ("Session-Expires", "1800;refresher=uac")];
    let mut raw = Raw::new(small_operator());
    let (invite, ok) = raw.connects_with(&[], &[NO_UPDATE]);
    raw.asks(&ok, &Method::Update, &refresh, "");
    let refreshed = raw.caller("SIP/2.0 200 ");
    assert!(refreshed.contact().is_some() && refreshed.header("Allow").is_some());
    assert!(!raw.has(VENDOR_A, "UPDATE "));
    raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_002));
    let open = raw.vendor("INVITE ");
    raw.contact = "<sip:moved@10.1.0.1:5062>".to_owned();
    raw.asks(&ok, &Method::Update, &refresh, "");
    raw.caller("SIP/2.0 200 ");
    raw.vendor_asks(&invite, &Method::Update, &refresh, "");
    raw.vendor("SIP/2.0 200 ");
    raw.answers(&open, "488 Not Acceptable Here", &[], "");
    raw.caller("SIP/2.0 488 ");
    raw.vendor_asks(&invite, &Method::Bye, &[], "");
    let bye = raw.at("10.1.0.1:5062", "BYE sip:moved@10.1.0.1:5062 ");
    raw.answers_from("10.1.0.1:5062", &bye, "200 OK", &[], "");
    raw.ends();
}

/// SIG-05, SIG-28: our Allow lists UPDATE, so an offer in UPDATE reaches a peer without UPDATE in a
/// re-INVITE; its Allow, its 405 or its 501 shows the lack.
#[test]
fn an_update_reaches_who_does_not_know_it_as_a_re_invite() {
    for refusal in [None, Some("405 Method Not Allowed"), Some("501 Not Implemented")] {
        let mut raw = Raw::new(small_operator());
        let allow = [NO_UPDATE];
        let (_, ok) = raw.connects_with(&[], if refusal.is_none() { &allow } else { &[] });
        raw.vendor("ACK ");
        for round in 0..2 {
            let hold = sdp("10.1.0.1", 40_000 + 2 * round).replace("sendrecv", "sendonly");
            raw.asks(&ok, &Method::Update, &[], &hold);
            if let (Some(refusal), 0) = (refusal, round) {
                let update = raw.vendor("UPDATE ");
                raw.answers(&update, refusal, &[], "");
            }
            let asked = raw.vendor("INVITE ");
            assert!(body(&asked).contains("a=sendonly"), "{}", body(&asked));
            let answer = sdp("10.2.0.1", 42_000).replace("sendrecv", "recvonly");
            raw.answers(&asked, "200 OK", &[], &answer);
            let ack = raw.vendor("ACK ");
            assert_eq!(ack.cseq().0, asked.cseq().0);
            let updated = raw.caller("SIP/2.0 200 ");
            assert_eq!(*updated.cseq().1, Method::Update);
            assert!(body(&updated).contains("a=recvonly"), "{}", body(&updated));
            // The vendor resends its answer: the ACK was lost.
            raw.answers(&asked, "200 OK", &[], &answer);
            assert_eq!(raw.vendor("ACK ").to_bytes(), ack.to_bytes());
        }
        raw.hangs_up(&ok);
    }
}

/// RFC 3261 section 21.4.6: the Allow of a refusal does not list a method that the other side
/// lacks.
#[test]
fn a_refused_method_is_not_allowed() {
    let mut raw = Raw::new(small_operator());
    let (_, ok) = raw.connects();
    raw.asks(&ok, &Method::Info, &[("Content-Type", "application/dtmf-relay")], "");
    let info = raw.vendor("INFO ");
    raw.answers(&info, "405 Method Not Allowed", &[NO_UPDATE], "");
    let refused = raw.caller("SIP/2.0 405 ");
    let allow: Vec<_> = refused.headers("Allow").collect();
    assert!(allow.contains(&"BYE") && !allow.contains(&"INFO"), "{allow:?}");
    raw.hangs_up(&ok);
}

/// RFC 3261 section 14.2, RFC 3311 section 5.2: before the answer the offer of the INVITE is open:
/// an offer of its sender gets 500, one of the vendor 491; an UPDATE without offer is answered.
#[test]
fn no_second_offer_before_the_answer() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "183 Session Progress", &[], &sdp("10.2.0.1", 42_000));
    let early = raw.caller("SIP/2.0 183 ");
    for method in [Method::Invite, Method::Update] {
        raw.asks(&early, &method, &[], &sdp("10.1.0.1", 40_002));
        assert!(retry_after(&raw.caller("SIP/2.0 500 ")).is_some(), "{method}");
        raw.vendor_asks(&invite, &method, &[], &sdp("10.2.0.1", 42_002));
        raw.vendor("SIP/2.0 491 ");
    }
    // Methods of our Allow that need no other side are answered.
    for method in [Method::Update, Method::Options] {
        raw.asks(&early, &method, &[], "");
        raw.caller("SIP/2.0 200 ");
        raw.vendor_asks(&invite, &method, &[], "");
        raw.vendor("SIP/2.0 200 ");
    }
    raw.asks(&early, &Method::Info, &[], "");
    raw.caller("SIP/2.0 491 ");
    raw.vendor_asks(&invite, &Method::Bye, &[], "");
    raw.vendor("SIP/2.0 481 ");
    raw.answers(&invite, "486 Busy Here", &[], "");
    raw.caller("SIP/2.0 486 ");
    raw.ends();
}

/// RFC 3261 section 15: the callee hangs up before the caller's ACK: the caller gets its BYE after
/// its ACK.
#[test]
fn a_bye_to_the_caller_waits_for_its_ack() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.vendor_asks(&invite, &Method::Bye, &[], "");
    raw.vendor("SIP/2.0 200 ");
    raw.run(700);
    assert!(!raw.has(CALLER, "BYE "));
    raw.ack(&ok, "");
    let bye = raw.caller("BYE ");
    raw.caller_answers(&bye, "200 OK", "");
    raw.ends();
    let record = &raw.stage.finals[0].call;
    assert_eq!(record.end_reason, "callee_hangup");
    assert!(record.duration_ms < 100, "{}", record.duration_ms);
}
