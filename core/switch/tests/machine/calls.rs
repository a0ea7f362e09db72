//! Stories of single calls on the wire, in virtual time.

use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, customer, known_to_vendors, operator, small_operator, vendor,
};
use crate::support::{Stage, call, hangs_up_after, sent, stage_of};
use policy::{
    Advance, Answer, AttemptFailure, Fault, NumberAnswer, Question, Rejection, Stage as Numbered,
    Verdict,
};
use std::time::Duration;
use strowger_switch::facts::{Authentication, CustomerTrunk, DigestUser};

pub(crate) fn stage(vendor_a: VendorPlan, vendor_b: VendorPlan) -> Stage {
    stage_of(small_operator(), vendor_a, vendor_b)
}

/// SIG-04, SIG-14, CDR-01, CDR-02: a complete successful call.
#[test]
fn an_answered_call_is_connected_charged_and_recorded() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(60));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.agent(CALLER).last().responses, [100, 180, 200]);
    let vendor = stage.agent(VENDOR_A);
    assert_eq!(vendor.last().requests, ["INVITE", "BYE"]);
    let invite = vendor.last().last_invite.clone();
    assert!(!invite.contains("10.1.0.1"), "the caller's address is hidden:\n{invite}");
    assert!(invite.contains("P-Asserted-Identity: <sip:4930123@switch.example>"));
    assert!(invite.contains("c=IN IP4 10.0.0.1"), "media goes through the switch:\n{invite}");
    let ringing = &stage.agent(CALLER).last().last_response;
    assert!(!ringing.contains("10.2.0.1"), "the vendor's address is hidden:\n{ringing}");
    let [document] = &stage.finals[..] else { panic!("one record, not {}", stage.finals.len()) };
    let record = &document.call;
    assert_eq!(record.end_reason, "caller_hangup");
    assert_eq!(record.code_returned, 200);
    // The ACK and the BYE each take a millisecond from caller to switch.
    assert_eq!(record.duration_ms, 60_002);
    assert_eq!(record.sell.as_ref().expect("charged").amount.to_string(), "0.61");
    assert_eq!(record.cost.to_string(), "0.305");
    assert_eq!(record.profit.to_string(), "0.305");
    assert_eq!(record.balance_after.expect("booked").to_string(), "99999.39");
    assert_eq!(document.attempts.len(), 1);
    assert_eq!(document.attempts[0].trunk_name.as_ref(), "vendor-a");
    assert_eq!(document.postings.len(), 2);
    let hooks: Vec<&str> = document.trail.iter().map(|entry| entry.hook.as_ref()).collect();
    assert_eq!(
        hooks,
        [
            "numbering",
            "screening",
            "rating",
            "routing",
            "numbering",
            "identity",
            "rating",
            "rating"
        ]
    );
    assert_eq!(stage.interims.len(), 2, "at answer and after 60 s (CDR-06)");
}

#[test]
fn the_callee_hangs_up() {
    let plan = VendorPlan { hangup: Some(Duration::from_secs(5)), ..VendorPlan::answers() };
    let mut stage = stage(plan, VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].call.end_reason, "callee_hangup");
    assert_eq!(stage.agent(CALLER).last().requests, ["BYE"]);
}

/// ROUTE-50 row 11, ROUTE-51, ROUTE-55: the caller does not see the failed attempt.
#[test]
fn a_failing_vendor_leads_to_the_next() {
    let mut stage = stage(VendorPlan::refuses(503), VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.agent(CALLER).last().responses, [100, 180, 200]);
    let attempts = &stage.finals[0].attempts;
    assert_eq!(attempts.len(), 2);
    assert_eq!((attempts[0].code, attempts[0].end_reason.as_str()), (503, "device_congested"));
    assert_eq!(attempts[1].trunk_name.as_ref(), "vendor-b");
}

/// ROUTE-50 row 6, SIG-89
#[test]
fn a_busy_callee_is_not_rung_elsewhere() {
    let busy =
        VendorPlan { header: Some(("Reason", "Q.850;cause=17")), ..VendorPlan::refuses(486) };
    let mut stage = stage(busy, VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.agent(CALLER).last().responses, [100, 486]);
    assert!(stage.agent(CALLER).last().last_response.contains("Reason: Q.850;cause=17"));
    let record = &stage.finals[0].call;
    assert_eq!(record.end_reason, "callee_busy");
    assert_eq!((record.code_received, record.code_chosen, record.code_returned), (486, 486, 486));
    assert!(record.sell.is_none());
    assert!(stage.finals[0].postings.is_empty());
}

/// SIG-15, SIG-23: five sends, then the next vendor after 10 s.
#[test]
fn a_silent_vendor_is_left_after_ten_seconds() {
    let mut stage = stage(VendorPlan::silent(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run(Duration::from_millis(9_900));
    assert!(stage.agent(VENDOR_B).order.is_empty());
    stage.run(Duration::from_millis(200));
    assert_eq!(stage.agent(VENDOR_B).order.len(), 1);
    let to_a: Vec<_> = stage
        .wire
        .iter()
        .filter(|(_, to, _)| to.to_string() == VENDOR_A)
        .map(|(at, _, _)| at.duration_since(stage.start).as_millis())
        .collect();
    let first = to_a[0];
    let moments: Vec<_> = to_a.iter().map(|at| at - first).collect();
    assert_eq!(moments, [0, 500, 1500, 3500, 7500]);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].attempts[0].end_reason, "no_response");
}

/// SIG-19, SIG-93: a ring time-out ends the call with 480 and cause 19.
#[test]
fn nobody_answers() {
    let mut stage = stage(VendorPlan::rings(), VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.agent(CALLER).last().responses, [100, 180, 480]);
    assert!(stage.agent(CALLER).last().last_response.contains("cause=19"));
    assert_eq!(stage.agent(VENDOR_A).last().requests, ["INVITE"]);
    assert_eq!(stage.finals[0].call.end_reason, "ring_timeout");
    let lasted = stage.finals[0].call.end_ms.expect("ended") - stage.finals[0].call.invite_ms;
    assert!((120_000..120_300).contains(&lasted), "{lasted} ms");
}

/// SIG-16, SIG-17: 100 or 183 without SDP and then silence is cancelled after 20 s, and the
/// next vendor is tried.
#[test]
fn a_vendor_that_falls_silent_after_a_provisional_is_left() {
    let second = Duration::from_secs(1);
    for (progress, left_after) in [(vec![], 20), (vec![(second * 5, 183, false)], 25)] {
        let plan = VendorPlan { progress, ..VendorPlan::rings() };
        let mut stage = stage(plan, VendorPlan::answers());
        call(&mut stage, hangs_up_after(1));
        stage.run(second * left_after - Duration::from_millis(100));
        assert!(stage.agent(VENDOR_B).order.is_empty(), "left before {left_after} s");
        stage.run(Duration::from_millis(200));
        assert_eq!(stage.agent(VENDOR_B).order.len(), 1, "not left after {left_after} s");
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let document = &stage.finals[0];
        assert_eq!(document.attempts[0].end_reason, "progress_timeout");
        assert_eq!(document.attempts[0].code, 487, "it was cancelled");
        assert_eq!(document.call.code_returned, 200);
    }
}

/// ROUTE-53, ROUTE-54: rows 3 and 4 of ROUTE-50 end the hunt although a vendor is left.
#[test]
fn attempts_and_set_up_time_are_limited() {
    let mut few = customer(1, "acme", CALLER);
    few.max_attempts = 1;
    let mut hasty = customer(1, "acme", CALLER);
    hasty.setup_budget = Duration::from_secs(5);
    for (trunk, first, reason) in [
        (few, VendorPlan::refuses(404), "attempt_limit"),
        (hasty, VendorPlan::silent(), "setup_budget"),
    ] {
        let vendors =
            vec![vendor(11, "vendor-a", &[VENDOR_A], 1), vendor(12, "vendor-b", &[VENDOR_B], 2)];
        let mut stage = stage_of(operator(trunk, vendors), first, VendorPlan::answers());
        call(&mut stage, CallerPlan::default());
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        assert_eq!(stage.finals[0].call.end_reason, reason);
        assert_eq!(stage.finals[0].attempts.len(), 1);
        assert!(stage.agent(VENDOR_B).order.is_empty());
    }
}

/// ROUTE-50 rows 8 and 9: the policy is told if the customer trunk disables both.
#[test]
fn the_policy_is_told_that_a_customer_trunk_searches_until_connect() {
    let mut restless = customer(1, "acme", CALLER);
    restless.until_connect = true;
    let mut hasty = vendor(11, "vendor-a", &[VENDOR_A], 1);
    hasty.timers.ringing = Duration::from_secs(10);
    let vendors = vec![hasty, vendor(12, "vendor-b", &[VENDOR_B], 2)];
    let mut stage =
        stage_of(operator(restless, vendors), VendorPlan::rings(), VendorPlan::answers());
    stage.policy.instead = Some(Box::new(|question: &Question| match question {
        Question::Advance(question) if question.switches.until_connect => {
            Some(Ok(Answer::Advance(Advance::Next)))
        }
        _ => None,
    }));
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let document = &stage.finals[0];
    assert_eq!(document.call.code_returned, 200);
    assert_eq!(document.attempts[0].end_reason, "ring_timeout");
}

/// SIG-20: alternating 180 and 183 cannot extend the alerting phase.
#[test]
fn alternating_provisionals_do_not_extend_ringing() {
    let second = Duration::from_secs(1);
    let progress =
        (0..100).map(|n| (second * (n * 2 + 1), if n % 2 == 0 { 180 } else { 183 }, false));
    let plan = VendorPlan { progress: progress.collect(), ..VendorPlan::rings() };
    let mut stage = stage(plan, VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    let lasted = stage.finals[0].call.end_ms.expect("ended") - stage.finals[0].call.invite_ms;
    assert!((120_900..121_300).contains(&lasted), "{lasted} ms");
}

/// SIG-08: 487 to the caller, CANCEL to the vendor.
#[test]
fn the_caller_cancels() {
    let mut stage = stage(VendorPlan::rings(), VendorPlan::answers());
    let cancel = Some(Duration::from_secs(3));
    call(&mut stage, CallerPlan { cancel, ..CallerPlan::default() });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.agent(CALLER).last().responses, [100, 180, 487]);
    assert!(stage.agent(VENDOR_A).last().ended);
    let record = &stage.finals[0];
    assert_eq!(record.call.end_reason, "caller_cancelled");
    assert_eq!(record.attempts[0].code, 487);
    assert_eq!(record.postings, []);
}

/// SIG-08: the 200 that crosses a CANCEL is acknowledged and ended; the caller pays nothing.
#[test]
fn an_answer_that_crosses_the_cancel_is_ended() {
    // The vendor's 200 leaves 1 ms before the CANCEL reaches it.
    let plan = VendorPlan { last: Some((Duration::from_millis(1000), 200)), ..VendorPlan::rings() };
    let mut stage = stage(plan, VendorPlan::answers());
    let cancel = Some(Duration::from_millis(1001));
    call(&mut stage, CallerPlan { cancel, ..CallerPlan::default() });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.agent(CALLER).last().responses, [100, 180, 487]);
    assert_eq!(stage.agent(VENDOR_A).last().requests, ["INVITE", "BYE"]);
    let record = &stage.finals[0];
    assert_eq!(record.call.duration_ms, 0);
    assert!(record.call.sell.is_none());
    let attempt = &record.attempts[0];
    assert!(attempt.answer_ms.is_some());
    assert_eq!(attempt.duration_ms, 1, "it was ended at once (BILL-10)");
    assert_eq!(attempt.buy.as_ref().expect("owed for").billed_s, 1);
    let owed: Vec<_> = record.postings.iter().map(|posting| posting.account).collect();
    assert_eq!(owed, [2], "the vendor is paid, the customer does not pay");
}

/// ROUTE-15 step 13, SIG-93
#[test]
fn an_empty_purse_makes_no_call() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    stage.set_balance(1, ledger::Money::ZERO);
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.agent(CALLER).last().responses, [100, 403]);
    assert_eq!(stage.finals[0].call.end_reason, "insufficient_balance");
    assert!(stage.finals[0].attempts.is_empty());
}

/// SIG-87: no prefix 404, no rate 403, bad number 484.
#[test]
fn calls_that_cannot_be_made_say_why() {
    for (callee, code, reason) in [("33123", 403, "no_rate"), ("%20", 484, "number_invalid")] {
        let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
        let now = stage.now;
        stage.agent(CALLER).invite(now, callee, CallerPlan::default());
        stage.run_until_quiet();
        assert_eq!(stage.agent(CALLER).last().responses, [100, code]);
        assert_eq!(stage.finals[0].call.end_reason, reason);
    }
}

/// SEC-12: a full vendor is skipped, a full customer refused, and never exceeded.
#[test]
fn channel_limits_hold() {
    let mut acme = customer(1, "acme", CALLER);
    acme.channels = 2;
    let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
    first.channels = 1;
    let facts = operator(acme, vec![first, vendor(12, "vendor-b", &[VENDOR_B], 2)]);
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    for _ in 0..3 {
        call(&mut stage, hangs_up_after(5));
    }
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.agent(VENDOR_A).order.len(), 1);
    assert_eq!(stage.agent(VENDOR_B).order.len(), 1);
    let refused = stage.finals.iter().filter(|d| d.call.end_reason == "concurrency_limit").count();
    assert_eq!(refused, 1);
}

/// SIG-92, SEC-20: a stranger gets nothing, not even an error.
#[test]
fn strangers_get_silence() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    for junk in ["INVITE sip:1@x SIP/2.0\r\n\r\n", "OPTIONS sip:1@x SIP/2.0\r\n", "\0\0\0"] {
        stage.inject("203.0.113.9:5060", junk.as_bytes());
    }
    stage.run(Duration::from_secs(1));
    assert!(stage.wire.is_empty());
    assert_eq!(stage.switch.counters().unknown_source, 3);
}

/// SIG-13: a known trunk is told what is wrong.
#[test]
fn malformed_requests_of_known_trunks_get_400() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    let broken = "INVITE sip:44@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.1;branch=z9hG4bK1\r\n\
                  From: <sip:1@x>;tag=1\r\nTo: <sip:44@x>\r\nCall-ID: broken\r\nCSeq: 1 INVITE\r\n\
                  Content-Length: 999\r\n\r\n";
    stage.inject(CALLER, broken.as_bytes());
    stage.run(Duration::from_secs(1));
    let (_, _, bytes) = stage.wire.first().expect("an answer");
    assert!(String::from_utf8_lossy(bytes).starts_with("SIP/2.0 400"));
    assert_eq!(stage.switch.counters().malformed, 1);
}

/// Promise 8 of the design: each hook's fallback, and its entry on the trail.
#[test]
fn a_broken_plugin_costs_one_decision() {
    for (hook, reason, code) in [
        ("screening", "caller_hangup", 200),
        ("numbering", "internal_error", 500),
        ("rating", "internal_error", 500),
        ("routing", "caller_hangup", 200),
        ("identity", "all_routes_failed", 503),
    ] {
        let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
        stage.policy.instead = Some(Box::new(move |question: &Question| {
            (question.hook().name() == hook).then(|| Err(Fault::Trap("unreachable".to_owned())))
        }));
        call(&mut stage, hangs_up_after(1));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let document = &stage.finals[0];
        assert_eq!(document.call.end_reason, reason, "{hook}");
        assert_eq!(document.call.code_returned, code, "{hook}");
        assert!(document.trail.iter().any(|e| &*e.hook == hook && e.fault.contains("unreachable")));
        assert!(stage.switch.counters().fallbacks[hook] >= 1);
    }
}

/// The trail tells the fault of a build even if another one answered, in full the first time.
#[test]
fn a_fault_is_on_the_trail_although_the_build_before_answered() {
    let mut stage = stage(VendorPlan::refuses(503), VendorPlan::answers());
    stage.policy.failed = Some(|question: &Question| {
        let text = "panicked at src/lib.rs:7:9: no vendor | in ".to_owned() + &"x".repeat(200);
        (question.hook() == policy::Hook::Routing).then_some(Fault::Trap(text))
    });
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    let trail = &stage.finals[0].trail;
    let routing: Vec<_> = trail.iter().filter(|entry| &*entry.hook == "routing").collect();
    assert_eq!(routing.len(), 4, "{routing:#?}");
    for pair in routing.chunks(2) {
        assert_eq!((&*pair[0].plugin, pair[0].micros), ("routing 2.0.0 (abcd0123)", 1));
        assert!(pair[0].fault.starts_with("trapped: panicked at src/lib.rs:7:9: no vendor"));
        assert_eq!((pair[0].answer.as_str(), pair[1].fault.as_str()), ("other build asked", ""));
    }
    assert!(routing[0].fault.ends_with("xxx") && routing[0].fault.len() > 200);
    assert_eq!(routing[2].fault.len(), 128, "the second time its beginning suffices");
    assert_eq!(
        (routing[1].answer.as_str(), routing[3].answer.as_str()),
        ("vendor-a, vendor-b", "next")
    );
}

/// The operator may choose to refuse calls that a plugin could not screen.
#[test]
fn screening_may_fail_closed() {
    for (must_screen, end_reason) in [(true, "internal_error"), (false, "caller_hangup")] {
        let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
        stage.policy.must_screen = must_screen;
        stage.policy.instead = Some(Box::new(|question: &Question| {
            (question.hook() == policy::Hook::Screening)
                .then_some(Err(Fault::Deadline(5, String::new())))
        }));
        call(&mut stage, hangs_up_after(1));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let refused = stage.agent(CALLER).last().responses == [100, 503];
        assert_eq!(refused, must_screen);
        assert_eq!(stage.finals[0].call.end_reason, end_reason);
    }
}

/// A rating failure at the end loses nothing: the record is marked to be rated again.
#[test]
fn a_charge_that_fails_marks_the_record() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    let mut asked = 0;
    stage.policy.instead = Some(Box::new(move |question: &Question| match question {
        Question::Rate(_) => {
            asked += 1;
            (asked > 1).then_some(Err(Fault::Deadline(5, String::new())))
        }
        _ => None,
    }));
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    let record = &stage.finals[0];
    assert!(record.call.rerate);
    assert_eq!(record.postings, []);
    assert_eq!(record.call.duration_ms, 1002);
}

/// Screening can refuse with its own code and reason.
#[test]
fn screening_refuses() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    stage.policy.instead = Some(Box::new(|question: &Question| match question {
        Question::Screen(_) => Some(Ok(Answer::Screen(Verdict::Reject(Rejection {
            code: 403,
            reason: "caller_barred".into(),
            detail: "on the list".into(),
        })))),
        _ => None,
    }));
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    assert_eq!(stage.agent(CALLER).last().responses, [100, 403]);
    assert_eq!(stage.finals[0].call.end_reason, "caller_barred");
    assert_eq!(stage.finals[0].call.detail, "on the list");
}

/// ROUTE-62, SIG-84: an LRN chooses route and rate; the vendor gets the dialled number and
/// the parameters of RFC 4694.
#[test]
fn a_ported_number_is_routed_and_rated_by_its_lrn() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    stage.policy.instead = Some(Box::new(|question: &Question| match question {
        Question::Number(asked) => {
            let mut numbers = NumberAnswer {
                caller: asked.caller.clone(),
                callee: asked.callee.clone(),
                ..NumberAnswer::default()
            };
            match asked.stage {
                // Only prefix 44 is sold and routed.
                Numbered::Ingress => {
                    numbers.callee = "12025550100".into();
                    numbers.route_as = "4420777".into();
                    numbers.rate_as = "4420777".into();
                }
                Numbered::Egress => numbers.uri_parameters = "rn=4420777;npdi".into(),
            }
            Some(Ok(Answer::Number(Ok(numbers))))
        }
        Question::Route(asked) => {
            assert_eq!(asked.callee, "4420777");
            None
        }
        _ => None,
    }));
    stage.keep_wire = true;
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    assert_eq!(stage.finals[0].call.code_returned, 200, "{:?}", stage.finals[0].call.detail);
    assert_eq!(stage.finals[0].call.callee_route, "12025550100");
    let invite = stage.wire.iter().find(|(_, _, bytes)| bytes.starts_with(b"INVITE")).unwrap();
    let line = format!("INVITE sip:12025550100;rn=4420777;npdi@{VENDOR_A} SIP/2.0\r\n");
    assert!(invite.2.starts_with(line.as_bytes()), "{}", String::from_utf8_lossy(&invite.2));
}

/// What a plugin may look up beyond its question.
#[test]
fn earlier_attempts_numbers_and_headers_are_known_to_plugins() {
    let mut stage = stage(VendorPlan::refuses(503), VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    let last = stage.policy.details.iter().rfind(|(hook, _)| *hook == "identity").unwrap();
    let details = &last.1;
    assert_eq!((details.attempts.len(), details.attempts[0].code), (1, 503));
    assert_eq!(details.attempts[0].failure, AttemptFailure::Response);
    assert!(!details.numbers.callee_in.is_empty() && !details.numbers.callee.is_empty());
    let invite = details.invite.as_ref().expect("not acknowledged yet");
    assert_eq!(invite.header("cseq"), ["1 INVITE"]);
    assert!(invite.request_uri().starts_with("sip:"));
}

/// SIG-35: the longest call is cut on both sides.
#[test]
fn the_duration_limit_ends_the_call() {
    let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
    first.max_duration = Duration::from_secs(30);
    let facts = operator(customer(1, "acme", CALLER), vec![first]);
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].call.end_reason, "max_duration");
    assert_eq!(stage.finals[0].call.duration_ms, 30_000);
    assert_eq!(stage.agent(CALLER).last().requests, ["BYE"]);
    assert_eq!(stage.agent(VENDOR_A).last().requests, ["INVITE", "BYE"]);
}

/// SIG-65: the second address of a trunk is tried once when the first is silent.
#[test]
fn the_second_address_of_a_trunk_is_tried() {
    let facts = operator(
        customer(1, "acme", CALLER),
        vec![vendor(11, "vendor-a", &[VENDOR_A, VENDOR_B], 1)],
    );
    let mut stage = stage_of(facts, VendorPlan::silent(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let targets: Vec<_> = stage.finals[0].attempts.iter().map(|a| a.target.as_str()).collect();
    assert_eq!(targets, [VENDOR_A, VENDOR_B]);
    assert_eq!(stage.finals[0].call.code_returned, 200);
}

/// SIG-53: a vendor's challenge is answered once, in the same attempt.
#[test]
fn a_vendors_challenge_is_answered() {
    let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
    first.credentials = Some(known_to_vendors());
    let challenge = VendorPlan {
        header: Some((
            "WWW-Authenticate",
            "Digest realm=\"carrier\", nonce=\"abc\", algorithm=MD5, qop=\"auth\"",
        )),
        ..VendorPlan::refuses(401)
    };
    let facts = operator(customer(1, "acme", CALLER), vec![first]);
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    stage.agent(VENDOR_A).plans = vec![challenge.clone(), VendorPlan::answers()];
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].call.code_returned, 200);
    assert_eq!(stage.finals[0].attempts.len(), 1);
    let invite = &stage.agent(VENDOR_A).last().last_invite;
    assert!(invite.contains("\r\nAuthorization: Digest "), "{invite}");
    assert!(invite.contains("username=\"strowger\"") && invite.contains("CSeq: 2 INVITE"));

    // Challenged again despite credentials: no third try.
    stage.agent(VENDOR_A).plans = vec![challenge.clone(), challenge];
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[1].attempts[0].end_reason, "vendor_auth_failed");
    assert_eq!(stage.finals[1].call.code_returned, 503);
}

/// SIG-24: the network reports that the vendor is unreachable; the next vendor is tried at once.
#[test]
fn an_unreachable_vendor_is_left_at_once() {
    let mut stage = stage(VendorPlan::silent(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(1));
    stage.run(Duration::from_millis(100));
    for _ in 0..2 {
        stage.unreachable(VENDOR_A);
        stage.run(Duration::from_millis(600));
    }
    assert_eq!(stage.agent(VENDOR_B).order.len(), 1);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals[0].attempts[0].end_reason, "connect_failed");
}

/// CDR-01, CDR-02: a stopping node waits neither for a vendor that ignores CANCEL nor for the ACK
/// of a caller; every call has its record, in any state.
#[test]
fn a_stop_writes_the_record_of_every_call_at_once() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    stage.agent(VENDOR_A).plans = vec![VendorPlan::silent(), VendorPlan::answers()];
    call(&mut stage, CallerPlan::default());
    stage.run(Duration::from_millis(100));
    let heard = stage.agent(VENDOR_A).order.len();
    assert_eq!(heard, 1, "the silent one has its INVITE");
    // The answer to this one is never acknowledged.
    let unacknowledged = raw_invite();
    stage.inject(CALLER, unacknowledged.as_bytes());
    stage.run(Duration::from_secs(2));
    assert_eq!(stage.switch.call_count(), 2);

    stage.close_all();
    assert_eq!((stage.switch.call_count(), stage.finals.len()), (0, 2));
    let of = |answered: bool| {
        let found = stage.finals.iter().find(|d| d.call.answer_ms.is_some() == answered);
        found.expect("one of each")
    };
    let (waiting, up) = (of(false), of(true));
    assert_eq!(waiting.call.end_reason, "operator_hangup");
    assert_eq!(waiting.attempts.len(), 1);
    assert_eq!(waiting.attempts[0].end_reason, "operator_hangup");
    // SIG-93: the caller never accepted the answer, so the customer does not pay; the vendor, who
    // gave it, is paid.
    assert_eq!(up.call.end_reason, "ack_timeout");
    assert_eq!(up.call.detail, "operator_hangup before the answer was acknowledged");
    assert!(up.call.sell.is_none());
    assert_eq!(up.postings.len(), 1);
    assert_eq!(sent(&stage, CALLER, "BYE ").len(), 1, "its caller may have the answer");
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals.len(), 2);
}

/// CDR-01: if a plugin does not return a charge in time, the call is rated later.
#[test]
fn a_stop_that_does_not_wait_for_charges_leaves_them_open() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run(Duration::from_secs(5));
    stage.close_all_unrated();
    assert_eq!((stage.switch.call_count(), stage.finals.len()), (0, 1));
    let document = &stage.finals[0];
    assert!(document.call.rerate && document.call.duration_ms > 3000);
    assert_eq!(document.postings, []);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
}

/// An INVITE with an offer from [`CALLER`], unknown to the agent at that address.
fn raw_invite() -> String {
    let body = "v=0\r\no=- 1 1 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\n\
                m=audio 40000 RTP/AVP 8\r\n";
    format!(
        "INVITE sip:4420123@switch SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKraw\r\n\
         Max-Forwards: 70\r\nFrom: <sip:4930123@{CALLER}>;tag=raw\r\nTo: <sip:4420123@switch>\r\n\
         Call-ID: raw\r\nCSeq: 1 INVITE\r\nContact: <sip:raw@{CALLER}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// SIG-07: the second of two forks that answer is acknowledged and ended.
#[test]
fn the_second_fork_that_answers_is_ended() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, hangs_up_after(30));
    stage.run(Duration::from_millis(1500));
    let answer = stage.agent(VENDOR_A).last_sent_200();
    let to = answer.lines().find(|line| line.starts_with("To:")).expect("a To").to_owned();
    let fork = answer.replace(&to, &format!("{}ffff", to.trim_end()));
    stage.inject(VENDOR_A, fork.as_bytes());
    stage.run(Duration::from_secs(5));
    let sent = |method: &str| {
        let forked = |text: &str| text.starts_with(method) && text.contains("ffff\r\n");
        stage.wire.iter().filter(|(_, _, b)| forked(&String::from_utf8_lossy(b))).count()
    };
    assert_eq!(sent("ACK"), 1);
    assert!(sent("BYE") >= 1);
    assert_eq!(stage.switch.call_count(), 1, "the call itself goes on");
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals.len(), 1);
}

/// ROUTE-11, SIG-50, SIG-52: a digest customer may call from any address, but never with a wrong
/// password.
#[test]
fn a_digest_customer_calls_from_any_address() {
    for (password, last) in [("correct horse battery", 200), ("wrong", 403)] {
        let facts = operator(digest_customer(), vec![vendor(11, "vendor-a", &[VENDOR_A], 1)]);
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        stage.agent(CALLER).credentials = Some(("acme", password));
        call(&mut stage, hangs_up_after(1));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let responses = stage.agent(CALLER).last().responses.clone();
        assert_eq!(responses.first(), Some(&401), "{responses:?}");
        assert_eq!(responses.last(), Some(&last), "{responses:?}");
        assert_eq!(stage.finals.len(), usize::from(last == 200), "a challenge leaves no record");
    }
}

fn digest_customer() -> CustomerTrunk {
    let ha1s = sip::digest::Ha1s::of_password("acme", "switch.example", "correct horse battery");
    CustomerTrunk {
        networks: Vec::new(),
        authentication: Authentication::Digest,
        digest: Some(DigestUser {
            user: "acme".into(),
            realm: "switch.example".into(),
            ha1s,
            algorithms: None,
        }),
        ..customer(1, "acme", CALLER)
    }
}

/// CDR-14: while records have no room, new calls are refused; running calls end as usual.
#[test]
fn new_calls_are_refused_while_their_records_have_no_room() {
    let mut stage = stage(VendorPlan::answers(), VendorPlan::answers());
    let (now, hangup) = (stage.now, Some(Duration::from_secs(10)));
    stage.agent(CALLER).invite(now, "4420123", CallerPlan { hangup, ..CallerPlan::default() });
    stage.run(Duration::from_secs(3));
    stage.switch.set_room_for_records(false);
    let now = stage.now;
    stage.agent(CALLER).invite(now, "4420124", CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let ends: Vec<_> =
        stage.finals.iter().map(|d| (&*d.call.end_reason, d.call.code_returned)).collect();
    assert_eq!(ends, [("system_overload", 503), ("caller_hangup", 200)]);
}
