//! Rows of a deck, page by page.

use crate::db::{Statement, values};
use crate::error::{StoreError, Task};
use crate::load::{DeckColumns, deck_row};
use crate::store::Store;
use ledger::RateRow;
use std::collections::HashSet;

macro_rules! deck_page {
    ($index:literal, $condition:literal) => {
        Statement::each(
            concat!(
                "SELECT json_group_array(json_array(number, prefix, destination, price_first, \
                 price_next, connect_fee, first_increment, next_increment, free_seconds, \
                 minimum_charge, valid_from_ms, valid_to_ms, blocked)) FROM (SELECT * FROM deck_row ",
                $index,
                "WHERE deck = ? AND number > ? ",
                $condition,
                "ORDER BY number LIMIT ?)"
            ),
            concat!(
                "SELECT COALESCE(CAST(json_agg(json_build_array(number, prefix, destination, \
                 price_first, price_next, connect_fee, first_increment, next_increment, \
                 free_seconds, minimum_charge, valid_from_ms, valid_to_ms, CAST(blocked AS \
                 INTEGER))) AS TEXT), '[]') FROM (SELECT * FROM deck_row WHERE deck = ? AND \
                 number > ? ",
                $condition,
                "ORDER BY number LIMIT ?) AS page"
            ),
        )
    };
}

/// Rows of one prefix that are looked at.
const MOST_OF_A_PREFIX: i64 = 10_000;

pub(crate) static DECK_PAGE: Statement = deck_page!("", "");
/// SQLite would scan all rows of the deck: without statistics it prefers the primary key.
pub(crate) static DECK_PAGE_OF: Statement =
    deck_page!("INDEXED BY deck_row_prefix ", "AND prefix >= ? AND prefix < ? ");

impl Store {
    /// Rows of a deck in the order of its sheet, `limit` at most, starting after row `after`:
    /// number and row. With `prefix`, only rows whose prefix begins with it.
    ///
    /// # Errors
    ///
    /// The database fails or a row is unreadable.
    pub async fn deck_page(
        &self,
        deck: u32,
        after: Option<i64>,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<(i64, RateRow)>, StoreError> {
        let (after, limit) = (after.unwrap_or(-1), i64::from(limit));
        let mut reader = self.reader().await?;
        let rows: Option<(String,)> = if prefix.is_empty() {
            reader.row(&DECK_PAGE, values![deck, after, limit]).await
        } else {
            // No character sorts after this one.
            let end = format!("{prefix}{}", char::MAX);
            reader.row(&DECK_PAGE_OF, values![deck, after, prefix, &end, limit]).await
        }
        .during("reading a deck")?;
        read(deck, rows)
    }

    /// The rows of a deck for exactly this prefix: one for each time from which a price is valid.
    ///
    /// # Errors
    ///
    /// The database fails or a row is unreadable.
    pub async fn deck_rows_of(&self, deck: u32, prefix: &str) -> Result<Vec<RateRow>, StoreError> {
        // The first of the longer prefixes, which are digits.
        let end = format!("{prefix}0");
        let mut reader = self.reader().await?;
        let values = values![deck, -1_i64, prefix, &end, MOST_OF_A_PREFIX];
        let rows = reader.row(&DECK_PAGE_OF, values).await.during("reading a deck")?;
        Ok(read(deck, rows)?.into_iter().map(|(_, row)| row).collect())
    }
}

fn read(deck: u32, rows: Option<(String,)>) -> Result<Vec<(i64, RateRow)>, StoreError> {
    let rows = rows.map_or_else(|| "[]".to_owned(), |(rows,)| rows);
    let rows: Result<Vec<DeckColumns>, _> = serde_json::from_str(&rows);
    let mut rows = rows.map_err(|error| StoreError::unreadable(format!("deck {deck}"), error))?;
    // Neither database guarantees an order within an aggregate.
    rows.sort_by_key(|row| row.0);
    let mut destinations = HashSet::new();
    Ok(rows.into_iter().map(|row| (row.0, deck_row(row, &mut destinations))).collect())
}
