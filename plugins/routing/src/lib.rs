//! Chooses vendor trunks and their order (ROUTE-16 to ROUTE-27, ROUTE-45), and decides after a
//! failure (ROUTE-50, ROUTE-51).
#![forbid(unsafe_code)]

mod balance;
mod config;
mod failover;
mod selection;

pub use config::{Balance, Config, Preset, Strategy};

use balance::Turns;
use plugin_sdk::{
    Call, Decision, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin,
};

/// The plugin. Its state is the turns of weighted and round-robin balance.
#[derive(Debug)]
pub struct PrefixRouting {
    config: Config,
    turns: Turns,
}

impl Plugin for PrefixRouting {
    const NAME: &'static str = "routing";
    const SUMMARY: &'static str =
        "Longest prefix, priority, balance; failover by response code (ROUTE-23, ROUTE-50).";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(PrefixRouting { config, turns: Turns::default() })
    }

    fn self_test(&self) -> Result<u32, String> {
        Ok(selection::check()? + failover::check()?)
    }
}

impl Routing for PrefixRouting {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        Ok(selection::order(&self.config, &mut self.turns, &question.candidates))
    }

    fn after_failure(&mut self, _call: &Call, outcome: &Outcome) -> Decision {
        failover::decide(&self.config, outcome)
    }
}

export_plugin!(PrefixRouting: routing);
