//! Chooses vendors by the origin of the caller's number (ANI): vendors that accept calls only from
//! some zones, or surcharge the others, get only the callers that they accept.
//!
//! A number list translates prefixes of callers to zones. The attribute `ani_zones` of a vendor
//! trunk lists the zones that it accepts; without the attribute it accepts all.
#![forbid(unsafe_code)]

mod config;

pub use config::{Config, Fallback};

use plugin_sdk::{
    Call, Decision, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin,
    host,
};

/// The plugin.
#[derive(Debug)]
pub struct SplitByAni {
    config: Config,
}

impl Plugin for SplitByAni {
    const NAME: &'static str = "split-by-ani";
    const SUMMARY: &'static str = "Chooses vendors by the origin of the caller's number.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(SplitByAni { config })
    }
}

impl SplitByAni {
    fn zone(&self, caller: &str) -> String {
        // Entries of a number list have no `+`; the customer may send one.
        let caller = caller.trim_start_matches('+');
        let hit = host::table(&self.config.table).longest_prefix(caller);
        // The empty prefix is a default for numbers, not for calls without one.
        let hit = hit.filter(|_| !caller.is_empty());
        hit.map_or_else(|| self.config.unknown.clone(), |hit| hit.value)
    }
}

impl Routing for SplitByAni {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let all = question.candidates.iter().map(|vendor| vendor.trunk);
        if self.config.emergency.contains(&question.callee) {
            return Ok(all.collect());
        }
        let zone = self.zone(&question.caller);
        let call = host::call();
        let accepts = |trunk: &TrunkId| {
            let zones = call.vendor_attribute(*trunk, "ani_zones");
            zones.is_none_or(|zones| {
                zones.split(',').any(|one| one.trim().eq_ignore_ascii_case(zone.trim()))
            })
        };
        let accepting: Vec<TrunkId> = all.clone().filter(accepts).collect();
        match self.config.fallback {
            Fallback::Any if accepting.is_empty() => Ok(all.collect()),
            _ => Ok(accepting),
        }
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

export_plugin!(SplitByAni: routing);

#[cfg(test)]
mod tests;
