//! How calls end and who pays: unacknowledged answers, calls of zero length, answers that cross a
//! CANCEL, addresses tried one after the other.

use crate::support::agent::{Agent, CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, operator, small_operator, vendor,
};
use crate::support::raw::{Raw, sdp};
use crate::support::{call, hangs_up_after, stage_of};
use ledger::Money;
use policy::CallOutcome;
use sip::Method;
use std::time::Duration;

/// SIG-93: a caller that never acknowledges the answer does not pay; the vendor, whose answer was
/// acknowledged, is paid for the time that it was connected.
#[test]
fn an_answer_that_nobody_acknowledges_is_not_billed() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, CallerPlan { no_ack: true, ..CallerPlan::default() });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let document = &stage.finals[0];
    let record = &document.call;
    assert_eq!(record.end_reason, "ack_timeout");
    assert!(record.sell.is_none(), "{:?}", record.sell);
    assert_eq!(record.billable_ms, 0);
    assert!((32_000..33_000).contains(&record.duration_ms), "{}", record.duration_ms);
    assert_eq!(document.attempts[0].billable_ms, document.attempts[0].duration_ms);
    assert!(record.cost > Money::ZERO && record.profit == -record.cost);
    assert!(document.postings.iter().all(|posting| posting.account != 1));
    assert_eq!(stage.agent(CALLER).last().requests, ["BYE"]);
    assert_eq!(stage.agent(VENDOR_A).last().requests, ["INVITE", "BYE"]);
    assert!(sent(&stage.wire, VENDOR_A, "BYE ").contains("Reason: Q.850;cause=102\r\n"));
}

/// SIG-93: the same if the callee, the duration limit or an operator ends the call before it is
/// clear that no ACK will come.
#[test]
fn whatever_ends_an_unacknowledged_answer_it_is_not_billed() {
    let hangs_up = VendorPlan { hangup: Some(Duration::from_secs(5)), ..VendorPlan::answers() };
    let mut cut = vendor(11, "vendor-a", &[VENDOR_A], 1);
    cut.max_duration = Duration::from_secs(3);
    let short = operator(customer(1, "acme", CALLER), vec![cut]);
    for (facts, plan) in [(small_operator(), hangs_up), (short, VendorPlan::answers())] {
        let mut stage = stage_of(facts, plan, VendorPlan::answers());
        call(&mut stage, CallerPlan { no_ack: true, ..CallerPlan::default() });
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let record = &stage.finals[0].call;
        assert_eq!(record.end_reason, "ack_timeout");
        assert!(record.sell.is_none() && record.cost > Money::ZERO);
        assert!(record.duration_ms < 6_000, "the time of the call, not of the wait");
        let reasons = &stage.switch.counters().reasons;
        assert_eq!(reasons.values().sum::<u64>(), 1, "{reasons:?}");
    }
}

/// RFC 3261 section 15.1.1: the caller's BYE proves that it has the answer, just as an ACK does.
#[test]
fn a_caller_that_hangs_up_without_ack_pays() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.run(1_500);
    raw.hangs_up(&ok);
    let record = &raw.stage.finals[0].call;
    assert_eq!(record.end_reason, "caller_hangup");
    assert_eq!(record.sell.as_ref().expect("charged").billed_s, 2);
}

/// SIG-93: a call that ends because the caller's answer to a delayed offer is unusable is not
/// billed either.
#[test]
fn a_delayed_offer_whose_answer_is_of_no_use_is_not_billed() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], "");
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    let ok = raw.caller("SIP/2.0 200 ");
    raw.ack(&ok, &sdp("10.1.0.1", 0));
    let bye = raw.caller("BYE ");
    raw.caller_answers(&bye, "200 OK", "");
    let bye = raw.vendor("BYE ");
    raw.answers(&bye, "200 OK", &[], "");
    raw.ends();
    let record = &raw.stage.finals[0].call;
    assert_eq!((record.end_reason.as_str(), record.billable_ms), ("codec_mismatch", 0));
    assert!(record.sell.is_none() && record.cost > Money::ZERO);
}

/// BILL-10, BILL-12: an answer with its BYE in the same millisecond is a call, and both sides are
/// charged their first increment.
#[test]
fn a_call_that_ends_in_the_instant_of_its_answer_is_billed() {
    let mut raw = Raw::new(small_operator());
    raw.invite(&[], &sdp("10.1.0.1", 40_000));
    let invite = raw.vendor("INVITE ");
    raw.answers(&invite, "200 OK", &[], &sdp("10.2.0.1", 42_000));
    raw.vendor_asks(&invite, &Method::Bye, &[], "");
    let ok = raw.caller("SIP/2.0 200 ");
    assert!(!raw.has(CALLER, "BYE "), "RFC 3261 section 15: not before the ACK");
    raw.ack(&ok, "");
    let bye = raw.caller("BYE ");
    raw.caller_answers(&bye, "200 OK", "");
    raw.ends();
    let record = &raw.stage.finals[0].call;
    assert_eq!((record.end_reason.as_str(), record.duration_ms), ("callee_hangup", 1));
    assert_eq!(record.answer_ms, record.end_ms, "in one millisecond of the clock");
    assert_eq!(record.sell.as_ref().expect("charged").billed_s, 1);
    assert!(record.cost > Money::ZERO);
}

/// SIG-08: the vendor charges for the answer that crossed the CANCEL, but the customer does not pay
/// for it.
#[test]
fn an_answer_that_crosses_the_cancel_costs_us_and_not_the_customer() {
    let plan = VendorPlan { last: Some((Duration::from_millis(1000), 200)), ..VendorPlan::rings() };
    let mut stage = stage_of(small_operator(), plan, VendorPlan::answers());
    let cancel = Some(Duration::from_millis(1001));
    call(&mut stage, CallerPlan { cancel, ..CallerPlan::default() });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let document = &stage.finals[0];
    assert_eq!((document.call.duration_ms, document.attempts[0].duration_ms), (0, 1));
    assert!(document.call.sell.is_none());
    assert!(document.call.cost > Money::ZERO);
    assert_eq!(document.postings.len(), 1);
}

/// SIG-65: all addresses of a trunk are tried, in order and once each.
#[test]
fn every_address_of_a_trunk_is_tried() {
    let (third, fourth) = ("10.2.0.3:5060", "10.2.0.4:5060");
    let targets = [VENDOR_A, VENDOR_B, third, fourth];
    for (answers_at, tried) in [(Some(third), 3), (None, 4)] {
        let mut trunk = customer(1, "acme", CALLER);
        trunk.setup_budget = Duration::from_secs(120);
        let facts = operator(trunk, vec![vendor(11, "vendor-a", &targets, 1)]);
        let mut stage = stage_of(facts, VendorPlan::silent(), VendorPlan::silent());
        for address in [third, fourth] {
            let answers = Some(address) == answers_at;
            let plan = if answers { VendorPlan::answers() } else { VendorPlan::silent() };
            stage.add(Agent::vendor(address, plan));
        }
        call(&mut stage, hangs_up_after(1));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let attempts = &stage.finals[0].attempts;
        let found: Vec<_> = attempts.iter().map(|a| a.target.as_str()).collect();
        assert_eq!(found, targets[..tried]);
        let code = if answers_at.is_some() { 200 } else { 503 };
        assert_eq!(stage.finals[0].call.code_returned, code);
    }
}

type Wire = [(std::time::Instant, std::net::SocketAddr, std::sync::Arc<[u8]>)];

/// The first message to `address` that begins with `start`.
fn sent(wire: &Wire, address: &str, start: &str) -> String {
    let wanted = wire
        .iter()
        .find(|(_, to, bytes)| to.to_string() == address && bytes.starts_with(start.as_bytes()));
    wanted.map(|(_, _, bytes)| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

/// The host judges builds of plugins by what is told here.
#[test]
fn each_call_tells_how_it_went() {
    let told = |plan: VendorPlan, caller: CallerPlan| {
        let mut stage = stage_of(small_operator(), plan.clone(), plan);
        call(&mut stage, caller);
        stage.run_until_quiet();
        let record = &stage.finals[0].call;
        let profit = record.profit;
        (std::mem::take(&mut stage.outcomes), profit)
    };
    let (outcomes, profit) = told(VendorPlan::answers(), hangs_up_after(60));
    let [CallOutcome::Answered, CallOutcome::Charged { sales, margin }] = outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert!(sales > margin && margin > 0, "{sales} {margin}");
    assert_eq!(margin, i64::try_from(profit.0 / 10_000).expect("a small sum"), "in millionths");

    let (outcomes, _) = told(VendorPlan::refuses(503), CallerPlan::default());
    assert!(matches!(&outcomes[..], [CallOutcome::Failed(_)]), "{outcomes:?}");
    let cancels = CallerPlan { cancel: Some(Duration::from_secs(1)), ..CallerPlan::default() };
    let (outcomes, _) = told(VendorPlan::rings(), cancels);
    assert_eq!(outcomes, [CallOutcome::GivenUp]);
}
