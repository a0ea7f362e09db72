//! Longest-prefix lookups in a table of a million prefixes. Goal: 0.3 µs of processor time each.

#[path = "../src/dice.rs"]
mod dice;

use dice::Dice;
use std::hint::black_box;
use strowger_ledger::PrefixTable;

const DIGITS: &[u8] = b"0123456789";

fn main() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for (what, lengths) in [("4 to 9 digits", 4..=9), ("10 digits", 10..=10)] {
        let mut table = PrefixTable::new();
        while table.len() < 1_000_000 {
            table.insert(&dice.text(DIGITS, lengths.clone()), 0_u32);
        }
        let numbers: Vec<String> = (0..1_000_000).map(|_| dice.text(DIGITS, 12..=12)).collect();
        let before = processor_nanos();
        let found = numbers.iter().filter(|number| black_box(table.longest(number)).is_some());
        let found = found.count();
        let each = (processor_nanos() - before) as f64 / 1e3 / numbers.len() as f64;
        println!(
            "{} prefixes of {what}: longest() {each:.3} us (goal 0.3), {} bytes a row, {found} found",
            table.len(),
            table.trie_bytes() / table.len()
        );
    }
}

/// Processor time of this thread, from the scheduler (Linux); 0 elsewhere.
fn processor_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}
