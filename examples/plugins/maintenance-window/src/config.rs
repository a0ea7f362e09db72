//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The windows; windows of the past do no harm.
    pub windows: Vec<Window>,
    /// Minutes before a window from which on its vendors get no calls, 0 to 1,440. Default 15.
    pub lead_minutes: u16,
    /// Treatment of a vendor in its window. Default `last`.
    pub action: Action,
    /// Callees for whom a vendor is moved to the end at most. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            windows: Vec::new(),
            lead_minutes: 15,
            action: Action::Last,
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}

/// One maintenance.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Ids of the vendor trunks.
    pub trunks: Vec<u32>,
    /// First moment, RFC 3339, such as `2026-12-05T22:00:00Z` or `2026-12-05T23:00:00+01:00`.
    pub from: String,
    /// First moment after the window.
    pub to: String,
}

/// Treatment of a vendor in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Tried after all others: a vendor that is up all the same saves the call.
    Last,
    /// Not tried.
    Exclude,
}
