use super::*;
use crate::dice::Dice;

/// The formula of BILL-12 for 1-second units, rounded half up to 7 decimals.
fn price(row: &PriceRow, talk_ms: u64) -> Money {
    let seconds = i128::from(talk_ms.div_ceil(1000)) - i128::from(row.free_seconds);
    if seconds <= 0 {
        return Money::ZERO;
    }
    let first = i128::from(row.first_increment_s.max(1));
    let next = i128::from(row.next_increment_s.max(1));
    let after = ((seconds - first).max(0) + next - 1) / next * next;
    let sixty = row.price_first.0 * first + row.price_next.0 * after;
    let fee = row.connect_fee.0 + (sixty + 30) / 60;
    Money(((fee + 500) / 1000 * 1000).max(row.minimum_charge.0))
}

fn row(cents: i128, first: u32, next: u32) -> PriceRow {
    let minute = Money(cents * Money::ONE.0 / 100);
    PriceRow {
        price_first: minute,
        price_next: minute,
        first_increment_s: first,
        next_increment_s: next,
        ..PriceRow::default()
    }
}

/// Accounts with their available amounts.
#[derive(Default)]
struct Purses(std::collections::BTreeMap<u32, i128>);

impl Purses {
    fn hold(&mut self, claims: &[Claim]) -> Held {
        let mut part = Vec::new();
        for claim in claims {
            part.push(Money(claim.amount.0.min(self.0[&claim.account].max(0))));
        }
        for (claim, part) in claims.iter().zip(&part) {
            *self.0.get_mut(&claim.account).expect("known") -= part.0;
        }
        let whole = claims.iter().zip(&part).all(|(claim, part)| claim.amount == *part);
        if whole { Held::Whole } else { Held::Part(part) }
    }

    fn grow(&mut self, tab: &mut Tab, now_ms: u64) -> (Grown, u32) {
        let (mut step, mut questions) = (tab.grow(), 0);
        let grown = loop {
            step = match step {
                Step::Ask => {
                    let (payer, talk_ms) = tab.question().expect("a question");
                    let price = price(&payer.row, talk_ms);
                    questions += 1;
                    tab.priced(price, now_ms)
                }
                Step::Hold => {
                    let held = self.hold(&tab.claims());
                    tab.answered(held, now_ms)
                }
                Step::Done(grown) => break grown,
            };
        };
        for claim in tab.take_surplus() {
            *self.0.get_mut(&claim.account).expect("known") += claim.amount.0;
        }
        (grown, questions)
    }

    fn end(&mut self, tab: &Tab, talk_ms: u64) {
        for payer in &tab.payers {
            *self.0.get_mut(&payer.account).expect("known") +=
                payer.held.0 - price(&payer.row, talk_ms).0;
        }
    }
}

fn tab(rows: &[(u32, PriceRow)], slice_s: u32) -> Tab {
    let payer =
        |(account, row): &(u32, PriceRow)| Payer::new(*account, *row, PriceRounding::default());
    Tab::new(rows.iter().map(payer).collect(), slice_s)
}

#[test]
fn bill_40_a_call_holds_its_first_slice_and_bill_41_the_next_before_it_is_used() {
    let mut purses = Purses([(1, 10 * Money::ONE.0)].into());
    let mut tab = tab(&[(1, row(60, 1, 1))], 60);
    assert_eq!(purses.grow(&mut tab, 0), (Grown::Covered, 1));
    assert_eq!((tab.covered_ms(), tab.look_ms()), (60_000, Some(45_000)));
    assert_eq!(tab.held_of(1).to_string(), "0.6");
    assert_eq!(purses.grow(&mut tab, 45_000), (Grown::Covered, 1));
    assert_eq!(tab.covered_ms(), 120_000);
    let look_ms = tab.look_ms().expect("once more");
    assert!((60_000..=108_000).contains(&look_ms), "before 80 % of the second slice: {look_ms}");
    purses.end(&tab, 61_000);
    assert_eq!(purses.0[&1], 10 * Money::ONE.0 - Money::ONE.0 * 61 / 100);
}

#[test]
fn bill_41_where_a_slice_is_not_there_the_rest_is_held_rounded_down_to_the_increment() {
    // 0.60 a minute in steps of 6 s, 0.06 each: money for 13.5 steps after the first 30 s.
    let mut purses = Purses([(1, (300 + 810) * Money::ONE.0 / 1000)].into());
    let mut tab = tab(&[(1, row(60, 30, 6))], 60);
    assert_eq!(purses.grow(&mut tab, 0), (Grown::Covered, 1));
    let (grown, questions) = purses.grow(&mut tab, 45_000);
    assert_eq!(grown, Grown::Covered);
    assert_eq!(tab.covered_ms(), (30 + 13 * 6) * 1000);
    assert!(questions < 10, "{questions}");
    assert_eq!(purses.0[&1], 30 * Money::ONE.0 / 1000, "what pays for no step is free");
    // Later: still nothing.
    let look_ms = tab.look_ms().expect("once more");
    let (grown, questions) = purses.grow(&mut tab, look_ms);
    assert!(matches!(grown, Grown::Short { account: 1, .. }), "{grown:?}");
    assert_eq!((questions, tab.covered_ms()), (2, 108_000));
    // A payment during the talk extends it.
    *purses.0.get_mut(&1).expect("known") += Money::ONE.0;
    let look_ms = tab.look_ms().expect("once more");
    assert_eq!(purses.grow(&mut tab, look_ms).0, Grown::Covered);
    assert_eq!(tab.covered_ms(), 168_000);
    purses.end(&tab, 168_000);
    assert!(purses.0[&1] >= 0);
}

#[test]
fn bill_40_not_even_the_first_increment_is_there() {
    let mut purses = Purses([(1, 299 * Money::ONE.0 / 1000)].into());
    let mut tab = tab(&[(1, row(60, 30, 6))], 60);
    let (grown, _) = purses.grow(&mut tab, 0);
    let expected = Grown::Short {
        account: 1,
        had: Money(299 * Money::ONE.0 / 1000),
        needed: Money(300 * Money::ONE.0 / 1000),
    };
    assert_eq!(grown, expected);
    assert_eq!((tab.covered_ms(), purses.0[&1]), (0, 299 * Money::ONE.0 / 1000));
    // A little more is enough for the increment and for nothing else.
    *purses.0.get_mut(&1).expect("known") += Money::ONE.0 / 1000;
    assert_eq!(purses.grow(&mut tab, 0).0, Grown::Covered);
    assert_eq!((tab.covered_ms(), purses.0[&1]), (30_000, 0));
}

#[test]
fn the_least_of_all_payers_is_the_limit() {
    let second = Money::ONE.0 / 100;
    let mut purses = Purses([(1, 1_000 * second), (7, 25 * second), (9, 1_000 * second)].into());
    let rows = [(1, row(120, 1, 1)), (7, row(60, 10, 10)), (9, row(30, 1, 1))];
    let mut tab = tab(&rows, 60);
    assert_eq!(purses.grow(&mut tab, 0).0, Grown::Covered);
    assert_eq!(tab.covered_ms(), 20_000);
    assert_eq!(tab.held_of(7).0, 20 * second);
    purses.end(&tab, 20_000);
    assert_eq!(purses.0[&1], (1_000 - 40) * second);
    assert_eq!(purses.0[&7], 5 * second);
    assert_eq!(purses.0[&9], (1_000 - 10) * second);
}

#[test]
fn prices_that_change_before_the_talk_are_held_anew() {
    let mut purses = Purses([(1, Money::ONE.0)].into());
    let mut tab = tab(&[(1, row(60, 1, 1))], 60);
    assert_eq!(purses.grow(&mut tab, 0).0, Grown::Covered);
    tab.reprice(|_| Some((row(30, 1, 1), PriceRounding::default())));
    assert_eq!(tab.covered_ms(), 0);
    assert_eq!(purses.grow(&mut tab, 0).0, Grown::Covered);
    assert_eq!((tab.covered_ms(), purses.0[&1]), (60_000, 70 * Money::ONE.0 / 100));
    tab.reprice(|_| Some((row(200, 1, 1), PriceRounding::default())));
    assert_eq!(purses.grow(&mut tab, 0).0, Grown::Covered);
    assert_eq!((tab.covered_ms(), tab.held_of(1).to_string()), (30_000, "1".to_owned()));
}

#[test]
fn a_slice_without_a_price_costs_what_the_talk_has_cost() {
    let mut purses = Purses([(1, 2 * Money::ONE.0)].into());
    let mut tab = tab(&[(1, row(60, 1, 1))], 60);
    purses.grow(&mut tab, 0);
    tab.grow();
    assert_eq!(tab.unpriced(45_000), Step::Hold);
    assert_eq!(tab.claims(), [Claim { account: 1, amount: Money(6 * Money::ONE.0 / 10) }]);
}

/// Bursts of calls over trees of payers, in any order: no account ends below zero, the reservations
/// equal the cost of the covered talk, and nothing stays reserved.
#[test]
fn bill_40_no_burst_overdraws_an_account() {
    let mut dice = Dice(40);
    for _ in 0..3_000 {
        let accounts = 1 + dice.roll(3) as u32;
        let money: std::collections::BTreeMap<u32, i128> = (1..=accounts)
            .map(|account| (account, i128::from(dice.roll(40)) * Money::ONE.0 / 100 + 1000))
            .collect();
        let mut purses = Purses(money);
        let rows: Vec<(u32, PriceRow)> = (1..=accounts)
            .map(|account| {
                let increments = [(1, 1), (6, 6), (30, 6), (60, 60), (1, 10)];
                let (first, next) = increments[dice.roll(5) as usize];
                let mut row = row(1 + i128::from(dice.roll(60)), first, next);
                row.connect_fee = Money(i128::from(dice.roll(3)) * 10_000_000);
                row.minimum_charge = Money(i128::from(dice.roll(3)) * 20_000_000);
                row.free_seconds = dice.roll(3) as u32 * 5;
                (account, row)
            })
            .collect();
        let mut up: Vec<(Tab, u64)> = Vec::new();
        for _ in 0..120 {
            match dice.roll(4) {
                0 => {
                    let mut call = tab(&rows, 10 + dice.roll(60) as u32);
                    if purses.grow(&mut call, 0).0 == Grown::Covered {
                        up.push((call, 0));
                    }
                }
                1 if !up.is_empty() => {
                    let (call, now_ms) = up.swap_remove(dice.roll(up.len() as u64) as usize);
                    purses.end(&call, now_ms.max(1));
                }
                _ => {
                    for (call, now_ms) in &mut up {
                        *now_ms = (*now_ms + dice.roll(20_000)).min(call.covered_ms());
                        if call.look_ms().is_some_and(|look_ms| look_ms <= *now_ms) {
                            purses.grow(call, *now_ms);
                        }
                    }
                    let over = up.extract_if(.., |(call, now_ms)| *now_ms == call.covered_ms());
                    for (call, now_ms) in over.collect::<Vec<_>>() {
                        purses.end(&call, now_ms);
                    }
                }
            }
            for (call, _) in &up {
                for payer in &call.payers {
                    assert!(payer.held >= price(&payer.row, call.covered_ms()));
                }
            }
            assert!(purses.0.values().all(|left| *left >= 0), "{:?}", purses.0);
        }
    }
}
