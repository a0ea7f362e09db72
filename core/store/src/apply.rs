//! Bringing the database to what is configured, in one transaction.

use crate::amount::split;
use crate::business::{Account, Business, Deck};
use crate::change::{Action, Change, Changes};
use crate::currency;
use crate::deck_changes;
use crate::error::{StoreError, Task};
use crate::load::each_row;
use crate::records::{begin, book, finish, kind_name, roll_back};
use crate::store::{Store, column, utc_ms};
use ledger::{Money, PostingKind, RateRow};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};
use std::collections::{HashMap, HashSet};

/// Rows of one statement when decks are written.
const ROWS: usize = 50;

/// A table of objects: its name and its statements.
pub(crate) struct Table {
    pub(crate) kind: &'static str,
    pub(crate) select: &'static str,
    pub(crate) insert: &'static str,
    pub(crate) update: &'static str,
    pub(crate) remove: &'static str,
}

macro_rules! table {
    ($name:literal) => {
        Table {
            kind: $name,
            select: concat!("SELECT id, name, body, removed FROM ", $name, " ORDER BY id"),
            insert: concat!("INSERT INTO ", $name, " (id, name, body) VALUES (?, ?, ?)"),
            update: concat!("UPDATE ", $name, " SET body = ?, removed = FALSE WHERE id = ?"),
            remove: concat!("UPDATE ", $name, " SET removed = TRUE WHERE id = ?"),
        }
    };
}

pub(crate) const ACCOUNTS: Table = Table {
    insert: "INSERT INTO account (id, name, body, balance_units, balance_fraction) \
             VALUES (?, ?, ?, 0, 0)",
    ..table!("account")
};
pub(crate) const CUSTOMER_TRUNKS: Table = table!("customer_trunk");
pub(crate) const VENDOR_TRUNKS: Table = table!("vendor_trunk");
pub(crate) const RULE_SETS: Table = table!("rule_set");
pub(crate) const DECKS: Table = table!("deck");
pub(crate) const NUMBER_LISTS: Table = table!("number_list");

pub(crate) const OPEN: &str =
    "INSERT INTO posting (account, units, fraction, kind, at_ms) VALUES (?, ?, ?, ?, ?)";
pub(crate) const CLEAR_DECK: &str = "DELETE FROM deck_row WHERE deck = ?";

/// An object as it will be stored.
struct Wanted {
    name: String,
    id: Option<u32>,
    body: Map<String, Value>,
}

impl Wanted {
    fn new(name: &str, object: &impl Serialize) -> Result<Self, StoreError> {
        match serde_json::to_value(object) {
            Ok(Value::Object(body)) => Ok(Wanted { name: name.to_owned(), id: None, body }),
            Ok(_) => Err(StoreError::unreadable(name, "it is not an object")),
            Err(error) => Err(StoreError::unreadable(name, error)),
        }
    }
}

/// An object as it is stored.
struct Stored {
    id: u32,
    body: Map<String, Value>,
    removed: bool,
}

/// Which ids the objects of a table ended up with.
struct Outcome {
    /// By name, of those wanted.
    ids: HashMap<String, u32>,
    /// Those whose rows have to be written again, and where they are among the changes.
    touched: HashMap<u32, usize>,
    /// Those that were not there before.
    made: HashSet<u32>,
}

impl Store {
    /// Brings the database to what is configured, in one transaction that is on disk when
    /// this returns. Ids stay those of the name. An object that is no longer configured is
    /// marked as removed, never deleted.
    ///
    /// # Errors
    ///
    /// When an account's id is taken by another, or the database fails; then nothing has
    /// changed.
    pub async fn apply(&self, business: &Business) -> Result<Changes, StoreError> {
        self.bring(business, true).await
    }

    /// What [`Store::apply`] would change.
    ///
    /// # Errors
    ///
    /// Those of [`Store::apply`].
    pub async fn preview(&self, business: &Business) -> Result<Changes, StoreError> {
        self.bring(business, false).await
    }

    async fn bring(&self, business: &Business, keep: bool) -> Result<Changes, StoreError> {
        let mut writer = self.writer.lock().await;
        writer.wait_for_disk(keep).await?;
        begin(&mut writer.connection).await?;
        let outcome = change(&mut writer.connection, business).await;
        let outcome = if keep {
            finish(&mut writer.connection, outcome).await
        } else {
            roll_back(&mut writer.connection).await;
            outcome
        };
        writer.wait_for_disk(false).await?;
        outcome
    }
}

async fn change(
    connection: &mut SqliteConnection,
    business: &Business,
) -> Result<Changes, StoreError> {
    let mut changes = Changes::default();

    let rule_sets = business.rule_sets.iter();
    let wanted = rule_sets.map(|set| Wanted::new(&set.name, set)).collect::<Result<_, _>>()?;
    objects(connection, &RULE_SETS, wanted, &mut changes).await?;

    let wanted = business.decks.iter().map(deck_body).collect();
    let outcome = objects(connection, &DECKS, wanted, &mut changes).await?;
    for deck in &business.decks {
        let Some(id) = outcome.ids.get(&deck.name) else { continue };
        let Some(change) = outcome.touched.get(id) else { continue };
        if !outcome.made.contains(id) {
            let mut before = Vec::new();
            each_row(connection, *id, |row| before.push(row)).await?;
            let differences = deck_changes::differences(&before, &deck.rows);
            changes.changes[*change].details.extend(differences);
        }
        write_deck(connection, *id, &deck.rows).await?;
    }

    let lists = business.number_lists.iter().map(|filled| &filled.list);
    let wanted = lists.map(|list| Wanted::new(&list.name, list)).collect::<Result<_, _>>()?;
    objects(connection, &NUMBER_LISTS, wanted, &mut changes).await?;

    accounts(connection, &business.accounts, &mut changes).await?;

    let trunks = business.customer_trunks.iter();
    let wanted = trunks.map(|trunk| Wanted::new(&trunk.name, trunk)).collect::<Result<_, _>>()?;
    objects(connection, &CUSTOMER_TRUNKS, wanted, &mut changes).await?;

    let trunks = business.vendor_trunks.iter();
    let wanted = trunks.map(|trunk| Wanted::new(&trunk.name, trunk)).collect::<Result<_, _>>()?;
    objects(connection, &VENDOR_TRUNKS, wanted, &mut changes).await?;
    changes.notices.extend(business.warnings());
    Ok(changes)
}

/// Accounts, and a posting for the opening balance of each new one (BILL-48).
async fn accounts(
    connection: &mut SqliteConnection,
    accounts: &[Account],
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let stored = stored(connection, &ACCOUNTS).await?;
    let mut wanted = Vec::new();
    for account in accounts {
        let mut object = Wanted::new(&account.name, account)?;
        object.id = account.id;
        object.body.remove("id");
        if let Some(before) = stored.get(&account.name) {
            let named = (before.id, account.name.as_str());
            currency::refuse_change(connection, named, &before.body, &object.body).await?;
        }
        if let Some(before) = stored.get(&account.name)
            && let Some(booked) = before.body.get("opening_balance")
        {
            if object.body.get("opening_balance") != Some(booked) {
                changes.notices.push(format!(
                    "account {}: the opening balance of {} was booked when the account was made \
                     and stays; book a payment (`strowger account pay`) instead of {}",
                    account.name,
                    shown(booked),
                    account.opening_balance
                ));
            }
            object.body.insert("opening_balance".to_owned(), booked.clone());
        }
        wanted.push(object);
    }
    let outcome = objects(connection, &ACCOUNTS, wanted, changes).await?;
    for account in accounts {
        let Some(id) = outcome.ids.get(&account.name).filter(|id| outcome.made.contains(id)) else {
            continue;
        };
        if account.opening_balance != Money::ZERO {
            post(connection, *id, account.opening_balance, PostingKind::Opening).await?;
        }
    }
    Ok(())
}

/// A posting that belongs to no call, and its booking.
pub(crate) async fn post(
    connection: &mut SqliteConnection,
    account: u32,
    amount: Money,
    kind: PostingKind,
) -> Result<(), StoreError> {
    let (units, fraction) = split(amount);
    sqlx::query(OPEN)
        .bind(i64::from(account))
        .bind(units)
        .bind(fraction)
        .bind(kind_name(kind))
        .bind(column(utc_ms()))
        .execute(&mut *connection)
        .await
        .during("writing a posting")?;
    book(connection, account, amount).await
}

async fn stored(
    connection: &mut SqliteConnection,
    table: &Table,
) -> Result<HashMap<String, Stored>, StoreError> {
    let rows: Vec<(u32, String, String, bool)> =
        sqlx::query_as(table.select).fetch_all(connection).await.during("reading objects")?;
    let mut objects = HashMap::new();
    for (id, name, body, removed) in rows {
        let body = serde_json::from_str(&body)
            .map_err(|error| StoreError::unreadable(format!("{} {name}", table.kind), error))?;
        objects.insert(name, Stored { id, body, removed });
    }
    Ok(objects)
}

/// Adds, changes and removes the objects of one table.
async fn objects(
    connection: &mut SqliteConnection,
    table: &Table,
    wanted: Vec<Wanted>,
    changes: &mut Changes,
) -> Result<Outcome, StoreError> {
    let mut before = stored(connection, table).await?;
    let mut next = before.values().map(|object| object.id).max().unwrap_or(0) + 1;
    let mut taken: HashMap<u32, String> =
        before.iter().map(|(name, object)| (object.id, name.clone())).collect();
    let mut outcome =
        Outcome { ids: HashMap::new(), touched: HashMap::new(), made: HashSet::new() };
    // Ids that are asked for are given before the free ones are counted.
    for id in wanted.iter().filter_map(|object| object.id) {
        next = next.max(id.saturating_add(1));
    }
    for object in wanted {
        let Wanted { name, id: asked, body } = object;
        let present = before.remove(&name);
        if let Some(asked) = asked {
            refuse_other_id(table.kind, &name, asked, present.as_ref(), &taken)?;
        }
        let (id, action, details) = match present {
            Some(object) if object.removed => {
                let details = vec!["comes back with its id and history".to_owned()];
                (object.id, Action::Added, details)
            }
            Some(object) if object.body == body => {
                outcome.ids.insert(name, object.id);
                continue;
            }
            Some(object) => (object.id, Action::Changed, differences(&object.body, &body)),
            None => {
                let id = asked.unwrap_or(next);
                next = next.max(id.saturating_add(1));
                sqlx::query(table.insert)
                    .bind(id)
                    .bind(name.clone())
                    .bind(json(&body))
                    .execute(&mut *connection)
                    .await
                    .during("adding an object")?;
                taken.insert(id, name.clone());
                outcome.made.insert(id);
                (id, Action::Added, Vec::new())
            }
        };
        if !outcome.made.contains(&id) {
            sqlx::query(table.update)
                .bind(json(&body))
                .bind(id)
                .execute(&mut *connection)
                .await
                .during("changing an object")?;
        }
        outcome.touched.insert(id, changes.changes.len());
        outcome.ids.insert(name.clone(), id);
        changes.changes.push(Change { kind: table.kind, name, action, details });
    }
    let mut gone: Vec<_> = before.into_iter().filter(|(_, object)| !object.removed).collect();
    gone.sort_by_key(|(_, object)| object.id);
    for (name, object) in gone {
        sqlx::query(table.remove)
            .bind(object.id)
            .execute(&mut *connection)
            .await
            .during("removing an object")?;
        let (action, details) = (Action::Removed, Vec::new());
        changes.changes.push(Change { kind: table.kind, name, action, details });
    }
    Ok(outcome)
}

fn json(body: &Map<String, Value>) -> String {
    // Written by serde_json's own rules for maps, which cannot fail for text keys.
    serde_json::to_string(body).unwrap_or_default()
}

fn refuse_other_id(
    kind: &str,
    name: &str,
    asked: u32,
    present: Option<&Stored>,
    taken: &HashMap<u32, String>,
) -> Result<(), StoreError> {
    match (present, taken.get(&asked)) {
        (Some(object), _) if object.id != asked => Err(StoreError::Refused(format!(
            "{kind} {name}: id = {asked} is refused, it has id {} for ever",
            object.id
        ))),
        (None, Some(other)) => Err(StoreError::Refused(format!(
            "{kind} {name}: id = {asked} is refused, it is that of {other}"
        ))),
        _ => Ok(()),
    }
}

/// The fields that differ, as `field: old -> new`. Secrets are not shown.
fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut fields: Vec<&String> = before.keys().chain(after.keys()).collect();
    fields.sort();
    fields.dedup();
    let mut details = Vec::new();
    for field in fields {
        let (old, new) = (before.get(field), after.get(field));
        // The digest stands for the rows, which are told one by one.
        if old == new || field == "digest" {
            continue;
        }
        let show = |value: Option<&Value>| match value {
            None => "(none)".to_owned(),
            Some(_) if field == "password" || field.starts_with("ha1_") => "(secret)".to_owned(),
            Some(value) => shown(value),
        };
        details.push(format!("{field}: {} -> {}", show(old), show(new)));
    }
    details
}

/// A value for people, cut where it gets long.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 120;
    let text = match value {
        Value::String(text) => text.replace('\n', "; "),
        value => value.to_string(),
    };
    // A terminal that shows it must not obey it.
    let text = text.replace(char::is_control, "?");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn deck_body(deck: &Deck) -> Wanted {
    let mut hash = Sha256::new();
    for row in &deck.rows {
        let price = &row.price;
        for text in [&row.prefix, &row.destination] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        for money in [price.price_first, price.price_next, price.connect_fee, price.minimum_charge]
        {
            hash.update(money.0.to_le_bytes());
        }
        for number in [price.first_increment_s, price.next_increment_s, price.free_seconds] {
            hash.update(number.to_le_bytes());
        }
        hash.update(row.valid_from_ms.to_le_bytes());
        hash.update(row.valid_to_ms.unwrap_or(u64::MAX).to_le_bytes());
        hash.update([u8::from(row.blocked)]);
    }
    let currency = Value::String(deck.currency.as_str().to_owned());
    sheet_body(&deck.name, [("currency", currency)], deck.rows.len(), hash)
}

/// The body of an object whose rows are in a table of their own.
fn sheet_body<const N: usize>(
    name: &str,
    fields: [(&str, Value); N],
    rows: usize,
    hash: Sha256,
) -> Wanted {
    let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let mut body = Map::new();
    body.extend(fields.map(|(field, value)| (field.to_owned(), value)));
    body.insert("rows".to_owned(), Value::from(rows));
    body.insert("digest".to_owned(), Value::String(digest));
    Wanted { name: name.to_owned(), id: None, body }
}

async fn write_deck(
    connection: &mut SqliteConnection,
    deck: u32,
    rows: &[RateRow],
) -> Result<(), StoreError> {
    sqlx::query(CLEAR_DECK).bind(deck).execute(&mut *connection).await.during("clearing a deck")?;
    for (chunk, rows) in rows.chunks(ROWS).enumerate() {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO deck_row (deck, number, prefix, destination, price_first, price_next, \
             connect_fee, first_increment, next_increment, free_seconds, minimum_charge, \
             valid_from_ms, valid_to_ms, blocked) ",
        );
        insert.push_values(rows.iter().enumerate(), |mut values, (n, row)| {
            let price = &row.price;
            let money = |amount: Money| i64::try_from(amount).unwrap_or(i64::MAX);
            values
                .push_bind(deck)
                .push_bind((chunk * ROWS + n) as i64)
                .push_bind(row.prefix.clone())
                .push_bind(row.destination.clone())
                .push_bind(money(price.price_first))
                .push_bind(money(price.price_next))
                .push_bind(money(price.connect_fee))
                .push_bind(price.first_increment_s)
                .push_bind(price.next_increment_s)
                .push_bind(price.free_seconds)
                .push_bind(money(price.minimum_charge))
                .push_bind(column(row.valid_from_ms))
                .push_bind(row.valid_to_ms.map(column))
                .push_bind(row.blocked);
        });
        insert.build().execute(&mut *connection).await.during("writing a deck")?;
    }
    Ok(())
}
