//! Rewrites numbers by the rules of a trunk: where (NUM-04 to NUM-10, NUM-22), by which rule
//! (NUM-12, NUM-13, NUM-19) and how (NUM-14 to NUM-17).
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
use plugin_sdk::{
    NoConfig, NumberQuestion, Numbering, Numbers, Plugin, Rejection, RuleProblem, export_plugin,
};

/// The plugin. It keeps the parsed rule sets.
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

impl plugin_sdk::RuleSets for PatternNumbering {
    fn check_rules(&self, text: &str) -> Vec<RuleProblem> {
        let problem = |bad: BadRuleSet| RuleProblem {
            line: u32::try_from(bad.line).unwrap_or(0),
            reason: bad.reason,
        };
        RuleSet::problems(text).into_iter().map(problem).collect()
    }
}

export_plugin!(PatternNumbering: numbering, rule_sets);
