use super::*;
use plugin_sdk::{Candidate, configured, testing};
use std::collections::{BTreeMap, BTreeSet};

const SPLITS: &str = r#"{"splits":[
    {"prefixes":["44"],"shares":[
        {"trunk":1,"percent":20},{"trunk":2,"percent":70},{"trunk":3,"percent":10}]},
    {"prefixes":["4420"],"shares":[{"trunk":3,"percent":100},{"trunk":2,"percent":0}]},
    {"prefixes":["33","34"],"by":"caller","shares":[
        {"trunk":1,"percent":50},{"trunk":2,"percent":50}]}
]}"#;

fn plugin() -> PercentageSplit {
    configured(SPLITS).expect(SPLITS)
}

/// Trunks 9, 1, 2, 3 as the plugin before ordered them.
fn question(id: u128, caller: &str, callee: &str) -> RouteQuestion {
    let vendor = |trunk| Candidate { trunk: TrunkId(trunk), ..Candidate::default() };
    RouteQuestion {
        call: Call { id, ..Call::default() },
        caller: caller.to_owned(),
        callee: callee.to_owned(),
        candidates: [9, 1, 2, 3].into_iter().map(vendor).collect(),
        ..RouteQuestion::default()
    }
}

fn order(plugin: &mut PercentageSplit, question: &RouteQuestion) -> Vec<u32> {
    plugin.select(question).expect("no rejection").into_iter().map(|trunk| trunk.0).collect()
}

fn shares(question: &dyn Fn(u128) -> RouteQuestion) -> BTreeMap<u32, u32> {
    let mut plugin = plugin();
    let mut shares = BTreeMap::new();
    for id in 0..10_000 {
        *shares.entry(order(&mut plugin, &question(id))[0]).or_insert(0) += 1;
    }
    shares
}

#[test]
fn calls_begin_with_vendors_in_their_shares_route_29() {
    let found = shares(&|id| question(id, "49", "44161"));
    for (trunk, calls) in [(1, 2_000), (2, 7_000), (3, 1_000)] {
        assert!(found[&trunk].abs_diff(calls) < 200, "{found:?}");
    }
    let mut plugin = plugin();
    let one = order(&mut plugin, &question(1, "49", "44161"));
    assert_eq!(one, order(&mut plugin, &question(1, "49", "44161")), "drawn again alike");
    assert_eq!(one[3], 9, "a vendor without a share comes last");
    assert_eq!(plugin.after_failure(&Call::default(), &Outcome::default()), Decision::Pass);
}

#[test]
fn after_the_drawn_vendor_the_largest_share_follows() {
    let mut plugin = plugin();
    let found: BTreeSet<Vec<u32>> =
        (0..1_000).map(|id| order(&mut plugin, &question(id, "49", "44161"))).collect();
    let expected = [vec![1, 2, 3, 9], vec![2, 1, 3, 9], vec![3, 2, 1, 9]];
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn the_share_of_an_unusable_vendor_goes_to_the_others_in_proportion() {
    let found = shares(&|id| {
        let mut call = question(id, "49", "44161");
        call.candidates.retain(|vendor| vendor.trunk != TrunkId(2));
        call
    });
    assert!(found[&1].abs_diff(6_667) < 200 && found[&3].abs_diff(3_333) < 200, "{found:?}");
    let mut none = question(1, "49", "44161");
    none.candidates.retain(|vendor| vendor.trunk == TrunkId(9));
    assert_eq!(order(&mut plugin(), &none), [9]);
}

#[test]
fn the_longest_prefix_decides_and_zero_per_cent_is_a_reserve() {
    let mut plugin = plugin();
    for callee in ["442071", "+442071"] {
        assert_eq!(order(&mut plugin, &question(1, "49", callee)), [3, 2, 9, 1]);
    }
    let mut only_reserve = question(1, "49", "442071");
    only_reserve.candidates.retain(|vendor| vendor.trunk != TrunkId(3));
    assert_eq!(order(&mut plugin, &only_reserve), [2, 9, 1]);
    assert_eq!(order(&mut plugin, &question(1, "49", "1202")), [9, 1, 2, 3], "no split");
}

#[test]
fn a_caller_keeps_its_vendor_and_calls_without_one_are_drawn_alone() {
    let mut plugin = plugin();
    let mut first = |id, caller: &str| order(&mut plugin, &question(id, caller, "33"))[0];
    let of_caller: BTreeSet<u32> = (0..50).map(|id| first(id, "49301")).collect();
    assert_eq!(of_caller.len(), 1);
    let withheld: BTreeSet<u32> = (0..50).map(|id| first(id, "")).collect();
    assert_eq!(withheld, BTreeSet::from([1, 2]));
}

#[test]
fn emergency_calls_are_not_split() {
    let all = r#""prefixes":[""],"shares":[{"trunk":3,"percent":100}]"#;
    let mut plugin: PercentageSplit =
        configured(&format!(r#"{{"splits":[{{{all}}}]}}"#)).expect(all);
    assert_eq!(order(&mut plugin, &question(1, "49", "110")), [3, 9, 1, 2]);
    assert_eq!(order(&mut plugin, &question(1, "49", "112")), [9, 1, 2, 3]);
}

#[test]
fn every_vendor_is_chosen_once() {
    testing::check(500, |draw| {
        let question = draw.route_question();
        let mut chosen = plugin().select(&question).expect("no rejection");
        chosen.sort_unstable();
        let mut all: Vec<TrunkId> = question.candidates.iter().map(|it| it.trunk).collect();
        all.sort_unstable();
        assert_eq!(chosen, all);
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |prefixes: &str, shares: &str| {
        let json = format!(r#"{{"splits":[{{"prefixes":[{prefixes}],"shares":[{shares}]}}]}}"#);
        configured::<PercentageSplit>(&json).expect_err("must be refused")
    };
    let half = r#"{"trunk":1,"percent":50}"#;
    assert_eq!(refused(r#""44""#, half), "field `splits[0].shares`: 50 %, they must be 100 %");
    assert_eq!(
        refused(r#""44""#, &format!("{half},{half}")),
        "field `splits[0].shares`: trunk 1 is named twice"
    );
    assert_eq!(
        refused("", r#"{"trunk":1,"percent":100}"#),
        "field `splits[0].prefixes`: name a prefix, \"\" for all callees"
    );
    let negative = refused(r#""44""#, r#"{"trunk":1,"percent":-1}"#);
    assert!(negative.starts_with("field `splits[0].shares[0].percent`: "), "{negative}");
}
