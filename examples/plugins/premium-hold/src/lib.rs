//! Holds an account's calls to premium destinations until the operator has approved it: the first
//! call of a day is cut after a minute, marked, logged and counted; further calls are refused.
//!
//! The attribute `premium = "approved"` of the account lifts the hold.
#![forbid(unsafe_code)]

mod config;

pub use config::Config;

use plugin_sdk::{
    Plugin, Reason, Rejection, ScreenQuestion, Screening, Supervision, SupervisionAnswer,
    SupervisionQuestion, Verdict, export_plugin, host,
};

/// The word in the record of a call that is cut.
const MARK: &str = "premium:first";
const DAY_S: u32 = 86_400;

/// The plugin.
#[derive(Debug)]
pub struct PremiumHold {
    config: Config,
}

impl Plugin for PremiumHold {
    const NAME: &'static str = "premium-hold";
    const SUMMARY: &'static str = "Holds calls to premium destinations until approval.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(PremiumHold { config })
    }
}

impl Screening for PremiumHold {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        let Config { table, first_calls, emergency, .. } = &self.config;
        let callee = question.callee.trim_start_matches('+');
        let held = !emergency.iter().any(|number| number == callee)
            && host::table(table).contains(callee)
            && host::call().account_attribute("premium").as_deref() != Some("approved");
        if !held {
            return Verdict::Allow;
        }
        let account = question.call.account;
        if host::counter(&account.to_string(), DAY_S).add_within(1, *first_calls).is_err() {
            host::count("refused", 1);
            let reason = Reason::Other("premium_hold".to_owned());
            let detail = format!("account {account} is not approved for premium destinations");
            return Verdict::Reject(Rejection::new(403, reason, detail));
        }
        host::count("first_calls", 1);
        host::log!(Warn, "account {account} calls {callee}, a premium destination, unapproved");
        Verdict::Mark(vec![MARK.to_owned()])
    }
}

impl Supervision for PremiumHold {
    fn supervise(&mut self, question: &SupervisionQuestion) -> SupervisionAnswer {
        if !question.marks.iter().any(|mark| mark == MARK) {
            return SupervisionAnswer::go_on().ask_no_more();
        }
        // The switch enforces the limit by itself: it needs no further answer.
        let left_s = self.config.seconds.saturating_sub(question.answered_s).max(1);
        SupervisionAnswer::limit(left_s).ask_no_more()
    }
}

export_plugin!(PremiumHold: screening, supervision);

#[cfg(test)]
mod tests;
