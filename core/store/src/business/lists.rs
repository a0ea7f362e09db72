use ledger::RateRow;
use serde::{Deserialize, Serialize};

/// Named number rewrite rules (NUM-11). Their grammar is the numbering plugin's: the
/// store keeps the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// Unique name.
    pub name: String,
    /// One rule `source -> target` a line, in order.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The same as a list; read only, joined into `text`.
    #[serde(default, skip_serializing)]
    pub rules: Vec<String>,
}

/// Numbers with an optional value each, for plugins to look up (SEC-18, `host-tables`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberList {
    /// Unique name: the table's name for plugins.
    pub name: String,
    /// How a number is compared with the entries.
    pub kind: ListKind,
    /// Number or prefix, and its value; sorted.
    pub entries: Vec<(String, String)>,
}

/// How a list is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// The longest entry that the number begins with.
    #[default]
    Prefix,
    /// The entry equal to the number.
    Exact,
}

/// A rate deck (BILL-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deck {
    /// Unique name.
    pub name: String,
    /// ISO 4217 code of its prices.
    pub currency: super::Currency,
    /// Rows in the order of the file.
    pub rows: Vec<RateRow>,
}

/// A list as a TOML file names it: the numbers are in a CSV file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListEntry {
    pub(super) name: String,
    #[serde(default)]
    pub(super) kind: ListKind,
    pub(super) file: String,
}

/// A deck as a TOML file names it: the rows are in a CSV file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeckEntry {
    pub(super) name: String,
    pub(super) currency: super::Currency,
    pub(super) file: String,
}
