//! Several attempts at once: parallel from the start, or the next one beside a silent one
//! (ROUTE-58); answers that cross or come late (SIG-08, SIG-103).

use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, change_vendors, customer, operator, vendor,
};
use crate::support::raw::{Raw, body, sdp};
use ledger::Money;
use live::Holder;
use sip::Message;
use std::time::Duration;
use strowger_switch::facts::{CustomerTrunk, Facts, VendorTrunk};

const VENDOR_C: &str = "10.2.0.3:5060";

/// A customer with these settings, and three vendors.
fn facts(parallel: u32, hedge_ms: u64) -> Facts {
    let hedge = Duration::from_millis(hedge_ms);
    operator(
        CustomerTrunk { parallel, hedge, ..customer(1, "acme", CALLER) },
        vec![
            vendor(11, "vendor-a", &[VENDOR_A], 1),
            vendor(12, "vendor-b", &[VENDOR_B], 2),
            vendor(13, "vendor-c", &[VENDOR_C], 3),
        ],
    )
}

fn begin(parallel: u32, hedge_ms: u64) -> Raw {
    let mut raw = Raw::new(facts(parallel, hedge_ms));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    raw
}

/// The peer at an address answers, with its own tag.
fn answers(raw: &mut Raw, address: &str, invite: &Message, start: &str, body: &str) {
    raw.tag = format!("t{}", address.replace(['.', ':'], ""));
    raw.answers_from(address, invite, start, &[], body);
}

/// The vendor of a losing attempt accepts its CANCEL.
fn takes_cancel(raw: &mut Raw, address: &str, invite: &Message) {
    let cancel = raw.at(address, "CANCEL ");
    assert!(cancel.header("Reason").is_some_and(|r| r.contains("cause=26")), "{cancel:?}");
    answers(raw, address, &cancel, "200 OK", "");
    answers(raw, address, invite, "487 Request Terminated", "");
    raw.at(address, "ACK ");
}

fn attempts(raw: &Raw) -> Vec<(String, String)> {
    let attempts = &raw.stage.finals[0].attempts;
    attempts.iter().map(|a| (a.trunk_name.to_string(), a.end_reason.to_string())).collect()
}

/// ROUTE-58: two vendors are called at once; the first that rings wins, the other is cancelled.
/// Each has its own media ports.
#[test]
fn the_first_that_rings_wins_and_the_others_are_cancelled() {
    let mut raw = begin(2, 0);
    let a = raw.at(VENDOR_A, "INVITE ");
    let b = raw.at(VENDOR_B, "INVITE ");
    assert!(!raw.has(VENDOR_C, "INVITE "), "two at once, not three");
    let port =
        |invite: &Message| body(invite).lines().find(|l| l.starts_with("m=")).map(str::to_owned);
    assert_ne!(port(&a), port(&b));
    answers(&mut raw, VENDOR_A, &a, "100 Trying", "");
    answers(&mut raw, VENDOR_B, &b, "180 Ringing", "");
    raw.caller("SIP/2.0 180 ");
    takes_cancel(&mut raw, VENDOR_A, &a);
    answers(&mut raw, VENDOR_B, &b, "200 OK", &sdp("10.2.0.2", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.at(VENDOR_B, "ACK ");
    raw.ack(&ok, "");
    raw.run(1000);
    raw.asks(&ok, &sip::Method::Bye, &[], "");
    let bye = raw.at(VENDOR_B, "BYE ");
    answers(&mut raw, VENDOR_B, &bye, "200 OK", "");
    raw.ends();
    let ended = |vendor: &str, why: &str| (vendor.to_owned(), why.to_owned());
    let expected = [ended("vendor-a", "answered_elsewhere"), ended("vendor-b", "caller_hangup")];
    assert_eq!(attempts(&raw), expected);
    let document = &raw.stage.finals[0];
    assert_eq!(
        (document.call.end_reason.as_str(), document.call.code_returned),
        ("caller_hangup", 200)
    );
    assert!(document.attempts[0].buy.is_none() && document.attempts[1].buy.is_some());
    assert!(!raw.has(VENDOR_C, ""), "nobody else was called");
}

/// ROUTE-58: the next attempt starts beside a silent one, but not beside one that has responded.
#[test]
fn the_next_attempt_starts_beside_a_silent_one() {
    let mut raw = begin(1, 2000);
    let a = raw.at(VENDOR_A, "INVITE ");
    raw.run(1900);
    assert!(!raw.has(VENDOR_B, "INVITE "));
    raw.run(100);
    let b = raw.at(VENDOR_B, "INVITE ");
    answers(&mut raw, VENDOR_B, &b, "100 Trying", "");
    raw.run(5000);
    assert!(!raw.has(VENDOR_C, "INVITE "), "vendor B has been heard");
    // The first vendor responds after all, and answers first.
    answers(&mut raw, VENDOR_A, &a, "200 OK", &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    takes_cancel(&mut raw, VENDOR_B, &b);
    raw.at(VENDOR_A, "ACK ");
    raw.ack(&ok, "");
    raw.asks(&ok, &sip::Method::Bye, &[], "");
    let bye = raw.at(VENDOR_A, "BYE ");
    answers(&mut raw, VENDOR_A, &bye, "200 OK", "");
    raw.ends();
    assert_eq!(attempts(&raw)[1], ("vendor-b".to_owned(), "answered_elsewhere".to_owned()));
}

/// ROUTE-58, SIG-08: both answer. One wins; the other is acknowledged and ended at once, its cost
/// is kept, and the caller notices nothing.
#[test]
fn of_two_answers_that_cross_one_wins_and_the_other_is_owed_for() {
    let mut raw = begin(2, 0);
    let a = raw.at(VENDOR_A, "INVITE ");
    let b = raw.at(VENDOR_B, "INVITE ");
    answers(&mut raw, VENDOR_A, &a, "200 OK", &sdp("10.2.0.1", 42_000));
    answers(&mut raw, VENDOR_B, &b, "200 OK", &sdp("10.2.0.2", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.ack(&ok, "");
    raw.at(VENDOR_A, "ACK ");
    raw.at(VENDOR_B, "ACK ");
    let stray = raw.at(VENDOR_B, "BYE ");
    answers(&mut raw, VENDOR_B, &stray, "200 OK", "");
    raw.asks(&ok, &sip::Method::Bye, &[], "");
    let bye = raw.at(VENDOR_A, "BYE ");
    answers(&mut raw, VENDOR_A, &bye, "200 OK", "");
    raw.ends();
    let document = &raw.stage.finals[0];
    let [first, second] = &document.attempts[..] else { panic!("{:?}", document.attempts) };
    assert_eq!((second.end_reason.as_str(), second.code), ("answered_elsewhere", 200));
    assert_eq!(first.end_reason, "caller_hangup");
    let owed = second.buy.as_ref().map(|buy| buy.amount);
    assert!(owed.is_some_and(|owed| owed > Money::ZERO), "{owed:?}");
    assert_eq!(
        document.call.cost,
        first.buy.as_ref().expect("a price").amount + owed.expect("a price")
    );
}

/// SIG-103: an abandoned attempt answers while the next one rings, or after the call is up: ACK and
/// BYE at once. Its end reason stays, its cost is on its record, and it is never sold.
#[test]
fn a_late_answer_of_an_abandoned_attempt_is_ended_and_owed_for() {
    for up in [false, true] {
        let mut raw = begin(1, 0);
        let a = raw.at(VENDOR_A, "INVITE ");
        raw.run(10_000);
        let b = raw.at(VENDOR_B, "INVITE ");
        answers(&mut raw, VENDOR_B, &b, "180 Ringing", "");
        raw.caller("SIP/2.0 180 ");
        let answered = |raw: &mut Raw| {
            answers(raw, VENDOR_B, &b, "200 OK", &sdp("10.2.0.2", 42_000));
            let ok = raw.caller("SIP/2.0 200 ");
            raw.ack(&ok, "");
            raw.at(VENDOR_B, "ACK ");
            ok
        };
        let before = up.then(|| answered(&mut raw));
        answers(&mut raw, VENDOR_A, &a, "200 OK", &sdp("10.2.0.1", 42_000));
        raw.at(VENDOR_A, "ACK ");
        let bye = raw.at(VENDOR_A, "BYE ");
        answers(&mut raw, VENDOR_A, &bye, "200 OK", "");
        assert!(!raw.has(CALLER, "SIP/2.0 200 ") && !raw.has(CALLER, "BYE "));
        let ok = before.unwrap_or_else(|| answered(&mut raw));
        raw.asks(&ok, &sip::Method::Bye, &[], "");
        let bye = raw.at(VENDOR_B, "BYE ");
        answers(&mut raw, VENDOR_B, &bye, "200 OK", "");
        raw.ends();
        let late = &raw.stage.finals[0].attempts[0];
        assert_eq!((late.end_reason.as_str(), late.code), ("no_response", 200));
        assert_eq!(late.flags, ["late_answer"]);
        assert!(late.answer_ms.is_some() && late.buy.is_some(), "{late:?}");
        assert_eq!(raw.stage.finals[0].call.end_reason, "caller_hangup");
    }
}

/// SIG-103: a late 18x gets a CANCEL, whether the call goes on or not. While the call goes on, an
/// abandoned attempt that stays silent holds its channel for another window.
#[test]
fn an_abandoned_attempt_holds_its_channel_for_a_window() {
    let active = |raw: &Raw, id: u32| raw.stage.channels(Holder::Vendor(id));
    for rings_late in [true, false] {
        let mut raw = begin(1, 0);
        let a = raw.at(VENDOR_A, "INVITE ");
        raw.run(10_000);
        let b = raw.at(VENDOR_B, "INVITE ");
        answers(&mut raw, VENDOR_B, &b, "180 Ringing", "");
        raw.caller("SIP/2.0 180 ");
        assert_eq!((active(&raw, 11), active(&raw, 12)), (1, 1));
        if rings_late {
            answers(&mut raw, VENDOR_A, &a, "180 Ringing", "");
            let cancel = raw.at(VENDOR_A, "CANCEL ");
            answers(&mut raw, VENDOR_A, &cancel, "200 OK", "");
            answers(&mut raw, VENDOR_A, &a, "487 Request Terminated", "");
            raw.at(VENDOR_A, "ACK ");
        } else {
            raw.run(31_900);
            assert_eq!(active(&raw, 11), 1);
            raw.run(200);
        }
        assert_eq!(active(&raw, 11), 0);
        answers(&mut raw, VENDOR_B, &b, "486 Busy Here", "");
        raw.caller("SIP/2.0 486 ");
        raw.ends();
    }
}

/// SIG-103: the record of a call does not wait for an attempt that has stayed silent; its later
/// responses are still handled.
#[test]
fn a_record_does_not_wait_for_who_stayed_silent() {
    let mut raw = begin(1, 0);
    let a = raw.at(VENDOR_A, "INVITE ");
    raw.run(10_000);
    let b = raw.at(VENDOR_B, "INVITE ");
    answers(&mut raw, VENDOR_B, &b, "486 Busy Here", "");
    raw.caller("SIP/2.0 486 ");
    raw.run(10);
    assert_eq!((raw.stage.finals.len(), raw.stage.switch.call_count()), (1, 0));
    answers(&mut raw, VENDOR_A, &a, "200 OK", &sdp("10.2.0.1", 42_000));
    raw.at(VENDOR_A, "ACK ");
    let bye = raw.at(VENDOR_A, "BYE ");
    answers(&mut raw, VENDOR_A, &bye, "200 OK", "");
    raw.ends();
}

/// ROUTE-58: the caller gives up while several vendors are being called.
#[test]
fn a_caller_that_cancels_ends_every_attempt() {
    let mut raw = begin(3, 0);
    let invites = [VENDOR_A, VENDOR_B, VENDOR_C].map(|at| (at, raw.at(at, "INVITE ")));
    for (at, invite) in &invites {
        answers(&mut raw, at, invite, "100 Trying", "");
    }
    raw.run(10);
    raw.cancel(&[]);
    raw.caller("SIP/2.0 487 ");
    for (at, invite) in &invites {
        let cancel = raw.at(at, "CANCEL ");
        answers(&mut raw, at, &cancel, "200 OK", "");
        answers(&mut raw, at, invite, "487 Request Terminated", "");
    }
    raw.ends();
    assert!(
        attempts(&raw).iter().all(|(_, why)| why == "caller_cancelled"),
        "{:?}",
        attempts(&raw)
    );
}

/// ROUTE-50, ROUTE-58: if one of two refuses, the next one takes its place; a busy vendor ends the
/// call for all of them.
#[test]
fn a_refusal_is_replaced_and_a_busy_line_ends_all() {
    let mut raw = begin(2, 0);
    let a = raw.at(VENDOR_A, "INVITE ");
    let b = raw.at(VENDOR_B, "INVITE ");
    answers(&mut raw, VENDOR_B, &b, "100 Trying", "");
    answers(&mut raw, VENDOR_A, &a, "503 Service Unavailable", "");
    let c = raw.at(VENDOR_C, "INVITE ");
    answers(&mut raw, VENDOR_C, &c, "486 Busy Here", "");
    raw.caller("SIP/2.0 486 ");
    let cancel = raw.at(VENDOR_B, "CANCEL ");
    answers(&mut raw, VENDOR_B, &cancel, "200 OK", "");
    answers(&mut raw, VENDOR_B, &b, "487 Request Terminated", "");
    raw.ends();
    assert_eq!(raw.stage.finals[0].call.end_reason, "callee_busy");
}

/// ROUTE-54, ROUTE-58: every attempt fails, and the caller gets one code, the most informative.
#[test]
fn when_all_have_failed_the_caller_hears_one_code() {
    let mut raw = begin(3, 0);
    for (at, code) in [(VENDOR_A, "503 A"), (VENDOR_B, "404 B"), (VENDOR_C, "500 C")] {
        let invite = raw.at(at, "INVITE ");
        answers(&mut raw, at, &invite, code, "");
    }
    raw.caller("SIP/2.0 404 ");
    raw.ends();
    assert_eq!(raw.stage.finals.len(), 1);
    assert_eq!(attempts(&raw).len(), 3);
}

/// SIG-103: if media were open and the search goes on nevertheless, the next vendor is called after
/// the final response of the last one, or after half a second.
#[test]
fn a_vendor_with_open_media_is_awaited_for_half_a_second() {
    for answers_cancel in [true, false] {
        let mut facts = facts(1, 0);
        let soon = |vendor: &mut VendorTrunk| vendor.timers.progress_sdp = Duration::from_secs(1);
        change_vendors(&mut facts, soon);
        let mut raw = Raw::new(facts);
        raw.stage.policy.instead = Some(Box::new(|question| match question {
            policy::Question::Advance(_) => {
                Some(Ok(policy::Answer::Advance(policy::Advance::Next)))
            }
            _ => None,
        }));
        raw.invite(&[], &sdp("10.1.0.1", 40_000));
        let a = raw.at(VENDOR_A, "INVITE ");
        answers(&mut raw, VENDOR_A, &a, "183 Session Progress", &sdp("10.2.0.1", 42_000));
        raw.caller("SIP/2.0 183 ");
        raw.run(1000);
        let cancel = raw.at(VENDOR_A, "CANCEL ");
        raw.run(450);
        assert!(!raw.has(VENDOR_B, "INVITE "), "the last one may still answer");
        if answers_cancel {
            answers(&mut raw, VENDOR_A, &cancel, "200 OK", "");
            answers(&mut raw, VENDOR_A, &a, "487 Request Terminated", "");
            raw.run(1);
        } else {
            raw.run(50);
        }
        let b = raw.at(VENDOR_B, "INVITE ");
        answers(&mut raw, VENDOR_B, &b, "486 Busy Here", "");
        raw.run(10);
        raw.cancel(&[]);
        raw.ends();
        assert_eq!(attempts(&raw)[0], ("vendor-a".to_owned(), "ring_timeout".to_owned()));
    }
}

/// CDR-02: an attempt that is dropped before its INVITE leaves its number unused, and no later
/// attempt gets the number of an earlier one.
#[test]
fn no_two_attempts_have_one_number() {
    let mut raw = Raw::new(facts(2, 0));
    raw.stage.policy.delay = Some(Box::new(|question| match question {
        policy::Question::Number(asked) if asked.trunk == 11 => None,
        _ => Some(Duration::ZERO),
    }));
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let b = raw.at(VENDOR_B, "INVITE ");
    answers(&mut raw, VENDOR_B, &b, "180 Ringing", "");
    raw.caller("SIP/2.0 180 ");
    raw.stage.policy.instead = Some(Box::new(|question| match question {
        policy::Question::Advance(_) => Some(Ok(policy::Answer::Advance(policy::Advance::Next))),
        _ => None,
    }));
    answers(&mut raw, VENDOR_B, &b, "503 Service Unavailable", "");
    let c = raw.at(VENDOR_C, "INVITE ");
    answers(&mut raw, VENDOR_C, &c, "486 Busy Here", "");
    raw.caller("SIP/2.0 486 ");
    raw.ends();
    let numbers: Vec<u16> = raw.stage.finals[0].attempts.iter().map(|a| a.number).collect();
    assert_eq!(numbers, [2, 3]);
}

/// ROUTE-50, ROUTE-58: after a failure the policy decides, however long it takes.
#[test]
fn nobody_is_hedged_while_a_decision_is_awaited() {
    let mut raw = begin(1, 2000);
    let a = raw.at(VENDOR_A, "INVITE ");
    raw.run(1900);
    raw.stage.policy.delay = Some(Box::new(|_| Some(Duration::from_secs(1))));
    raw.stage.policy.instead = Some(Box::new(|question| match question {
        policy::Question::Advance(_) => Some(Ok(policy::Answer::Advance(policy::Advance::Stop))),
        _ => None,
    }));
    answers(&mut raw, VENDOR_A, &a, "503 Service Unavailable", "");
    raw.run(900);
    assert!(!raw.has(VENDOR_B, "INVITE "));
    raw.run(100);
    raw.caller("SIP/2.0 503 ");
    raw.ends();
    assert!(!raw.has(VENDOR_B, "INVITE "));
}
