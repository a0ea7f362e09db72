//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Emergency numbers of customer trunks without the attribute. Default 112 and 911.
    pub numbers: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config { numbers: vec!["112".to_owned(), "911".to_owned()] }
    }
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        let digits = |text: &String| {
            (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        match self.numbers.iter().find(|number| !digits(number)) {
            Some(bad) => Err(format!("field `numbers`: `{bad}` is no number of 1 to 15 digits")),
            None if self.numbers.is_empty() => {
                Err("field `numbers`: name a number; without one no call is recognised".to_owned())
            }
            None => Ok(()),
        }
    }
}
