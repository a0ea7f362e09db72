//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Number list of kind `prefix` with the premium destinations. Default `premium-destinations`.
    pub table: String,
    /// Calls within a day that an account may make before it is approved, 0 to 1,000. Default 1.
    pub first_calls: u64,
    /// Seconds that such a call may last, 1 to 3,600. Default 60.
    pub seconds: u32,
    /// Callees that are never held. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            table: "premium-destinations".to_owned(),
            first_calls: 1,
            seconds: 60,
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.table.is_empty() {
            return Err("field `table`: name a number list".to_owned());
        }
        if self.first_calls > 1_000 {
            let calls = self.first_calls;
            return Err(format!("field `first_calls`: {calls}, allowed is 0 to 1000"));
        }
        if !(1..=3_600).contains(&self.seconds) {
            let seconds = self.seconds;
            return Err(format!("field `seconds`: {seconds}, allowed is 1 to 3600"));
        }
        Ok(())
    }
}
