//! Settings of the plugin.

use serde::Deserialize;

/// Settings; the default splits nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Destinations with their shares; the longest prefix that fits the callee decides.
    pub splits: Vec<Split>,
    /// Callees that are not split. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let emergency = vec!["112".to_owned(), "911".to_owned()];
        Config { splits: Vec::new(), emergency }
    }
}

/// The shares of a group of destinations.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// First digits of callees; `""` fits all.
    pub prefixes: Vec<String>,
    /// The vendors. Their percentages add up to 100.
    pub shares: Vec<Share>,
    /// Calls that get the same vendor. Default `call`.
    #[serde(default)]
    pub by: By,
}

/// The share of a vendor trunk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Id of the vendor trunk.
    pub trunk: u32,
    /// Per cent of calls that begin with it; 0: only after the others of the split.
    pub percent: u64,
}

/// Calls that get the same vendor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Each call is drawn alone.
    #[default]
    Call,
    /// All of a caller number; a call without one is drawn alone.
    Caller,
    /// All to a number.
    Callee,
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (at, Split { prefixes, shares, .. }) in self.splits.iter().enumerate() {
            let sum: u64 = shares.iter().fold(0, |sum, it| sum.saturating_add(it.percent));
            if sum != 100 {
                return Err(format!("field `splits[{at}].shares`: {sum} %, they must be 100 %"));
            }
            if let Some(twice) = shares.iter().enumerate().find_map(|(at, share)| {
                shares[..at].iter().any(|it| it.trunk == share.trunk).then_some(share.trunk)
            }) {
                return Err(format!("field `splits[{at}].shares`: trunk {twice} is named twice"));
            }
            if prefixes.is_empty() {
                let why = "name a prefix, \"\" for all callees";
                return Err(format!("field `splits[{at}].prefixes`: {why}"));
            }
        }
        Ok(())
    }
}
