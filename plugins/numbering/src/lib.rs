//! Rewrites numbers by the rules of a trunk: where (NUM-04 to NUM-10, NUM-22), which
//! rule (NUM-12, NUM-13, NUM-19) and how (NUM-14 to NUM-17).
//!
//! The engine is a pure function of rules, number and random source: [`RuleSet`].
//! Regular expressions (NUM-24) are not supported.
#![forbid(unsafe_code)]

mod cache;
mod rule;
mod ruleset;
mod stages;
mod vectors;

pub use rule::{BadRule, Rule};
pub use ruleset::{BadRuleSet, RuleSet};

use cache::RuleSets;
use plugin_sdk::{NoConfig, NumberQuestion, Numbering, Numbers, Plugin, Rejection, export_plugin};

/// The plugin. It keeps the rule sets that it has parsed.
#[derive(Debug, Default)]
pub struct PatternNumbering {
    rule_sets: RuleSets,
}

impl Plugin for PatternNumbering {
    const NAME: &'static str = "numbering";
    const SUMMARY: &'static str = "Rewrites numbers by pattern rules, longest match, one rule.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(PatternNumbering::default())
    }

    fn self_test(&self) -> Result<u32, String> {
        vectors::check()
    }
}

impl Numbering for PatternNumbering {
    fn rewrite(&mut self, question: &NumberQuestion) -> Result<Numbers, Rejection> {
        stages::rewrite(&mut self.rule_sets, question)
    }
}

export_plugin!(PatternNumbering: numbering);
