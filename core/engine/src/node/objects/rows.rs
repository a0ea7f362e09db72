//! Rows of decks and number lists: read page by page, changed one by one.

use super::fields::{row, texts};
use super::{ApiError, Node, ObjectChanged, WHO, of_page, store_failed};
use api::{RowPage, RowsRequest};
use business::{check_number_row, instant_text};
use ledger::{Money, NumberChange, RateRow, RowChange, Text};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::Arc;
use store::ObjectKind;

impl Node {
    /// A page of a deck's rows in the order of its sheet; with `prefix`, only rows whose prefix
    /// begins with it.
    pub async fn deck_rows(
        &self,
        deck: &str,
        after: Option<&str>,
        prefix: &str,
        limit: usize,
    ) -> Result<RowPage, ApiError> {
        let after = after
            .map(str::parse)
            .transpose()
            .map_err(|_| ApiError::invalid("after", "it is not the `after` of an earlier page"))?;
        let id = self.stored(ObjectKind::Deck, deck).await?.id;
        let asked = of_page(limit)?;
        let rows = self.store.deck_page(id, after, prefix, asked).await.map_err(store_failed)?;
        Ok(page(rows, limit, |(number, _)| number.to_string(), |(_, row)| deck_row_fields(&row)))
    }

    /// A page of the rows of a number list kept in the database, in number order.
    pub async fn list_rows(
        &self,
        list: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<RowPage, ApiError> {
        let object = self.stored(ObjectKind::NumberList, list).await?;
        if let Some(file) = object.body.get("file") {
            let detail = format!("the rows of `{list}` are those of {file}");
            return Err(ApiError::refused("rows_in_a_file", detail));
        }
        let asked = of_page(limit)?;
        let rows = self.store.list_page(object.id, after, asked).await.map_err(store_failed)?;
        let fields = |(number, value): (String, String)| {
            let fields = [("number", number), ("value", value)];
            fields.map(|(name, text)| (name.to_owned(), Value::from(text))).into_iter().collect()
        };
        Ok(page(rows, limit, |(number, _)| number.clone(), fields))
    }

    /// Changes rows of a deck.
    pub async fn change_rows(
        self: &Arc<Node>,
        deck: &str,
        revision: u64,
        request: RowsRequest,
    ) -> Result<ObjectChanged, ApiError> {
        let mut changes = Vec::new();
        let mut named = HashSet::new();
        for (at, fields) in request.remove.iter().enumerate() {
            let place = format!("remove[{at}]");
            let (prefix, valid_from_ms) = key_of(&place, &texts(&place, fields)?)?;
            once(&place, named.insert((prefix.clone(), valid_from_ms)))?;
            changes.push(RowChange::Remove { prefix, valid_from_ms });
        }
        for (at, fields) in request.put.iter().enumerate() {
            let place = format!("put[{at}]");
            let row = self.merged_row(deck, &place, texts(&place, fields)?).await?;
            once(&place, named.insert((row.prefix.clone(), row.valid_from_ms)))?;
            changes.push(RowChange::Put(row));
        }
        let _turn = self.reloading.lock().await;
        self.takes_changes()?;
        let edited = self.store.edit_rows(deck, revision, WHO, &changes).await;
        let edited = edited.map_err(store_failed)?;
        self.publish_change(ObjectKind::Deck, deck, edited, &changes).await
    }

    /// A row with these columns; columns that are not named keep the values of the row that is there.
    async fn merged_row(
        &self,
        deck: &str,
        place: &str,
        mut fields: Vec<(&str, String)>,
    ) -> Result<RateRow, ApiError> {
        let (prefix, valid_from_ms) = key_of(place, &fields)?;
        let id = self.stored(ObjectKind::Deck, deck).await?.id;
        let rows = self.store.deck_rows_of(id, &prefix).await.map_err(store_failed)?;
        let before = rows.iter().find(|row| row.valid_from_ms == valid_from_ms);
        let before = before.map(deck_row_fields).unwrap_or_default();
        for (column, value) in &before {
            if fields.iter().all(|(field, _)| field != column) {
                fields.push((column, value.as_str().unwrap_or_default().to_owned()));
            }
        }
        row(place, &fields, self.config.calls.free_seconds)
    }

    /// Changes rows of a number list kept in the database.
    pub async fn change_list(
        self: &Arc<Node>,
        list: &str,
        revision: u64,
        request: RowsRequest,
    ) -> Result<ObjectChanged, ApiError> {
        let mut changes = Vec::new();
        let mut named = HashSet::new();
        for (at, fields) in request.remove.iter().enumerate() {
            let place = format!("remove[{at}]");
            let (number, _) = number_row(&place, fields)?;
            once(&place, named.insert(number.clone()))?;
            changes.push(NumberChange::Remove(number));
        }
        for (at, fields) in request.put.iter().enumerate() {
            let place = format!("put[{at}]");
            let (number, value) = number_row(&place, fields)?;
            once(&place, named.insert(number.clone()))?;
            changes.push(NumberChange::Put { number, value });
        }
        let _turn = self.reloading.lock().await;
        self.takes_changes()?;
        let edited = self.store.edit_list(list, revision, WHO, &changes).await;
        self.publish_list_rows(list, edited.map_err(store_failed)?, &changes).await
    }
}

/// Prefix and start of validity, which identify a row; its other columns are ignored.
fn key_of(place: &str, fields: &[(&str, String)]) -> Result<(Text, u64), ApiError> {
    let keys = fields.iter().filter(|(field, _)| matches!(*field, "prefix" | "valid_from"));
    let mut keys: Vec<(&str, String)> = keys.cloned().collect();
    // A blocked row needs no price.
    keys.extend([("blocked", "yes".to_owned()), ("price", String::new())]);
    let row = row(place, &keys, 0)?;
    Ok((row.prefix, row.valid_from_ms))
}

/// Refuses a row that one change names twice: which of them counts would be a guess.
fn once(place: &str, is_first: bool) -> Result<(), ApiError> {
    if is_first {
        return Ok(());
    }
    Err(ApiError::invalid(place, "this row is named twice in one change"))
}

fn page<T>(
    mut rows: Vec<T>,
    limit: usize,
    cursor: impl Fn(&T) -> String,
    fields: impl Fn(T) -> Map<String, Value>,
) -> RowPage {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let after = rows.last().filter(|_| more).map(cursor);
    RowPage { items: rows.into_iter().map(fields).collect(), after }
}

/// A row as columns of a sheet, without empty ones.
fn deck_row_fields(row: &RateRow) -> Map<String, Value> {
    let RateRow { prefix, destination, price, valid_from_ms, valid_to_ms, blocked } = row;
    let prefix = if prefix.as_str().is_empty() { "*" } else { prefix.as_str() };
    let amount = |amount: Money| Some(amount).filter(|a| *a != Money::ZERO).map(|a| a.to_string());
    let instant = |ms: Option<u64>| ms.filter(|ms| *ms > 0).map(instant_text);
    let columns = [
        ("prefix", Some(prefix.to_owned())),
        ("destination", Some(destination.to_string()).filter(|text| !text.is_empty())),
        ("price", Some(price.price_first.to_string())),
        (
            "price_next",
            Some(price.price_next)
                .filter(|next| *next != price.price_first)
                .map(|next| next.to_string()),
        ),
        ("connect_fee", amount(price.connect_fee)),
        ("first_increment", Some(price.first_increment_s.to_string())),
        ("next_increment", Some(price.next_increment_s.to_string())),
        ("free_seconds", Some(price.free_seconds.to_string())),
        ("minimum_charge", amount(price.minimum_charge)),
        ("valid_from", instant(Some(*valid_from_ms))),
        ("valid_to", instant(*valid_to_ms)),
        ("blocked", blocked.then(|| "yes".to_owned())),
    ];
    let column = |(name, text): (&str, Option<String>)| Some((name.to_owned(), Value::from(text?)));
    columns.into_iter().filter_map(column).collect()
}

/// Number and value of a row.
fn number_row(place: &str, fields: &Map<String, Value>) -> Result<(String, String), ApiError> {
    let (mut number, mut value) = (None, String::new());
    for (field, text) in texts(place, fields)? {
        match field {
            "number" => number = Some(text.trim().to_owned()),
            "value" => text.trim().clone_into(&mut value),
            other => {
                let detail = "a row of a number list has `number` and `value`";
                return Err(ApiError::invalid(&format!("{place}.{other}"), detail));
            }
        }
    }
    let Some(number) = number else {
        return Err(ApiError::invalid(&format!("{place}.number"), "the number is missing"));
    };
    check_number_row(&number, &value)
        .map_err(|(column, problem)| ApiError::invalid(&format!("{place}.{column}"), problem))?;
    Ok((number, value))
}
