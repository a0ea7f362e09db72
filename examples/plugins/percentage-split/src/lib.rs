//! Splits calls between vendors by percentages (ROUTE-29), for each group of destinations.
//!
//! The share of a vendor that cannot be used now is divided among the others in their proportions.
//! The draw is a hash of the call's id, so a replayed decision is the same and no grant is needed.
#![forbid(unsafe_code)]

mod config;

pub use config::{By, Config, Share, Split};

use plugin_sdk::{
    Call, Decision, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin,
};
use std::cmp::Reverse;

/// The plugin.
#[derive(Debug)]
pub struct PercentageSplit {
    config: Config,
}

impl Plugin for PercentageSplit {
    const NAME: &'static str = "percentage-split";
    const SUMMARY: &'static str = "Splits calls between vendors by percentages.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(PercentageSplit { config })
    }
}

impl PercentageSplit {
    fn split(&self, callee: &str) -> Option<&Split> {
        let callee = callee.trim_start_matches('+');
        if self.config.emergency.iter().any(|number| number == callee) {
            return None;
        }
        let length = |split: &Split| {
            let fits = split.prefixes.iter().filter(|prefix| callee.starts_with(prefix.as_str()));
            fits.map(String::len).max()
        };
        self.config.splits.iter().filter(|it| length(it).is_some()).max_by_key(|it| length(it))
    }
}

impl Routing for PercentageSplit {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let mut order: Vec<TrunkId> = question.candidates.iter().map(|it| it.trunk).collect();
        let Some(split) = self.split(&question.callee) else { return Ok(order) };
        let mut usable: Vec<&Share> =
            split.shares.iter().filter(|it| order.contains(&TrunkId(it.trunk))).collect();
        usable.sort_by_key(|share| Reverse(share.percent));
        let total: u64 = usable.iter().map(|share| share.percent).sum();
        if total > 0 {
            let mut point = draw(split.by, question) % total;
            let drawn = usable.iter().position(|share| match point.checked_sub(share.percent) {
                Some(rest) => {
                    point = rest;
                    false
                }
                None => true,
            });
            usable[..=drawn.unwrap_or(0)].rotate_right(1);
        }
        // The drawn vendor, the others of the split by their shares, then all other vendors.
        let rank = |trunk: &TrunkId| usable.iter().position(|share| share.trunk == trunk.0);
        order.sort_by_key(|trunk| rank(trunk).unwrap_or(usable.len()));
        Ok(order)
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

/// FNV-1a, with every input bit spread over every output bit.
fn draw(by: By, question: &RouteQuestion) -> u64 {
    let id = question.call.id.to_le_bytes();
    let bytes = match by {
        By::Caller if !question.caller.is_empty() => question.caller.as_bytes(),
        By::Callee => question.callee.as_bytes(),
        By::Call | By::Caller => &id[..],
    };
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

export_plugin!(PercentageSplit: routing);

#[cfg(test)]
mod tests;
