//! Applies a configuration to the database, in one transaction.

use crate::change::{Action, Change, Changes};
use crate::currency;
use crate::db::{Connection, is_locked, values};
use crate::deck_changes;
use crate::deck_rows::write_deck;
use crate::error::{StoreError, Task};
use crate::load::each_row;
use crate::objects::{
    ACCOUNTS, CUSTOMER_TRUNKS, DECKS, NUMBER_LISTS, Object, ObjectKind, Ownership, PLUGIN_SETTINGS,
    RULE_SETS, Step, Table, VENDOR_TRUNKS, all, is_secret, without_secrets, write_history,
};
use crate::records::book_posting;
use crate::references;
use crate::store::{Store, utc_ms};
use business::{Account, Business, Deck};
use ledger::{Money, Posting, PostingKind};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};

/// Author in the history when a folder is applied.
const FOLDER: &str = "folder";

/// Author in the history of plugin settings read at start.
const NODE_FILE: &str = "node file";

/// An object to store.
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

/// How a folder is applied.
#[derive(Clone, Copy, Debug, Default)]
struct Bringing {
    /// Commits the transaction.
    keep: bool,
    /// The folder takes over the objects that it names and the API owns.
    overwrite: bool,
}

/// Changes and history collected while applying.
#[derive(Default)]
struct Writing {
    changes: Changes,
    steps: Vec<Step>,
    overwrite: bool,
}

/// Ids of the objects of a table.
struct Outcome {
    /// Of the wanted objects, by name.
    ids: HashMap<String, u32>,
    /// Indices among the changes, by id, of objects whose rows must be rewritten.
    touched: HashMap<u32, usize>,
    /// Ids of new objects.
    made: HashSet<u32>,
}

impl Store {
    /// Applies a configuration in one transaction, which is durable when this returns. An object
    /// keeps its id by its name. An object that is no longer configured is marked as removed, never
    /// deleted.
    /// # Errors
    ///
    /// An account's id is taken by another, or the database fails; nothing has changed then.
    pub async fn apply(&self, business: &Business) -> Result<Changes, StoreError> {
        self.bring(business, Bringing { keep: true, overwrite: false }).await
    }

    /// As [`Store::apply`], but the folder also takes over the objects that it names and the API
    /// owns.
    ///
    /// # Errors
    ///
    /// As [`Store::apply`].
    pub async fn apply_over(&self, business: &Business) -> Result<Changes, StoreError> {
        self.bring(business, Bringing { keep: true, overwrite: true }).await
    }

    /// The changes that [`Store::apply`] would make.
    ///
    /// # Errors
    ///
    /// As [`Store::apply`].
    pub async fn preview(&self, business: &Business) -> Result<Changes, StoreError> {
        self.bring(business, Bringing::default()).await
    }

    /// The changes that [`Store::apply_over`] would make.
    ///
    /// # Errors
    ///
    /// As [`Store::apply`].
    pub async fn preview_over(&self, business: &Business) -> Result<Changes, StoreError> {
        self.bring(business, Bringing { keep: false, overwrite: true }).await
    }

    async fn bring(&self, business: &Business, how: Bringing) -> Result<Changes, StoreError> {
        let mut writer = self.writer().await?;
        writer.wait_for_disk(how.keep).await.during("setting durability")?;
        let outcome = transact(&mut writer, business, how).await;
        writer.wait_for_disk(false).await.during("setting durability")?;
        outcome
    }
}

impl Store {
    /// Applies the plugin settings of the node file, by plugin name. Settings owned by the API stay
    /// as they are. Returns the changes and the settings in use.
    ///
    /// # Errors
    ///
    /// As [`Store::apply`].
    pub async fn bring_plugin_settings(
        &self,
        of_file: &[(String, Value)],
    ) -> Result<(Changes, Vec<Object>), StoreError> {
        let mut writer = self.writer().await?;
        writer.wait_for_disk(true).await.during("setting durability")?;
        let outcome = async {
            writer.begin().await.during("beginning to write")?;
            let outcome = match lock(&mut writer).await {
                Ok(()) => plugin_settings(&mut writer, of_file).await,
                Err(error) => Err(error),
            };
            writer.finish(outcome).await
        }
        .await;
        writer.wait_for_disk(false).await.during("setting durability")?;
        let changes = outcome?;
        drop(writer);
        Ok((changes, self.objects(ObjectKind::PluginSettings).await?))
    }
}

async fn plugin_settings(
    connection: &mut Connection,
    of_file: &[(String, Value)],
) -> Result<Changes, StoreError> {
    let mut writing = Writing::default();
    let wanted = of_file.iter().map(|(name, config)| {
        let fields = [
            ("name".to_owned(), Value::from(name.as_str())),
            ("config".to_owned(), config.clone()),
        ];
        Wanted { name: name.clone(), id: None, body: fields.into_iter().collect() }
    });
    objects(connection, &PLUGIN_SETTINGS, wanted.collect(), &mut writing).await?;
    let Writing { changes, steps, .. } = writing;
    write_history(connection, &steps, (utc_ms(), NODE_FILE, Ownership::File)).await?;
    Ok(changes)
}

async fn transact(
    connection: &mut Connection,
    business: &Business,
    how: Bringing,
) -> Result<Changes, StoreError> {
    connection.begin().await.during("beginning to write")?;
    let outcome = match lock(connection).await {
        Ok(()) => change(connection, business, how.overwrite).await,
        Err(error) => Err(error),
    };
    if how.keep {
        return connection.finish(outcome).await;
    }
    connection.roll_back().await;
    outcome
}

/// Keeps other nodes from applying a configuration at the same time: what one decides on stays true
/// until it is written, and the next sees all of it.
pub(crate) async fn lock(connection: &mut Connection) -> Result<(), StoreError> {
    connection.lock_business().await.map_err(|source| {
        if is_locked(&source) {
            return StoreError::Refused(
                "another node brings its business into the database at this moment; nothing was \
                 changed, try again"
                    .to_owned(),
            );
        }
        StoreError::Database { task: "waiting for other nodes", source }
    })
}

async fn change(
    connection: &mut Connection,
    business: &Business,
    overwrite: bool,
) -> Result<Changes, StoreError> {
    let mut writing = Writing { overwrite, ..Writing::default() };

    let rule_sets = business.rule_sets.iter();
    let wanted = rule_sets.map(|set| Wanted::new(&set.name, set)).collect::<Result<_, _>>()?;
    objects(connection, &RULE_SETS, wanted, &mut writing).await?;

    let wanted = business.decks.iter().map(deck_body).collect();
    let outcome = objects(connection, &DECKS, wanted, &mut writing).await?;
    for deck in &business.decks {
        let Some(id) = outcome.ids.get(&deck.name) else { continue };
        let Some(change) = outcome.touched.get(id) else { continue };
        let mut before = Vec::new();
        if !outcome.made.contains(id) {
            each_row(connection, *id, |row| before.push(row)).await?;
            let differences = deck_changes::differences(&before, &deck.rows);
            writing.steps[*change].details.extend(differences.iter().cloned());
            writing.changes.changes[*change].details.extend(differences);
        }
        write_deck(connection, *id, &before, &deck.rows).await?;
    }

    let lists = business.number_lists.iter().map(|filled| &filled.list);
    let wanted = lists.map(|list| Wanted::new(&list.name, list)).collect::<Result<_, _>>()?;
    objects(connection, &NUMBER_LISTS, wanted, &mut writing).await?;

    accounts(connection, &business.accounts, &mut writing).await?;

    let trunks = business.customer_trunks.iter();
    let wanted = trunks.map(|trunk| Wanted::new(&trunk.name, trunk)).collect::<Result<_, _>>()?;
    objects(connection, &CUSTOMER_TRUNKS, wanted, &mut writing).await?;

    let trunks = business.vendor_trunks.iter();
    let wanted = trunks.map(|trunk| Wanted::new(&trunk.name, trunk)).collect::<Result<_, _>>()?;
    objects(connection, &VENDOR_TRUNKS, wanted, &mut writing).await?;
    references::hold(connection).await?;
    let Writing { mut changes, steps, .. } = writing;
    write_history(connection, &steps, (utc_ms(), FOLDER, Ownership::File)).await?;
    changes.notices.extend(business.warnings());
    Ok(changes)
}

/// Writes accounts, with a posting for the opening balance of each new one (BILL-48).
async fn accounts(
    connection: &mut Connection,
    accounts: &[Account],
    writing: &mut Writing,
) -> Result<(), StoreError> {
    let stored = stored(connection, &ACCOUNTS).await?;
    let mut wanted = Vec::new();
    for account in accounts {
        let mut object = Wanted::new(&account.name, account)?;
        object.id = account.id;
        object.body.remove("id");
        let present = stored.get(&account.name);
        if present.is_some_and(|before| before.is_left_alone(writing.overwrite)) {
            wanted.push(object);
            continue;
        }
        if let Some(before) = present {
            let named = (before.id, account.name.as_str());
            currency::refuse_change(connection, named, &before.body, &object.body).await?;
        }
        if let Some(before) = stored.get(&account.name)
            && let Some(booked) = before.body.get("opening_balance")
        {
            if object.body.get("opening_balance") != Some(booked) {
                writing.changes.notices.push(format!(
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
    let outcome = objects(connection, &ACCOUNTS, wanted, writing).await?;
    for account in accounts {
        let Some(id) = outcome.ids.get(&account.name).filter(|id| outcome.made.contains(id)) else {
            continue;
        };
        if account.opening_balance != Money::ZERO {
            let (account, amount) = (*id, account.opening_balance);
            let posting = Posting { account, amount, kind: PostingKind::Opening };
            book_posting(connection, &posting, None, utc_ms()).await?;
        }
    }
    Ok(())
}

async fn stored(
    connection: &mut Connection,
    table: &Table,
) -> Result<HashMap<String, Object>, StoreError> {
    let objects = all(connection, table).await?;
    Ok(objects.into_iter().map(|object| (object.name.clone(), object)).collect())
}

impl Object {
    /// Whether applying a folder leaves the object alone.
    fn is_left_alone(&self, overwrite: bool) -> bool {
        self.origin == Ownership::Api && !overwrite
    }
}

/// Adds, changes and removes objects of one table.
async fn objects(
    connection: &mut Connection,
    table: &Table,
    wanted: Vec<Wanted>,
    writing: &mut Writing,
) -> Result<Outcome, StoreError> {
    let mut before = stored(connection, table).await?;
    let mut next = before.values().map(|object| object.id).max().unwrap_or(0) + 1;
    let mut taken: HashMap<u32, String> =
        before.iter().map(|(name, object)| (object.id, name.clone())).collect();
    let mut outcome =
        Outcome { ids: HashMap::new(), touched: HashMap::new(), made: HashSet::new() };
    // Requested ids are reserved before free ones are assigned.
    for id in wanted.iter().filter_map(|object| object.id) {
        next = next.max(id.saturating_add(1));
    }
    for object in wanted {
        let Wanted { name, id: asked, body } = object;
        let present = before.remove(&name);
        if let Some(object) = present.as_ref().filter(|one| one.is_left_alone(writing.overwrite)) {
            if !object.removed {
                outcome.ids.insert(name.clone(), object.id);
            }
            if object.removed || object.body != body {
                let what = if object.removed { "removed" } else { "changed" };
                let kind = table.kind;
                writing.changes.notices.push(if kind == PLUGIN_SETTINGS.kind {
                    format!(
                        "plugin {name}: its settings were {what} by themselves and are not those of \
                         the node file; `strowger plugin settings remove {name}` takes the node file's"
                    )
                } else {
                    format!(
                        "{kind} {name}: it was {what} by itself and is not what the folder says; \
                         `strowger apply --overwrite` takes the folder's"
                    )
                });
            }
            continue;
        }
        if let Some(asked) = asked {
            refuse_other_id(table.kind, &name, asked, present.as_ref(), &taken)?;
        }
        let revision = present.as_ref().map_or(0, |object| object.revision) + 1;
        let (id, action, details) = match present {
            Some(object) if object.removed => {
                let details = vec!["comes back with its id and history".to_owned()];
                (object.id, Action::Added, details)
            }
            Some(object) if object.body == body && object.origin == Ownership::File => {
                outcome.ids.insert(name, object.id);
                continue;
            }
            Some(object) => (object.id, Action::Changed, differences(&object.body, &body)),
            None => {
                let id = asked.unwrap_or(next);
                next = next.max(id.saturating_add(1));
                connection
                    .execute(&table.insert, values![id, &name, json(&body), Ownership::File.name()])
                    .await
                    .during("adding an object")?;
                taken.insert(id, name.clone());
                outcome.made.insert(id);
                (id, Action::Added, Vec::new())
            }
        };
        if !outcome.made.contains(&id) {
            connection
                .execute(&table.update, values![json(&body), Ownership::File.name(), id])
                .await
                .during("changing an object")?;
        }
        outcome.touched.insert(id, writing.changes.changes.len());
        outcome.ids.insert(name.clone(), id);
        let step = (id, revision, Some(json(&body)));
        writing.push(Change { kind: table.kind, name, action, details }, step);
    }
    // Objects owned by the API stay, whatever the folder contains.
    let owned = |object: &Object| !object.removed && object.origin == Ownership::File;
    let mut gone: Vec<_> = before.into_iter().filter(|(_, object)| owned(object)).collect();
    gone.sort_by_key(|(_, object)| object.id);
    for (name, object) in gone {
        connection
            .execute(&table.remove, values![Ownership::File.name(), object.id])
            .await
            .during("removing an object")?;
        let (action, details) = (Action::Removed, Vec::new());
        let step = (object.id, object.revision + 1, None);
        writing.push(Change { kind: table.kind, name, action, details }, step);
    }
    Ok(outcome)
}

impl Writing {
    /// Records a change for the caller and for the history of its object.
    fn push(&mut self, change: Change, (object, revision, body): (u32, u64, Option<String>)) {
        self.steps.push(Step {
            kind: change.kind,
            object,
            name: change.name.clone(),
            revision,
            action: change.action.name(),
            details: change.details.clone(),
            body,
        });
        self.changes.changes.push(change);
    }
}

pub(crate) fn json(body: &Map<String, Value>) -> String {
    // Serializing a map with text keys cannot fail.
    serde_json::to_string(body).unwrap_or_default()
}

fn refuse_other_id(
    kind: &str,
    name: &str,
    asked: u32,
    present: Option<&Object>,
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

/// The fields that differ, as `field: old -> new`; nested ones as `table.field`. Secrets are
/// masked.
pub(crate) fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut details = Vec::new();
    add_differences("", before, after, &mut details);
    details
}

fn add_differences(
    place: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    details: &mut Vec<String>,
) {
    let mut fields: Vec<&String> = before.keys().chain(after.keys()).collect();
    fields.sort();
    fields.dedup();
    for field in fields {
        let (old, new) = (before.get(field), after.get(field));
        // The digest stands for the rows, which are listed one by one.
        if old == new || field == "digest" {
            continue;
        }
        let path = format!("{place}{field}");
        if let (Some(Value::Object(old)), Some(Value::Object(new))) = (old, new) {
            add_differences(&format!("{path}."), old, new, details);
            continue;
        }
        let show = |value: Option<&Value>| match value {
            None => "(none)".to_owned(),
            Some(_) if is_secret(field) => "(secret)".to_owned(),
            Some(value) => shown(value),
        };
        details.push(format!("{path}: {} -> {}", show(old), show(new)));
    }
}

/// A value for display, truncated.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 120;
    let text = match value {
        Value::String(text) => text.replace('\n', "; "),
        value => without_secrets(value.clone()).to_string(),
    };
    // Control characters must not reach a terminal.
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
        for text in [row.prefix.as_str(), &row.destination] {
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

/// The body of an object whose rows are in a separate table.
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
