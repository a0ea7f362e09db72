//! Writes the rows of decks.

use crate::db::{Connection, Insertion, Statement, Value, values};
use crate::error::{StoreError, Task};
use crate::store::column;
use ledger::{Money, RateRow};
use std::ops::Range;

/// Rows per statement.
const ROWS: usize = 2000;

pub(crate) static CLEAR_DECK: Statement =
    Statement::both("DELETE FROM deck_row WHERE deck = ? AND number >= ? AND number < ?");
pub(crate) static DECK_ROWS: Insertion = Insertion::new(
    "deck_row",
    &[
        "deck",
        "number",
        "prefix",
        "destination",
        "price_first",
        "price_next",
        "connect_fee",
        "first_increment",
        "next_increment",
        "free_seconds",
        "minimum_charge",
        "valid_from_ms",
        "valid_to_ms",
        "blocked",
    ],
);

/// Replaces the stored rows of a deck. Unchanged chunks are not written: one new price does not
/// rewrite a million rows.
pub(crate) async fn write_deck(
    connection: &mut Connection,
    deck: u32,
    before: &[RateRow],
    rows: &[RateRow],
) -> Result<(), StoreError> {
    for (chunk, rows) in rows.chunks(ROWS).enumerate() {
        let first = chunk * ROWS;
        let stored = before.iter().skip(first).take(rows.len());
        if stored.clone().eq(rows) {
            continue;
        }
        if stored.len() > 0 {
            clear(connection, deck, first..first + rows.len()).await?;
        }
        let numbered: Vec<(i64, &RateRow)> = (first as i64..).zip(rows).collect();
        connection
            .insert_rows(&DECK_ROWS, &numbered, |(number, row)| columns(deck, *number, row))
            .await
            .during("writing a deck")?;
    }
    if before.len() > rows.len() {
        clear(connection, deck, rows.len()..before.len()).await?;
    }
    Ok(())
}

pub(crate) fn columns(deck: u32, number: i64, row: &RateRow) -> [Value<'_>; 14] {
    let price = &row.price;
    let money = |amount: Money| i64::try_from(amount).unwrap_or(i64::MAX).into();
    [
        deck.into(),
        number.into(),
        (&*row.prefix).into(),
        (&*row.destination).into(),
        money(price.price_first),
        money(price.price_next),
        money(price.connect_fee),
        price.first_increment_s.into(),
        price.next_increment_s.into(),
        price.free_seconds.into(),
        money(price.minimum_charge),
        column(row.valid_from_ms).into(),
        row.valid_to_ms.map(column).into(),
        row.blocked.into(),
    ]
}

async fn clear(
    connection: &mut Connection,
    deck: u32,
    numbers: Range<usize>,
) -> Result<(), StoreError> {
    let (from, to) = (numbers.start as i64, numbers.end as i64);
    connection
        .execute(&CLEAR_DECK, values![deck, from, to])
        .await
        .during("clearing a deck")
        .map(|_| ())
}
