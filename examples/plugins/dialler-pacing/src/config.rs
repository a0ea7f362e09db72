//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Calls a second of an account, 1 to 10,000. Default 10.
    pub calls_per_second: u64,
    /// Calls a second while too few calls are answered, 1 to `calls_per_second`. Default 2.
    pub slow_calls_per_second: u64,
    /// Answered calls in per cent of routed calls of the last ten minutes, below which the account
    /// is slow, 0 to 100. Default 10.
    pub min_answered_percent: u64,
    /// Routed calls of the last ten minutes from which on that share counts. Default 100.
    pub min_calls: u64,
    /// Calls of an account to one number within a day; 0 is no limit. Default 3.
    pub per_callee_per_day: u64,
    /// Callees that are never refused or counted. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            calls_per_second: 10,
            slow_calls_per_second: 2,
            min_answered_percent: 10,
            min_calls: 100,
            per_callee_per_day: 3,
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, value, least, most) in [
            ("calls_per_second", self.calls_per_second, 1, 10_000),
            ("slow_calls_per_second", self.slow_calls_per_second, 1, self.calls_per_second),
            ("min_answered_percent", self.min_answered_percent, 0, 100),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!("field `{name}`: {value}, allowed is {least} to {most}"));
            }
        }
        Ok(())
    }
}
