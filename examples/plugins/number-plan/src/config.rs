//! Settings of the plugin.

use crate::plan::is_digits;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Settings; the default has no plan.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Plans by name.
    pub plans: BTreeMap<String, Plan>,
    /// Plan of customer trunks without the attribute; empty, the default: none.
    pub default_plan: String,
    /// Numbers that are never converted. Default 112 and 911.
    pub unchanged: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let unchanged = vec!["112".to_owned(), "911".to_owned()];
        Config { plans: BTreeMap::new(), default_plan: String::new(), unchanged }
    }
}

/// How people dial in a country.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Country code, such as `49`.
    pub country: String,
    /// Before international numbers. Default `00`.
    #[serde(default = "international")]
    pub international: String,
    /// Before national numbers; empty: none. Default `0`.
    #[serde(default = "national")]
    pub national: String,
    /// Digits of a national number that is dialled without `national`; 0, the default: none.
    #[serde(default)]
    pub national_digits: usize,
    /// Area code for numbers without any prefix; empty, the default: they are E.164 already.
    #[serde(default)]
    pub area: String,
}

fn international() -> String {
    "00".to_owned()
}

fn national() -> String {
    "0".to_owned()
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, plan) in &self.plans {
            let Plan { country, international, national, area, .. } = plan;
            for (field, value, least) in [
                ("country", country, 1),
                ("international", international, 1),
                ("national", national, 0),
                ("area", area, 0),
            ] {
                if value.len() < least || !is_digits(value) {
                    let why = format!("`{value}`, write {least} or more digits");
                    return Err(format!("field `plans.{name}.{field}`: {why}"));
                }
            }
        }
        let default = &self.default_plan;
        if !default.is_empty() && !self.plans.contains_key(default) {
            return Err(format!("field `default_plan`: `{default}` is not in `plans`"));
        }
        Ok(())
    }
}
