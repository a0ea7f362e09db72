//! Least-cost routing that sells no call at a loss and does not follow a cheap vendor into bad
//! quality (ROUTE-22, ROUTE-36).
//!
//! It stands after the plugin `routing`, which decides which prefixes count (ROUTE-18) and what
//! happens after a failed attempt.
#![forbid(unsafe_code)]

mod config;

pub use config::Config;

use plugin_sdk::host::{self, TrunkStatistics};
use plugin_sdk::{
    Call, Decision, Money, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId,
    export_plugin,
};

/// The plugin.
#[derive(Debug)]
pub struct Lcr {
    config: Config,
    min_margin: Money,
}

impl Plugin for Lcr {
    const NAME: &'static str = "lcr";
    const SUMMARY: &'static str = "Cheapest vendor first, with a margin and a quality floor.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let min_margin =
            config.min_margin.parse().map_err(|error| format!("field `min_margin`: {error}"))?;
        for (name, value, most) in [
            ("min_margin_percent", u16::from(config.min_margin_percent), 99),
            ("min_asr_percent", config.min_asr_percent, 100),
            ("min_ner_percent", config.min_ner_percent, 100),
        ] {
            if value > most {
                return Err(format!("field `{name}`: {value}, allowed is 0 to {most}"));
            }
        }
        Ok(Lcr { config, min_margin })
    }
}

impl Lcr {
    /// Whether a vendor leaves both margins. 128 bits hold every product of an amount and 100.
    fn pays(&self, sell: Money, buy: Money) -> bool {
        let (sell, buy) = (i128::from(sell.0), i128::from(buy.0));
        let percent = i128::from(self.config.min_margin_percent);
        let leaves_share = percent == 0 || buy * 100 <= sell * (100 - percent);
        leaves_share && buy <= sell - i128::from(self.min_margin.0)
    }

    /// Whether a vendor is below a floor. One without figures, or with few, is not.
    fn is_demoted(&self, figures: Option<TrunkStatistics>) -> bool {
        let floor = &self.config;
        figures.filter(|it| it.attempts >= floor.min_attempts).is_some_and(|it| {
            it.asr_permille < floor.min_asr_percent * 10
                || it.ner_permille < floor.min_ner_percent * 10
                || it.acd_ms > 0 && it.acd_ms < floor.min_acd_s.saturating_mul(1_000)
                || floor.max_pdd_ms > 0 && it.pdd_ms > floor.max_pdd_ms
        })
    }
}

impl Routing for Lcr {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        if self.config.emergency.contains(&question.callee) {
            return Ok(question.candidates.iter().map(|vendor| vendor.trunk).collect());
        }
        let mut kept = question.candidates.clone();
        kept.retain(|vendor| self.pays(question.sell_price, vendor.buy_price));
        let ids: Vec<TrunkId> = kept.iter().map(|vendor| vendor.trunk).collect();
        let figures = host::trunk_statistics(&ids);
        let mut order: Vec<_> = kept
            .iter()
            .zip(figures.into_iter().chain(std::iter::repeat(None)))
            .map(|(vendor, figures)| {
                (vendor.last_resort, self.is_demoted(figures), vendor.buy_price, vendor.trunk)
            })
            .collect();
        // A stable sort: equal vendors keep the order that the plugin before set.
        order.sort_by_key(|(last_resort, demoted, price, _)| (*last_resort, *demoted, *price));
        Ok(order.into_iter().map(|(.., trunk)| trunk).collect())
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

export_plugin!(Lcr: routing);

#[cfg(test)]
mod tests;
