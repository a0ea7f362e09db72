//! `strowger account|customer|vendor|rules|deck|numbers` and `strowger plugin settings`: single
//! objects of the running node.

use super::{NodeArgs, print};
use crate::show;
use anyhow::{Result, anyhow, bail};
use api::{Client, HistoryLine, ObjectChanged, ObjectView, RowsRequest};
use clap::{Args, Subcommand};
use kit::Table;
use serde_json::{Map, Value};
use sip::percent::encode;
use std::fmt::Write as _;
use std::io::Write;

/// Commands on objects of one kind.
#[derive(Debug, Subcommand)]
pub(super) enum ObjectCommand {
    /// List all.
    List {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Show one with its fields, revision and owner.
    Show {
        /// Name.
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Change fields of an object, or create it; in force for new calls when this returns.
    Set(SetArgs),
    /// Remove an object; its id, records and history remain. Plugin settings revert to those of the
    /// node file.
    Remove {
        /// Name.
        name: String,
        /// Expected revision; by default the current one.
        #[arg(long)]
        revision: Option<u64>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Show the history of an object, newest first.
    History {
        /// Name.
        name: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

/// Fields to change.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Name.
    name: String,
    /// FIELD=VALUE, with fields and values as in the TOML files: `channels=30`, `locked=true`,
    /// `prefixes=["44","49"]`, `timers.response=5s`. FIELD= removes a field.
    #[arg(required = true, value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// Expected revision; the change is refused at another. By default the current one.
    #[arg(long)]
    revision: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Rows to show.
#[derive(Debug, Args)]
pub(super) struct RowsArgs {
    /// Name of the deck or number list.
    name: String,
    /// Maximum number of rows.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    node: NodeArgs,
}

/// Commands on the rows of a number list.
#[derive(Debug, Subcommand)]
pub(super) enum NumberCommand {
    /// List the rows kept in the database, in number order.
    Rows(RowsArgs),
    /// Add a number or prefix, or change its value.
    Add {
        /// Name of the list.
        list: String,
        /// The number.
        number: String,
        /// Its value, for plugins that ask for one.
        #[arg(default_value = "")]
        value: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Remove a number.
    Drop {
        /// Name of the list.
        list: String,
        /// The number.
        number: String,
        #[command(flatten)]
        node: NodeArgs,
    },
}

/// Commands on the rows of a deck.
#[derive(Debug, Subcommand)]
pub(super) enum RowCommand {
    /// List prices in the order of the sheet.
    Prices {
        #[command(flatten)]
        rows: RowsArgs,
        /// Only prefixes that begin with this.
        #[arg(long, default_value = "")]
        prefix: String,
    },
    /// Set a price: the row of a prefix, or `*` for all other numbers.
    SetPrice {
        /// Name of the deck.
        deck: String,
        /// The prefix.
        prefix: String,
        /// COLUMN=VALUE, with the columns of a sheet: `price=0.02`, `connect_fee=0.01`,
        /// `valid_from=2027-01-01`.
        #[arg(required = true, value_name = "COLUMN=VALUE")]
        columns: Vec<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Remove a row.
    RemovePrice {
        /// Name of the deck.
        deck: String,
        /// The prefix.
        prefix: String,
        /// Start of the row's validity, if it has one.
        #[arg(long)]
        valid_from: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl ObjectCommand {
    /// `place` is the path segment of the kind, such as `vendor-trunks`.
    pub(super) fn run(self, place: &str, out: &mut impl Write) -> Result<()> {
        match self {
            // Accounts are listed with their balances.
            ObjectCommand::List { node } if place == "accounts" => {
                let accounts = node.client()?.accounts()?;
                print(out, node.json, &accounts, |accounts| show::accounts(accounts))
            }
            ObjectCommand::List { node } => {
                let objects = node.client()?.objects(place)?;
                print(out, node.json, &objects, |objects| list(objects))
            }
            ObjectCommand::Show { name, node } => {
                let object = present(&node.client()?, place, &name)?;
                print(out, node.json, &object, one)
            }
            ObjectCommand::Set(args) => args.run(place, out),
            ObjectCommand::Remove { name, revision, node } => {
                let client = node.client()?;
                let revision = match revision {
                    Some(revision) => revision,
                    None => present(&client, place, &name)?.revision,
                };
                let done = client.remove_object(place, &name, revision)?;
                print(out, node.json, &done, changed)
            }
            ObjectCommand::History { name, node } => {
                let history = node.client()?.object_history(place, &name)?;
                print(out, node.json, &history, |history| steps(history))
            }
        }
    }
}

impl SetArgs {
    fn run(self, place: &str, out: &mut impl Write) -> Result<()> {
        let SetArgs { name, fields, revision, node } = self;
        let settings = settings(&fields)?;
        let client = node.client()?;
        let there = match revision {
            Some(revision) => Some(revision),
            None => client.object(place, &name)?.map(|object| object.revision),
        };
        let done = match there {
            Some(revision) => {
                let path = format!("/v1/{place}/{}", encode(&name));
                client.change_object(&path, revision, &settings)?
            }
            None => client.make_object(place, &name, &without_nulls(settings))?,
        };
        print(out, node.json, &done, changed)
    }
}

impl RowCommand {
    pub(super) fn run(self, out: &mut impl Write) -> Result<()> {
        let (deck, node, request) = match self {
            RowCommand::Prices { rows, prefix } => {
                let query = match prefix.as_str() {
                    "" => String::new(),
                    prefix => format!("&prefix={}", encode(prefix)),
                };
                return rows.run("decks", &query, out);
            }
            RowCommand::SetPrice { deck, prefix, columns, node } => {
                let mut row = Map::from_iter([("prefix".to_owned(), Value::from(prefix))]);
                for column in &columns {
                    let (name, value) = pair(column)?;
                    row.insert(name.to_owned(), Value::from(value));
                }
                (deck, node, RowsRequest { put: vec![row], remove: Vec::new() })
            }
            RowCommand::RemovePrice { deck, prefix, valid_from, node } => {
                let mut row = Map::from_iter([("prefix".to_owned(), Value::from(prefix))]);
                row.extend(valid_from.map(|from| ("valid_from".to_owned(), Value::from(from))));
                (deck, node, RowsRequest { put: Vec::new(), remove: vec![row] })
            }
        };
        change_rows("decks", &deck, &request, &node, out)
    }
}

impl NumberCommand {
    pub(super) fn run(self, out: &mut impl Write) -> Result<()> {
        let row = |fields: &[(&str, String)]| -> Map<String, Value> {
            let fields = fields.iter();
            fields.map(|(name, text)| ((*name).to_owned(), Value::from(text.as_str()))).collect()
        };
        let (list, node, request) = match self {
            NumberCommand::Rows(rows) => return rows.run("number-lists", "", out),
            NumberCommand::Add { list, number, value, node } => {
                if number.trim().is_empty() {
                    bail!("the number is empty: a row for all numbers is set by the API or a file");
                }
                let put = vec![row(&[("number", number), ("value", value)])];
                (list, node, RowsRequest { put, remove: Vec::new() })
            }
            NumberCommand::Drop { list, number, node } => {
                let remove = vec![row(&[("number", number)])];
                (list, node, RowsRequest { put: Vec::new(), remove })
            }
        };
        change_rows("number-lists", &list, &request, &node, out)
    }
}

fn change_rows(
    place: &str,
    name: &str,
    request: &RowsRequest,
    node: &NodeArgs,
    out: &mut impl Write,
) -> Result<()> {
    let client = node.client()?;
    let revision = present(&client, place, name)?.revision;
    let path = format!("/v1/{place}/{}/rows", encode(name));
    let done = client.change_object(&path, revision, request)?;
    print(out, node.json, &done, changed)
}

impl RowsArgs {
    fn run(self, place: &str, query: &str, out: &mut impl Write) -> Result<()> {
        let RowsArgs { name, limit, node } = self;
        let rows = node.client()?.rows(place, &name, query, limit.max(1))?;
        print(out, node.json, &rows, |rows| rows_text(rows))
    }
}

/// The usual order of the columns of a sheet.
const ORDER: [&str; 14] = [
    "prefix",
    "destination",
    "price",
    "price_next",
    "connect_fee",
    "first_increment",
    "next_increment",
    "free_seconds",
    "minimum_charge",
    "valid_from",
    "valid_to",
    "blocked",
    "number",
    "value",
];

/// Rows as a sheet, with the columns that any of them has.
fn rows_text(rows: &[Map<String, Value>]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for field in rows.iter().flat_map(Map::keys) {
        if !columns.contains(&field.as_str()) {
            columns.push(field);
        }
    }
    // In the order of a sheet; JSON sorts them by name.
    columns.sort_by_key(|column| ORDER.iter().position(|known| known == column));
    let headings: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    if headings.is_empty() {
        return "no rows\n".to_owned();
    }
    let mut table = Table::new(&headings);
    for row in rows {
        table.row(columns.iter().map(|column| row.get(*column).map(shown).unwrap_or_default()));
    }
    table.to_string()
}

fn present(client: &Client, place: &str, name: &str) -> Result<ObjectView> {
    client.object(place, name)?.ok_or_else(|| anyhow!("there is no `{name}` in {place}"))
}

fn pair(text: &str) -> Result<(&str, &str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.trim(), value)),
        _ => bail!("`{text}` is not FIELD=VALUE"),
    }
}

/// Fields as JSON. A value that is not JSON is a text, so that texts need no quotes; a dot descends
/// into a table.
fn settings(fields: &[String]) -> Result<Map<String, Value>> {
    let mut settings = Map::new();
    for field in fields {
        let (path, text) = pair(field)?;
        let value = match text {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        };
        let mut table = &mut settings;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                table.insert(name.to_owned(), value);
                break;
            }
            let inner = table.entry(name).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { bail!("`{path}`: {name} is not a table") };
            table = inner;
        }
    }
    Ok(settings)
}

fn without_nulls(settings: Map<String, Value>) -> Map<String, Value> {
    settings.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// A value on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if !text.contains('\n') => text.clone(),
        value => value.to_string(),
    }
}

fn list(objects: &[ObjectView]) -> String {
    let mut text = String::new();
    for ObjectView { name, revision, origin, settings, .. } in objects {
        let fields = settings.iter().filter(|(field, _)| *field != "name");
        let fields: Vec<String> =
            fields.map(|(field, value)| format!("{field}={}", shown(value))).collect();
        let mut line = format!("{name}  ({origin}, revision {revision})  {}", fields.join(" "));
        if let Some((end, _)) = line.char_indices().nth(200) {
            line.truncate(end);
            line.push_str("...");
        }
        let _ = writeln!(text, "{line}");
    }
    if text.is_empty() { "none\n".to_owned() } else { text }
}

fn one(object: &ObjectView) -> String {
    let ObjectView { kind, name, id, revision, origin, settings } = object;
    let owner = match (origin.as_str(), kind.as_str()) {
        ("file", "plugin_settings") => "the node file",
        ("file", _) => "the folder of files",
        _ => "the API",
    };
    let mut text = format!("{kind} {name}: id {id}, revision {revision}, owned by {owner}\n");
    let fields = settings.iter().filter(|(field, _)| *field != "name");
    let longest = fields.clone().map(|(field, _)| field.len()).max().unwrap_or(0);
    for (field, value) in fields {
        let _ = writeln!(text, "  {field:longest$}  {}", shown(value));
    }
    text
}

fn changed(done: &ObjectChanged) -> String {
    let ObjectChanged { kind, name, revision, changes, .. } = done;
    let Some((action, details)) = changes.split_first() else {
        return format!("{kind} {name}: nothing differs, it stays revision {revision}\n");
    };
    let mut text = format!("{kind} {name} {action}: revision {revision}\n");
    for detail in details {
        let _ = writeln!(text, "  {detail}");
    }
    text
}

fn steps(history: &[HistoryLine]) -> String {
    let mut text = String::new();
    for HistoryLine { revision, at_ms, who, action, details, .. } in history {
        let at = business::instant_text(*at_ms);
        let _ = writeln!(text, "{revision}  {at}  {action} by {who}");
        for detail in details {
            let _ = writeln!(text, "     {detail}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_json_or_texts_and_dots_lead_into_tables() {
        let fields =
            ["channels=30", "name=a b", "prefixes=[\"44\"]", "timers.ringing=60s", "deck="];
        let settings = settings(&fields.map(str::to_owned)).expect("fields");
        let expected = json!({
            "channels": 30,
            "name": "a b",
            "prefixes": ["44"],
            "timers": { "ringing": "60s" },
            "deck": null,
        });
        assert_eq!(Value::Object(settings), expected);
        assert!(super::settings(&["channels".to_owned()]).is_err());
        assert!(super::settings(&["a=1".to_owned(), "a.b=2".to_owned()]).is_err());
    }
}
