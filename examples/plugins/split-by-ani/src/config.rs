//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Number list of kind `prefix`: first digits of callers, value: the zone. Default `ani-zones`.
    pub table: String,
    /// Zone of callers that are not in the list, and of calls without a number. Default `unknown`.
    pub unknown: String,
    /// Vendors when no vendor accepts the zone. Default `none`.
    pub fallback: Fallback,
    /// Callees that every vendor may get, whatever the zone. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            table: "ani-zones".to_owned(),
            unknown: "unknown".to_owned(),
            fallback: Fallback::None,
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}

/// Vendors when no vendor accepts the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// None: the call ends with `no_route_available`.
    None,
    /// All others.
    Any,
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.table.is_empty() {
            return Err("field `table`: name a number list".to_owned());
        }
        if self.unknown.trim().is_empty() || self.unknown.contains(',') {
            let zone = &self.unknown;
            return Err(format!("field `unknown`: `{zone}` is no zone, write one word"));
        }
        Ok(())
    }
}
