//! When new calls are refused, and the end of calls that the node cannot keep.

use crate::calls::stage;
use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, operator, small_operator, vendor,
};
use crate::support::{Stage, call, hangs_up_after, header, sent, stage_of};
use std::time::Duration;
use strowger_switch::facts::CallSettings;

/// The response to an OPTIONS from a vendor with these additional lines.
fn asks_options(stage: &mut Stage, number: u32, lines: &str) -> String {
    let options = format!(
        "OPTIONS sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {VENDOR_A};branch=z9hG4bK{number}\r\n\
         From: <sip:x@x>;tag=1\r\nTo: <sip:10.0.0.1>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\n\
         {lines}Content-Length: 0\r\n\r\n"
    );
    stage.inject(VENDOR_A, options.as_bytes());
    stage.run(Duration::from_millis(10));
    let answers = sent(stage, VENDOR_A, "SIP/2.0 ");
    answers.into_iter().rfind(|a| header(a, "Call-ID") == Some(&number.to_string())).expect("one")
}

fn retry_after(message: &str) -> u32 {
    header(message, "Retry-After").and_then(|value| value.parse().ok()).expect("Retry-After")
}

/// SIG-57, OPS-65, SIG-91, SIG-93: a draining node refuses new calls and says so, to INVITE and
/// OPTIONS alike; running calls are unaffected.
#[test]
fn a_draining_node_refuses_new_calls_with_503_and_keeps_the_running_one() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(20));
    stage.run(Duration::from_secs(2));
    stage.switch.drain();
    call(&mut stage, CallerPlan::default());
    stage.run(Duration::from_secs(1));
    let refusals = sent(&stage, CALLER, "SIP/2.0 503 ");
    assert_eq!((refusals.len(), retry_after(&refusals[0])), (1, 5));
    let options = asks_options(&mut stage, 77, "Max-Forwards: 70\r\n");
    assert!(options.starts_with("SIP/2.0 503 "), "{options}");
    assert_eq!(retry_after(&options), 5);
    let call = &stage.finals[0].call;
    assert_eq!((call.end_reason.as_str(), call.code_returned), ("system_overload", 503));
    assert_eq!(call.detail, "the node is draining");
    assert!(stage.finals[0].attempts.is_empty());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let call = &stage.finals[1].call;
    assert_eq!((call.end_reason.as_str(), call.duration_ms / 1000), ("caller_hangup", 20));
}

/// SIG-91, SIG-93: new calls are refused while messages wait too long, and accepted again
/// afterwards. Peers get different times, so that they do not all come back together.
#[test]
fn an_overloaded_shard_refuses_until_it_has_caught_up() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    stage.switch.set_overloaded(true);
    for _ in 0..40 {
        call(&mut stage, CallerPlan::default());
    }
    stage.run_until_quiet();
    let seconds: Vec<u32> =
        sent(&stage, CALLER, "SIP/2.0 503 ").iter().map(|refusal| retry_after(refusal)).collect();
    assert_eq!(seconds.len(), 40);
    for second in 1..=5 {
        assert!(seconds.contains(&second), "{seconds:?}");
    }
    assert!(asks_options(&mut stage, 78, "").starts_with("SIP/2.0 503 "));
    stage.switch.set_overloaded(false);
    assert!(asks_options(&mut stage, 79, "").starts_with("SIP/2.0 200 "));
    call(&mut stage, hangs_up_after(3));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let reasons: Vec<&str> = stage.finals.iter().map(|r| r.call.end_reason.as_str()).collect();
    assert!(reasons[..40].iter().all(|reason| *reason == "system_overload"));
    assert_eq!(reasons[40..], ["caller_hangup"]);
    assert_eq!(stage.switch.counters().reasons["system_overload"], 40);
}

/// SIG-91: the node's own limit counts as overload, a customer's limit does not.
#[test]
fn a_full_node_says_when_to_come_back() {
    let mut facts = small_operator();
    facts.settings = CallSettings { channels: 1, ..facts.settings };
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(20));
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    let refusals = sent(&stage, CALLER, "SIP/2.0 503 ");
    assert_eq!(refusals.len(), 1);
    assert!((1..=5).contains(&retry_after(&refusals[0])));
    assert_eq!(stage.finals[0].call.end_reason, "concurrency_limit");
}

/// SIG-57, RFC 3261 sections 11.2 and 16.3: the response to OPTIONS lists what an INVITE may
/// contain; Max-Forwards 0 does not matter at the final destination.
#[test]
fn options_are_answered_with_what_the_switch_can() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    for (number, lines) in ["Max-Forwards: 70\r\n", "Max-Forwards: 0\r\n", ""].iter().enumerate() {
        let answer = asks_options(&mut stage, 80 + number as u32, lines);
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        assert_eq!(
            header(&answer, "Allow"),
            Some("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK")
        );
        for (name, value) in [
            ("Accept", "application/sdp"),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", "100rel, timer"),
        ] {
            assert_eq!(header(&answer, name), Some(value), "{answer}");
        }
        assert_eq!(header(&answer, "Retry-After"), None);
    }
    let wrong = asks_options(&mut stage, 90, "Max-Forwards: +0\r\n");
    assert!(wrong.starts_with("SIP/2.0 400 "), "{wrong}");
}

/// OPS-62: a failed machine ends its calls at both sides, records them, charges the answered part,
/// and starts again with only its counters and settings.
#[test]
fn calls_of_a_failed_machine_are_ended_and_recorded() {
    let vendors =
        vec![vendor(11, "vendor-a", &[VENDOR_A], 1), vendor(12, "vendor-b", &[VENDOR_B], 2)];
    let facts = operator(customer(1, "acme", CALLER), vendors);
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run(Duration::from_secs(30));
    stage.agent(VENDOR_A).plan = VendorPlan::rings();
    call(&mut stage, CallerPlan::default());
    stage.run(Duration::from_secs(2));
    assert_eq!(stage.switch.call_count(), 2);

    stage.switch.drain();
    let answered = stage.switch.counters().answered;
    for key in stage.switch.call_keys() {
        stage.fail_call(key);
    }
    assert_eq!(stage.switch.call_count(), 0);
    stage.switch.start_anew();
    assert_eq!(stage.switch.counters().answered, answered, "counters go on");
    stage.assert_nothing_leaks();
    let ends: Vec<_> = stage
        .finals
        .iter()
        .map(|r| (r.call.end_reason.as_str(), r.call.code_returned, r.call.rerate))
        .collect();
    assert_eq!(ends, [("node_lost", 200, false), ("internal_error", 500, false)]);
    assert!(stage.finals[0].call.sell.as_ref().is_some_and(|sell| sell.billed_s >= 29));
    assert_eq!(sent(&stage, CALLER, "BYE ").len(), 1);
    assert_eq!(sent(&stage, VENDOR_A, "BYE ").len(), 1);
    assert!(
        header(&sent(&stage, CALLER, "BYE ")[0], "Reason").is_some_and(|r| r.contains("cause=41"))
    );
    assert_eq!(sent(&stage, CALLER, "SIP/2.0 500 ").len(), 1);
    assert_eq!(sent(&stage, VENDOR_A, "CANCEL ").len(), 1);

    call(&mut stage, CallerPlan::default());
    stage.run(Duration::from_secs(1));
    assert_eq!(sent(&stage, CALLER, "SIP/2.0 503 ").len(), 1, "it still drains");
}

/// OPS-62, RFC 3261 section 15: after a failure the ACK of a call that has just been answered can
/// no longer arrive; its caller still gets a BYE.
#[test]
fn a_failed_machine_ends_a_call_whose_ack_is_on_its_way() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, CallerPlan { no_ack: true, ..CallerPlan::default() });
    stage.run(Duration::from_secs(3));
    for key in stage.switch.call_keys() {
        stage.fail_call(key);
    }
    assert_eq!(stage.switch.call_count(), 0);
    assert_eq!(stage.finals[0].call.end_reason, "node_lost");
    assert_eq!(sent(&stage, CALLER, "BYE ").len(), 1);
    assert_eq!(sent(&stage, VENDOR_A, "BYE ").len(), 1);
}

/// OPS-62: a call that cannot even be charged is recorded, to be rated later.
#[test]
fn a_call_that_cannot_be_closed_in_order_is_recorded_as_it_is() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run(Duration::from_secs(5));
    assert!(stage.close_one_unrated());
    assert!(!stage.close_one_unrated());
    assert_eq!((stage.switch.call_count(), stage.finals.len()), (0, 1));
    assert!(stage.finals[0].call.rerate);
}
