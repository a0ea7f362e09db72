//! Keeps vendors out whose price differs too much from the agreed one: a rise that nobody has
//! approved, or a slip of the pen in a rate sheet that would draw all traffic to one vendor.
//!
//! The agreed prices of each vendor trunk are in a number list of its own, prefix and price per
//! minute. Where there is none, a vendor is used only if it does not cost more than the call is
//! sold for.
#![forbid(unsafe_code)]

mod config;

pub use config::{Action, Config};

use plugin_sdk::{
    Call, Candidate, Decision, Money, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId,
    export_plugin, host,
};

/// The plugin.
#[derive(Debug)]
pub struct PriceChangeGuard {
    config: Config,
}

impl Plugin for PriceChangeGuard {
    const NAME: &'static str = "price-change-guard";
    const SUMMARY: &'static str = "Keeps vendors out whose price differs from the agreed one.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(PriceChangeGuard { config })
    }
}

impl PriceChangeGuard {
    /// The metric that counts a vendor's price, if it is not acceptable. 128 bits hold every product
    /// of an amount and a percentage.
    fn fault(&self, question: &RouteQuestion, vendor: &Candidate) -> Option<&'static str> {
        let table = self.config.table.replace("{trunk}", &vendor.trunk.to_string());
        let hit = host::table(&table).longest_prefix(question.callee.trim_start_matches('+'));
        let agreed = hit.and_then(|hit| hit.value.trim().parse::<Money>().ok());
        let buy = i128::from(vendor.buy_price.0);
        let Some(agreed) = agreed.map(|price| i128::from(price.0)) else {
            return (vendor.buy_price > question.sell_price).then_some("loss_without_agreed_price");
        };
        if buy * 100 > agreed * i128::from(100 + self.config.max_rise_percent) {
            Some("rise")
        } else if buy * 100 < agreed * i128::from(100 - self.config.max_drop_percent) {
            Some("drop")
        } else {
            None
        }
    }
}

impl Routing for PriceChangeGuard {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let exempt = self.config.emergency.contains(&question.callee);
        let mut kept = Vec::with_capacity(question.candidates.len());
        for vendor in &question.candidates {
            if !exempt && let Some(fault) = self.fault(question, vendor) {
                host::count(fault, 1);
                let Candidate { trunk, buy_price, .. } = vendor;
                host::log!(Warn, "{fault}: {buy_price} of trunk {trunk} for {}", question.callee);
                if self.config.action == Action::Exclude {
                    continue;
                }
            }
            kept.push(vendor.trunk);
        }
        Ok(kept)
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

export_plugin!(PriceChangeGuard: routing);

#[cfg(test)]
mod tests;
