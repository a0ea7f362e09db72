//! Writes one object: checks it against the revision that its editor read and adds a history entry,
//! in one transaction that is durable on return.

use crate::amount::join;
use crate::apply::{differences, json, lock};
use crate::balance::BALANCE;
use crate::change::{Action, Change};
use crate::currency;
use crate::db::{Connection, Statement, values};
use crate::deck_changes;
use crate::deck_rows::{self, DECK_ROWS};
use crate::error::{StoreError, Task};
use crate::load::{DeckColumns, deck_row};
use crate::objects::{DECKS, Object, ObjectKind, Ownership, Step, Table, find, write_history};
use crate::records::book_posting;
use crate::references;
use crate::store::{Store, column, utc_ms};
use ledger::{Money, Posting, PostingKind, RateRow, RowChange};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;

/// A requested change of an object.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Its kind; the rows of a deck are changed by [`Store::edit_rows`].
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// Its new fields, in the shape of the TOML files; `None` removes the object.
    pub body: Option<Map<String, Value>>,
    /// The revision being changed; `None` if the object is new.
    pub revision: Option<u64>,
    /// The editor, for the history.
    pub who: String,
    /// Its new owner.
    pub owner: Ownership,
}

impl Edit {
    /// A history entry for changed rows: the object itself is unchanged.
    pub(crate) fn of_rows(kind: ObjectKind, name: &str, who: &str) -> Edit {
        let (name, who) = (name.to_owned(), who.to_owned());
        Edit { kind, name, body: None, revision: None, who, owner: Ownership::Api }
    }
}

/// An object after an edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Edited {
    /// Its id.
    pub id: u32,
    /// Its revision now; unchanged if nothing differs.
    pub revision: u64,
    /// The change; `None` if nothing was written.
    pub change: Option<Change>,
    /// Its fields now; `None` if it was removed.
    pub body: Option<Map<String, Value>>,
}

/// SQLite would scan all rows of the deck: without statistics it prefers the primary key.
pub(crate) static FIND_ROWS: Statement = Statement::each(
    "SELECT json_group_array(json_array(number, prefix, destination, price_first, price_next, \
     connect_fee, first_increment, next_increment, free_seconds, minimum_charge, valid_from_ms, \
     valid_to_ms, blocked)) FROM deck_row INDEXED BY deck_row_prefix \
     WHERE deck = ? AND prefix = ? AND valid_from_ms = ?",
    "SELECT COALESCE(CAST(json_agg(json_build_array(number, prefix, destination, price_first, \
     price_next, connect_fee, first_increment, next_increment, free_seconds, minimum_charge, \
     valid_from_ms, valid_to_ms, CAST(blocked AS INTEGER))) AS TEXT), '[]') \
     FROM deck_row WHERE deck = ? AND prefix = ? AND valid_from_ms = ?",
);
pub(crate) static REMOVE_ROW: Statement =
    Statement::both("DELETE FROM deck_row WHERE deck = ? AND number = ?");
pub(crate) static LAST_ROW: Statement =
    Statement::both("SELECT COALESCE(MAX(number), -1) FROM deck_row WHERE deck = ?");

impl Store {
    /// Writes one object.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] if the object has another revision; a refusal if the change would
    /// break references or money; the database fails. Nothing is written then.
    pub async fn edit(&self, edit: &Edit) -> Result<Edited, StoreError> {
        self.change_one(async |connection| write(connection, edit).await).await
    }

    /// Changes rows of a deck; prefix and start of validity identify a row.
    ///
    /// # Errors
    ///
    /// As [`Store::edit`].
    pub async fn edit_rows(
        &self,
        deck: &str,
        revision: u64,
        who: &str,
        changes: &[RowChange],
    ) -> Result<Edited, StoreError> {
        self.change_one(async |connection| {
            write_rows(connection, deck, revision, who, changes).await
        })
        .await
    }

    pub(crate) async fn change_one(
        &self,
        act: impl AsyncFnOnce(&mut Connection) -> Result<Edited, StoreError>,
    ) -> Result<Edited, StoreError> {
        let mut writer = self.writer().await?;
        writer.wait_for_disk(true).await.during("setting durability")?;
        let edited = async {
            writer.begin().await.during("beginning to write")?;
            let outcome = match lock(&mut writer).await {
                Ok(()) => act(&mut writer).await,
                Err(error) => Err(error),
            };
            writer.finish(outcome).await
        }
        .await;
        writer.wait_for_disk(false).await.during("setting durability")?;
        edited
    }
}

async fn write(connection: &mut Connection, edit: &Edit) -> Result<Edited, StoreError> {
    let Edit { kind, name, body, revision, owner, .. } = edit;
    let table = kind.table();
    let present = find(connection, table, name).await?;
    let seen = present.as_ref().filter(|object| !object.removed);
    current(*kind, name, seen, *revision)?;
    let Some(body) = body else {
        let Some(object) = seen else { return Err(absent(*kind, name)) };
        references::none_refers(connection, *kind, name, "is not removed").await?;
        if *kind == ObjectKind::Account {
            is_settled(connection, object.id, name).await?;
        }
        connection
            .execute(&table.remove, values![owner.name(), object.id])
            .await
            .during("removing an object")?;
        return done(connection, edit, object.id, object.revision + 1, Action::Removed, Vec::new())
            .await;
    };
    let mut body = body.clone();
    body.remove("id");
    references::are_there(connection, *kind, name, &body).await?;
    if *kind == ObjectKind::Account
        && let Some(before) = &present
    {
        currency::refuse_change(connection, (before.id, name), &before.body, &body).await?;
        let kinds = before.body.get("kind").zip(body.get("kind"));
        if !before.removed && kinds.is_some_and(|(before, after)| before != after) {
            references::none_refers(connection, *kind, name, "keeps its kind").await?;
        }
        // It was booked when the account was created and cannot change.
        if let Some(booked) = before.body.get("opening_balance") {
            body.insert("opening_balance".to_owned(), booked.clone());
        }
    }
    let edit = Edit { body: Some(body), ..edit.clone() };
    let body = edit.body.as_ref().map(json).unwrap_or_default();
    let Some(before) = present else {
        let id = next_id(connection, table).await?;
        connection
            .execute(&table.insert, values![id, name, &body, owner.name()])
            .await
            .during("adding an object")?;
        if *kind == ObjectKind::Account {
            open(connection, id, edit.body.as_ref()).await?;
        }
        return done(connection, &edit, id, 1, Action::Added, Vec::new()).await;
    };
    let same = edit.body.as_ref() == Some(&before.body);
    if !before.removed && same && before.origin == *owner {
        let Object { id, revision, body, .. } = before;
        return Ok(Edited { id, revision, change: None, body: Some(body) });
    }
    connection
        .execute(&table.update, values![&body, owner.name(), before.id])
        .await
        .during("changing an object")?;
    let (action, details) = if before.removed {
        (Action::Added, vec!["comes back with its id and history".to_owned()])
    } else {
        (
            Action::Changed,
            edit.body.iter().flat_map(|body| differences(&before.body, body)).collect(),
        )
    };
    done(connection, &edit, before.id, before.revision + 1, action, details).await
}

/// Refuses an edit of another revision than the current one.
pub(crate) fn current(
    kind: ObjectKind,
    name: &str,
    present: Option<&Object>,
    seen: Option<u64>,
) -> Result<(), StoreError> {
    let now = present.map(|object| object.revision);
    if now == seen {
        return Ok(());
    }
    Err(StoreError::Stale { kind: kind.name(), name: name.to_owned(), seen, now })
}

pub(crate) fn absent(kind: ObjectKind, name: &str) -> StoreError {
    StoreError::Refused(format!("there is no {kind} `{name}`"))
}

async fn next_id(connection: &mut Connection, table: &Table) -> Result<u32, StoreError> {
    let (last,): (u32,) = connection.one(&table.last, &[]).await.during("counting objects")?;
    last.checked_add(1).ok_or_else(|| StoreError::Refused("all ids are used".to_owned()))
}

/// Refuses to remove an account whose balance is not zero (BILL-61).
async fn is_settled(connection: &mut Connection, id: u32, name: &str) -> Result<(), StoreError> {
    let (units, fraction): (i64, i64) =
        connection.one(&BALANCE, values![id]).await.during("reading a balance")?;
    let balance = join(units, fraction);
    if balance == Money::ZERO {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "account {name} is not removed: its balance is {balance}; book a payment of {} first, or \
         lock the account (`locked = true`)",
        -balance
    )))
}

/// Books the opening balance of a new account.
async fn open(
    connection: &mut Connection,
    account: u32,
    body: Option<&Map<String, Value>>,
) -> Result<(), StoreError> {
    let amount = body.and_then(|body| body.get("opening_balance")).and_then(Value::as_str);
    let amount = amount.and_then(|text| text.parse::<Money>().ok()).unwrap_or_default();
    if amount == Money::ZERO {
        return Ok(());
    }
    let posting = Posting { account, amount, kind: PostingKind::Opening };
    book_posting(connection, &posting, None, utc_ms()).await
}

/// Writes the history entry.
pub(crate) async fn done(
    connection: &mut Connection,
    edit: &Edit,
    id: u32,
    revision: u64,
    action: Action,
    details: Vec<String>,
) -> Result<Edited, StoreError> {
    let kind = edit.kind.name();
    let step = Step {
        kind,
        object: id,
        name: edit.name.clone(),
        revision,
        action: action.name(),
        details: details.clone(),
        body: edit.body.as_ref().map(json),
    };
    write_history(connection, &[step], (utc_ms(), &edit.who, edit.owner)).await?;
    let change = Some(Change { kind, name: edit.name.clone(), action, details });
    Ok(Edited { id, revision, change, body: edit.body.clone() })
}

async fn write_rows(
    connection: &mut Connection,
    name: &str,
    revision: u64,
    who: &str,
    changes: &[RowChange],
) -> Result<Edited, StoreError> {
    let kind = ObjectKind::Deck;
    let present = find(connection, &DECKS, name).await?.filter(|deck| !deck.removed);
    let Some(deck) = present else { return Err(absent(kind, name)) };
    current(kind, name, Some(&deck), Some(revision))?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for change in changes {
        let (old, new) = write_row(connection, deck.id, change).await?;
        before.extend(old);
        after.extend(new);
    }
    let details = deck_changes::differences(&before, &after);
    if details.is_empty() {
        return Ok(Edited { id: deck.id, revision, change: None, body: Some(deck.body) });
    }
    let mut body = deck.body;
    let rows = body.get("rows").and_then(Value::as_u64).unwrap_or(0);
    let rows = (rows + after.len() as u64).saturating_sub(before.len() as u64);
    body.insert("rows".to_owned(), Value::from(rows));
    // The digest identifies the state of the deck: the previous one plus these changes.
    let mut hash = Sha256::new();
    hash.update(json(&body));
    details.iter().for_each(|line| hash.update(line));
    hash.update(revision.to_le_bytes());
    let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    body.insert("digest".to_owned(), Value::String(digest));
    connection
        .execute(&DECKS.update, values![json(&body), Ownership::Api.name(), deck.id])
        .await
        .during("changing a deck")?;
    let edit = Edit::of_rows(kind, name, who);
    let done = done(connection, &edit, deck.id, revision + 1, Action::Changed, details).await?;
    Ok(Edited { body: Some(body), ..done })
}

/// Writes one row; returns it before and after.
async fn write_row(
    connection: &mut Connection,
    deck: u32,
    change: &RowChange,
) -> Result<(Vec<RateRow>, Option<RateRow>), StoreError> {
    let (prefix, from_ms) = match change {
        RowChange::Put(row) => (row.prefix.as_str(), row.valid_from_ms),
        RowChange::Remove { prefix, valid_from_ms } => (prefix.as_str(), *valid_from_ms),
    };
    let found: Option<(String,)> = connection
        .row(&FIND_ROWS, values![deck, prefix, column(from_ms)])
        .await
        .during("looking for a row of a deck")?;
    let found = found.map_or_else(|| "[]".to_owned(), |(rows,)| rows);
    let found: Vec<DeckColumns> = serde_json::from_str(&found)
        .map_err(|error| StoreError::unreadable(format!("deck {deck}"), error))?;
    for columns in &found {
        connection
            .execute(&REMOVE_ROW, values![deck, columns.0])
            .await
            .during("removing a row of a deck")?;
    }
    let mut destinations = HashSet::new();
    let number = found.iter().map(|columns| columns.0).max();
    let before = found.into_iter().map(|row| deck_row(row, &mut destinations)).collect();
    let RowChange::Put(row) = change else { return Ok((before, None)) };
    let number = match number {
        Some(number) => number,
        None => {
            let (last,): (i64,) = connection
                .one(&LAST_ROW, values![deck])
                .await
                .during("counting the rows of a deck")?;
            last + 1
        }
    };
    connection
        .insert_rows(&DECK_ROWS, &[(number, row)], |(number, row)| {
            deck_rows::columns(deck, *number, row)
        })
        .await
        .during("writing a row of a deck")?;
    Ok((before, Some(row.clone())))
}
