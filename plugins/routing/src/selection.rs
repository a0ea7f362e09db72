//! Turns candidates into choices: the walk over prefix lengths (ROUTE-17, ROUTE-18), the key list
//! of ROUTE-23 and the place of last-resort trunks (ROUTE-45, ROUTE-46).

use crate::balance::Turns;
use crate::config::{Balance, Config, Strategy};
use plugin_sdk::{Candidate, Money, TrunkId};
use std::cmp::{Ordering, Reverse};

/// The trunks to try, first to last.
///
/// Ordinary trunks are those that the walk of ROUTE-18 reaches. Last-resort trunks follow after all
/// of them, whatever their prefix length, and take no part in the walk; if there are no other
/// trunks, they are treated as ordinary.
pub(crate) fn order(config: &Config, turns: &mut Turns, candidates: &[Candidate]) -> Vec<TrunkId> {
    let (mut reserve, mut ordinary): (Vec<&Candidate>, Vec<&Candidate>) =
        candidates.iter().partition(|candidate| candidate.last_resort);
    if ordinary.is_empty() {
        std::mem::swap(&mut ordinary, &mut reserve);
    }
    walk_prefixes(&mut ordinary);
    sort(config, turns, &mut ordinary);
    sort(config, turns, &mut reserve);
    ordinary.iter().chain(&reserve).map(|candidate| candidate.trunk).collect()
}

/// ROUTE-18: the walk continues past a prefix length only if every entry that matched at that
/// length has `extend`. Only the given candidates of a length are known here.
fn walk_prefixes(candidates: &mut Vec<&Candidate>) {
    let shortest = candidates
        .iter()
        .filter(|candidate| !candidate.extend)
        .map(|candidate| candidate.prefix_length)
        .max()
        .unwrap_or(0);
    candidates.retain(|candidate| candidate.prefix_length >= shortest);
}

fn sort(config: &Config, turns: &mut Turns, candidates: &mut [&Candidate]) {
    candidates.sort_unstable_by(|one, other| {
        before_balance(config, one, other).then_with(|| one.trunk.cmp(&other.trunk))
    });
    for tied in candidates
        .chunk_by_mut(|one, other| before_balance(config, one, other) == Ordering::Equal)
        .filter(|tied| tied.len() > 1)
    {
        match config.balance {
            Balance::Usage => tied.sort_unstable_by(|one, other| by_usage(one, other)),
            Balance::Weight => turns.arrange(tied, |candidate| candidate.weight),
            Balance::RoundRobin => turns.arrange(tied, |_| 1),
        }
    }
}

/// K2 to K6 of ROUTE-23.
fn before_balance(config: &Config, one: &Candidate, other: &Candidate) -> Ordering {
    config
        .strategies
        .iter()
        .map(|strategy| match strategy {
            Strategy::BuyPrice => one.buy_price.cmp(&other.buy_price),
            Strategy::TrunkPriority => one.priority.cmp(&other.priority),
            Strategy::Weight => other.weight.cmp(&one.weight),
        })
        .find(|order| order.is_ne())
        .unwrap_or_else(|| key(one).cmp(&key(other)))
}

/// K4, K5, K6 of ROUTE-23.
fn key(candidate: &Candidate) -> impl Ord + use<> {
    (Reverse(candidate.prefix_length), candidate.prefix_priority, candidate.priority)
}

/// K8 by usage, K9, K11 of ROUTE-23.
fn by_usage(one: &Candidate, other: &Candidate) -> Ordering {
    usage(one, other)
        .then(one.calls_today.cmp(&other.calls_today))
        .then(one.trunk.cmp(&other.trunk))
}

/// Compares active calls to channel limits without division; an unlimited trunk counts as 0.
fn usage(one: &Candidate, other: &Candidate) -> Ordering {
    let parts = |candidate: &Candidate| match candidate.channels {
        0 => (0, 1),
        limit => (u64::from(candidate.active), u64::from(limit)),
    };
    let ((active, limit), (other_active, other_limit)) = (parts(one), parts(other));
    (active * other_limit).cmp(&(other_active * limit))
}

/// An example of the self-test: candidates and the expected order.
struct Example {
    name: &'static str,
    strategies: &'static [Strategy],
    candidates: Vec<Candidate>,
    order: &'static [u32],
}

fn trunk(id: u32) -> Candidate {
    Candidate { trunk: TrunkId(id), prefix_length: 4, ..Candidate::default() }
}

fn examples() -> Vec<Example> {
    let example = |name, candidates, order| Example { name, strategies: &[], candidates, order };
    vec![
        example(
            "ROUTE-17 a longer prefix beats priority",
            vec![
                Candidate { prefix_length: 2, priority: 1, ..trunk(1) },
                Candidate { prefix_length: 5, priority: 200, ..trunk(2) },
            ],
            &[2, 1],
        ),
        example(
            "ROUTE-18 a length without extend ends the walk",
            vec![
                Candidate { prefix_length: 5, extend: false, ..trunk(1) },
                Candidate { prefix_length: 5, ..trunk(2) },
                Candidate { prefix_length: 2, ..trunk(3) },
            ],
            &[1, 2],
        ),
        example(
            "ROUTE-18 the walk goes on while all entries extend",
            vec![
                Candidate { prefix_length: 5, ..trunk(1) },
                Candidate { prefix_length: 2, extend: false, ..trunk(2) },
                Candidate { prefix_length: 0, ..trunk(3) },
            ],
            &[1, 2],
        ),
        example(
            "K5 prefix priority before K6 trunk priority",
            vec![
                Candidate { prefix_priority: 100, priority: 1, ..trunk(1) },
                Candidate { prefix_priority: 50, priority: 200, ..trunk(2) },
            ],
            &[2, 1],
        ),
        example(
            "K6 trunk priority, lower first",
            vec![Candidate { priority: 20, ..trunk(1) }, Candidate { priority: 10, ..trunk(2) }],
            &[2, 1],
        ),
        example(
            "K8 usage: 30 of 100 before 4 of 10, unlimited is 0",
            vec![
                Candidate { active: 4, channels: 10, ..trunk(1) },
                Candidate { active: 30, channels: 100, ..trunk(2) },
                Candidate { active: 900, channels: 0, ..trunk(3) },
            ],
            &[3, 2, 1],
        ),
        example(
            "K9 fewest calls today",
            vec![
                Candidate { calls_today: 9, ..trunk(1) },
                Candidate { calls_today: 3, ..trunk(2) },
            ],
            &[2, 1],
        ),
        example("K11 trunk id", vec![trunk(3), trunk(1), trunk(2)], &[1, 2, 3]),
        example(
            "ROUTE-45 last resort after all prefix lengths",
            vec![
                Candidate { prefix_length: 9, last_resort: true, ..trunk(1) },
                Candidate { prefix_length: 0, ..trunk(2) },
            ],
            &[2, 1],
        ),
        example(
            "ROUTE-45 the walk does not end before last resort",
            vec![
                Candidate { prefix_length: 5, extend: false, ..trunk(1) },
                Candidate { prefix_length: 2, last_resort: true, ..trunk(2) },
                Candidate { prefix_length: 5, last_resort: true, extend: false, ..trunk(3) },
            ],
            &[1, 3, 2],
        ),
        example(
            "ROUTE-46 only last-resort trunks are used normally",
            vec![
                Candidate { prefix_length: 2, last_resort: true, ..trunk(1) },
                Candidate { prefix_length: 5, last_resort: true, extend: false, ..trunk(2) },
            ],
            &[2],
        ),
        Example {
            name: "ROUTE-24 price outranks prefix length within the walk",
            strategies: &[Strategy::BuyPrice],
            candidates: vec![
                Candidate { prefix_length: 5, buy_price: Money(30), ..trunk(1) },
                Candidate { prefix_length: 2, buy_price: Money(10), ..trunk(2) },
                Candidate { prefix_length: 2, extend: false, buy_price: Money(10), ..trunk(3) },
                Candidate { prefix_length: 0, buy_price: Money(1), ..trunk(4) },
            ],
            order: &[2, 3, 1],
        },
        Example {
            name: "ROUTE-24 a second strategy decides between equals of the first",
            strategies: &[Strategy::Weight, Strategy::TrunkPriority],
            candidates: vec![
                Candidate { weight: 5, priority: 2, ..trunk(1) },
                Candidate { weight: 5, priority: 1, ..trunk(2) },
                Candidate { weight: 7, priority: 9, ..trunk(3) },
            ],
            order: &[3, 2, 1],
        },
        example("no candidates, no choices", vec![], &[]),
    ]
}

/// Runs the examples; returns the number that passed.
///
/// # Errors
/// The first that failed.
pub(crate) fn check() -> Result<u32, String> {
    let mut passed = 0;
    for example in examples() {
        let config = Config { strategies: example.strategies.to_vec(), ..Config::default() };
        let order = order(&config, &mut Turns::default(), &example.candidates);
        let got: Vec<u32> = order.iter().map(|trunk| trunk.0).collect();
        if got != example.order {
            return Err(format!("{}: expected {:?}, got {got:?}", example.name, example.order));
        }
        passed += 1;
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_route_16_to_46_come_out_as_written() {
        assert_eq!(check(), Ok(14));
    }

    #[test]
    fn balance_shares_calls_only_among_trunks_of_equal_priority() {
        let config = Config { balance: Balance::RoundRobin, ..Config::default() };
        let mut turns = Turns::default();
        let candidates = [Candidate { priority: 1, ..trunk(1) }, trunk(2), trunk(3)];
        let mut seconds = Vec::new();
        for _ in 0..4 {
            let order = order(&config, &mut turns, &candidates);
            assert_eq!(order[0], TrunkId(1), "better priority stays first");
            assert_eq!(order.len(), 3);
            seconds.push(order[1].0);
        }
        assert_eq!(seconds, [2, 3, 2, 3]);
    }

    #[test]
    fn usage_does_not_overflow_with_the_largest_limits() {
        let full = Candidate { active: u32::MAX, channels: u32::MAX, ..trunk(1) };
        let half = Candidate { active: u32::MAX / 2, channels: u32::MAX, ..trunk(2) };
        assert_eq!(usage(&half, &full), Ordering::Less);
    }
}
