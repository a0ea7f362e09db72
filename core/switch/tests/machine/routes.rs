//! The candidate vendor trunks of a call, the start of each attempt, and the response to the caller
//! without any.

use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, account, change_account, change_vendors, customer, deck, open,
    operator, prefix, put_customers, small_operator, vendor,
};
use crate::support::{Stage, call, hangs_up_after, stage_of};
use live::Holder;
use policy::{Answer, NumberAnswer, Question, Rejection, Stage as Numbered, Verdict};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strowger_switch::facts::Facts;

/// ROUTE-16: every prefix of the number counts, including the empty one, and a trunk with several
/// matching prefixes is one candidate, with the longest.
#[test]
fn a_trunk_is_one_candidate_with_its_longest_prefix() {
    let of = |(id, prefixes): (u32, &[&str])| {
        let mut trunk = vendor(id, &format!("v{id}"), &[VENDOR_A], id);
        trunk.prefixes = prefixes.iter().map(|digits| prefix(digits, true)).collect();
        trunk
    };
    let vendors: [(u32, &[&str]); 3] =
        [(11, &["", "44", "4420"]), (12, &["44", "45"]), (13, &[""])];
    let facts = operator(customer(1, "acme", CALLER), vendors.map(of).into());
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    stage.policy.instead = Some(Box::new(move |question: &Question| {
        if let Question::Route(question) = question {
            let found = question.candidates.iter().map(|c| (c.trunk, c.prefix_length));
            seen.lock().expect("no panic").extend(found);
        }
        None
    }));
    call(&mut stage, hangs_up_after(1));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(*asked.lock().expect("no panic"), [(11, 4), (12, 2), (13, 0)]);
}

/// ROUTE-52: the second attempt starts with the numbers of the routing, not with the first
/// attempt's rewritten ones; it has its own trunk's timers and price, and its own record.
#[test]
fn each_attempt_begins_anew() {
    let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
    first.timers.response = Duration::from_secs(2);
    first.tech_prefix = "77".into();
    let mut second = vendor(12, "vendor-b", &[VENDOR_B], 2);
    second.account = 3;
    second.tech_prefix = "88".into();
    let mut facts = operator(customer(1, "acme", CALLER), vec![first, second]);
    open(&mut facts, account(3, "other carrier"), deck("other carrier", 45));
    let mut stage = stage_of(facts, VendorPlan::silent(), VendorPlan::answers());
    stage.policy.instead = Some(Box::new(|question: &Question| match question {
        Question::Number(asked) if asked.stage == Numbered::Egress => {
            assert_eq!((&*asked.caller, &*asked.callee), ("4930123", "4420123"));
            let own = |number: &str| format!("{}{number}", asked.tech_prefix).into();
            Some(Ok(Answer::Number(Ok(NumberAnswer {
                caller: own(&asked.caller),
                callee: own(&asked.callee),
                identity: own("1"),
                ..NumberAnswer::default()
            }))))
        }
        _ => None,
    }));
    call(&mut stage, hangs_up_after(60));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let [first, second] = &stage.finals[0].attempts[..] else { panic!("two attempts") };
    for (attempt, own) in [(first, "77"), (second, "88")] {
        assert_eq!(attempt.callee_out, format!("{own}4420123"));
        assert_eq!(attempt.caller_out, format!("{own}4930123"));
        assert_eq!(attempt.identity_out, format!("{own}1"));
    }
    assert_eq!(second.sent_ms - first.sent_ms, 2000);
    assert_eq!((first.end_reason.as_str(), first.buy.is_none()), ("no_response", true));
    let bought = second.buy.as_ref().expect("it was answered");
    assert_eq!((bought.price.to_string().as_str(), &*bought.deck), ("0.45", "other carrier"));
    let paid: Vec<_> = stage.finals[0].postings.iter().map(|posting| posting.account).collect();
    assert_eq!(paid, [1, 3], "the first vendor gets nothing");
}

/// Code and end reason of one call of a small operator, after `change`.
fn ends_with(change: impl FnOnce(&mut Facts)) -> (u16, String) {
    ends_beside(change, |_| {})
}

/// The same, after something else has happened.
fn ends_beside(change: impl FnOnce(&mut Facts), before: impl FnOnce(&mut Stage)) -> (u16, String) {
    let mut facts = small_operator();
    change(&mut facts);
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    before(&mut stage);
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    let responses = stage.agent(CALLER).last().responses.clone();
    assert_eq!(responses.len(), 2, "100 and one final response: {responses:?}");
    assert!(stage.finals[0].attempts.is_empty(), "no vendor hears of it");
    assert_eq!(stage.finals[0].call.code_returned, responses[1]);
    (responses[1], stage.finals[0].call.end_reason.to_string())
}

/// SIG-87, BILL-05, BILL-45: 404 if no trunk has the prefix, 503 if trunks have it but none can be
/// used, 403 if a rule forbids the call.
#[test]
fn a_call_without_a_usable_route_says_why() {
    let no_route = ends_with(|facts| change_vendors(facts, |trunk| trunk.prefixes.clear()));
    assert_eq!(no_route, (404, "no_route".to_owned()));
    let unusable = (503, "no_route_available".to_owned());
    assert_eq!(ends_with(|facts| change_vendors(facts, |trunk| trunk.locked = true)), unusable);
    assert_eq!(
        ends_with(|facts| change_account(facts, 2, |account| account.locked = true)),
        unusable
    );
    assert_eq!(
        ends_with(|facts| change_account(facts, 2, |account| account.deck = None)),
        unusable
    );
    let one_channel = |facts: &mut Facts| change_vendors(facts, |trunk| trunk.channels = 1);
    let full = |stage: &mut Stage| {
        let vendors: Vec<u32> = stage.facts.vendors().keys().collect();
        assert!(vendors.iter().all(|id| stage.live.channels.take(Holder::Vendor(*id), 1)));
    };
    let busy = (503, "all_routes_busy".to_owned());
    assert_eq!(ends_beside(one_channel, full), busy);
    let forbidden = |reason: &str| (403, reason.to_owned());
    let lock = |facts: &mut Facts| {
        let mut trunk = customer(1, "acme", CALLER);
        trunk.locked = true;
        put_customers(facts, [trunk]);
    };
    assert_eq!(ends_with(lock), forbidden("trunk_locked"));
    let poor = |stage: &mut Stage| stage.set_balance(1, ledger::Money::ZERO);
    assert_eq!(ends_beside(|_| {}, poor), forbidden("insufficient_balance"));
    let locked = ends_with(|facts| change_account(facts, 1, |account| account.locked = true));
    assert_eq!(locked, forbidden("account_locked"));
    let expired =
        ends_with(|facts| change_account(facts, 1, |account| account.expires_ms = Some(1)));
    assert_eq!(expired, forbidden("account_expired"));
}

/// SIG-87: a plugin's rejection, and a routing plugin that leaves no trunk.
#[test]
fn a_call_that_policy_stops_says_so() {
    let rejection = || Rejection { code: 403, reason: "caller_barred".into(), detail: "".into() };
    type Decide = fn(&Question, Rejection) -> Option<Answer>;
    let screening: Decide = |question, rejection| {
        matches!(question, Question::Screen(_)).then(|| Answer::Screen(Verdict::Reject(rejection)))
    };
    let routing: Decide =
        |question, _| matches!(question, Question::Route(_)).then(|| Answer::Route(Ok(Vec::new())));
    for (decide, code, reason) in
        [(screening, 403, "caller_barred"), (routing, 503, "no_route_available")]
    {
        let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
        stage.policy.instead =
            Some(Box::new(move |question: &Question| decide(question, rejection()).map(Ok)));
        call(&mut stage, CallerPlan::default());
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        assert_eq!(stage.agent(CALLER).last().responses, [100, code]);
        assert_eq!(stage.finals[0].call.end_reason, reason);
    }
}

/// SIG-70: From has the outgoing caller at our own domain, at a fixed one, or at the address of the
/// called vendor, as the vendor's trunk says.
#[test]
fn from_carries_the_caller_at_the_host_that_the_trunk_wants() {
    for (host, target, seen) in [
        ("switch.example", VENDOR_A, "switch.example"),
        ("fixed.example", VENDOR_A, "fixed.example"),
        ("", VENDOR_A, "10.2.0.1"),
        ("", "[2001:db8::1]:5070", "[2001:db8::1]"),
    ] {
        let mut first = vendor(11, "vendor-a", &[target], 1);
        first.from_host = host.into();
        let facts = operator(customer(1, "acme", CALLER), vec![first]);
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        call(&mut stage, hangs_up_after(1));
        stage.run(Duration::from_millis(10));
        let sent = stage.wire.iter().find(|(_, to, _)| to.to_string() == target);
        let invite = String::from_utf8_lossy(&sent.expect("an INVITE").2).into_owned();
        let uri = format!("<sip:4930123@{seen}>");
        for header in ["From: ", "P-Asserted-Identity: "] {
            let line = invite.lines().find(|line| line.starts_with(header)).expect(header);
            assert!(line.contains(&uri), "{line}");
        }
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
    }
}
