use super::*;
use plugin_sdk::{Candidate, FakeHost, configured};

/// Vendors 1 (eea), 2 (eea and us), 3 (us and unknown), 4 (all).
fn switch() -> FakeHost {
    let switch = FakeHost::install();
    switch.table("ani-zones", &[("49", "eea"), ("33", "EEA"), ("1", "us"), ("1264", "unknown")]);
    switch.vendor_attribute(TrunkId(1), "ani_zones", "eea");
    switch.vendor_attribute(TrunkId(2), "ani_zones", "eea, us");
    switch.vendor_attribute(TrunkId(3), "ani_zones", "us,unknown");
    switch
}

fn chosen(json: &str, caller: &str, callee: &str) -> Vec<u32> {
    let vendor = |trunk| Candidate { trunk: TrunkId(trunk), ..Candidate::default() };
    let question = RouteQuestion {
        caller: caller.to_owned(),
        callee: callee.to_owned(),
        candidates: [4, 3, 2, 1].into_iter().map(vendor).collect(),
        ..RouteQuestion::default()
    };
    let mut plugin: SplitByAni = configured(json).expect(json);
    plugin.select(&question).expect("no rejection").into_iter().map(|trunk| trunk.0).collect()
}

#[test]
fn vendors_get_the_callers_of_their_zones() {
    let _switch = switch();
    assert_eq!(chosen("", "4930123", "4420"), [4, 2, 1]);
    assert_eq!(chosen("", "+33123", "4420"), [4, 2, 1]);
    assert_eq!(chosen("", "12025550100", "4420"), [4, 3, 2]);
    assert_eq!(chosen("", "12645550100", "4420"), [4, 3], "the longest prefix decides");
    let mut plugin: SplitByAni = configured("").expect("defaults");
    let after = plugin.after_failure(&Call::default(), &Outcome::default());
    assert_eq!(after, Decision::Pass);
}

#[test]
fn callers_of_unknown_origin_go_only_to_vendors_that_accept_them() {
    let switch = switch();
    for caller in ["", "anonymous", "8613800", "+"] {
        assert_eq!(chosen("", caller, "4420"), [4, 3], "`{caller}`");
    }
    switch.table("ani-zones", &[("", "eea")]);
    assert_eq!(chosen("", "8613800", "4420"), [4, 2, 1], "the default row");
    assert_eq!(chosen("", "", "4420"), [4, 3], "it is no number");
    let none = chosen(r#"{"table":"missing","unknown":"eea"}"#, "12025550100", "4420");
    assert_eq!(none, [4, 2, 1], "without a list every origin is unknown");
}

#[test]
fn a_zone_without_a_vendor_has_no_route_unless_any_will_do() {
    let switch = switch();
    switch.table("ani-zones", &[("86", "cn")]);
    switch.vendor_attribute(TrunkId(4), "ani_zones", "");
    assert_eq!(chosen("", "8613800", "4420"), [0_u32; 0]);
    assert_eq!(chosen(r#"{"fallback":"any"}"#, "8613800", "4420"), [4, 3, 2, 1]);
    assert_eq!(chosen("", "8613800", "911"), [4, 3, 2, 1], "an emergency call has every vendor");
    assert_eq!(chosen(r#"{"emergency":[]}"#, "8613800", "911"), [0_u32; 0]);
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<SplitByAni>(json).expect_err("must be refused");
    assert_eq!(refused(r#"{"table":""}"#), "field `table`: name a number list");
    for zone in ["", " ", "a,b"] {
        let said = refused(&format!(r#"{{"unknown":"{zone}"}}"#));
        assert_eq!(said, format!("field `unknown`: `{zone}` is no zone, write one word"));
    }
    assert!(refused(r#"{"fallback":"all"}"#).starts_with("field `fallback`: unknown variant"));
}
