//! Which price a call has when prices change while it is under way.

use crate::support::agent::{Agent, CallerPlan, VendorPlan};
use crate::support::facts::{CALLER, VENDOR_A, account, small_operator};
use crate::support::{Network, Stage};
use ledger::{Money, PriceRow, RateDeck, RateRow};
use std::sync::Arc;
use std::time::Duration;

/// Start of virtual time, UTC ms.
const START_MS: u64 = 1_790_000_000_000;

/// A deck whose price for 44 is `cents` a minute, and ten times as much from `change_ms` on.
fn deck_that_changes(name: &str, cents: i128, change_ms: u64) -> Arc<RateDeck> {
    let mut deck = RateDeck::new(name, "EUR");
    for (cents, valid_from_ms) in [(cents, 0), (10 * cents, change_ms)] {
        let price = Money(cents * Money::ONE.0 / 100);
        deck.push(RateRow {
            prefix: Arc::from("44"),
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
        });
    }
    Arc::new(deck)
}

/// A call that rings at 0.1 s, is answered at 1 s and lasts ten; prices rise at `change_ms`.
fn call_with_change_at(change_ms: u64) -> ledger::CallDocument {
    let mut facts = small_operator();
    for (id, name, cents) in [(1, "acme", 60), (2, "carrier", 30)] {
        let mut of = Arc::into_inner(account(id, name, 1000, cents)).expect("nobody else has it");
        of.deck = Some(deck_that_changes(name, cents, START_MS + change_ms));
        facts.accounts.insert(id, Arc::new(of));
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

/// BILL-03: the price of a call is that in force when it is answered, on both sides.
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
