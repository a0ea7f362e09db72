//! Paces the calls of diallers: so many calls a second of an account, fewer while hardly anybody
//! answers, and so many calls to one number a day.
//!
//! `screening` refuses what is too fast; `events` counts calls that were routed and answered. Name
//! the plugin in the chains of the diallers' trunks.
#![forbid(unsafe_code)]

mod config;

pub use config::Config;

use plugin_sdk::{
    AccountId, Event, EventKind, Events, Plugin, Reason, Rejection, ScreenQuestion, Screening,
    Verdict, export_plugin, host,
};

const DAY_S: u32 = 86_400;
/// Time over which the answered share is measured.
const SHARE_S: u32 = 600;

/// The plugin. The switch counts for all its instances.
#[derive(Debug)]
pub struct DiallerPacing {
    config: Config,
}

impl Plugin for DiallerPacing {
    const NAME: &'static str = "dialler-pacing";
    const SUMMARY: &'static str = "Paces the calls of diallers.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(DiallerPacing { config })
    }
}

fn routed(account: AccountId) -> String {
    format!("routed {account}")
}

fn answered(account: AccountId) -> String {
    format!("answered {account}")
}

impl DiallerPacing {
    fn is_slow(&self, account: AccountId) -> bool {
        let calls = host::counter(&routed(account), SHARE_S).sum();
        let good = host::counter(&answered(account), SHARE_S).sum();
        calls >= self.config.min_calls && good * 100 < calls * self.config.min_answered_percent
    }

    /// Why the call is refused. A refused call is not counted.
    fn refusal(&self, account: AccountId, callee: &str) -> Option<Rejection> {
        let day_limit = self.config.per_callee_per_day;
        let to_callee = format!("to {account} {callee}");
        let day = host::counter(&to_callee, DAY_S);
        let refused = || {
            let detail = format!("{day_limit} calls to `{callee}` within a day");
            Some(Rejection::new(403, Reason::DynamicBlock, detail))
        };
        if day_limit > 0 && day.sum() >= day_limit {
            return refused();
        }
        let (pace, why) = match self.is_slow(account) {
            false => (self.config.calls_per_second, ""),
            true => (self.config.slow_calls_per_second, ": few of its calls are answered"),
        };
        if host::counter(&format!("pace {account}"), 1).add_within(1, pace).is_err() {
            let detail = format!("account {account} has {pace} calls a second{why}");
            return Some(Rejection::new(503, Reason::CpsLimit, detail));
        }
        // Another thread may have taken the last call meanwhile.
        if day_limit > 0 && day.add_within(1, day_limit).is_err() {
            return refused();
        }
        None
    }
}

impl Screening for DiallerPacing {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        let callee = question.callee.trim_start_matches('+');
        if self.config.emergency.iter().any(|number| number == callee) {
            return Verdict::Allow;
        }
        self.refusal(question.call.account, callee).map_or(Verdict::Allow, Verdict::Reject)
    }
}

impl Events for DiallerPacing {
    fn notify(&mut self, event: &Event) {
        let key = match event.kind {
            EventKind::Routed => routed(event.call.account),
            EventKind::Answered => answered(event.call.account),
            _ => return,
        };
        host::counter(&key, SHARE_S).add(1);
    }
}

export_plugin!(DiallerPacing: screening, events);

#[cfg(test)]
mod tests;
