//! Objects that an operator makes, one by one: accounts, trunks, decks and number lists with their
//! rows, rule sets, settings of plugins.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An object, `GET /v1/{kind}/{name}`, where kind is `accounts`, `customer-trunks`,
/// `vendor-trunks`, `rule-sets`, `decks`, `number-lists` or `plugin-settings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectView {
    /// Kind, such as `customer_trunk`.
    pub kind: String,
    /// Unique name.
    pub name: String,
    /// Numeric id.
    pub id: u32,
    /// Counts its changes from 1. A change names the one that it changes, in `If-Match`.
    pub revision: u64,
    /// `file`: the folder of files owns it; `api`: it was made or changed by itself, and the folder
    /// leaves it alone.
    pub origin: String,
    /// Its fields, as in the TOML files; secrets are shown as `(secret)`.
    pub settings: Map<String, Value>,
}

/// A page of objects, `GET /v1/{kind}`, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectPage {
    /// The objects.
    pub items: Vec<ObjectView>,
    /// Where the next page begins: its `after`; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What a change of an object has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectChanged {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Id.
    pub id: u32,
    /// Its revision now.
    pub revision: u64,
    /// What differs, a line each; none: nothing does, and the revision is that of before.
    pub changes: Vec<String>,
}

/// A step of the history of an object, `GET /v1/{kind}/{name}/history`, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// The revision that it became.
    pub revision: u64,
    /// When, UTC ms.
    pub at_ms: u64,
    /// Who: `folder`, or `api`.
    pub who: String,
    /// `added`, `changed` or `removed`.
    pub action: String,
    /// What differed.
    pub details: Vec<String>,
    /// All of it from then on; none: it was removed, or rows of a deck have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
}

/// A page of rows, `GET /v1/decks/{name}/rows` and `GET /v1/number-lists/{name}/rows`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowPage {
    /// The rows, each with the columns of a sheet that have a value.
    pub items: Vec<Map<String, Value>>,
    /// Where the next page begins: its `after`; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Body of `PATCH /v1/decks/{name}/rows` and of `PATCH /v1/number-lists/{name}/rows`, whose rows
/// have a `number` and a `value`. The fields of a row are the columns of a sheet; a row is
/// known by `prefix` and `valid_from`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsRequest {
    /// Rows that are put in the place of those that are there, or beside them.
    #[serde(default)]
    pub put: Vec<Map<String, Value>>,
    /// Rows that go: `prefix` and, where it has one, `valid_from`; or `number`.
    #[serde(default)]
    pub remove: Vec<Map<String, Value>>,
}
