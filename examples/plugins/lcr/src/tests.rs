use super::*;
use plugin_sdk::{Candidate, FakeHost, configured, testing};

fn question(vendors: &[(u32, i64)]) -> RouteQuestion {
    let vendor = |(trunk, price): &(u32, i64)| Candidate {
        trunk: TrunkId(*trunk),
        buy_price: Money(*price),
        ..Candidate::default()
    };
    RouteQuestion {
        callee: "442071234567".to_owned(),
        sell_price: Money(1_000),
        candidates: vendors.iter().map(vendor).collect(),
        ..RouteQuestion::default()
    }
}

fn order(json: &str, question: &RouteQuestion) -> Vec<u32> {
    let mut plugin: Lcr = configured(json).expect(json);
    plugin.select(question).expect("no rejection").into_iter().map(|trunk| trunk.0).collect()
}

fn good() -> TrunkStatistics {
    TrunkStatistics {
        attempts: 50,
        answered: 25,
        asr_permille: 500,
        ner_permille: 900,
        acd_ms: 120_000,
        pdd_ms: 2_000,
        ..TrunkStatistics::default()
    }
}

#[test]
fn the_cheapest_vendor_is_first_and_equal_prices_keep_their_order() {
    let _switch = FakeHost::install();
    assert_eq!(order("{}", &question(&[(1, 30), (4, 20), (2, 20), (3, 10)])), [3, 4, 2, 1]);
    let mut plugin: Lcr = configured("").expect("defaults");
    let after = plugin.after_failure(&Call::default(), &Outcome::default());
    assert_eq!(after, Decision::Pass);
}

#[test]
fn a_vendor_must_leave_both_margins_exactly_route_22() {
    let _switch = FakeHost::install();
    let all = question(&[(1, 1_001), (2, 1_000), (3, 901), (4, 900), (5, 800)]);
    assert_eq!(order("{}", &all), [5, 4, 3, 2], "no loss by default");
    assert_eq!(order(r#"{"min_margin":"0.00000001"}"#, &all), [5, 4]);
    assert_eq!(order(r#"{"min_margin_percent":20}"#, &all), [5]);
    assert_eq!(order(r#"{"min_margin":"-0.0000000001"}"#, &all), [5, 4, 3, 2, 1]);
    let free = RouteQuestion { sell_price: Money::ZERO, ..all };
    assert_eq!(order("{}", &free), [0_u32; 0], "a call without a price pays no vendor");
}

#[test]
fn an_emergency_call_is_routed_whatever_it_costs_route_66() {
    let _switch = FakeHost::install();
    let mut call = question(&[(1, 2_000), (2, 1_500)]);
    call.callee = "112".to_owned();
    assert_eq!(order("{}", &call), [1, 2], "in the order of the plugin before");
    assert_eq!(order(r#"{"emergency":[]}"#, &call), [0_u32; 0]);
}

#[test]
fn below_a_floor_a_vendor_is_tried_after_the_others_route_36() {
    let bad: [(&str, TrunkStatistics); 4] = [
        ("ASR", TrunkStatistics { asr_permille: 199, ..good() }),
        ("NER", TrunkStatistics { ner_permille: 599, ..good() }),
        ("ACD", TrunkStatistics { acd_ms: 29_999, ..good() }),
        ("PDD", TrunkStatistics { pdd_ms: 8_001, ..good() }),
    ];
    let at_the_floor = TrunkStatistics {
        asr_permille: 200,
        ner_permille: 600,
        acd_ms: 30_000,
        pdd_ms: 8_000,
        ..good()
    };
    let config = r#"{"min_acd_s":30}"#;
    for (figure, bad) in bad {
        let switch = FakeHost::install();
        switch.trunk_statistics(TrunkId(1), bad);
        switch.trunk_statistics(TrunkId(2), good());
        assert_eq!(order(config, &question(&[(1, 10), (2, 20)])), [2, 1], "{figure}");
        switch.trunk_statistics(TrunkId(1), TrunkStatistics { attempts: 49, ..bad });
        assert_eq!(order(config, &question(&[(1, 10), (2, 20)])), [1, 2], "{figure}: too few");
        switch.trunk_statistics(TrunkId(1), at_the_floor);
        assert_eq!(order(config, &question(&[(1, 10), (2, 20)])), [1, 2], "{figure}: just good");
    }
}

#[test]
fn a_vendor_without_figures_is_not_demoted_and_last_resort_stays_last() {
    let switch = FakeHost::install();
    let no_call_ended = TrunkStatistics { acd_ms: 0, ..good() };
    switch.trunk_statistics(TrunkId(2), no_call_ended);
    let mut call = question(&[(1, 10), (2, 5), (3, 1)]);
    call.candidates[2].last_resort = true;
    assert_eq!(order(r#"{"min_acd_s":30}"#, &call), [2, 1, 3]);
}

/// For every question: no vendor appears that leaves a loss, none that pays is lost.
#[test]
fn exactly_the_vendors_that_pay_are_kept() {
    testing::check(1_000, |draw| {
        let question = draw.route_question();
        let mut plugin: Lcr = configured("").expect("defaults");
        let mut kept = plugin.select(&question).expect("no rejection");
        kept.sort_unstable();
        let paying = question.candidates.iter().filter(|it| it.buy_price <= question.sell_price);
        let mut paying: Vec<TrunkId> = paying.map(|vendor| vendor.trunk).collect();
        paying.sort_unstable();
        assert_eq!(kept, paying);
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<Lcr>(json).expect_err("must be refused");
    assert!(refused(r#"{"min_margin":"1%"}"#).starts_with("field `min_margin`: `1%` is not"));
    let percent = refused(r#"{"min_margin_percent":100}"#);
    assert_eq!(percent, "field `min_margin_percent`: 100, allowed is 0 to 99");
    assert_eq!(
        refused(r#"{"min_asr_percent":101}"#),
        "field `min_asr_percent`: 101, allowed is 0 to 100"
    );
    assert!(refused(r#"{"min_asr":1}"#).contains("min_asr"));
}
