//! Differences between two states of a deck, as lines: prefix, before and after.

use ledger::{PriceRow, RateRow};
use std::collections::HashMap;

use business::instant_text;

/// Most rows listed one by one; the other rows are counted.
const TOLD: usize = 50;

/// A line for each row that differs, up to [`TOLD`], then the number of the others.
pub(crate) fn differences(before: &[RateRow], after: &[RateRow]) -> Vec<String> {
    let mut lines = Lines::default();
    let key = |row: &RateRow| (row.prefix.clone(), row.valid_from_ms);
    let mut old: HashMap<_, &RateRow> = before.iter().map(|row| (key(row), row)).collect();
    for row in after {
        match old.remove(&key(row)) {
            Some(known) if known == row => {}
            Some(known) => lines.push(|| format!("{}: {}", named(row), changed(known, row))),
            None => lines.push(|| format!("{}: (none) -> {}", named(row), told(row))),
        }
    }
    // In deck order, not in hash order.
    for row in before.iter().filter(|row| old.contains_key(&key(row))) {
        lines.push(|| format!("{}: {} -> (none)", named(row), told(row)));
    }
    lines.finish()
}

#[derive(Default)]
struct Lines {
    told: Vec<String>,
    more: usize,
}

impl Lines {
    fn push(&mut self, line: impl FnOnce() -> String) {
        if self.told.len() < TOLD {
            self.told.push(line());
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.told.push(format!("and {} more rows differ", self.more));
        }
        self.told
    }
}

/// The prefix, and the start of validity where it distinguishes rows of one prefix.
fn named(row: &RateRow) -> String {
    let prefix = if row.prefix.is_empty() { "*" } else { &row.prefix };
    match row.valid_from_ms {
        0 => format!("prefix {prefix}"),
        from => format!("prefix {prefix} from {}", instant_text(from)),
    }
}

/// The fields that differ; in a sheet without `price_next`, `price` alone.
fn changed(before: &RateRow, after: &RateRow) -> String {
    let one_price = |row: &RateRow| row.price.price_next == row.price.price_first;
    let follows = one_price(before) && one_price(after);
    let differing = fields(before)
        .into_iter()
        .zip(fields(after))
        .filter(|(old, new)| old != new && !(follows && old.0 == "price_next"));
    let words = differing.map(|((name, old), (_, new))| format!("{name} {old} -> {new}"));
    words.collect::<Vec<_>>().join(", ")
}

/// The price, unless blocked, and the fields that differ from a sheet's defaults.
fn told(row: &RateRow) -> String {
    let price = row.price;
    let usual = RateRow {
        price: PriceRow {
            price_first: price.price_first,
            price_next: price.price_first,
            first_increment_s: 1,
            next_increment_s: 1,
            ..PriceRow::default()
        },
        destination: "".into(),
        valid_to_ms: None,
        blocked: false,
        ..row.clone()
    };
    let unusual = fields(row)
        .into_iter()
        .zip(fields(&usual))
        .filter(|((name, value), (_, usual))| *name == "price" && !row.blocked || value != usual);
    unusual.map(|((name, value), _)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

/// Names and values as in a sheet.
fn fields(row: &RateRow) -> [(&'static str, String); 10] {
    let price = row.price;
    [
        ("price", price.price_first.to_string()),
        ("price_next", price.price_next.to_string()),
        ("connect_fee", price.connect_fee.to_string()),
        ("first_increment", price.first_increment_s.to_string()),
        ("next_increment", price.next_increment_s.to_string()),
        ("free_seconds", price.free_seconds.to_string()),
        ("minimum_charge", price.minimum_charge.to_string()),
        ("valid_to", row.valid_to_ms.map_or_else(|| "(none)".to_owned(), instant_text)),
        ("blocked", if row.blocked { "yes" } else { "no" }.to_owned()),
        ("destination", format!("{:?}", row.destination)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Money;

    fn row(prefix: &str, price: i128, from: u64) -> RateRow {
        let price = Money(price * Money::ONE.0 / 100);
        RateRow {
            prefix: prefix.into(),
            destination: "UK".into(),
            price: PriceRow {
                price_first: price,
                price_next: price,
                first_increment_s: 1,
                next_increment_s: 1,
                ..PriceRow::default()
            },
            valid_from_ms: from,
            valid_to_ms: None,
            blocked: false,
        }
    }

    #[test]
    fn a_price_change_is_told_by_prefix_before_and_after() {
        let before = [row("44", 60, 0), row("33", 30, 0), row("", 90, 0)];
        let mut dearer = row("44", 65, 0);
        dearer.price.price_next = Money(60 * Money::ONE.0 / 100);
        let after = [dearer, row("33", 30, 0), row("33", 20, 1_798_675_200_000)];
        assert_eq!(
            differences(&before, &after),
            [
                "prefix 44: price 0.6 -> 0.65",
                "prefix 33 from 2026-12-31T00:00:00Z: (none) -> price 0.2, destination \"UK\"",
                "prefix *: price 0.9, destination \"UK\" -> (none)",
            ]
        );
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn a_new_price_list_is_told_in_a_bounded_number_of_lines() {
        let list = |price| -> Vec<RateRow> {
            (0..1_000).map(|n| row(&format!("44{n:03}"), price, 0)).collect()
        };
        let lines = differences(&list(60), &list(65));
        assert_eq!(lines.len(), TOLD + 1);
        assert_eq!(lines[TOLD], "and 950 more rows differ");
    }
}
