//! Tries the next vendor, or ends the call, by the Q.850 cause and the response code of a failed
//! attempt (ROUTE-50, ROUTE-51).
//!
//! It stands first in the chain: where its lists say nothing, the next plugin decides. Codes that
//! vendors are known to send wrongly, such as 404, can be believed only when a second vendor sends
//! them as well.
#![forbid(unsafe_code)]

mod config;

pub use config::Config;

use plugin_sdk::host::{self, CallFacts};
use plugin_sdk::{
    Call, Decision, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin,
};

/// The plugin.
#[derive(Debug)]
pub struct RetryByCause {
    config: Config,
}

impl Plugin for RetryByCause {
    const NAME: &'static str = "retry-by-cause";
    const SUMMARY: &'static str = "Tries the next vendor, or not, by the cause of a failure.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(RetryByCause { config })
    }
}

impl Routing for RetryByCause {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        Ok(question.candidates.iter().map(|vendor| vendor.trunk).collect())
    }

    fn after_failure(&mut self, _: &Call, outcome: &Outcome) -> Decision {
        let call = host::call();
        if self.config.emergency.contains(&call.numbers().callee) {
            return Decision::Next;
        }
        match self.ends(outcome, &call) {
            None => Decision::Pass,
            Some(false) => Decision::Next,
            Some(true) => match self.config.answers.get(&outcome.code) {
                Some(answer) => Decision::StopWith(*answer),
                None => Decision::Stop,
            },
        }
    }
}

impl RetryByCause {
    /// Whether the call ends; `None` if the lists say nothing.
    fn ends(&self, outcome: &Outcome, call: &CallFacts) -> Option<bool> {
        let Config { stop_causes, retry_causes, stop_codes, retry_codes, .. } = &self.config;
        let (cause, code) = (u16::from(outcome.cause), outcome.code);
        let limit = self.config.max_attempts;
        if limit > 0 && outcome.attempts >= limit || stop_causes.contains(&cause) {
            return Some(true);
        }
        if retry_causes.contains(&cause) {
            return Some(false);
        }
        if self.config.confirm_codes.contains(&code) {
            let attempts = call.attempts();
            return Some(attempts.iter().any(|it| it.code == code && it.trunk != outcome.trunk));
        }
        let retries = || retry_codes.contains(&code).then_some(false);
        stop_codes.contains(&code).then_some(true).or_else(retries)
    }
}

export_plugin!(RetryByCause: routing);

#[cfg(test)]
mod tests;
