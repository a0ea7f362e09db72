//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Calls with the same key begin with the same vendor. Default `caller`.
    pub key: Key,
    /// A caller who calls the same callee again within so many seconds, up to 3,600, begins with
    /// the next vendor. Default 0: never.
    pub redial_s: u32,
    /// Callees whose vendors keep their order. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let emergency = vec!["112".to_owned(), "911".to_owned()];
        Config { key: Key::Caller, redial_s: 0, emergency }
    }
}

/// Calls that belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Those of one caller number.
    #[default]
    Caller,
    /// Those to one number.
    Callee,
    /// Those of one caller number to one number.
    CallerAndCallee,
    /// Those of one account.
    Account,
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.redial_s {
            0..=3_600 => Ok(()),
            s => Err(format!("field `redial_s`: {s}, allowed is 0 to 3600")),
        }
    }
}
