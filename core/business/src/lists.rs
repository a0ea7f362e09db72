use super::ConfigError;
use super::numbers::FileStamp;
use ledger::{NumberTable, RateRow};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

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
    /// Where it was written.
    #[serde(skip)]
    pub(super) place: RulePlace,
}

/// Where a rule set was written, for what shows only when its rules are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RulePlace {
    pub(super) file: PathBuf,
    /// Line of the set.
    pub(super) line: usize,
    /// Line of each line of the text.
    pub(super) lines: Vec<usize>,
}

impl RuleSet {
    /// An error in a line of the text, from 1, or with 0 in the whole: with the file and the
    /// line in it where that was written.
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

/// A list of numbers with an optional value each, for plugins to look up (SEC-17, SEC-18,
/// `host-tables`). Its rows are in a file, and the database keeps the path; or the database keeps
/// the rows, and each is changed by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberList {
    /// Unique name: the table's name for plugins.
    pub name: String,
    /// How a number is compared with the entries.
    #[serde(default)]
    pub kind: ListKind,
    /// The rows: a CSV file, or one number a line. Relative to the TOML file that names it,
    /// absolute once that was read. None: the database keeps the rows; a TOML file must name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// A list and the rows that its file held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledList {
    /// What is configured.
    pub list: NumberList,
    /// The rows, ready for look-ups.
    pub numbers: Arc<NumberTable>,
    /// The file when it was read.
    pub stamp: FileStamp,
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

impl ListKind {
    /// The word for it in files.
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
    /// ISO 4217 code of its prices.
    pub currency: super::Currency,
    /// Rows in the order of the file.
    pub rows: Vec<RateRow>,
}

/// A deck as a TOML file names it: the rows are in a CSV file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeckEntry {
    pub(super) name: String,
    pub(super) currency: super::Currency,
    pub(super) file: String,
}
