//! Settings of the plugin.

use serde::Deserialize;

/// Settings; the default caps nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Caps; the longest prefix that fits the callee decides.
    pub caps: Vec<Cap>,
    /// Calls that share a cap. Default `account`.
    pub per: Per,
    /// Callees that are never refused or counted. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let emergency = vec!["112".to_owned(), "911".to_owned()];
        Config { caps: Vec::new(), per: Per::Account, emergency }
    }
}

/// The cap of a country or a group of them; 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// Name in the records of refused calls.
    pub name: String,
    /// First digits of callees.
    pub prefixes: Vec<String>,
    /// Calls at a time.
    #[serde(default)]
    pub concurrent: u32,
    /// Calls within an hour, answered or not.
    #[serde(default)]
    pub calls_per_hour: u64,
    /// Answered minutes within a day.
    #[serde(default)]
    pub minutes_per_day: u64,
}

/// Calls that share a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Those of an account.
    Account,
    /// Those of a customer trunk.
    Trunk,
    /// All on this node.
    Node,
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (at, Cap { name, prefixes, concurrent, .. }) in self.caps.iter().enumerate() {
            let wrong = |field: &str, why: &str| Err(format!("field `caps[{at}].{field}`: {why}"));
            if name.is_empty() || self.caps[..at].iter().any(|other| other.name == *name) {
                return wrong("name", "every cap needs a name of its own");
            }
            let digits = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
            if prefixes.is_empty() || !prefixes.iter().all(|it| !it.is_empty() && digits(it)) {
                return wrong("prefixes", "write one or more prefixes of digits only");
            }
            if *concurrent > 100_000 {
                return wrong("concurrent", "allowed is 0 to 100000");
            }
        }
        Ok(())
    }
}
