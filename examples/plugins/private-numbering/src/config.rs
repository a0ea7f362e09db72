//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default. `{plan}` stands for the name of the company's plan.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Number list: private prefix, value: public prefix. Default `private-{plan}`.
    pub private: String,
    /// Number list: public prefix, value: private prefix. Default `public-{plan}`.
    pub public: String,
    /// Most digits of a private number, 1 to 9. Default 5.
    pub max_digits: usize,
    /// Treatment of a short number that is not in the list. Default `reject`.
    pub unknown: Unknown,
    /// Short numbers that are public. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            private: "private-{plan}".to_owned(),
            public: "public-{plan}".to_owned(),
            max_digits: 5,
            unknown: Unknown::Reject,
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}

/// Treatment of a short number that is not in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// 404: it would otherwise reach a stranger in another country.
    Reject,
    /// It is a public number, such as one of directory enquiries.
    Pass,
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, list) in [("private", &self.private), ("public", &self.public)] {
            if list.is_empty() {
                return Err(format!("field `{name}`: name a number list"));
            }
        }
        match self.max_digits {
            1..=9 => Ok(()),
            digits => Err(format!("field `max_digits`: {digits}, allowed is 1 to 9")),
        }
    }
}
