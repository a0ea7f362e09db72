//! Single objects with their origin, revision and history.

use crate::db::{Connection, Insertion, Statement, values};
use crate::error::{StoreError, Task};
use crate::store::{Store, column};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// Kinds of business objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A customer or vendor account.
    Account,
    /// A source of calls.
    CustomerTrunk,
    /// A destination of calls.
    VendorTrunk,
    /// Number rewrite rules.
    RuleSet,
    /// A rate deck.
    Deck,
    /// A number list for plugins.
    NumberList,
    /// The settings of a plugin, under the plugin's name.
    PluginSettings,
}

impl ObjectKind {
    /// All kinds, each after the kinds that it refers to.
    pub const ALL: [ObjectKind; 7] = [
        ObjectKind::RuleSet,
        ObjectKind::Deck,
        ObjectKind::NumberList,
        ObjectKind::PluginSettings,
        ObjectKind::Account,
        ObjectKind::CustomerTrunk,
        ObjectKind::VendorTrunk,
    ];

    /// Its name, such as `vendor_trunk`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.table().kind
    }

    pub(crate) fn table(self) -> &'static Table {
        match self {
            ObjectKind::Account => &ACCOUNTS,
            ObjectKind::CustomerTrunk => &CUSTOMER_TRUNKS,
            ObjectKind::VendorTrunk => &VENDOR_TRUNKS,
            ObjectKind::RuleSet => &RULE_SETS,
            ObjectKind::Deck => &DECKS,
            ObjectKind::NumberList => &NUMBER_LISTS,
            ObjectKind::PluginSettings => &PLUGIN_SETTINGS,
        }
    }
}

/// Replaces secrets.
pub const SECRET: &str = "(secret)";

/// Whether a field is a secret, which neither objects nor their history show.
#[must_use]
pub fn is_secret(field: &str) -> bool {
    const WORDS: [&str; 7] =
        ["password", "passphrase", "secret", "token", "api_key", "apikey", "private_key"];
    let field = field.to_ascii_lowercase().replace('-', "_");
    field.starts_with("ha1_")
        || WORDS.iter().any(|word| {
            field.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
        })
}

/// The value with each secret replaced by [`SECRET`], at any depth.
#[must_use]
pub fn without_secrets(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let whole = std::mem::take(value);
                *value = match whole {
                    Value::Null => Value::Null,
                    _ if is_secret(field) => Value::from(SECRET),
                    whole => without_secrets(whole),
                };
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_secrets(std::mem::take(item));
            }
        }
        _ => {}
    }
    value
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Owner of an object: applying a folder never changes or removes the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// The configuration folder.
    File,
    /// The API: it was created or changed individually.
    Api,
}

impl Ownership {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Ownership::File => "file",
            Ownership::Api => "api",
        }
    }

    pub(crate) fn of_name(name: &str) -> Ownership {
        if name == "api" { Ownership::Api } else { Ownership::File }
    }
}

/// An object as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Numeric id, never reused.
    pub id: u32,
    /// Unique within its kind.
    pub name: String,
    /// Its fields, in the shape of the TOML files.
    pub body: Map<String, Value>,
    /// It was removed; its id, balance and records remain.
    pub removed: bool,
    /// Who owns it.
    pub origin: Ownership,
    /// Number of its changes, from 1.
    pub revision: u64,
}

/// An entry in the history of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// The revision that it led to.
    pub revision: u64,
    /// When, UTC ms.
    pub at_ms: u64,
    /// The editor.
    pub who: String,
    /// The owner afterwards.
    pub origin: Ownership,
    /// `added`, `changed` or `removed`.
    pub action: String,
    /// The differences, one per line.
    pub details: Vec<String>,
    /// The object afterwards; `None` if it was removed or if only rows of it changed.
    pub body: Option<Map<String, Value>>,
}

/// A table of objects: name and statements.
pub(crate) struct Table {
    pub(crate) kind: &'static str,
    /// Id, name, body, removed, origin and revision of all objects.
    pub(crate) select: Statement,
    /// The same columns of the object with a name.
    pub(crate) find: Statement,
    /// The same columns of objects in use, in name order, starting after a name.
    pub(crate) page: Statement,
    /// Id, name, body, origin.
    pub(crate) insert: Statement,
    /// Body, origin, id.
    pub(crate) update: Statement,
    /// Origin, id.
    pub(crate) remove: Statement,
    /// The highest id.
    pub(crate) last: Statement,
}

macro_rules! table {
    ($name:literal) => {
        table!(
            $name,
            Statement::both(concat!(
                "INSERT INTO ",
                $name,
                " (id, name, body, origin) VALUES (?, ?, ?, ?)"
            ))
        )
    };
    ($name:literal, $insert:expr) => {
        Table {
            kind: $name,
            select: Statement::both(concat!(
                "SELECT id, name, body, removed, origin, revision FROM ",
                $name,
                " ORDER BY id"
            )),
            find: Statement::both(concat!(
                "SELECT id, name, body, removed, origin, revision FROM ",
                $name,
                " WHERE name = ?"
            )),
            page: Statement::both(concat!(
                "SELECT id, name, body, removed, origin, revision FROM ",
                $name,
                " WHERE NOT removed AND name > ? ORDER BY name LIMIT ?"
            )),
            insert: $insert,
            update: Statement::both(concat!(
                "UPDATE ",
                $name,
                " SET body = ?, removed = FALSE, origin = ?, revision = revision + 1 WHERE id = ?"
            )),
            remove: Statement::both(concat!(
                "UPDATE ",
                $name,
                " SET removed = TRUE, origin = ?, revision = revision + 1 WHERE id = ?"
            )),
            last: Statement::both(concat!("SELECT COALESCE(MAX(id), 0) FROM ", $name)),
        }
    };
}

pub(crate) static ACCOUNTS: Table = table!(
    "account",
    Statement::both(
        "INSERT INTO account (id, name, body, origin, balance_units, balance_fraction) \
         VALUES (?, ?, ?, ?, 0, 0)",
    )
);
pub(crate) static CUSTOMER_TRUNKS: Table = table!("customer_trunk");
pub(crate) static VENDOR_TRUNKS: Table = table!("vendor_trunk");
pub(crate) static RULE_SETS: Table = table!("rule_set");
pub(crate) static DECKS: Table = table!("deck");
pub(crate) static NUMBER_LISTS: Table = table!("number_list");
pub(crate) static PLUGIN_SETTINGS: Table = table!("plugin_settings");

pub(crate) static HISTORY: Insertion = Insertion::new(
    "history",
    &["kind", "object", "name", "revision", "at_ms", "who", "origin", "action", "details", "body"],
);
pub(crate) static STEPS: Statement = Statement::both(
    "SELECT revision, at_ms, who, origin, action, details, body FROM history \
     WHERE kind = ? AND object = ? ORDER BY seq DESC LIMIT ?",
);

type ObjectRow = (u32, String, String, bool, String, i64);

fn object(kind: &str, row: ObjectRow) -> Result<Object, StoreError> {
    let (id, name, body, removed, origin, revision) = row;
    let body = serde_json::from_str(&body)
        .map_err(|error| StoreError::unreadable(format!("{kind} {name}"), error))?;
    let (origin, revision) = (Ownership::of_name(&origin), u64::try_from(revision).unwrap_or(0));
    Ok(Object { id, name, body, removed, origin, revision })
}

/// All objects of a table, including removed ones.
pub(crate) async fn all(
    connection: &mut Connection,
    table: &Table,
) -> Result<Vec<Object>, StoreError> {
    let rows: Vec<ObjectRow> =
        connection.rows(&table.select, &[]).await.during("reading objects")?;
    rows.into_iter().map(|row| object(table.kind, row)).collect()
}

/// The object with a name, even if removed.
pub(crate) async fn find(
    connection: &mut Connection,
    table: &Table,
    name: &str,
) -> Result<Option<Object>, StoreError> {
    let row: Option<ObjectRow> =
        connection.row(&table.find, values![name]).await.during("reading an object")?;
    row.map(|row| object(table.kind, row)).transpose()
}

/// A history entry to write.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) kind: &'static str,
    pub(crate) object: u32,
    pub(crate) name: String,
    pub(crate) revision: u64,
    pub(crate) action: &'static str,
    pub(crate) details: Vec<String>,
    pub(crate) body: Option<String>,
}

/// Writes the history entries of one change.
pub(crate) async fn write_history(
    connection: &mut Connection,
    steps: &[Step],
    (at_ms, who, origin): (u64, &str, Ownership),
) -> Result<(), StoreError> {
    let rows: Vec<(&Step, String)> =
        steps.iter().map(|step| (step, step.details.join("\n"))).collect();
    connection
        .insert_rows(&HISTORY, &rows, |(step, details)| {
            [
                step.kind.into(),
                step.object.into(),
                step.name.as_str().into(),
                column(step.revision).into(),
                column(at_ms).into(),
                who.into(),
                origin.name().into(),
                step.action.into(),
                details.as_str().into(),
                (&step.body).into(),
            ]
        })
        .await
        .during("writing the history of objects")
}

impl Store {
    /// The object with a name, even if removed.
    ///
    /// # Errors
    ///
    /// The database fails or the object is unreadable.
    pub async fn object(&self, kind: ObjectKind, name: &str) -> Result<Option<Object>, StoreError> {
        find(&mut self.reader().await?, kind.table(), name).await
    }

    /// All objects of a kind in use, in id order.
    ///
    /// # Errors
    ///
    /// The database fails or an object is unreadable.
    pub async fn objects(&self, kind: ObjectKind) -> Result<Vec<Object>, StoreError> {
        let mut objects = all(&mut self.reader().await?, kind.table()).await?;
        objects.retain(|object| !object.removed);
        Ok(objects)
    }

    /// Objects of a kind in use, in name order, `limit` at most, starting after name `after`.
    ///
    /// # Errors
    ///
    /// The database fails or an object is unreadable.
    pub async fn objects_page(
        &self,
        kind: ObjectKind,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Object>, StoreError> {
        let table = kind.table();
        let mut reader = self.reader().await?;
        let rows: Vec<ObjectRow> =
            reader.rows(&table.page, values![after, limit]).await.during("reading objects")?;
        rows.into_iter().map(|row| object(table.kind, row)).collect()
    }

    /// The history of an object, newest entry first.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn history(
        &self,
        kind: ObjectKind,
        id: u32,
        most: u32,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        type Row = (i64, i64, String, String, String, String, Option<String>);
        let rows: Vec<Row> = self
            .reader()
            .await?
            .rows(&STEPS, values![kind.name(), id, most])
            .await
            .during("reading the history of an object")?;
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let entry = |(revision, at_ms, who, origin, action, details, body): Row| {
            let body = body.map(|body| serde_json::from_str(&body)).transpose();
            Ok(HistoryEntry {
                revision: number(revision),
                at_ms: number(at_ms),
                who,
                origin: Ownership::of_name(&origin),
                action,
                details: details.lines().map(str::to_owned).collect(),
                body: body.map_err(|error| StoreError::unreadable("a history", error))?,
            })
        };
        rows.into_iter().map(entry).collect()
    }
}
