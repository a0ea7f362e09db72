//! Reason headers (RFC 3326, SIG-89): causes cross the switch as numbers, without anybody's text.

use crate::support::facts::{CALLER, VENDOR_A, VENDOR_B, small_operator};
use crate::support::raw::{Raw, sdp};
use sip::{Message, Method};

const ELSEWHERE: [(&str, &str); 2] =
    [("Reason", "SIP;cause=200;text=\"Call completed elsewhere\""), ("Reason", "Q.850;cause=26")];

fn reason(message: &Message) -> &str {
    message.header("Reason").unwrap_or_default()
}

/// RFC 3326 section 3.1: a telephone that is cancelled because another one answered must not
/// show a missed call.
#[test]
fn the_causes_of_a_cancel_reach_the_vendor() {
    for (sent, heard) in [
        (&ELSEWHERE[..], "Q.850;cause=26, SIP;cause=200"),
        (&ELSEWHERE[..1], "Q.850;cause=16, SIP;cause=200"),
        (&[], "Q.850;cause=16"),
    ] {
        let mut raw = Raw::new(small_operator());
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let invite = raw.vendor("INVITE ");
        raw.answers(&invite, "180 Ringing", &[], "");
        raw.caller("SIP/2.0 180 ");
        raw.cancel(sent);
        let cancel = raw.vendor("CANCEL ");
        assert_eq!(reason(&cancel), heard);
        raw.answers(&cancel, "200 OK", &[], "");
        raw.answers(&invite, "487 Request Terminated", &[], "");
        raw.ends();
        let document = &raw.stage.finals[0];
        let cause = if sent.len() == 2 { 26 } else { 0 };
        assert_eq!((document.call.cause, document.attempts[0].cause), (cause, cause));
    }
}

/// A BYE in an early dialog (RFC 3261 section 15) acts like a CANCEL: its causes are in our CANCEL
/// to the vendor, and in our BYE if the answer crosses it.
#[test]
fn the_causes_of_an_early_bye_reach_the_vendor() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "180 Ringing", &[], "");
    let ringing = raw.caller("SIP/2.0 180 ");
    raw.asks(&ringing, &Method::Bye, &ELSEWHERE, "");
    let cancel = raw.vendor("CANCEL ");
    assert_eq!(reason(&cancel), "Q.850;cause=26, SIP;cause=200");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let bye = raw.vendor("BYE ");
    assert_eq!(reason(&bye), "Q.850;cause=26, SIP;cause=200");
    raw.answers(&bye, "200 OK", &[], "");
    raw.ends();
}

/// Either side's BYE: the other side gets the cause, and so does the record.
#[test]
fn the_causes_of_a_bye_reach_the_other_side() {
    let cause = [("Reason", "Q.850;cause=102;text=\"Recovery on timer expiry\"")];
    let mut raw = Raw::new(small_operator());
    let (invite, _) = raw.connects();
    raw.vendor_asks(&invite, &Method::Bye, &cause, "");
    let bye = raw.caller("BYE ");
    assert_eq!(reason(&bye), "Q.850;cause=102");
    raw.caller_answers(&bye, "200 OK", "");
    raw.ends();
    let document = &raw.stage.finals[0];
    assert_eq!((document.call.cause, document.attempts[0].cause), (102, 102));
    assert_eq!(document.call.end_reason, "callee_hangup");
    assert!(document.call.sell.is_some() && document.call.cost > ledger::Money::ZERO, "BILL-28");

    let mut raw = Raw::new(small_operator());
    let (_, ok) = raw.connects();
    raw.asks(&ok, &Method::Bye, &cause, "");
    let bye = raw.vendor("BYE ");
    assert_eq!(reason(&bye), "Q.850;cause=102");
    raw.answers(&bye, "200 OK", &[], "");
    raw.ends();
    assert_eq!(raw.stage.finals[0].call.cause, 102);
}

/// An answered call has the cause of its own end, not that of a vendor that failed before.
#[test]
fn a_call_that_was_answered_has_no_cause_of_an_earlier_failure() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "503 Service Unavailable", &[("Reason", "Q.850;cause=34")], "");
    let second = raw.at(VENDOR_B, "INVITE ");
    raw.answers_from(VENDOR_B, &second, "200 OK", &[], &sdp("10.2.0.2", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.ack(&ok, "");
    raw.asks(&ok, &Method::Bye, &[], "");
    let bye = raw.at(VENDOR_B, "BYE ");
    raw.answers_from(VENDOR_B, &bye, "200 OK", &[], "");
    raw.ends();
    let document = &raw.stage.finals[0];
    assert_eq!((document.call.cause, document.attempts[0].cause), (0, 34));
}

/// ROUTE-51: the Q.850 cause may be in the second Reason line, and decides; the caller gets it.
#[test]
fn the_cause_of_a_refusal_is_found_in_any_line() {
    let mut raw = Raw::new(small_operator());
    raw.stage.policy.instead = Some(Box::new(|question| match question {
        policy::Question::Advance(asked) => {
            assert_eq!((asked.code, asked.cause), (404, 1));
            Some(Ok(policy::Answer::Advance(policy::Advance::Stop)))
        }
        _ => None,
    }));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    let lines = [
        ("Reason", "SIP;cause=404;text=\"Not Found, really\""),
        ("Reason", "Q.850;cause=1;text=\"Unallocated (unassigned) number\""),
    ];
    raw.answers(&invite, "404 Not Found", &lines, "");
    let refused = raw.caller("SIP/2.0 404 ");
    assert_eq!(reason(&refused), "Q.850;cause=1");
    raw.ends();
    let document = &raw.stage.finals[0];
    assert_eq!((document.call.cause, document.attempts[0].cause), (1, 1));
}

/// SIG-86, SIG-89: if an earlier attempt's code is returned, its cause is returned with it.
#[test]
fn the_cause_belongs_to_the_code_that_is_returned() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "480 Temporarily Unavailable", &[("Reason", "Q.850;cause=31")], "");
    let second = raw.at(VENDOR_B, "INVITE ");
    raw.answers_from(VENDOR_B, &second, "503 Service Unavailable", &[], "");
    let refused = raw.caller("SIP/2.0 480 ");
    assert_eq!(reason(&refused), "Q.850;cause=31");
    raw.ends();
}

/// Inside the dialogs a refused re-INVITE passes its cause on, and so does a cancelled one.
#[test]
fn causes_pass_inside_the_dialogs() {
    let mut raw = Raw::new(small_operator());
    let (_, ok) = raw.connects();
    raw.asks(&ok, &Method::Invite, &[], &sdp("10.1.0.1", 40_002));
    let held = raw.vendor("INVITE ");
    let why = [("Reason", "Q.850;cause=65;text=\"vendor.example\"")];
    raw.answers(&held, "488 Not At vendor.example", &why, "");
    let refused = raw.caller("SIP/2.0 488 ");
    assert_eq!(reason(&refused), "Q.850;cause=65");
    let text = String::from_utf8_lossy(&refused.to_bytes()).into_owned();
    assert!(!text.contains("vendor.example"), "SIG-04: {text}");
    raw.hangs_up(&ok);
    assert!(!raw.has(CALLER, "BYE ") && !raw.has(VENDOR_A, "CANCEL "));
}
