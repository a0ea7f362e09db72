//! Ends calls to some destinations after a set number of seconds, and marks them before: a lesson
//! in supervision.
//!
//! The plugin keeps no state. The question contains all that it needs, so it gives the same answer
//! in any thread, after a swap, and in a replay. It is asked when an action is due and not at the
//! node's interval: each answer sets the time of the next question.
#![forbid(unsafe_code)]

mod config;

pub use config::{Config, Limit};

use plugin_sdk::{
    Plugin, Reason, Supervision, SupervisionAnswer, SupervisionQuestion, export_plugin,
};

/// Mark on the record of a call that nears its limit.
pub const MARK: &str = "premium:long";

/// If the plugin is absent at the limit, the switch ends the call this many seconds later.
const GRACE_S: u32 = 10;

/// The plugin.
#[derive(Debug)]
pub struct PremiumLimit {
    config: Config,
}

impl Plugin for PremiumLimit {
    const NAME: &'static str = "premium-limit";
    const SUMMARY: &'static str =
        "Ends calls to some destinations after so many seconds, with a mark before.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(PremiumLimit { config })
    }
}

impl Supervision for PremiumLimit {
    fn supervise(&mut self, question: &SupervisionQuestion) -> SupervisionAnswer {
        let Some(limit) = self.config.limit(&question.callee) else {
            return SupervisionAnswer::go_on().ask_no_more();
        };
        let answered_s = question.answered_s;
        let Some(left_s) = limit.seconds.checked_sub(answered_s).filter(|left_s| *left_s > 0)
        else {
            let detail = format!("up for {answered_s} s, allowed are {} s", limit.seconds);
            let reason = Reason::Other(limit.reason.clone());
            return SupervisionAnswer::end(reason, limit.cause, detail);
        };
        // The switch enforces this limit by itself: it needs no further answer.
        let answer = SupervisionAnswer::limit(left_s + GRACE_S);
        match limit.warned_after_s() {
            Some(warned_s) if answered_s < warned_s => answer.ask_again(warned_s - answered_s),
            Some(_) => answer.mark(MARK).ask_again(left_s),
            None => answer.ask_again(left_s),
        }
    }
}

export_plugin!(PremiumLimit: supervision);

#[cfg(test)]
mod tests;
