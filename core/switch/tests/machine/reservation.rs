//! Money that is reserved while calls run: nobody spends more than there is (BILL-40, BILL-41,
//! BILL-44, BILL-51, BILL-63).

use crate::support::agent::{Agent, CallerPlan, VendorPlan};
use crate::support::facts::{
    CALLER, VENDOR_A, VENDOR_B, account, change_account, customer, deck, open, put_customers,
    small_operator, vendor,
};
use crate::support::{Network, Stage, call, hangs_up_after, stage_of};
use ledger::Money;
use live::Rate;
use policy::{Answer, Fault, Question};
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Duration;
use strowger_switch::facts::{Account, Change};

const SECOND: Duration = Duration::from_secs(1);

/// The price of `seconds` of talk for the small operator's customer: a cent each.
fn talk(seconds: i128) -> Money {
    Money(seconds * Money::ONE.0 / 100)
}

/// End reason, billed milliseconds and detail of each record.
fn ends(stage: &Stage) -> Vec<(String, u64, String)> {
    let end = |document: &ledger::CallDocument| {
        let call = &document.call;
        (call.end_reason.to_string(), call.billable_ms, call.detail.to_string())
    };
    stage.finals.iter().map(end).collect()
}

fn burst(stage: &mut Stage, calls: usize) {
    let now = stage.now;
    for _ in 0..calls {
        stage.agent(CALLER).invite(now, "4420123", CallerPlan::default());
    }
}

/// S-64: hundreds of simultaneous calls on money for three minutes.
#[test]
fn bill_40_a_burst_ends_with_its_money_and_not_below_zero() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    stage.set_balance(1, talk(180));
    burst(&mut stage, 300);
    stage.run(2 * SECOND);
    let standing = stage.standing(1);
    assert_eq!((standing.reserved, standing.available), (talk(180), Some(Money::ZERO)));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let ends = ends(&stage);
    let (cut, refused): (Vec<_>, Vec<_>) =
        ends.iter().partition(|(reason, ..)| reason == "balance_exhausted");
    let expected = ("balance_exhausted".to_owned(), 60_000, "60 s were paid for".to_owned());
    assert!(cut.len() == 3 && cut.iter().all(|end| **end == expected), "{cut:?}");
    assert_eq!(refused.len(), 297);
    for (reason, _, detail) in refused {
        assert_eq!(
            (&**reason, &**detail),
            ("insufficient_balance", "0 available, more than 0 needed")
        );
    }
    assert_eq!(stage.balance(1), Money::ZERO);
    let cut = stage.finals.iter().filter(|document| document.call.answer_ms.is_some());
    for document in cut {
        assert_eq!(document.call.sell.as_ref().expect("charged").amount, talk(60));
        assert_eq!(document.call.cause, 0);
        assert!(document.attempts[0].billable_ms >= 60_000, "the vendor is paid as it was");
    }
    let agent = stage.agent(CALLER);
    let byes = agent.legs.values().filter(|leg| leg.requests == ["BYE"]).count();
    assert_eq!(byes, 3);
}

/// BILL-41: slice by slice, the last one as long as the money lasts.
#[test]
fn bill_41_a_call_talks_for_all_of_its_money() {
    for (money, slice_s, expected_s) in [(150, 60, 150), (61, 60, 61), (1, 60, 1), (95, 10, 95)] {
        let mut facts = small_operator();
        facts.settings.slice = Duration::from_secs(slice_s);
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        stage.set_balance(1, Money(talk(money).0 + 1));
        call(&mut stage, CallerPlan::default());
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let detail = format!("{expected_s} s were paid for");
        assert_eq!(ends(&stage), [("balance_exhausted".to_owned(), expected_s * 1000, detail)]);
        assert_eq!(stage.balance(1), Money(1), "money for {money} s");
        assert_eq!(stage.agent(VENDOR_A).last().requests, ["INVITE", "BYE"]);
    }
}

/// A payment during the talk lets the call go on.
#[test]
fn bill_41_money_that_comes_while_a_call_runs_lets_it_go_on() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    stage.set_balance(1, talk(70));
    call(&mut stage, hangs_up_after(200));
    stage.run(58 * SECOND);
    stage.live.purses.post(1, talk(300));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let (reason, billed_ms, _) = &ends(&stage)[0];
    assert_eq!((&**reason, billed_ms.div_ceil(1000)), ("caller_hangup", 201));
    assert_eq!(stage.balance(1), talk(370 - 201));
}

/// A machine that stood still for longer than a slice reserves for the talk in between, as far as the
/// money goes: the call goes on, or ends with all of it billed.
#[test]
fn bill_41_a_standstill_ends_no_call_that_has_money() {
    for (money, billed_s, reason) in [(300, 101, "caller_hangup"), (40, 40, "balance_exhausted")] {
        let mut facts = small_operator();
        facts.settings.slice = Duration::from_secs(10);
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        stage.set_balance(1, talk(money));
        call(&mut stage, hangs_up_after(100));
        stage.run(5 * SECOND);
        stage.stand_still(60 * SECOND);
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let (end, billed_ms, _) = &ends(&stage)[0];
        assert_eq!((&**end, billed_ms.div_ceil(1000)), (reason, billed_s));
        assert_eq!(stage.balance(1), talk(money - i128::from(billed_s)));
    }
}

/// Reserved money that a call did not use is available to others as soon as it ends.
#[test]
fn bill_41_what_is_not_used_is_free_at_the_end() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    stage.set_balance(1, talk(65));
    call(&mut stage, hangs_up_after(10));
    stage.run(5 * SECOND);
    call(&mut stage, CallerPlan::default());
    stage.run(20 * SECOND);
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    // The second call took the rest that the first had left, and then more of the released money.
    let billed = stage.finals.iter().map(|document| document.call.billable_ms.div_ceil(1000));
    assert_eq!(billed.sum::<u64>(), 65);
    assert_eq!(stage.balance(1), Money::ZERO);
}

/// BILL-63: every reseller above the account pays by its own prices, and can limit the call.
#[test]
fn bill_63_a_call_needs_money_on_every_level() {
    let tree = |top: Money| {
        let mut facts = small_operator();
        change_account(&mut facts, 1, |account| account.parent = Some(7));
        for (id, name, cents, parent) in [(7, "below", 48, Some(8)), (8, "above", 36, None)] {
            let reseller = Account { parent, ..account(id, name) };
            open(&mut facts, reseller, deck(name, cents));
        }
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        stage.set_balance(8, top);
        stage
    };
    // 0.6 of a cent a second: 30 s of talk.
    let mut stage = tree(Money(18 * Money::ONE.0 / 100));
    let before = [1, 7, 8].map(|id| stage.balance(id));
    call(&mut stage, CallerPlan::default());
    stage.run(10 * SECOND);
    assert_eq!(stage.standing(8).available, Some(Money::ZERO));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(ends(&stage)[0].1, 30_000);
    let paid: Vec<String> = [1, 7, 8]
        .iter()
        .zip(before)
        .map(|(id, before)| (before - stage.balance(*id)).to_string())
        .collect();
    assert_eq!(paid, ["0.3", "0.24", "0.18"]);
    let document = &stage.finals[0];
    let levels: Vec<_> = document.call.resellers.iter().map(|one| &*one.account_name).collect();
    assert_eq!(levels, ["below", "above"]);
    let vendor = document.attempts[0].buy.as_ref().expect("bought").amount;
    assert_eq!(document.call.profit, Money(18 * Money::ONE.0 / 100) - vendor, "BILL-29");
    let accounts: Vec<u32> = document.postings.iter().map(|posting| posting.account).collect();
    assert_eq!(accounts, [1, 7, 8, 2]);

    let mut stage = tree(Money::ZERO);
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let (reason, _, detail) = &ends(&stage)[0];
    assert_eq!(
        (&**reason, &**detail),
        ("insufficient_balance", "reseller above: 0 available, more than 0 needed",)
    );
    assert_eq!([1, 7].map(|id| stage.balance(id)), [before[0], before[1]]);

    let mut facts = small_operator();
    change_account(&mut facts, 1, |account| account.parent = Some(7));
    let above = Account { locked: true, ..account(7, "above") };
    open(&mut facts, above, deck("above", 48));
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    let (reason, _, detail) = &ends(&stage)[0];
    assert_eq!((&**reason, &**detail), ("account_locked", "reseller above"));
}

/// BILL-44: new calls are blocked at the threshold; running calls go on, or are cut if the operator
/// wants that.
#[test]
fn bill_44_an_account_at_its_threshold_takes_no_new_calls() {
    for cuts in [false, true] {
        let mut facts = small_operator();
        change_account(&mut facts, 1, |account| {
            account.terms.block_at = talk(100);
            account.cuts = cuts;
        });
        let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
        stage.set_balance(1, talk(170));
        call(&mut stage, hangs_up_after(85));
        stage.run(10 * SECOND);
        stage.live.purses.post(1, -talk(20));
        call(&mut stage, CallerPlan::default());
        stage.run(10 * SECOND);
        let detail = "0.9 available, calls are blocked at 1".to_owned();
        assert_eq!(ends(&stage), [("insufficient_balance".to_owned(), 0, detail)]);
        stage.live.purses.post(1, -talk(60));
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let (reason, billed_ms, detail) = ends(&stage).pop().expect("ended");
        if cuts {
            assert_eq!((&*reason, &*detail), ("blocked_midcall", "account acme is at 0.9"));
            assert!(billed_ms < 60_000, "{billed_ms}");
        } else {
            assert_eq!((&*reason, billed_ms.div_ceil(1000)), ("caller_hangup", 86));
        }
    }
}

/// BILL-51: an account is locked together with its running calls.
#[test]
fn bill_51_running_calls_of_a_locked_account_are_cut() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::rings());
    burst(&mut stage, 20);
    stage.run(10 * SECOND);
    stage.cut_account(1);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.finals.len(), 20);
    assert!(
        ends(&stage)
            .iter()
            .all(|(reason, billed_ms, _)| { reason == "blocked_midcall" && *billed_ms > 0 })
    );
}

/// BILL-51, SEC-10, SEC-11: channels and calls per second of an account, over all of its trunks and
/// of the accounts below it.
#[test]
fn bill_51_channels_and_rate_of_an_account_are_kept() {
    let with = |change_it: fn(&mut Account)| {
        let mut facts = small_operator();
        let below = Account { parent: Some(1), ..account(9, "below") };
        open(&mut facts, below, deck("below", 60));
        let mut other = customer(2, "other", VENDOR_B);
        other.account = 9;
        put_customers(&mut facts, [other]);
        change_account(&mut facts, 1, change_it);
        let mut stage = Stage::new(facts, Network::PERFECT, 1);
        stage.add(Agent::new(CALLER, 5));
        stage.add(Agent::new(VENDOR_B, 6));
        stage.add(Agent::vendor(VENDOR_A, VendorPlan::answers()));
        let now = stage.now;
        for _ in 0..3 {
            stage.agent(CALLER).invite(now, "4420123", hangs_up_after(5));
            stage.agent(VENDOR_B).invite(now, "4420123", hangs_up_after(5));
        }
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        let mut refused: Vec<_> = ends(&stage).into_iter().filter(|end| end.1 == 0).collect();
        refused.dedup();
        (refused, stage.finals.len())
    };
    let (refused, calls) = with(|account| account.channels = 4);
    assert_eq!(calls, 6);
    assert_eq!(refused, [("concurrency_limit".to_owned(), 0, "account acme has 4".to_owned())]);
    let (refused, _) = with(|account| account.rate = Rate { per_mille: 2_500, burst: 0 });
    let detail = "account acme has 2.5 calls a second".to_owned();
    assert_eq!(refused, [("cps_limit".to_owned(), 0, detail)]);
}

/// BILL-51: the calls of a day cost at most the daily cap.
#[test]
fn bill_51_a_daily_cap_ends_calls_as_an_empty_purse_does() {
    let mut facts = small_operator();
    change_account(&mut facts, 1, |account| {
        account.terms.credit = None;
        account.terms.daily_cap = Some(talk(100));
    });
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    burst(&mut stage, 5);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let billed: u64 = stage.finals.iter().map(|document| document.call.billable_ms).sum();
    assert_eq!(billed, 100_000);
    assert_eq!(stage.standing(1).spent.today, talk(100));
}

/// BILL-43: without a limit nothing is reserved and no slice is asked for.
#[test]
fn bill_43_unlimited_credit_is_counted_and_never_blocks() {
    let mut facts = small_operator();
    change_account(&mut facts, 1, |account| account.terms.credit = None);
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    stage.set_balance(1, -talk(5));
    call(&mut stage, hangs_up_after(300));
    stage.run(100 * SECOND);
    assert_eq!(stage.standing(1).reserved, Money::ZERO);
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(stage.balance(1), -talk(306));
    let rated = stage.policy.asked.iter().filter(|hook| **hook == "rating").count();
    assert_eq!(rated, 3, "at admission and for each side at the end");
}

/// BILL-03: a price that rises between INVITE and answer is reserved from the answer on.
#[test]
fn bill_40_a_price_that_rises_before_the_answer_is_covered() {
    let mut facts = small_operator();
    let before = deck("acme", 60);
    let mut row = before.rows().next().expect("a price for 44");
    row.price.price_first = Money(3 * Money::ONE.0);
    row.price.price_next = Money(3 * Money::ONE.0);
    row.valid_from_ms = 1_790_000_000_500;
    let rising = before.with([ledger::RowChange::Put(row)]).expect("in range");
    facts.apply(Change::Deck(1, Arc::new(rising)));
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    stage.set_balance(1, talk(60));
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(ends(&stage)[0].1, 12_000, "five times the price");
    assert_eq!(stage.balance(1), Money::ZERO);
}

/// A rating plugin that fails while calls run ends none of them: they go on at their previous
/// price, as far as the money goes.
#[test]
fn bill_41_a_slice_without_a_price_costs_as_much_as_before() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    stage.policy.instead = Some(Box::new(|question| match question {
        Question::Rate(rate) if rate.duration_ms > 60_000 && !rate.subject.is_final => {
            Some(Err(Fault::Refused("no".into())))
        }
        _ => None,
    }));
    stage.set_balance(1, talk(150));
    call(&mut stage, CallerPlan::default());
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(ends(&stage)[0].1, 120_000);
    assert_eq!(stage.balance(1), talk(30));
    let faults = stage.finals[0].trail.iter().filter(|entry| !entry.fault.is_empty()).count();
    assert!(faults >= 2, "the trail tells");
}

/// Late answers: a call is cut when its money is used up, whatever question is still open, and is
/// never billed beyond.
#[test]
fn bill_41_a_late_answer_does_not_overdraw() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    stage.policy.delay = Some(Box::new(|question| match question {
        Question::Rate(rate) if !rate.subject.is_final && rate.duration_ms > 60_000 => {
            Some(Duration::from_secs(40))
        }
        _ => Some(Duration::ZERO),
    }));
    stage.set_balance(1, talk(500));
    call(&mut stage, hangs_up_after(200));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let (reason, billed_ms, _) = &ends(&stage)[0];
    assert_eq!((&**reason, *billed_ms), ("balance_exhausted", 60_000));
    assert_eq!(stage.balance(1), talk(440));
}

/// Another machine continues the calls: their reservations are made there, and they end when their
/// money does.
#[test]
fn what_a_call_holds_goes_along_to_the_next_machine() {
    let mut stage = stage_of(small_operator(), VendorPlan::answers(), VendorPlan::answers());
    stage.set_balance(1, talk(130));
    call(&mut stage, CallerPlan::default());
    call(&mut stage, CallerPlan::default());
    for _ in 0..6 {
        stage.run(9 * SECOND);
        let held = stage.standing(1).reserved;
        stage.change_machines(Duration::ZERO);
        assert_eq!(stage.standing(1).reserved, held);
        assert!(held > Money::ZERO);
    }
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    let billed: u64 = stage.finals.iter().map(|document| document.call.billable_ms).sum();
    assert_eq!((billed, stage.balance(1)), (130_000, Money::ZERO));
}

/// Bursts on every kind of network, with callers that hang up, cancel or stay, slices of every
/// length, plugins that answer at once, late or never, and changing machines: no account is ever
/// below zero, and no reservation remains at the end.
#[test]
fn bill_40_no_burst_overdraws_whatever_happens() {
    let seeds =
        std::env::var("STROWGER_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
    for seed in 0..seeds {
        let mut dice = rand::rngs::StdRng::seed_from_u64(seed);
        let mut facts = small_operator();
        facts.settings.slice = Duration::from_secs(dice.random_range(10..90));
        change_account(&mut facts, 1, |account| account.parent = Some(7));
        open(&mut facts, account(7, "above"), deck("above", dice.random_range(20..80)));
        facts.apply(Change::Vendor(Arc::new(vendor(11, "vendor-a", &[VENDOR_A], 1))));
        let network = if dice.random() { Network::BAD } else { Network::PERFECT };
        let mut stage = Stage::new(facts, network, seed);
        stage.keep_wire = false;
        stage.add(Agent::new(CALLER, seed + 5));
        stage.add(Agent::vendor(VENDOR_A, VendorPlan::answers()));
        stage.add(Agent::vendor(VENDOR_B, VendorPlan::refuses(503)));
        if dice.random_range(0..3) == 0 {
            let mut late = rand::rngs::StdRng::seed_from_u64(seed);
            stage.policy.delay =
                Some(Box::new(move |_| Some(Duration::from_millis(late.random_range(0..400)))));
        }
        if dice.random_range(0..3) == 0 {
            let mut fails = rand::rngs::StdRng::seed_from_u64(seed + 1);
            stage.policy.instead = Some(Box::new(move |question| match question {
                Question::Rate(rate) if !rate.subject.is_final && fails.random_range(0..4) == 0 => {
                    Some(Err(Fault::Refused("no".into())))
                }
                Question::Rate(_) if fails.random_range(0..50) == 0 => Some(Ok(Answer::Noted)),
                _ => None,
            }));
        }
        stage.set_balance(1, talk(dice.random_range(1..400)));
        stage.set_balance(7, talk(dice.random_range(1..400)));
        for _ in 0..30 {
            for _ in 0..dice.random_range(0..12) {
                let after = |dice: &mut rand::rngs::StdRng| {
                    let ms = dice.random_range(1..90_000);
                    dice.random::<bool>().then(|| Duration::from_millis(ms))
                };
                let plan = CallerPlan {
                    hangup: after(&mut dice),
                    cancel: after(&mut dice).filter(|after| *after < 900 * SECOND / 1000),
                    ..CallerPlan::default()
                };
                let now = stage.now;
                stage.agent(CALLER).invite(now, "4420123", plan);
            }
            stage.run(Duration::from_millis(dice.random_range(1..9_000)));
            if dice.random_range(0..8) == 0 {
                stage.change_machines(Duration::ZERO);
            }
            for account in [1, 7] {
                let standing = stage.standing(account);
                assert!(standing.balance >= Money::ZERO, "seed {seed}: {standing:?}");
                assert!(standing.available >= Some(Money::ZERO), "seed {seed}: {standing:?}");
            }
        }
        stage.run_until_quiet();
        stage.assert_nothing_leaks();
        for account in [1, 7] {
            assert!(stage.balance(account) >= Money::ZERO, "seed {seed}");
        }
    }
}
