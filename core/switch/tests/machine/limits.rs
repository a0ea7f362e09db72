//! Limits of attempts, of time, and of simultaneous calls.

use crate::support::agent::{CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, change_account, customer, operator, vendor,
};
use crate::support::{Stage, call, stage_of};
use std::time::Duration;
use strowger_switch::facts::CustomerTrunk;

const SECOND: Duration = Duration::from_secs(1);

fn two_vendors(trunk: CustomerTrunk, setup_limit: Duration, first: VendorPlan) -> Stage {
    let mut vendors =
        vec![vendor(11, "vendor-a", &[VENDOR_A], 1), vendor(12, "vendor-b", &[VENDOR_B], 2)];
    for trunk in &mut vendors {
        trunk.timers.trying = SECOND * 300;
    }
    let mut facts = operator(trunk, vendors);
    facts.settings.setup_limit = setup_limit;
    let mut stage = stage_of(facts, first, VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    stage
}

/// ROUTE-54: no attempt starts after the trunk's budget, and the whole set-up ends at the node's
/// limit, whether a telephone rings or stays silent.
#[test]
fn set_up_time_is_limited() {
    for (budget, limit, first, code, reason, lasted) in [
        (5, 180, VendorPlan::silent(), 503, "setup_budget", 10_000),
        (30, 40, VendorPlan::rings(), 480, "ring_timeout", 40_000),
        (
            30,
            40,
            VendorPlan { progress: vec![], ..VendorPlan::rings() },
            503,
            "setup_budget",
            40_000,
        ),
    ] {
        let mut trunk = customer(1, "acme", CALLER);
        trunk.setup_budget = SECOND * budget;
        let mut stage = two_vendors(trunk, SECOND * limit, first);
        let call = &stage.finals[0].call;
        assert_eq!((call.code_returned, call.end_reason.as_str()), (code, reason));
        assert_eq!(call.end_ms.expect("ended") - call.invite_ms, lasted);
        assert_eq!(stage.finals[0].attempts.len(), 1);
        assert!(stage.agent(VENDOR_B).order.is_empty());
    }
}

/// ROUTE-53: the total number of attempts of a call, including the first; 0 is no limit.
#[test]
fn attempts_are_limited() {
    for (limit, attempts, reason) in
        [(1, 1, "attempt_limit"), (5, 5, "attempt_limit"), (0, 7, "all_routes_failed")]
    {
        let mut trunk = customer(1, "acme", CALLER);
        trunk.max_attempts = limit;
        let vendors = (11..18).map(|id| vendor(id, &format!("v{id}"), &[VENDOR_A], id)).collect();
        let facts = operator(trunk, vendors);
        let mut stage = stage_of(facts, VendorPlan::refuses(503), VendorPlan::answers());
        call(&mut stage, CallerPlan::default());
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        assert_eq!(stage.finals[0].attempts.len(), attempts);
        assert_eq!(stage.finals[0].call.end_reason, reason);
    }
}

/// SIG-35: the shortest limit cuts the call on both sides, and the record names it.
#[test]
fn the_record_names_the_limit_that_cut_the_call() {
    for (account, trunk, carrier, node, cut_after, whose) in [
        (10, 0, 0, 40, 10, "account"),
        (30, 20, 30, 40, 20, "customer trunk"),
        (0, 40, 30, 40, 30, "vendor trunk"),
        (0, 0, 0, 40, 40, "node"),
    ] {
        let mut acme = customer(1, "acme", CALLER);
        acme.max_duration = SECOND * trunk;
        let mut first = vendor(11, "vendor-a", &[VENDOR_A], 1);
        first.max_duration = SECOND * carrier;
        let mut facts = operator(acme, vec![first]);
        facts.settings.max_duration = SECOND * node;
        change_account(&mut facts, 1, |payer| payer.max_duration = SECOND * account);
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        call(&mut stage, CallerPlan::default());
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let call = &stage.finals[0].call;
        assert_eq!(
            (call.end_reason.as_str(), call.duration_ms),
            ("max_duration", 1000 * cut_after)
        );
        assert_eq!(call.detail, format!("the limit of the {whose} is {cut_after}s"));
        assert_eq!(stage.agent(CALLER).last().requests, ["BYE"]);
        assert_eq!(stage.agent(VENDOR_A).last().requests, ["INVITE", "BYE"]);
    }
}
