//! Charges less per minute, the more an account has used this month.
//!
//! A plugin remembers nothing across a restart, and a counter of the switch covers one day at most.
//! The month's usage therefore has two parts: a number list that billing writes about every hour
//! gives the usage up to a moment, and counters for each hour add the usage since.
//! `examples/plugins/README.md` describes what this can miss.
//!
//! The plugin stands in a chain before the plugin that rates all other calls, and passes vendors
//! and accounts without a plan to it.
#![forbid(unsafe_code)]

mod tiers;
mod usage;

pub use tiers::Tier;

use plugin_sdk::{
    Charge, DeckRow, NoCharge, Plugin, RateSubject, Rating, Rounding, Side, export_plugin, host,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Plans by name: tiers from 0 seconds on, in ascending order.
    pub plans: BTreeMap<String, Vec<Tier>>,
    /// Number list of kind `exact`: account id, name of the plan. Default `account-plans`.
    pub plan_table: String,
    /// Number list of kind `exact`: account id, `MOMENT:SECONDS`, seconds used this month up
    /// to MOMENT (UTC seconds, a full hour). Default `account-usage`.
    pub usage_table: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            plans: BTreeMap::new(),
            plan_table: "account-plans".to_owned(),
            usage_table: "account-usage".to_owned(),
        }
    }
}

/// The plugin. It keeps no state.
#[derive(Debug)]
pub struct TieredRating {
    config: Config,
}

impl Plugin for TieredRating {
    const NAME: &'static str = "tiered-rating";
    const SUMMARY: &'static str = "Charges by the seconds that an account used this month.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        for (name, tiers) in &config.plans {
            tiers::check(tiers).map_err(|why| format!("field `plans.{name}`: {why}"))?;
        }
        Ok(TieredRating { config })
    }

    fn self_test(&self) -> Result<u32, String> {
        tiers::self_test()
    }
}

impl Rating for TieredRating {
    fn rate(
        &mut self,
        subject: &RateSubject,
        row: &DeckRow,
        rounding: &Rounding,
        duration_ms: u64,
    ) -> Result<Charge, NoCharge> {
        if subject.side == Side::Buy {
            return Err(NoCharge::Pass);
        }
        let account = subject.account.to_string();
        let Some(plan) = host::table(&self.config.plan_table).exact(&account) else {
            return Err(NoCharge::Pass);
        };
        let Some(tiers) = self.config.plans.get(&plan) else {
            return Err(NoCharge::Failed(format!("account {account} has no plan `{plan}`")));
        };
        let used = usage::this_month(&self.config.usage_table, &account, subject.at_ms)?;
        let charge = tiers::charge(tiers, row, rounding, used, duration_ms)?;
        if subject.is_final {
            // An estimate counts nothing: it is requested before and during the same call.
            usage::add(&account, subject.at_ms, charge.billed_seconds);
        }
        Ok(charge)
    }
}

export_plugin!(TieredRating: rating);

#[cfg(test)]
mod tests;
