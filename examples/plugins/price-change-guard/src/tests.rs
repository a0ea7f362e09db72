use super::*;
use plugin_sdk::{FakeHost, configured};

/// Trunk 1 agreed 0.1 for 44 and 0.2 for 4420; sold at 0.3.
fn switch() -> FakeHost {
    let switch = FakeHost::install();
    switch.table("agreed-prices-1", &[("44", "0.1"), ("4420", " 0.2 ")]);
    switch
}

fn question(callee: &str, vendors: &[(u32, &str)]) -> RouteQuestion {
    let money = |text: &str| text.parse::<Money>().expect(text);
    let vendor = |(trunk, price): &(u32, &str)| Candidate {
        trunk: TrunkId(*trunk),
        buy_price: money(price),
        ..Candidate::default()
    };
    RouteQuestion {
        callee: callee.to_owned(),
        sell_price: money("0.3"),
        candidates: vendors.iter().map(vendor).collect(),
        ..RouteQuestion::default()
    }
}

fn kept(json: &str, callee: &str, vendors: &[(u32, &str)]) -> Vec<u32> {
    let mut plugin: PriceChangeGuard = configured(json).expect(json);
    let kept = plugin.select(&question(callee, vendors)).expect("no rejection");
    kept.into_iter().map(|trunk| trunk.0).collect()
}

#[test]
fn a_price_beyond_the_agreed_limits_keeps_its_vendor_out() {
    let switch = switch();
    for (price, is_kept) in [
        ("0.1", true),
        ("0.1000000001", false),
        ("0.05", true),
        ("0.0499999999", false),
        ("0", false),
    ] {
        let expected = if is_kept { vec![1] } else { vec![] };
        assert_eq!(kept("", "44161", &[(1, price)]), expected, "{price}");
    }
    assert_eq!((switch.metric("rise"), switch.metric("drop")), (1, 2));
    assert_eq!(switch.lines()[0], "warn: rise: 0.1000000001 of trunk 1 for 44161");
    let mut plugin: PriceChangeGuard = configured("").expect("defaults");
    let after = plugin.after_failure(&Call::default(), &Outcome::default());
    assert_eq!(after, Decision::Pass);
}

#[test]
fn limits_are_settings_and_the_longest_prefix_decides() {
    let _switch = switch();
    let config = r#"{"max_rise_percent":10,"max_drop_percent":100}"#;
    assert_eq!(kept(config, "44161", &[(1, "0.11")]), [1]);
    assert_eq!(kept(config, "44161", &[(1, "0.1100000001")]), [0_u32; 0]);
    assert_eq!(kept(config, "44161", &[(1, "0")]), [1]);
    for callee in ["442071", "+442071"] {
        assert_eq!(kept("", callee, &[(1, "0.2")]), [1], "{callee}");
    }
}

/// Without an agreed price, or with one that is no amount, nobody knows whether the price is right.
#[test]
fn without_an_agreed_price_a_vendor_must_not_cause_a_loss() {
    let switch = switch();
    switch.table("agreed-prices-3", &[("44", "ten cents")]);
    let vendors = [(2, "0.3"), (3, "0.3"), (1, "0.1")];
    assert_eq!(kept("", "44161", &vendors), [2, 3, 1]);
    let vendors = [(2, "0.3000000001"), (3, "0.3000000001"), (1, "0.1")];
    assert_eq!(kept("", "44161", &vendors), [1]);
    assert_eq!(kept("", "33123", &[(1, "0.31")]), [0_u32; 0], "no such prefix");
    assert_eq!(switch.metric("loss_without_agreed_price"), 3);
}

#[test]
fn warn_only_tells_and_emergency_calls_are_not_judged() {
    let switch = switch();
    assert_eq!(kept(r#"{"action":"warn"}"#, "44161", &[(1, "0.2")]), [1]);
    assert_eq!(switch.metric("rise"), 1);
    assert_eq!(kept("", "112", &[(1, "9"), (2, "9")]), [1, 2]);
    assert_eq!(kept(r#"{"emergency":[]}"#, "112", &[(1, "9")]), [0_u32; 0]);
}

#[test]
fn one_list_for_all_vendors_will_do() {
    let switch = FakeHost::install();
    switch.table("agreed", &[("44", "0.1")]);
    assert_eq!(kept(r#"{"table":"agreed"}"#, "44161", &[(1, "0.1"), (2, "0.2")]), [1]);
}

#[test]
fn the_ends_of_the_range_of_money_do_not_overflow() {
    let switch = FakeHost::install();
    switch.table("agreed-prices-1", &[("44", "922337203.6854775807")]);
    let config = r#"{"max_rise_percent":1000}"#;
    assert_eq!(kept(config, "44", &[(1, "922337203.6854775807")]), [1]);
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<PriceChangeGuard>(json).expect_err("must be refused");
    for (json, words) in [
        (r#"{"table":""}"#, "field `table`: name a number list"),
        (r#"{"max_rise_percent":1001}"#, "field `max_rise_percent`: 1001, allowed is 0 to 1000"),
        (r#"{"max_drop_percent":101}"#, "field `max_drop_percent`: 101, allowed is 0 to 100"),
    ] {
        assert_eq!(refused(json), words);
    }
    assert!(refused(r#"{"action":"off"}"#).starts_with("field `action`: unknown variant `off`"));
}
