//! INVITEs of known peers that never become calls: each leaves one record with the reason.

use crate::support::agent::VendorPlan;
use crate::support::facts::{
    CALLER, VENDOR_A, customer, operator, put_customers, small_operator, vendor,
};
use crate::support::{Stage, sent, stage_of};
use sip::Message;
use std::time::Duration;
use strowger_switch::facts::{Authentication, Change, DigestUser};

fn invite(n: u32) -> String {
    format!(
        "INVITE sip:4420123@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};rport;branch=z9hG4bK{n}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1@x>;tag=1\r\nTo: <sip:4420123@10.0.0.1>\r\nCall-ID: odd{n}\r\n\
         CSeq: 1 INVITE\r\nUser-Agent: odd\r\nContact: <sip:1@{CALLER}>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn stage(facts: strowger_switch::facts::Facts) -> Stage {
    stage_of(facts, VendorPlan::answers(), VendorPlan::answers())
}

/// CDR-01, SIG-93: for every code.
#[test]
fn every_refused_invite_leaves_one_record_with_its_reason() {
    let line = "Max-Forwards: 70\r\n";
    let cases = [
        (line, "Max-Forwards: odd\r\n", 400, "bad_request", "Max-Forwards"),
        ("CSeq: 1 I", "CSeq: 4294967295 I", 400, "bad_request", "CSeq"),
        (line, "Max-Forwards: 70\r\nAccept: text/plain\r\n", 406, "bad_request", "Accept"),
        (
            "Content-Length: 0\r\n\r\n",
            "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
            415,
            "bad_request",
            "text/plain",
        ),
        ("INVITE sip:4420123@10.0.0.1", "INVITE http://odd/", 416, "bad_request", "http"),
        (line, "Max-Forwards: 70\r\nRequire: path\r\n", 420, "bad_request", "Unsupported: path"),
        (line, "Max-Forwards: 0\r\n", 483, "loop_detected", "Too Many Hops"),
        ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", 505, "bad_request", "SIP/7.0"),
    ];
    for (good, bad, code, why, detail) in cases {
        let mut stage = stage(small_operator());
        let message = invite(1).replacen(good, bad, 1);
        // Sent twice: a resend is not a second INVITE.
        stage.inject(CALLER, message.as_bytes());
        stage.inject(CALLER, message.as_bytes());
        stage.run(Duration::from_secs(1));
        let answer = sent(&stage, CALLER, &format!("SIP/2.0 {code} "));
        assert!(!answer.is_empty(), "{code}: {:?}", sent(&stage, CALLER, ""));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        assert_eq!(stage.finals.len(), 1, "{code}");
        let record = &stage.finals[0].call;
        assert_eq!((record.code_returned, record.end_reason.as_str()), (code, why));
        assert!(record.detail.contains(detail), "{code}: {}", record.detail);
        assert_eq!((record.trunk, &*record.trunk_name, record.account), (1, "acme", 1));
        assert_eq!((record.user_agent.as_str(), record.sip_call_id.as_str()), ("odd", "odd1"));
        assert!(record.end_ms.is_some() && record.answer_ms.is_none());
        assert_eq!(stage.switch.counters().ended.get(&code), Some(&1));
    }
}

/// CDR-01, RFC 3261 section 8.2.2.2: an INVITE that arrives again by another way has its own record
/// and does not affect the first one.
#[test]
fn a_merged_invite_a_lost_account_and_an_address_without_trunk_leave_records() {
    let mut stage = stage(small_operator());
    let first = invite(1);
    stage.inject(CALLER, first.as_bytes());
    stage.inject(CALLER, first.replace("bK1", "bK2").as_bytes());
    stage.run(Duration::from_millis(500));
    assert_eq!(stage.finals.len(), 1);
    let merged = &stage.finals[0].call;
    assert_eq!((merged.code_returned, merged.end_reason.as_str()), (482, "loop_detected"));
    assert_eq!(stage.switch.call_count(), 1);
    stage.inject(CALLER, first.replace("bK1", "bK3").as_bytes());
    stage.run(Duration::from_millis(100));
    assert_eq!(stage.finals.len(), 2, "the first is still known");

    let mut facts = small_operator();
    facts.apply(Change::NoAccount(1));
    let mut stage = self::stage(facts);
    stage.inject(CALLER, first.as_bytes());
    stage.inject(VENDOR_A, first.replace(CALLER, VENDOR_A).as_bytes());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let mut ends: Vec<_> = stage.finals.iter().map(|document| &document.call).collect();
    ends.sort_by_key(|call| call.code_returned);
    assert_eq!(ends.len(), 2);
    assert_eq!((ends[0].code_returned, ends[0].end_reason.as_str()), (403, "source_unknown"));
    assert_eq!((ends[0].trunk, ends[0].account), (0, 0), "a vendor that calls is no customer");
    assert_eq!((ends[1].code_returned, ends[1].end_reason.as_str()), (500, "internal_error"));
}

/// CDR-01, ROUTE-12: a wrong password at a trunk's own address leaves a record, a challenge does
/// not.
#[test]
fn a_wrong_password_of_a_trunk_leaves_a_record() {
    let mut acme = customer(1, "acme", CALLER);
    acme.authentication = Authentication::AddressAndDigest;
    acme.digest = Some(DigestUser {
        user: "acme".into(),
        realm: "switch.example".into(),
        ha1s: sip::digest::Ha1s::of_password("acme", "switch.example", "correct horse battery"),
        algorithms: None,
    });
    let mut stage = stage(operator(acme, vec![vendor(11, "vendor-a", &[VENDOR_A], 1)]));
    stage.inject(CALLER, invite(1).as_bytes());
    stage.run(Duration::from_millis(10));
    let refusal = sent(&stage, CALLER, "SIP/2.0 401").remove(0);
    let refusal = Message::parse(refusal.as_bytes()).expect("a response");
    let challenge = sip::digest::Challenge::choose(&refusal, &sip::digest::Algorithm::ALL);
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1);
    let line = challenge.expect("a challenge").answer(
        &sip::digest::Answer {
            username: "acme",
            password: "a guess",
            method: "INVITE",
            uri: "sip:4420123@10.0.0.1",
            count: 1,
        },
        &mut rng,
    );
    let line = format!("Authorization: {line}\r\nContent-Length");
    stage.inject(CALLER, invite(2).replace("Content-Length", &line).as_bytes());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals.len(), 1, "the challenge leaves none (SIG-52)");
    let record = &stage.finals[0].call;
    assert_eq!((record.code_returned, record.end_reason.as_str()), (403, "auth_failed"));
    assert_eq!(&*record.trunk_name, "acme");
}

/// RFC 3261 section 8.2.2.2: only an INVITE of the same customer can be a merged one; an INVITE of
/// another customer with the same identifiers is a separate call.
#[test]
fn an_invite_of_another_customer_is_never_a_merged_one() {
    const OTHER: &str = "10.7.0.7:5060";
    let mut facts = small_operator();
    put_customers(&mut facts, [customer(7, "other", OTHER)]);
    let mut stage = stage(facts);
    stage.inject(OTHER, invite(1).replace(CALLER, OTHER).as_bytes());
    stage.inject(CALLER, invite(1).as_bytes());
    stage.run(Duration::from_millis(100));
    assert_eq!(sent(&stage, CALLER, "SIP/2.0 482").len(), 0);
    assert_eq!(stage.switch.calls().count(), 2);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
}

/// A peer that is always refused cannot fill the disk: each answered INVITE has a record, the
/// others are not answered, and their resends are answered later.
#[test]
fn a_flood_of_refused_invites_is_bounded_and_every_answer_has_its_record() {
    let mut stage = stage(small_operator());
    let bad = |n: u32| invite(n).replace("Max-Forwards: 70", "Max-Forwards: 0");
    for n in 1..=5000 {
        stage.inject(CALLER, bad(n).as_bytes());
    }
    stage.run(Duration::from_millis(100));
    let answered = sent(&stage, CALLER, "SIP/2.0 483").len();
    assert!((400..=600).contains(&answered), "{answered}");
    assert_eq!(stage.finals.len(), answered);
    assert_eq!(stage.switch.transactions(), answered, "nothing is kept of the rest");
    stage.run(Duration::from_secs(40));
    stage.wire.clear();
    stage.inject(CALLER, bad(4999).as_bytes());
    stage.run(Duration::from_millis(10));
    assert_eq!(sent(&stage, CALLER, "SIP/2.0 483").len(), 1);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
}
