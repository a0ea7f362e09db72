use super::*;
use crate::tiers::charge;
use plugin_sdk::{AccountId, FakeHost, Money, configured, testing};

/// 2026-01-15 12:00 UTC.
const NOON_S: u64 = 1_768_478_400;
const HOUR_S: u64 = 3_600;

const PLAN: &str = r#"{"plans":{"club":[
    {"from_minutes":0,"permille":1000},{"from_minutes":10,"permille":500}]}}"#;

fn row() -> DeckRow {
    let price = Money(600_000_000);
    DeckRow {
        price_first: price,
        price_next: price,
        first_increment_s: 1,
        next_increment_s: 1,
        ..DeckRow::default()
    }
}

fn subject(is_final: bool, at_s: u64) -> RateSubject {
    RateSubject { is_final, account: AccountId(3), at_ms: at_s * 1000, ..RateSubject::default() }
}

fn plugin(switch: &FakeHost) -> TieredRating {
    switch.table("account-plans", &[("3", "club"), ("4", "klub")]);
    switch.set_now(NOON_S * 1000);
    configured(PLAN).expect("legal")
}

/// Charge for seconds of talk, in 10^-7 of the unit; the price of a second is 10,000.
fn talked(plugin: &mut TieredRating, subject: RateSubject, seconds: u64) -> i64 {
    let charge = plugin.rate(&subject, &row(), &Rounding::default(), seconds * 1000);
    charge.expect("a charge").amount.0 / 1_000
}

#[test]
fn minutes_of_the_month_make_the_next_ones_cheaper_and_estimates_count_nothing() {
    let switch = FakeHost::install();
    let mut plugin = plugin(&switch);
    for _ in 0..5 {
        assert_eq!(talked(&mut plugin, subject(false, NOON_S), 600), 6_000_000);
    }
    assert_eq!(talked(&mut plugin, subject(true, NOON_S), 600), 6_000_000);
    assert_eq!(talked(&mut plugin, subject(true, NOON_S), 600), 3_000_000);
    switch.advance(3 * HOUR_S * 1000);
    assert_eq!(talked(&mut plugin, subject(false, NOON_S + 3 * HOUR_S), 60), 300_000);
}

#[test]
fn what_billing_knows_is_added_to_the_hours_since() {
    let switch = FakeHost::install();
    let mut plugin = plugin(&switch);
    let hour_ago = NOON_S - HOUR_S;
    switch.table("account-usage", &[("3", &format!("{hour_ago}:570"))]);
    assert_eq!(talked(&mut plugin, subject(true, NOON_S), 30), 300_000, "up to ten minutes");
    assert_eq!(talked(&mut plugin, subject(true, NOON_S), 30), 150_000);
    // The next export contains these calls: they are not counted twice.
    let now = NOON_S + HOUR_S;
    switch.table("account-usage", &[("3", &format!("{now}:590"))]);
    assert_eq!(talked(&mut plugin, subject(false, now), 10), 100_000);
}

#[test]
fn a_month_begins_anew() {
    let switch = FakeHost::install();
    let mut plugin = plugin(&switch);
    let february = NOON_S + 16 * 86_400 + 12 * HOUR_S;
    switch.table("account-usage", &[("3", &format!("{}:9000", february - HOUR_S))]);
    assert_eq!(talked(&mut plugin, subject(false, february - 1), 10), 50_000);
    assert_eq!(talked(&mut plugin, subject(false, february), 10), 100_000);
}

#[test]
fn what_is_not_its_own_is_passed_and_what_it_cannot_rate_is_told() {
    let switch = FakeHost::install();
    let mut plugin = plugin(&switch);
    let mut rate = |subject: RateSubject| plugin.rate(&subject, &row(), &Rounding::default(), 1000);
    let buy = RateSubject { side: Side::Buy, ..subject(true, NOON_S) };
    assert_eq!(rate(buy), Err(NoCharge::Pass));
    let other = RateSubject { account: AccountId(5), ..subject(true, NOON_S) };
    assert_eq!(rate(other), Err(NoCharge::Pass));
    let klub = RateSubject { account: AccountId(4), ..subject(true, NOON_S) };
    assert_eq!(rate(klub), Err(NoCharge::Failed("account 4 has no plan `klub`".to_owned())));
    switch.table("account-usage", &[("3", "ten minutes")]);
    let words = "`account-usage` says `ten minutes` for 3, not MOMENT:SECONDS";
    assert_eq!(rate(subject(true, NOON_S)), Err(NoCharge::Failed(words.to_owned())));
}

#[test]
fn an_export_that_is_too_old_is_counted() {
    let switch = FakeHost::install();
    let mut plugin = plugin(&switch);
    switch.table("account-usage", &[("3", &format!("{}:600", NOON_S - 24 * HOUR_S))]);
    assert_eq!(talked(&mut plugin, subject(false, NOON_S), 10), 50_000);
    assert_eq!(switch.metric("usage_is_old"), 1);
}

/// However talk time is divided into calls, the month costs the same: with increments of one second
/// and all decimals the sum is exact.
#[test]
fn dividing_talk_into_calls_changes_nothing() {
    testing::check(500, |draw| {
        let switch = FakeHost::install();
        let mut plugin = plugin(&switch);
        let parts: Vec<u64> = (0..1 + draw.small(8)).map(|_| 1 + draw.below(400)).collect();
        let whole = talked(&mut plugin, subject(false, NOON_S), parts.iter().sum());
        let each: i64 =
            parts.iter().map(|part| talked(&mut plugin, subject(true, NOON_S), *part)).sum();
        assert_eq!(each, whole, "{parts:?}");
    });
}

/// With falling prices, more use never makes a call more expensive, and more talk never cheaper.
#[test]
fn charges_rise_with_talk_and_fall_with_use() {
    testing::check(2_000, |draw| {
        let mut permille = 1_000;
        let mut from_minutes = 0;
        let tiers: Vec<Tier> = (0..1 + draw.small(4))
            .map(|_| {
                let tier = Tier { from_minutes, permille };
                from_minutes += 1 + draw.small(30);
                permille -= draw.small(permille + 1);
                tier
            })
            .collect();
        assert_eq!(tiers::check(&tiers), Ok(()));
        let (mut row, rounding) = (draw.deck_row(), draw.rounding());
        // A first block that is cheaper than the rest would itself break the rule.
        row.price_first = row.price_next;
        let (used, ms) = (draw.below(4_000), draw.duration_ms());
        let amount = |used, ms| charge(&tiers, &row, &rounding, used, ms).expect("legal").amount;
        assert!(amount(used + draw.below(2_000), ms) <= amount(used, ms));
        assert!(amount(used, ms + draw.below(100_000)) >= amount(used, ms));
        assert!(amount(used, ms) >= Money::ZERO);
    });
}

#[test]
fn months_begin_where_the_calendar_says() {
    for (at_s, begins) in [
        (NOON_S, 1_767_225_600),                 // January 2026
        (1_769_904_000 - 1, 1_767_225_600),      // its last second
        (1_769_904_000, 1_769_904_000),          // February
        (1_709_164_800 + 80_000, 1_706_745_600), // 29 February 2024
        (1_709_251_200, 1_709_251_200),          // 1 March 2024
    ] {
        assert_eq!(usage::first_of_month(at_s), begins, "{at_s}");
    }
}

#[test]
fn the_self_test_passes_and_a_bad_plan_names_itself() {
    assert_eq!(configured::<TieredRating>("").expect("defaults").self_test(), Ok(4));
    let refused = |tiers: &str| {
        configured::<TieredRating>(&format!(r#"{{"plans":{{"a":{tiers}}}}}"#)).expect_err("bad")
    };
    assert!(refused("[]").starts_with("field `plans.a`: the first tier must be there"));
    let tier =
        |from: u32, permille: u32| format!(r#"{{"from_minutes":{from},"permille":{permille}}}"#);
    assert!(refused(&format!("[{},{}]", tier(0, 1), tier(0, 2))).contains("in the order"));
    assert!(refused(&format!("[{}]", tier(0, 10_001))).contains("permille is 10001"));
}
