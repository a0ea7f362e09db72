//! Business objects, one by one: accounts, trunks, decks and number lists with their rows, rule
//! sets, plugin settings.

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
    /// Number of its changes, from 1. A change names the revision that it is based on in
    /// `If-Match`.
    pub revision: u64,
    /// `file`: the configuration folder owns it; `api`: it was created or changed individually, and
    /// the folder leaves it alone.
    pub origin: String,
    /// Its fields, as in the TOML files; secrets appear as `(secret)`.
    pub settings: Map<String, Value>,
}

/// A page of objects in name order, `GET /v1/{kind}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectPage {
    /// The objects.
    pub items: Vec<ObjectView>,
    /// Parameter `after` of the next page; `None` on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The result of changing an object.
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
    /// The differences, one per line; empty if nothing changed, nor did the revision.
    pub changes: Vec<String>,
}

/// An entry in the history of an object, `GET /v1/{kind}/{name}/history`, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// The revision that it led to.
    pub revision: u64,
    /// When, UTC ms.
    pub at_ms: u64,
    /// The editor: `folder`, `node file`, `api` or `rollback`.
    pub who: String,
    /// `added`, `changed` or `removed`.
    pub action: String,
    /// The differences, one per line.
    pub details: Vec<String>,
    /// The fields afterwards; `None` if it was removed, or only rows changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
}

/// A page of rows, `GET /v1/decks/{name}/rows` and `GET /v1/number-lists/{name}/rows`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowPage {
    /// The rows, each with the non-empty columns of a sheet.
    pub items: Vec<Map<String, Value>>,
    /// Parameter `after` of the next page; `None` on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Body of `PATCH /v1/decks/{name}/rows` and `PATCH /v1/number-lists/{name}/rows`. The fields of a
/// deck's row are the columns of a sheet, and `prefix` and `valid_from` identify it; a list's row
/// has a `number` and a `value`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsRequest {
    /// Rows to replace or add.
    #[serde(default)]
    pub put: Vec<Map<String, Value>>,
    /// Rows to remove: `prefix` and, if set, `valid_from`; or `number`.
    #[serde(default)]
    pub remove: Vec<Map<String, Value>>,
}
