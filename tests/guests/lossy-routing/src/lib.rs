//! A router whose answers are well formed and lose calls: those to 33 get no vendor at all, others
//! the last vendor alone, and no second try.
#![forbid(unsafe_code)]

use plugin_sdk::{
    Call, Decision, NoConfig, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId,
    export_plugin,
};

/// Loses calls.
#[derive(Debug)]
pub struct Lossy;

impl Plugin for Lossy {
    const NAME: &'static str = "routing";
    const SUMMARY: &'static str = "Loses calls.";
    type Config = NoConfig;
    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Lossy)
    }
}

impl Routing for Lossy {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        if question.callee.starts_with("33") {
            return Ok(Vec::new());
        }
        let last = question.candidates.iter().max_by_key(|candidate| candidate.priority);
        Ok(last.map(|candidate| candidate.trunk).into_iter().collect())
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Stop
    }
}

export_plugin!(Lossy: routing);
