//! The price of a call when prices change during it, and its duration when clocks are set.

use crate::support::agent::{Agent, CallerPlan, VendorPlan};
use crate::support::facts::{CALLER, VENDOR_A, account, open, small_operator};
use crate::support::{Network, Stage};
use ledger::{Money, PriceRow, RateDeck, RateRow};
use std::sync::Arc;
use std::time::Duration;

/// Start of virtual time, UTC ms.
const START_MS: u64 = 1_790_000_000_000;

/// A deck whose price for 44 is `cents` a minute, and ten times that from `change_ms` on.
fn deck_that_changes(name: &str, cents: i128, change_ms: u64) -> Arc<RateDeck> {
    let rows = [(cents, 0), (10 * cents, change_ms)].map(|(cents, valid_from_ms)| {
        let price = Money(cents * Money::ONE.0 / 100);
        RateRow {
            prefix: "44".into(),
            destination: Arc::from("United Kingdom"),
            price: PriceRow {
                price_first: price,
                price_next: price,
                first_increment_s: 1,
                next_increment_s: 1,
                ..PriceRow::default()
            },
            valid_from_ms,
            valid_to_ms: None,
            blocked: false,
        }
    });
    Arc::new(RateDeck::from_rows(name, "EUR", rows).expect("a deck"))
}

/// A call that rings at 0.1 s, is answered at 1 s and lasts ten; prices rise at `change_ms`.
fn call_with_change_at(change_ms: u64) -> ledger::CallDocument {
    let mut facts = small_operator();
    for (id, name, cents) in [(1, "acme", 60), (2, "carrier", 30)] {
        let changes = deck_that_changes(name, cents, START_MS + change_ms);
        open(&mut facts, account(id, name), changes);
    }
    let mut stage = Stage::new(facts, Network::PERFECT, 1);
    stage.add(Agent::new(CALLER, 5));
    stage.add(Agent::vendor(VENDOR_A, VendorPlan::answers()));
    let (now, hangup) = (stage.now, Some(Duration::from_secs(10)));
    stage.agent(CALLER).invite(now, "4420123", CallerPlan { hangup, ..CallerPlan::default() });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let interim = &stage.interims[0];
    let bought = interim.attempts[0].buy.as_ref().map(|buy| buy.price);
    let last = stage.finals.remove(0);
    assert_eq!(bought, last.attempts[0].buy.as_ref().map(|buy| buy.price), "a crash costs as much");
    last
}

/// BILL-03: the price of a call is the one in force when it is answered, on both sides.
#[test]
fn prices_are_those_in_force_at_the_answer() {
    for (change_ms, sell, buy) in [
        (500, "6", "3"),      // between INVITE and answer: the new ones
        (5000, "0.6", "0.3"), // during the call: those at its answer
    ] {
        let document = call_with_change_at(change_ms);
        let charge = document.call.sell.as_ref().expect("charged");
        let cost = document.attempts[0].buy.as_ref().expect("bought");
        assert_eq!(charge.price.to_string(), sell, "change after {change_ms} ms");
        assert_eq!(cost.price.to_string(), buy, "change after {change_ms} ms");
    }
}

/// A deck whose only price for 44 ends at `end_ms`.
fn deck_that_ends(name: &str, currency: &str, end_ms: u64) -> Arc<RateDeck> {
    let price = PriceRow { price_first: Money::ONE, price_next: Money::ONE, ..PriceRow::default() };
    let row = RateRow {
        prefix: "44".into(),
        destination: Arc::from("United Kingdom"),
        price: PriceRow { first_increment_s: 1, next_increment_s: 1, ..price },
        valid_from_ms: 0,
        valid_to_ms: Some(end_ms),
        blocked: false,
    };
    Arc::new(RateDeck::from_rows(name, currency, [row]).expect("a deck"))
}

/// A call of ten seconds, answered after one, with these decks for customer and vendor.
fn call_with_decks(sell: Arc<RateDeck>, buy: Arc<RateDeck>) -> ledger::CallDocument {
    let mut facts = small_operator();
    for (id, name, deck) in [(1, "acme", sell), (2, "carrier", buy)] {
        open(&mut facts, account(id, name), deck);
    }
    let mut stage = Stage::new(facts, Network::PERFECT, 1);
    stage.add(Agent::new(CALLER, 5));
    stage.add(Agent::vendor(VENDOR_A, VendorPlan::answers()));
    let (now, hangup) = (stage.now, Some(Duration::from_secs(10)));
    stage.agent(CALLER).invite(now, "4420123", CallerPlan { hangup, ..CallerPlan::default() });
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    stage.finals.remove(0)
}

/// BILL-28: a price that ends between INVITE and answer still counts, on both sides, and the trail
/// says so; a price in force at the answer needs no note.
#[test]
fn a_price_that_ends_before_the_answer_still_counts_and_is_told() {
    let (early, late) = (START_MS + 500, u64::MAX);
    for (sell_ends, buy_ends) in [(late, late), (late, early), (early, late), (early, early)] {
        let sell = deck_that_ends("retail", "EUR", sell_ends);
        let document = call_with_decks(sell, deck_that_ends("carrier", "EUR", buy_ends));
        let call = &document.call;
        let charge = call.sell.as_ref().expect("sold");
        let cost = document.attempts[0].buy.as_ref().expect("bought");
        assert_eq!((charge.price, cost.price), (Money::ONE, Money::ONE));
        assert!(charge.amount > Money::ZERO && cost.amount > Money::ZERO);
        assert_eq!((call.cost, call.profit), (cost.amount, charge.amount - cost.amount));
        assert_eq!(document.postings.len(), 2);
        assert!(!call.rerate);
        let told: Vec<u16> = document
            .trail
            .iter()
            .filter(|entry| entry.fault == "no price is in force at the answer")
            .map(|entry| entry.attempt)
            .collect();
        let expected: Vec<u16> = [(buy_ends, 1), (sell_ends, 0)]
            .into_iter()
            .filter(|(ends, _)| *ends == early)
            .map(|(_, attempt)| attempt)
            .collect();
        assert_eq!(told, expected);
    }
}

/// BILL-74: dollars are not subtracted from euros. Each posting is right in its own currency.
#[test]
fn two_currencies_make_no_profit() {
    let buy = deck_that_ends("carrier", "USD", u64::MAX);
    let document = call_with_decks(deck_that_ends("retail", "EUR", u64::MAX), buy);
    let bought = document.attempts[0].buy.as_ref().expect("bought").amount;
    assert_eq!((document.call.cost, document.call.profit), (bought, Money::ZERO));
    assert_eq!(document.postings.len(), 2);
}

/// BILL-10, OPS-67: setting the wall clock during a call does not change the call's duration,
/// neither in its interim documents nor in its record.
#[test]
fn a_clock_that_is_set_in_mid_call_changes_no_duration() {
    for by in [3_600_000, -3_600_000] {
        let mut stage = Stage::new(small_operator(), Network::PERFECT, 1);
        stage.add(Agent::new(CALLER, 5));
        stage.add(Agent::vendor(VENDOR_A, VendorPlan::answers()));
        stage.clock_set = Some((Duration::from_secs(20), by));
        stage.media.last_packet = Some(stage.start + Duration::from_secs(31));
        let (now, hangup) = (stage.now, Some(Duration::from_secs(90)));
        stage.agent(CALLER).invite(now, "4420123", CallerPlan { hangup, ..CallerPlan::default() });
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let last = stage.finals.remove(0);
        let lasted = last.call.duration_ms;
        assert!((89_000..91_000).contains(&lasted), "{lasted} ms, clock set by {by}");
        assert_eq!(last.attempts[0].duration_ms.abs_diff(lasted), 0, "{last:?}");
        let interim = stage.interims.last().expect("one after a minute");
        let (call, attempt) = (&interim.call, &interim.attempts[0]);
        assert!((60_000..60_100).contains(&call.duration_ms), "{}", call.duration_ms);
        // Last heard 31 s after the start, answered one second after it.
        assert!((29_900..30_100).contains(&call.billable_ms), "{}", call.billable_ms);
        let difference = attempt.billable_ms.abs_diff(call.billable_ms);
        assert!(difference < 10 && attempt.duration_ms.abs_diff(call.duration_ms) < 10);
    }
}
