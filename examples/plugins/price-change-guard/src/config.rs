//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Number list of kind `prefix`: first digits of callees, value: the agreed price per minute.
    /// `{trunk}` stands for the id of the vendor trunk. Default `agreed-prices-{trunk}`.
    pub table: String,
    /// Largest rise over the agreed price, 0 to 1,000 per cent. Default 0.
    pub max_rise_percent: u16,
    /// Largest drop below the agreed price, 0 to 100 per cent. Default 50.
    pub max_drop_percent: u16,
    /// Treatment of a vendor beyond them. Default `exclude`.
    pub action: Action,
    /// Callees for whom no vendor is left out. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            table: "agreed-prices-{trunk}".to_owned(),
            max_rise_percent: 0,
            max_drop_percent: 50,
            action: Action::Exclude,
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}

/// Treatment of a vendor whose price differs too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A line in the log and a count in the metrics.
    Warn,
    /// The vendor is left out as well.
    Exclude,
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, value, most) in [
            ("max_rise_percent", self.max_rise_percent, 1_000),
            ("max_drop_percent", self.max_drop_percent, 100),
        ] {
            if value > most {
                return Err(format!("field `{name}`: {value}, allowed is 0 to {most}"));
            }
        }
        if self.table.is_empty() {
            return Err("field `table`: name a number list".to_owned());
        }
        Ok(())
    }
}
