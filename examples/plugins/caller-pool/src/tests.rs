use super::*;
use plugin_sdk::{Call, FakeHost, TrunkId, configured, testing};
use std::collections::{BTreeMap, BTreeSet};

fn attempt(call: u128, caller: &str, callee: &str) -> NumberQuestion {
    NumberQuestion {
        call: Call { id: call, ..Call::default() },
        stage: Stage::Egress,
        trunk: TrunkId(5),
        caller: caller.to_owned(),
        callee: callee.to_owned(),
        identity: "4913".to_owned(),
        ..NumberQuestion::default()
    }
}

/// A plugin with one pool, used for trunk 5.
fn pool(switch: &FakeHost, lines: &str) -> CallerPool {
    switch.vendor_attribute(TrunkId(5), "caller_pool", "local");
    configured(&format!(r#"{{"pools":[{{"name":"local",{lines}}}]}}"#)).expect(lines)
}

fn caller(plugin: &mut CallerPool, call: u128, from: &str, to: &str) -> String {
    plugin.rewrite(&attempt(call, from, to)).expect("a number").caller
}

#[test]
fn the_pools_number_is_in_from_and_in_the_identity_num_20() {
    let switch = FakeHost::install();
    let mut plugin = pool(&switch, r#""numbers":["4930100"]"#);
    let numbers = plugin.rewrite(&attempt(1, "4912", "4420")).expect("numbers");
    assert_eq!((numbers.caller.as_str(), numbers.identity.as_str()), ("4930100", "4930100"));
    assert_eq!(numbers.callee, "4420");
}

#[test]
fn without_a_pool_and_at_ingress_numbers_stay() {
    let switch = FakeHost::install();
    let mut plugin = pool(&switch, r#""numbers":["4930100"]"#);
    let other = NumberQuestion { trunk: TrunkId(6), ..attempt(1, "4912", "4420") };
    let ingress = NumberQuestion { stage: Stage::Ingress, ..attempt(1, "4912", "4420") };
    for question in [other, ingress] {
        let numbers = plugin.rewrite(&question).expect("numbers");
        assert_eq!((numbers.caller.as_str(), numbers.callee.as_str()), ("4912", "4420"));
        assert_eq!(numbers.identity, "4913", "as the plugin before left it");
    }
}

#[test]
fn a_full_pool_sends_the_call_to_the_next_trunk_num_21() {
    let switch = FakeHost::install();
    let mut plugin = pool(&switch, r#""numbers":["4930100-4930101"],"limit":2"#);
    let mut used = BTreeMap::new();
    for call in 1..=4 {
        *used.entry(caller(&mut plugin, call, "4912", "4420")).or_insert(0) += 1;
    }
    assert_eq!(used, BTreeMap::from([("4930100".to_owned(), 2), ("4930101".to_owned(), 2)]));
    let rejection = plugin.rewrite(&attempt(5, "4912", "4420")).expect_err("all are used");
    assert_eq!((rejection.code, rejection.reason.as_str()), (503, "pool_exhausted"));
    assert_eq!(rejection.detail, "all 2 numbers of `local` are used");
    switch.end_call();
    assert!(plugin.rewrite(&attempt(6, "4912", "4420")).is_ok());
}

#[test]
fn a_full_pool_may_leave_the_original_caller() {
    let switch = FakeHost::install();
    let mut plugin = pool(&switch, r#""numbers":["1"],"limit":1,"when_full":"original""#);
    assert_eq!(caller(&mut plugin, 1, "4912", "4420"), "1");
    assert_eq!(caller(&mut plugin, 2, "4912", "4420"), "4912");
}

/// The next attempt of a call first gives back the number of the attempt before.
#[test]
fn a_call_uses_one_number_at_a_time() {
    let switch = FakeHost::install();
    let mut plugin = pool(&switch, r#""numbers":["1","2"],"limit":1,"order":"round_robin""#);
    assert_eq!(caller(&mut plugin, 7, "49", "44"), "1");
    assert_eq!(caller(&mut plugin, 7, "49", "44"), "2");
    assert_eq!(host::places("local/1").held(), 0);
    assert_eq!(host::places("local/2").held(), 1);
    assert_eq!(caller(&mut plugin, 8, "49", "44"), "1");
}

#[test]
fn round_robin_goes_around_and_least_used_takes_the_emptiest() {
    let switch = FakeHost::install();
    let mut plugin = pool(&switch, r#""numbers":["1","2","3"],"order":"round_robin""#);
    let turns: Vec<String> = (0..4).map(|call| caller(&mut plugin, call, "49", "44")).collect();
    assert_eq!(turns, ["1", "2", "3", "1"]);

    let mut plugin = pool(&switch, r#""numbers":["1","2","3"],"order":"least_used""#);
    assert!(host::places("local/1").hold(9) && host::places("local/3").hold(9));
    let taken: Vec<String> = (0..4).map(|call| caller(&mut plugin, call, "49", "44")).collect();
    assert_eq!(taken, ["2", "1", "2", "3"]);
}

#[test]
fn random_uses_every_number() {
    let switch = FakeHost::install();
    let mut plugin = pool(&switch, r#""numbers":["4930100-4930109"]"#);
    let mut used = BTreeMap::new();
    for call in 0..1_000 {
        *used.entry(caller(&mut plugin, call, "49", "44")).or_insert(0u32) += 1;
    }
    assert_eq!(used.len(), 10);
    assert!(used.values().all(|calls| (60..=140).contains(calls)), "{used:?}");
}

/// The same key gets the same number; and of 100 numbers none gets far more than its share.
#[test]
fn sticky_orders_keep_a_number_for_a_callee_or_a_caller() {
    for (order, by_callee) in [("sticky_callee", true), ("sticky_caller", false)] {
        testing::check(200, |draw| {
            let switch = FakeHost::install();
            let json = format!(r#""numbers":["4930100-4930199"],"order":"{order}""#);
            let mut plugin = pool(&switch, &json);
            let (key, one, two) = (draw.number(), draw.number(), draw.number());
            let mut number = |call, other: &str| match by_callee {
                true => caller(&mut plugin, call, other, &key),
                false => caller(&mut plugin, call, &key, other),
            };
            assert_eq!(number(1, &one), number(2, &two));
        });
    }
    let switch = FakeHost::install();
    let mut plugin = pool(&switch, r#""numbers":["4930100-4930199"],"order":"sticky_callee""#);
    let used: BTreeSet<String> =
        (0..1_000).map(|at| caller(&mut plugin, at, "49", &format!("4420{at}"))).collect();
    assert!(used.len() > 90, "{} of 100 numbers serve 1000 callees", used.len());
}

/// A number that leaves the pool moves only the callees that had that number.
#[test]
fn a_smaller_pool_moves_few_callees() {
    let switch = FakeHost::install();
    let mut whole = pool(&switch, r#""numbers":["100-199"],"order":"sticky_callee""#);
    let mut smaller = pool(&switch, r#""numbers":["101-199"],"order":"sticky_callee""#);
    for at in 0..500 {
        let callee = format!("4420{at}");
        let before = caller(&mut whole, at, "49", &callee);
        if before != "100" {
            assert_eq!(caller(&mut smaller, at, "49", &callee), before);
        }
    }
}

/// NUM-21 as a property: in every order no number is used by more calls than its limit, and a call
/// is refused only when every number is full.
#[test]
fn a_limit_is_never_passed_and_no_place_is_wasted() {
    let orders = ["random", "round_robin", "least_used", "sticky_callee", "sticky_caller"];
    testing::check(300, |draw| {
        let switch = FakeHost::install();
        let (size, limit) = (1 + draw.small(6), 1 + draw.small(4));
        let order = draw.one_of(&orders);
        let mut plugin = pool(
            &switch,
            &format!(r#""numbers":["10-{}"],"order":"{order}","limit":{limit}"#, 9 + size),
        );
        let mut used: BTreeMap<String, u32> = BTreeMap::new();
        for call in 1..=u128::from(size * limit) {
            let number = caller(&mut plugin, call, &draw.number(), &draw.number());
            *used.entry(number).or_insert(0) += 1;
        }
        assert!(used.values().all(|calls| *calls == limit), "{order} {size}x{limit}: {used:?}");
        assert!(plugin.rewrite(&attempt(u128::MAX, "1", "2")).is_err());
    });
}

#[test]
fn a_bad_setting_names_its_field_and_a_wrong_attribute_is_told() {
    let refused = |lines: &str| {
        configured::<CallerPool>(&format!(r#"{{"pools":[{{"name":"a",{lines}}}]}}"#))
            .expect_err("must be refused")
    };
    assert_eq!(refused(r#""numbers":[]"#), "field `pools[0].numbers`: the pool is empty");
    assert!(refused(r#""numbers":["19-10"]"#).contains("`19-10` is no range"));
    assert!(refused(r#""numbers":["9-10"]"#).contains("of one length"));
    assert!(refused(r#""numbers":["0000-9999"]"#).contains("more than 1000"));
    assert!(refused(r#""numbers":["+49x"]"#).contains("is no number"));
    assert!(refused(r#""numbers":["1"],"limit":1001"#).contains("allowed is 0 to 1000"));
    assert!(refused(r#""numbers":["1"],"order":"same_prefix""#).contains("pools[0].order"));
    let switch = FakeHost::install();
    let mut plugin = pool(&switch, r#""numbers":["1"]"#);
    switch.vendor_attribute(TrunkId(5), "caller_pool", "lokal");
    let rejection = plugin.rewrite(&attempt(1, "1", "2")).expect_err("no such pool");
    assert_eq!(rejection.detail, "trunk 5 wants pool `lokal`, which is none");
}
