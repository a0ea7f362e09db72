//! The table B1 to B16 of BILL-12: the plugin's own examples.

use crate::charge;
use plugin_sdk::{DeckRow, Money, Rounding, RoundingMode};

struct Example {
    name: &'static str,
    duration_ms: u64,
    row: DeckRow,
    rounding: Rounding,
    billed_seconds: u32,
    charge: &'static str,
}

fn money(text: &str) -> Money {
    text.parse().unwrap_or(Money(-1))
}

fn example(
    name: &'static str,
    duration_ms: u64,
    price: &str,
    (first_s, next_s): (u32, u32),
    billed_seconds: u32,
    charge: &'static str,
) -> Example {
    let row = DeckRow {
        price_first: money(price),
        price_next: money(price),
        first_increment_s: first_s,
        next_increment_s: next_s,
        ..DeckRow::default()
    };
    Example { name, duration_ms, row, rounding: Rounding::default(), billed_seconds, charge }
}

fn examples() -> Vec<Example> {
    let mut all = vec![
        example("B1", 61_200, "0.0049", (1, 1), 62, "0.0050633"),
        example("B2", 61_200, "0.0049", (6, 6), 66, "0.0053900"),
        example("B3", 61_200, "0.0049", (60, 60), 120, "0.0098000"),
        example("B4", 61_200, "0.0049", (30, 6), 66, "0.0053900"),
        example("B5", 12_300, "0.0123456", (30, 6), 30, "0.0161728"),
        example("B6", 400, "0.02", (1, 1), 1, "0.0003333"),
        example("B7", 400, "0.02", (1, 1), 0, "0.0000000"),
        example("B8", 60_020, "0.02", (60, 60), 60, "0.0200000"),
        example("B9", 60_030, "0.02", (60, 60), 120, "0.0400000"),
        example("B10", 95_000, "0.05", (60, 10), 100, "0.0700000"),
        example("B11", 95_000, "0.012", (1, 1), 85, "0.0170000"),
        example("B12", 8_000, "0.012", (1, 1), 0, "0.0000000"),
        example("B13", 1_000, "0.0005", (1, 1), 1, "0.0000083"),
        example("B14", 187_000, "0.0049", (1, 1), 187, "0.0152717"),
        example("B15", 187_000, "0.0049", (1, 1), 187, "0.02"),
        example("B16", 187_000, "0.0049", (1, 1), 187, "0.02"),
    ];
    for example in &mut all {
        match example.name {
            "B5" => example.row.connect_fee = money("0.01"),
            "B7" => example.rounding.mode = RoundingMode::Nearest,
            "B8" | "B9" => {
                example.rounding.unit_ms = 50;
                example.rounding.mode = RoundingMode::Nearest;
            }
            "B10" => example.row.price_next = money("0.03"),
            "B11" => example.row.free_seconds = 10,
            "B12" => {
                example.row.free_seconds = 10;
                example.row.connect_fee = money("0.005");
            }
            "B15" => example.rounding.decimals = 2,
            "B16" => example.rounding.fee_unit = money("0.01"),
            _ => {}
        }
    }
    all
}

/// Runs the table; returns the number of rows that passed.
///
/// # Errors
/// The first row that failed.
pub(crate) fn check() -> Result<u32, String> {
    let mut passed = 0;
    for example in examples() {
        let name = example.name;
        let got = charge(&example.row, &example.rounding, example.duration_ms)
            .map_err(|error| format!("{name}: {error}"))?;
        if got.amount != money(example.charge) || got.billed_seconds != example.billed_seconds {
            return Err(format!(
                "{name}: expected {} for {} s, got {} for {} s",
                example.charge, example.billed_seconds, got.amount, got.billed_seconds
            ));
        }
        passed += 1;
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_row_of_the_table_b1_to_b16_is_charged_as_written() {
        assert_eq!(super::check(), Ok(16));
    }
}
