//! Number tables of a million rows: bytes, time to build, time of a lookup.
//!
//! Memory is the table's own count: all instances of a plugin share one table. Lookups use random
//! numbers, so that almost every one misses the caches.
//! `cargo bench -p strowger-ledger --bench tables`; `TABLE_ROWS` changes the number of rows, the
//! goals are those of a million.

#[path = "../src/dice.rs"]
mod dice;
#[path = "../../bench_table.rs"]
mod table;

use dice::Dice;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;
use strowger_ledger::NumberTableBuilder;

/// Goal for a lookup.
const GOAL_NS: f64 = 300.0;
/// Goal for the size of a table of a million rows, for all instances together.
const GOAL_MB: f64 = 40.0;
/// Goal for the replacement of a table, from the file to new calls.
const GOAL_MS: f64 = 1000.0;
const LOOK_UPS: usize = 1_000_000;
/// Lookups per round: enough to touch more of the table than a cache holds.
const ROUND: usize = 20_000;

const DIGITS: &[u8] = b"0123456789";

fn main() -> Result<(), Box<dyn Error>> {
    let rows = match std::env::var("TABLE_ROWS") {
        Ok(rows) => rows.parse()?,
        Err(_) => 1_000_000,
    };
    let mut figures = Vec::new();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    // Prefixes of 4 to 12 digits nest like those of a real plan.
    let prefixes: Vec<String> = (0..rows).map(|_| dice.text(DIGITS, 4..=12)).collect();
    let numbers: Vec<String> = (0..rows).map(|_| dice.text(DIGITS, 11..=11)).collect();
    let country: Vec<String> =
        (0..rows).map(|_| format!("4915{}", dice.text(DIGITS, 8..=8))).collect();
    let routes: Vec<String> = (0..1000).map(|n| format!("route-{n}")).collect();

    let route = |row: usize| routes[row % routes.len()].as_str();
    measure("prefixes", &prefixes, route, &mut dice, &mut figures)?;
    measure("set", &numbers, |_| "", &mut dice, &mut figures)?;
    measure("set_one_country", &country, |_| "", &mut dice, &mut figures)?;
    let ported = |row: usize| numbers[row].as_str();
    measure("all_values_differ", &country, ported, &mut dice, &mut figures)?;
    publish(&figures)
}

/// One figure: name, value, unit, goal.
type Figure = (String, f64, &'static str, f64);

fn measure<'a>(
    name: &str,
    keys: &'a [String],
    value: impl Fn(usize) -> &'a str,
    dice: &mut Dice,
    figures: &mut Vec<Figure>,
) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let mut builder = NumberTableBuilder::new();
    for (row, key) in keys.iter().enumerate() {
        builder.push(key, value(row))?;
    }
    let table = builder.build()?;
    let build_ms = begin.elapsed().as_secs_f64() * 1e3;

    // Half of the numbers begin with an entry, the other half are random.
    let asked: Vec<String> = (0..LOOK_UPS)
        .map(|n| match n % 2 {
            0 => {
                let entry = &keys[dice.roll(keys.len() as u64) as usize];
                let rest = 13_u64.saturating_sub(entry.len() as u64);
                format!("{entry}{}", dice.text(DIGITS, rest..=rest))
            }
            _ => dice.text(DIGITS, 13..=13),
        })
        .collect();
    // Copies, contiguous in memory, because a caller has the number at hand.
    let known: Vec<String> =
        (0..LOOK_UPS).map(|_| keys[dice.roll(keys.len() as u64) as usize].clone()).collect();
    let prefix_ns = nanos(&asked, |number| table.longest(number).is_some());
    let exact_ns = nanos(&known, |number| table.get(number).is_some());

    let mb = table.bytes() as f64 / 1e6;
    let per_row = table.bytes() as f64 / table.len() as f64;
    println!("{name}: {} rows of {per_row:.1} bytes", table.len());
    let figure =
        |what: &str, value, unit, goal| (format!("table_{name}_{what}"), value, unit, goal);
    figures.extend([
        figure("memory", mb, "MB", GOAL_MB),
        figure("build", build_ms, "ms", GOAL_MS),
        figure("longest_prefix", prefix_ns, "ns", GOAL_NS),
        figure("exact", exact_ns, "ns", GOAL_NS),
    ]);
    Ok(())
}

/// Nanoseconds per lookup in the best of many rounds, which excludes the load of other programs on
/// processor and caches.
fn nanos(numbers: &[String], find: impl Fn(&str) -> bool) -> f64 {
    let round = |numbers: &[String]| {
        let begin = Instant::now();
        black_box(numbers.iter().filter(|number| black_box(find(number))).count());
        begin.elapsed().as_secs_f64() * 1e9 / numbers.len() as f64
    };
    (0..3).flat_map(|_| numbers.chunks(ROUND)).map(round).fold(f64::INFINITY, f64::min)
}

/// Prints a line for people and appends one of JSON for each figure.
fn publish(figures: &[Figure]) -> Result<(), Box<dyn Error>> {
    for (name, value, unit, goal) in figures {
        let verdict = if value <= goal { "met" } else { "missed" };
        println!("{name:<40} {value:>10.1} {unit:<3} goal {goal:>6} {verdict}");
        table::append([table::line(name, *value, unit, Some(*goal))])?;
    }
    Ok(())
}
