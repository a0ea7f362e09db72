//! The deck as it was before its rows were packed, for comparison.

use std::sync::Arc;
use strowger_ledger::{PrefixTable, PriceRow, RateRow};

pub(crate) struct FormerDeck(PrefixTable<Vec<FormerRow>>);

pub(crate) struct FormerRow {
    _prefix: Arc<str>,
    _destination: Arc<str>,
    price: PriceRow,
    valid_from_ms: u64,
    valid_to_ms: Option<u64>,
    blocked: bool,
}

impl FormerDeck {
    pub(crate) fn new(rows: &[RateRow]) -> Self {
        let mut table: PrefixTable<Vec<FormerRow>> = PrefixTable::new();
        for row in rows {
            table.entry(&row.prefix).push(FormerRow {
                _prefix: row.prefix.as_str().into(),
                _destination: row.destination.clone(),
                price: row.price,
                valid_from_ms: row.valid_from_ms,
                valid_to_ms: row.valid_to_ms,
                blocked: row.blocked,
            });
        }
        FormerDeck(table)
    }

    /// The price of the row in force.
    pub(crate) fn find(&self, number: &str, at_ms: u64) -> Option<&PriceRow> {
        let (_, rows) = self.0.longest(number)?;
        let row = in_force(rows, at_ms)
            .or_else(|| self.0.matches(number).find_map(|(_, rows)| in_force(rows, at_ms)))?;
        (!row.blocked).then_some(&row.price)
    }
}

fn in_force(rows: &[FormerRow], at_ms: u64) -> Option<&FormerRow> {
    let valid = |row: &&FormerRow| {
        row.valid_from_ms <= at_ms && row.valid_to_ms.is_none_or(|end| at_ms < end)
    };
    rows.iter().filter(valid).max_by_key(|row| row.valid_from_ms)
}
