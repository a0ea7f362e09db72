//! Identifying the caller: addresses, ports, passwords, and the wishes that a trunk grants its
//! callers.

use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, customer, operator, put_customers, small_operator, take_trunks, vendor,
};
use crate::support::{Stage, call, hangs_up_after, stage_of};
use policy::Question;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sip::Message;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strowger_switch::facts::{Authentication, CustomerTrunk, DigestUser, Facts, Network};

/// An address that no trunk names.
const ELSEWHERE: &str = "10.9.0.9:5060";

/// An INVITE from `address`; each `id` is a separate call.
fn invite(address: &str, id: &str, from: &str, header: &str) -> String {
    format!(
        "INVITE sip:4420123@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bK{id}\r\n\
         Max-Forwards: 70\r\nFrom: <{from}>;tag={id}\r\nTo: <sip:4420123@10.0.0.1>\r\n\
         Call-ID: {id}\r\nCSeq: 1 INVITE\r\nContact: <sip:1@{address}>\r\n{header}\
         Content-Length: 0\r\n\r\n"
    )
}

/// The first message that the switch sent to `address`.
fn first_answer(stage: &Stage, address: &str) -> Option<String> {
    let (_, _, bytes) = stage.wire.iter().find(|(_, to, _)| to.to_string() == address)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// ROUTE-10: the source port distinguishes trunks of one host, and a port that no trunk names
/// cannot call; IP and port outrank a network.
#[test]
fn trunks_of_one_host_are_known_by_their_ports() {
    let at_port = |id, name, port| {
        let mut trunk = customer(id, name, CALLER);
        trunk.networks[0].port = Some(port);
        trunk
    };
    let mut everybody = customer(3, "everybody", "10.1.0.0:5060");
    everybody.networks = vec![Network { address: [10, 1, 1, 0].into(), prefix: 24, port: None }];
    let mut facts = small_operator();
    let mut of_network = at_port(4, "desk", 5066);
    of_network.networks[0].address = [10, 1, 1, 7].into();
    let first_two = [at_port(1, "first", 5062), at_port(2, "second", 5064)];
    put_customers(&mut facts, first_two.into_iter().chain([everybody, of_network]));
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    for (id, address) in [
        ("a", "10.1.0.1:5062"),
        ("b", "10.1.0.1:5064"),
        ("c", "10.1.0.1:5066"),
        ("d", "10.1.1.7:5066"),
        ("e", "10.1.1.7:5068"),
    ] {
        stage.inject(address, invite(address, id, "sip:1@x", "").as_bytes());
    }
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let mut calls: Vec<_> =
        stage.finals.iter().map(|d| (d.call.sip_call_id.as_str(), &*d.call.trunk_name)).collect();
    calls.sort_unstable();
    calls.retain(|(id, _)| *id != "c");
    assert_eq!(calls, [("a", "first"), ("b", "second"), ("d", "desk"), ("e", "everybody")]);
    assert_eq!(stage.agent(VENDOR_A).order.len(), 4, "the wrong port calls nobody");
}

fn both() -> Facts {
    let ha1s = sip::digest::Ha1s::of_password("acme", "switch.example", "correct horse battery");
    let trunk = CustomerTrunk {
        authentication: Authentication::AddressAndDigest,
        digest: Some(DigestUser {
            user: "acme".into(),
            realm: "switch.example".into(),
            ha1s,
            algorithms: None,
        }),
        ..customer(1, "acme", CALLER)
    };
    operator(trunk, vec![vendor(11, "vendor-a", &[VENDOR_A], 1)])
}

/// ROUTE-12: the address alone is challenged, a wrong password is refused, the right password from
/// elsewhere is refused, and both together make a call.
#[test]
fn address_and_password_are_both_needed() {
    let mut stage = stage_of(both(), VendorPlan::answers(), VendorPlan::answers());
    stage.inject(CALLER, invite(CALLER, "one", "sip:1@x", "").as_bytes());
    stage.run(Duration::from_millis(10));
    let challenge = first_answer(&stage, CALLER).expect("a challenge");
    assert!(challenge.starts_with("SIP/2.0 401 "), "{challenge}");
    let challenge = Message::parse(challenge.as_bytes()).expect("a response");
    let challenge = sip::digest::Challenge::choose(&challenge, &sip::digest::Algorithm::ALL)
        .expect("a challenge");
    let proof = |password, count| {
        let answer = sip::digest::Answer {
            username: "acme",
            password,
            method: "INVITE",
            uri: "sip:4420123@10.0.0.1",
            count,
        };
        let value = challenge.answer(&answer, &mut StdRng::seed_from_u64(1));
        format!("Authorization: {value}\r\n")
    };
    let right = "correct horse battery";
    for (id, address, header) in [
        ("wrong", CALLER, proof("incorrect", 1)),
        ("astray", ELSEWHERE, proof(right, 1)),
        ("good", CALLER, proof(right, 2)),
    ] {
        stage.inject(address, invite(address, id, "sip:1@x", &header).as_bytes());
        stage.run(Duration::from_millis(10));
    }
    assert_eq!(first_answer(&stage, ELSEWHERE), None);
    let calls: Vec<_> = stage.switch.calls().collect();
    assert_eq!(calls.len(), 1, "{calls:?}");
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let answered: Vec<_> =
        stage.finals.iter().filter(|d| d.call.answer_ms.is_some()).map(|d| &d.call).collect();
    assert_eq!(answered.len(), 1);
    assert_eq!(answered[0].sip_call_id, "good");
}

/// NUM-02, RFC 3966: a caller in a `tel:` URI also has a number.
#[test]
fn a_caller_in_a_tel_uri_has_its_number() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    let from = "tel:+49-30-123;phone-context=+49";
    stage.inject(CALLER, invite(CALLER, "tel", from, "").as_bytes());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].call.caller_in, "+4930123");
    let sent = stage.agent(VENDOR_A).last().last_invite.clone();
    assert!(sent.contains("<sip:+4930123@switch.example>"), "{sent}");
}

/// SIG-76: a caller's privacy wish sets a flag on the call if its trunk supports privacy, and is
/// ignored otherwise.
#[test]
fn privacy_counts_where_the_trunk_supports_it() {
    for supported in [true, false] {
        let mut trunk = customer(1, "acme", CALLER);
        trunk.support_privacy = supported;
        let facts = operator(trunk, vec![vendor(11, "vendor-a", &[VENDOR_A], 1)]);
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        let asked = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&asked);
        stage.policy.instead = Some(Box::new(move |question: &Question| {
            if let Question::Identity(question) = question {
                *seen.lock().expect("no panic") = Some(question.private);
            }
            None
        }));
        call(&mut stage, CallerPlan { private: true, ..hangs_up_after(1) });
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        assert_eq!(*asked.lock().expect("no panic"), Some(supported));
        assert_eq!(stage.finals[0].call.private, supported);
    }
}

/// NUM-07: the tech prefix of the trunk is removed before the rules see the number, and kept in the
/// record; or it stays, if the trunk says so.
#[test]
fn a_tech_prefix_is_taken_off_and_recorded() {
    for (strip, ruled, recorded) in [(true, "4420123", "77"), (false, "774420123", "")] {
        let mut trunk = customer(1, "acme", CALLER);
        trunk.tech_prefix = "77".into();
        trunk.strip_tech_prefix = strip;
        let facts = operator(trunk, vec![vendor(11, "vendor-a", &[VENDOR_A], 1)]);
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        let asked = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&asked);
        stage.policy.instead = Some(Box::new(move |question: &Question| {
            if let Question::Number(question) = question
                && question.stage == policy::Stage::Ingress
            {
                *seen.lock().expect("no panic") = question.callee.to_string();
            }
            None
        }));
        let now = stage.now;
        stage.agent(CALLER).invite(now, "774420123", hangs_up_after(1));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        assert_eq!(*asked.lock().expect("no panic"), ruled);
        let call = &stage.finals[0].call;
        assert_eq!((&*call.callee_in, &*call.tech_prefix_in), ("774420123", recorded));
    }
}

/// A trunk is deleted while its call is up: both sides are heard to the end of the call.
#[test]
fn a_call_of_a_deleted_trunk_is_heard_to_its_end() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(30));
    stage.run(Duration::from_secs(5));
    let mut fewer = small_operator();
    take_trunks(&mut fewer);
    stage.reconfigure(fewer);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let call = &stage.finals[0].call;
    assert_eq!((&*call.end_reason, call.duration_ms / 1000), ("caller_hangup", 30));
}

/// The same for many calls, which the shard checks a few at a time, and for calls that begin during
/// the check; a trunk that is added again is known again.
#[test]
fn many_calls_of_a_deleted_trunk_are_heard_to_their_ends() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    stage.keep_wire = false;
    stage.set_balance(1, ledger::Money(1000 * ledger::Money::ONE.0));
    for _ in 0..700 {
        call(&mut stage, hangs_up_after(30));
    }
    stage.run(Duration::from_secs(5));
    let looks = |stage: &Stage| stage.switch.poll_timeout().is_some_and(|at| at <= stage.now);
    assert!(!looks(&stage));
    let mut fewer = small_operator();
    take_trunks(&mut fewer);
    for facts in [fewer.clone(), small_operator(), fewer] {
        stage.reconfigure(facts);
        assert!(looks(&stage));
    }
    stage.run(Duration::ZERO);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals.len(), 700);
    for document in &stage.finals {
        let call = &document.call;
        assert_eq!((&*call.end_reason, call.duration_ms / 1000), ("caller_hangup", 30));
    }
}
