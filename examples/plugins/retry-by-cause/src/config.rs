//! Settings of the plugin.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Q.850 causes that end the call. Default 1, 17, 21, 22, 28: the callee or the number.
    pub stop_causes: Vec<u16>,
    /// Q.850 causes after which the next vendor is tried. Default 34, 38, 41, 42, 44, 47: the
    /// network.
    pub retry_causes: Vec<u16>,
    /// Response codes that end the call. Default 486, 600, 603.
    pub stop_codes: Vec<u16>,
    /// Response codes after which the next vendor is tried. Default 500, 502, 503, 504.
    pub retry_codes: Vec<u16>,
    /// Response codes that end the call when a second vendor sends them. Default 404, 484, 604.
    pub confirm_codes: Vec<u16>,
    /// Attempts after which the call ends; 0 is no limit. Default 5.
    pub max_attempts: u32,
    /// Response codes for the caller in place of the vendor's, when this plugin ends the call.
    pub answers: BTreeMap<u16, u16>,
    /// Callees for whom every vendor is tried. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            stop_causes: vec![1, 17, 21, 22, 28],
            retry_causes: vec![34, 38, 41, 42, 44, 47],
            stop_codes: vec![486, 600, 603],
            retry_codes: vec![500, 502, 503, 504],
            confirm_codes: vec![404, 484, 604],
            max_attempts: 5,
            answers: BTreeMap::new(),
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        let causes = [("stop_causes", &self.stop_causes), ("retry_causes", &self.retry_causes)];
        let codes = [
            ("stop_codes", &self.stop_codes),
            ("retry_codes", &self.retry_codes),
            ("confirm_codes", &self.confirm_codes),
        ];
        check(&causes, 1, 127)?;
        check(&codes, 300, 699)?;
        let keys: Vec<u16> = self.answers.keys().copied().collect();
        let values: Vec<u16> = self.answers.values().copied().collect();
        check(&[("answers", &keys)], 300, 699)?;
        match values.iter().find(|code| !(400..=699).contains(*code)) {
            Some(code) => Err(format!("field `answers`: {code}, allowed is 400 to 699")),
            None => Ok(()),
        }
    }
}

/// Every value is in its range and in one list only.
fn check(lists: &[(&str, &Vec<u16>)], least: u16, most: u16) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for (name, list) in lists {
        for value in *list {
            if !(least..=most).contains(value) {
                return Err(format!("field `{name}`: {value}, allowed is {least} to {most}"));
            }
            if let Some(other) = seen.insert(*value, name).filter(|other| *other != name) {
                return Err(format!("field `{name}`: {value} is in `{other}` as well"));
            }
        }
    }
    Ok(())
}
