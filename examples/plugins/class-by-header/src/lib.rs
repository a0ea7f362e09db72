//! Routes by the class that the customer asks for in a header, such as `X-Class: premium`
//! (ROUTE-21).
//!
//! The attribute `classes` of a customer trunk lists what it may ask for, such as
//! `standard, premium`; the first is its class when the header is absent or asks for another. The
//! attribute `class` of a vendor trunk lists what the vendor offers.
#![forbid(unsafe_code)]

mod config;

pub use config::{Config, Fallback};

use plugin_sdk::host::{self, CallFacts};
use plugin_sdk::{
    Call, Decision, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin,
};

/// The plugin.
#[derive(Debug)]
pub struct ClassByHeader {
    config: Config,
}

impl Plugin for ClassByHeader {
    const NAME: &'static str = "class-by-header";
    const SUMMARY: &'static str = "Routes by the class that a header asks for.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(ClassByHeader { config })
    }
}

impl ClassByHeader {
    /// The class of a call; `None` if its customer trunk has no classes.
    fn class(&self, call: &CallFacts) -> Option<String> {
        let allowed = call.customer_attribute("classes")?;
        let mut wanted = call.header(&self.config.header);
        wanted.dedup();
        let asked = match wanted.as_slice() {
            [one] => words(one).find(|asked| words(&allowed).any(|word| word == *asked)),
            // Absent, or two headers that contradict each other.
            _ => None,
        };
        asked.or_else(|| words(&allowed).next())
    }
}

impl Routing for ClassByHeader {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let all = question.candidates.iter().map(|vendor| vendor.trunk);
        let call = host::call();
        let class = match self.class(&call) {
            Some(class) if !self.config.emergency.contains(&question.callee) => class,
            _ => return Ok(all.collect()),
        };
        let offers = |trunk: &TrunkId| {
            let offered = call.vendor_attribute(*trunk, "class").unwrap_or_default();
            words(&offered).any(|word| word == class)
        };
        let of_class: Vec<TrunkId> = all.clone().filter(offers).collect();
        match self.config.fallback {
            Fallback::Any if of_class.is_empty() => Ok(all.collect()),
            _ => Ok(of_class),
        }
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

/// The words of a list with commas, in lower case.
fn words(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(|word| word.trim().to_ascii_lowercase()).filter(|word| !word.is_empty())
}

export_plugin!(ClassByHeader: routing);

#[cfg(test)]
mod tests;
