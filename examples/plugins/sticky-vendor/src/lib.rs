//! Keeps a caller, a callee, a pair of them or an account on one vendor while that vendor is
//! usable, and gives a caller who redials at once another vendor.
//!
//! Vendors of one trunk priority share the keys by rendezvous hashing: when a vendor comes or goes,
//! only its own share of the keys moves.
#![forbid(unsafe_code)]

mod config;

pub use config::{Config, Key};

use plugin_sdk::{
    Call, Decision, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin,
    host,
};
use std::cmp::Reverse;

/// The plugin.
#[derive(Debug)]
pub struct StickyVendor {
    config: Config,
}

impl Plugin for StickyVendor {
    const NAME: &'static str = "sticky-vendor";
    const SUMMARY: &'static str = "Keeps a caller on one vendor.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(StickyVendor { config })
    }
}

impl StickyVendor {
    /// A withheld caller has no key: one vendor would get all calls without a number. The call's id
    /// spreads them instead.
    fn key(&self, question: &RouteQuestion) -> String {
        let RouteQuestion { call, caller, callee, .. } = question;
        match self.config.key {
            Key::Callee => callee.clone(),
            Key::Account => call.account.to_string(),
            Key::Caller | Key::CallerAndCallee if caller.is_empty() => call.id.to_string(),
            Key::Caller => caller.clone(),
            Key::CallerAndCallee => format!("{caller} {callee}"),
        }
    }

    /// Earlier calls of this caller to this callee within the time of a redial.
    fn redials(&self, question: &RouteQuestion) -> u64 {
        if self.config.redial_s == 0 || question.caller.is_empty() {
            return 0;
        }
        let pair = format!("{} {}", question.caller, question.callee);
        host::counter(&pair, self.config.redial_s).add(1).saturating_sub(1)
    }
}

impl Routing for StickyVendor {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        if self.config.emergency.contains(&question.callee) {
            return Ok(question.candidates.iter().map(|vendor| vendor.trunk).collect());
        }
        let key = self.key(question);
        let mut vendors = question.candidates.clone();
        vendors.sort_by_cached_key(|vendor| {
            (vendor.last_resort, vendor.priority, Reverse(score(&key, vendor.trunk)))
        });
        if let Some(first) = vendors.first().copied() {
            let equal = |it: &&plugin_sdk::Candidate| {
                (it.last_resort, it.priority) == (first.last_resort, first.priority)
            };
            let equals = vendors.iter().take_while(equal).count();
            let turn = self.redials(question) % equals as u64;
            vendors[..equals].rotate_left(turn as usize);
        }
        Ok(vendors.iter().map(|vendor| vendor.trunk).collect())
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

/// FNV-1a of key and trunk, with every input bit spread over every output bit.
fn score(key: &str, trunk: TrunkId) -> u64 {
    let bytes = key.bytes().chain(trunk.0.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

export_plugin!(StickyVendor: routing);

#[cfg(test)]
mod tests;
