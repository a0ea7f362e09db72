//! Another version of the routing plugin: it prefers the vendor that the default one
//! puts last, so that a record shows which of the two decided.
#![forbid(unsafe_code)]

use plugin_sdk::{NoConfig, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin};

/// The lowest priority first.
#[derive(Debug)]
pub struct LastFirst;

impl Plugin for LastFirst {
    const NAME: &'static str = "routing";
    const SUMMARY: &'static str = "Last vendor first.";
    type Config = NoConfig;
    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(LastFirst)
    }
}

impl Routing for LastFirst {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let mut candidates = question.candidates.clone();
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
        Ok(candidates.iter().map(|candidate| candidate.trunk).collect())
    }
}

export_plugin!(LastFirst: routing);
