use super::ConfigError;
use super::numbers::FileStamp;
use ledger::{NumberTable, RateRow};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Named number rewrite rules (NUM-11). The numbering plugin defines their grammar: the store keeps
/// the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// Unique name.
    pub name: String,
    /// One rule `source -> target` per line, in order.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The rules as a list; read only, joined into `text`.
    #[serde(default, skip_serializing)]
    pub rules: Vec<String>,
    /// Where it was written.
    #[serde(skip)]
    pub(super) place: RulePlace,
}

/// Where a rule set was written, for errors found when its rules are parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RulePlace {
    pub(super) file: PathBuf,
    /// Line number of the set.
    pub(super) line: usize,
    /// Line numbers of the lines of the text.
    pub(super) lines: Vec<usize>,
}

impl RuleSet {
    /// An error in line `line` of the text, from 1, or in all of it (0), located in the file.
    #[must_use]
    pub fn error(&self, line: usize, problem: String) -> ConfigError {
        let of_text = line.checked_sub(1);
        let place = of_text.and_then(|at| self.place.lines.get(at)).unwrap_or(&self.place.line);
        let rule = of_text.and_then(|at| self.text.lines().nth(at)).unwrap_or_default();
        ConfigError {
            file: self.place.file.clone(),
            line: *place,
            field: format!("rule_set {}", self.name),
            value: rule.trim().to_owned(),
            problem,
        }
    }
}

/// A list of numbers with optional values, for lookups by plugins (SEC-17, SEC-18, `host-tables`).
/// Its rows are in a file, whose path the database keeps, or in the database, where each row can be
/// changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberList {
    /// Unique name: the table name for plugins.
    pub name: String,
    /// How numbers match entries.
    #[serde(default)]
    pub kind: ListKind,
    /// CSV file of the rows, or one number per line. Relative to the TOML file that names it;
    /// absolute once loaded. `None`: the rows are in the database; a TOML file must name a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// A list with the rows of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledList {
    /// The list as configured.
    pub list: NumberList,
    /// The rows, ready for lookups.
    pub numbers: Arc<NumberTable>,
    /// The file's state when it was read.
    pub stamp: FileStamp,
}

/// How a list matches numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// The longest entry that is a prefix of the number.
    #[default]
    Prefix,
    /// The entry equal to the number.
    Exact,
}

impl ListKind {
    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ListKind::Prefix => "prefix",
            ListKind::Exact => "exact",
        }
    }
}

/// A rate deck (BILL-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deck {
    /// Unique name.
    pub name: String,
    /// ISO 4217 code of the prices.
    pub currency: super::Currency,
    /// Rows in file order.
    pub rows: Vec<RateRow>,
}

/// A deck in a TOML file: the rows are in a CSV file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeckEntry {
    pub(super) name: String,
    pub(super) currency: super::Currency,
    pub(super) file: String,
}
