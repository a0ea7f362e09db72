//! Rate decks of a million rows, of which an operator edits one: bytes per row, time of a lookup
//! compared with the former deck, time of a change and of a fold.
//!
//! `cargo bench -p strowger-ledger --bench deck`; `DECK_ROWS` changes the number of rows, the goals
//! are those of a million.

#[path = "../../src/dice.rs"]
mod dice;
#[path = "../../../bench_table.rs"]
mod table;

mod counted;
mod former;

use dice::Dice;
use former::FormerDeck;
use std::collections::HashSet;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use strowger_ledger::{Money, PriceRow, RateDeck, RateLookup, RateRow, RowChange};

const DIGITS: &[u8] = b"0123456789";
/// An instant at which all rows are in force.
const NOW_MS: u64 = 1_790_000_000_000;
const LOOK_UPS: usize = 1_000_000;
/// Lookups per round: enough to touch more of the deck than a cache holds.
const ROUND: usize = 20_000;
const PATCHES: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let rows = match std::env::var("DECK_ROWS") {
        Ok(rows) => rows.parse()?,
        Err(_) => 1_000_000,
    };
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let sparse = random_prefixes(rows, &mut dice);
    let plan = plan_prefixes(rows);
    measure("random", &sparse, &mut dice)?;
    measure("plan", &plan, &mut dice)
}

/// Distinct prefixes of 3 to 9 digits, at random, unordered.
fn random_prefixes(count: usize, dice: &mut Dice) -> Vec<String> {
    let mut known = HashSet::new();
    let mut prefixes = Vec::new();
    while prefixes.len() < count {
        let prefix = dice.text(DIGITS, 3..=9);
        if known.insert(prefix.clone()) {
            prefixes.push(prefix);
        }
    }
    prefixes
}

/// Every code of five digits for one country after the other, in order, as in price sheets.
fn plan_prefixes(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{}{:05}", 1 + n / 100_000 * 7, n % 100_000)).collect()
}

fn deck_row(prefix: &str, prices: &[PriceRow], places: &[Arc<str>], dice: &mut Dice) -> RateRow {
    RateRow {
        prefix: prefix.into(),
        destination: places[dice.roll(places.len() as u64) as usize].clone(),
        price: prices[dice.roll(prices.len() as u64) as usize],
        valid_from_ms: NOW_MS - 86_400_000 * (1 + dice.roll(30)),
        valid_to_ms: None,
        blocked: dice.roll(100) == 0,
    }
}

fn measure(name: &str, prefixes: &[String], dice: &mut Dice) -> Result<(), Box<dyn Error>> {
    let prices: Vec<PriceRow> = (1..=5000)
        .map(|n| PriceRow {
            price_first: Money(1_000_000 * n),
            price_next: Money(1_000_000 * n),
            first_increment_s: 60,
            next_increment_s: 1,
            ..PriceRow::default()
        })
        .collect();
    let places: Vec<Arc<str>> = (0..200).map(|n| format!("destination {n}").into()).collect();
    let rows: Vec<RateRow> =
        prefixes.iter().map(|prefix| deck_row(prefix, &prices, &places, dice)).collect();
    let bytes = |before: usize| (counted::taken() - before) as f64 / rows.len() as f64;

    let before = counted::taken();
    let former = FormerDeck::new(&rows);
    let former_bytes = bytes(before);
    let before = counted::taken();
    let begin = Instant::now();
    let deck = RateDeck::from_rows("sell", "EUR", rows.iter().cloned())?;
    let build_ms = begin.elapsed().as_secs_f64() * 1e3;
    let packed_bytes = bytes(before);

    // Half of the numbers begin with a row's prefix, the other half are random.
    let numbers: Vec<String> = (0..LOOK_UPS)
        .map(|n| match n % 2 {
            0 => {
                let row = &prefixes[dice.roll(prefixes.len() as u64) as usize];
                let rest = 12_u64.saturating_sub(row.len() as u64);
                format!("{row}{}", dice.text(DIGITS, rest..=rest))
            }
            _ => dice.text(DIGITS, 12..=12),
        })
        .collect();

    let mut slowest = 0.0_f64;
    let mut patched = deck.clone();
    let begin = Instant::now();
    for _ in 0..PATCHES {
        let one = Instant::now();
        let known = &prefixes[dice.roll(prefixes.len() as u64) as usize];
        let row = deck_row(known, &prices, &places, dice);
        patched = black_box(patched.with([RowChange::Put(row)])?);
        slowest = slowest.max(one.elapsed().as_secs_f64() * 1e6);
    }
    let patch_us = begin.elapsed().as_secs_f64() * 1e6 / PATCHES as f64;
    let begin = Instant::now();
    let folded = patched.fold();
    let fold_ms = begin.elapsed().as_secs_f64() * 1e3;
    assert_eq!(patched.len(), folded.len());

    // In turn, so that other load on the machine affects all decks equally.
    let price = |deck: &RateDeck, number: &str| match deck.find(number, NOW_MS) {
        RateLookup::Found(row) => Some(row.price.price_next),
        RateLookup::Blocked | RateLookup::None => None,
    };
    let of_former = |number: &str| former.find(number, NOW_MS).map(|price| price.price_next);
    assert!(numbers.iter().all(|number| of_former(number) == price(&deck, number)));
    let mut best = [f64::INFINITY; 4];
    let chunks: Vec<&[String]> = numbers.chunks(ROUND).collect();
    for round in 0..2 * chunks.len() {
        // Each deck's first levels are warm, as between calls, and each deck gets other numbers:
        // decks that share a base would find the entries another has just read.
        let pair = |n: usize| {
            let at = round + n * chunks.len() / 4;
            [chunks[at % chunks.len()], chunks[(at + 1) % chunks.len()]]
        };
        best[0] = best[0].min(nanos(pair(0), of_former));
        best[1] = best[1].min(nanos(pair(1), |number| price(&deck, number)));
        best[2] = best[2].min(nanos(pair(2), |number| price(&patched, number)));
        best[3] = best[3].min(nanos(pair(3), |number| price(&folded, number)));
    }

    let [former_ns, deck_ns, patched_ns, folded_ns] = best;
    for (what, value, unit, goal) in [
        ("bytes_a_row_before", former_bytes, "B", None),
        ("bytes_a_row", packed_bytes, "B", Some(60.0)),
        ("build", build_ms, "ms", Some(1000.0)),
        ("find_before", former_ns, "ns", None),
        ("find", deck_ns, "ns", Some(1.1 * former_ns)),
        ("find_beside_1000_changes", patched_ns, "ns", Some(1.1 * former_ns)),
        ("find_after_fold", folded_ns, "ns", Some(1.1 * former_ns)),
        ("patch", patch_us, "us", Some(1000.0)),
        ("patch_slowest", slowest, "us", Some(1000.0)),
        ("fold", fold_ms, "ms", Some(2000.0)),
    ] {
        let name = format!("deck_{name}_{what}");
        let goal_text = goal.map_or(String::new(), |goal| format!("goal {goal:.0}"));
        println!("{name:<40} {value:>10.1} {unit:<3} {goal_text}");
        table::append([table::line(&name, value, unit, goal)])?;
    }
    Ok(())
}

/// Nanoseconds per lookup among the second numbers, after a warm-up with the first.
fn nanos<T>([first, second]: [&[String]; 2], find: impl Fn(&str) -> T) -> f64 {
    for number in first {
        black_box(find(number));
    }
    let begin = Instant::now();
    for number in second {
        black_box(find(number));
    }
    begin.elapsed().as_secs_f64() * 1e9 / second.len() as f64
}
