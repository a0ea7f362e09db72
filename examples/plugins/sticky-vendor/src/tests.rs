use super::*;
use plugin_sdk::{AccountId, Candidate, FakeHost, configured, testing};
use std::collections::{BTreeMap, BTreeSet};

fn question(caller: &str, callee: &str) -> RouteQuestion {
    let vendor = |trunk| Candidate { trunk: TrunkId(trunk), ..Candidate::default() };
    RouteQuestion {
        caller: caller.to_owned(),
        callee: callee.to_owned(),
        candidates: (1..=4).map(vendor).collect(),
        ..RouteQuestion::default()
    }
}

fn plugin(json: &str) -> StickyVendor {
    configured(json).expect(json)
}

fn first(plugin: &mut StickyVendor, question: &RouteQuestion) -> u32 {
    plugin.select(question).expect("no rejection")[0].0
}

#[test]
fn a_caller_stays_and_callers_are_shared() {
    let _switch = FakeHost::install();
    let mut plugin = plugin("");
    let mut calls = BTreeMap::new();
    for number in 0..400 {
        let caller = format!("49301{number:04}");
        let vendor = first(&mut plugin, &question(&caller, "4420"));
        assert_eq!(first(&mut plugin, &question(&caller, "33")), vendor, "whatever is called");
        *calls.entry(vendor).or_insert(0) += 1;
    }
    assert!(calls.values().all(|calls| (60..140).contains(calls)), "{calls:?}");
    assert_eq!(plugin.after_failure(&Call::default(), &Outcome::default()), Decision::Pass);
}

#[test]
fn the_key_decides_which_calls_belong_together() {
    let _switch = FakeHost::install();
    // What callers, callees and accounts do to the first vendor: does it vary?
    for (key, by_caller, by_callee, by_account) in [
        ("caller", true, false, false),
        ("callee", false, true, false),
        ("caller_and_callee", true, true, false),
        ("account", false, false, true),
    ] {
        let mut plugin = plugin(&format!(r#"{{"key":"{key}"}}"#));
        let mut vary = |made: &dyn Fn(u32) -> RouteQuestion| {
            let vendors: BTreeSet<u32> = (0..40).map(|n| first(&mut plugin, &made(n))).collect();
            vendors.len() > 1
        };
        assert_eq!(vary(&|n| question(&format!("49{n}"), "44")), by_caller, "{key}");
        assert_eq!(vary(&|n| question("49", &format!("44{n}"))), by_callee, "{key}");
        let of_account = |n| {
            let call = Call { account: AccountId(n), ..Call::default() };
            RouteQuestion { call, ..question("49", "44") }
        };
        assert_eq!(vary(&of_account), by_account, "{key}");
    }
}

#[test]
fn a_vendor_that_leaves_moves_only_its_own_callers() {
    let _switch = FakeHost::install();
    let mut plugin = plugin("");
    for number in 0..200 {
        let mut call = question(&format!("49{number}"), "44");
        let before = first(&mut plugin, &call);
        call.candidates.retain(|vendor| vendor.trunk != TrunkId(2));
        let after = first(&mut plugin, &call);
        assert!(before == 2 || before == after, "{number}: {before} became {after}");
    }
}

#[test]
fn calls_without_a_caller_number_are_spread_by_call() {
    let _switch = FakeHost::install();
    for key in ["caller", "caller_and_callee"] {
        let mut plugin = plugin(&format!(r#"{{"key":"{key}","redial_s":60}}"#));
        let withheld = |id| {
            let call = Call { id, ..Call::default() };
            RouteQuestion { call, ..question("", "44") }
        };
        let vendors: BTreeSet<u32> = (0..100).map(|id| first(&mut plugin, &withheld(id))).collect();
        assert_eq!(vendors.len(), 4, "{key}");
    }
}

#[test]
fn a_redial_begins_with_the_next_vendor_until_the_time_is_over() {
    let switch = FakeHost::install();
    let mut plugin = plugin(r#"{"redial_s":60}"#);
    let call = question("4930", "4420");
    let order: Vec<u32> =
        plugin.select(&call).expect("no rejection").iter().map(|it| it.0).collect();
    let later: Vec<u32> = (0..4).map(|_| first(&mut plugin, &call)).collect();
    assert_eq!(later, [order[1], order[2], order[3], order[0]], "all vendors in turn");
    assert_eq!(first(&mut plugin, &question("4930", "4421")), order[0], "another callee");
    switch.advance(62_000);
    assert_eq!(first(&mut plugin, &call), order[0]);
}

#[test]
fn trunk_priority_and_last_resort_come_first() {
    let _switch = FakeHost::install();
    let mut plugin = plugin(r#"{"redial_s":60}"#);
    let mut call = question("4930", "4420");
    call.candidates[0].priority = 1;
    call.candidates[1].last_resort = true;
    for _ in 0..3 {
        let order = plugin.select(&call).expect("no rejection");
        assert_eq!((order[0], order[3]), (TrunkId(1), TrunkId(2)), "{order:?}");
    }
    call.candidates.clear();
    assert_eq!(plugin.select(&call), Ok(Vec::new()));
}

#[test]
fn emergency_calls_keep_the_order_of_their_vendors() {
    let _switch = FakeHost::install();
    let mut plugin = plugin(r#"{"redial_s":60}"#);
    for number in 0..20 {
        let call = question(&format!("49{number}"), "112");
        let order = plugin.select(&call).expect("no rejection");
        assert_eq!(order, [1, 2, 3, 4].map(TrunkId));
    }
}

#[test]
fn every_vendor_is_chosen_once() {
    testing::check(500, |draw| {
        let mut plugin = plugin(r#"{"redial_s":60}"#);
        let question = draw.route_question();
        for _ in 0..3 {
            let mut order = plugin.select(&question).expect("no rejection");
            order.sort_unstable();
            let mut all: Vec<TrunkId> = question.candidates.iter().map(|it| it.trunk).collect();
            all.sort_unstable();
            assert_eq!(order, all);
        }
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<StickyVendor>(json).expect_err("must be refused");
    assert_eq!(refused(r#"{"redial_s":3601}"#), "field `redial_s`: 3601, allowed is 0 to 3600");
    assert!(refused(r#"{"key":"trunk"}"#).starts_with("field `key`: unknown variant `trunk`"));
}
