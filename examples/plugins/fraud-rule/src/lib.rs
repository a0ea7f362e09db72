//! Marks or refuses calls of accounts whose calling pattern suddenly changes (SEC-31 as a lesson):
//! too many calls to a range of destinations, or calls to consecutive numbers.
//!
//! All counts are counters of the switch: all signalling threads share them, they outlive a swap of
//! the plugin, and they expire by themselves.
#![forbid(unsafe_code)]

mod config;

pub use config::{Action, Config, Night, Rule, Sequence};

use plugin_sdk::{
    Plugin, Reason, Rejection, ScreenQuestion, Screening, Verdict, export_plugin, host,
};

/// The plugin. It keeps no state itself.
#[derive(Debug)]
pub struct FraudRule {
    config: Config,
}

impl Plugin for FraudRule {
    const NAME: &'static str = "fraud-rule";
    const SUMMARY: &'static str = "Marks or refuses calls of accounts that call unlike themselves.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(FraudRule { config })
    }
}

/// Result of a rule for a call that breaks it.
struct Hit<'a> {
    rule: &'a str,
    action: Action,
    words: String,
}

impl Screening for FraudRule {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        let mut marks = Vec::new();
        let rules = self.config.rules.iter().filter_map(|rule| self.velocity(rule, question));
        for hit in rules.chain(self.sequence(question)) {
            host::count(&format!("hits_{}", hit.rule), 1);
            match hit.action {
                Action::Mark => marks.push(format!("fraud:{}", hit.rule)),
                // The first rule that refuses decides; later rules do not count this call.
                Action::Reject => {
                    let detail = format!("rule {}: {}", hit.rule, hit.words);
                    return Verdict::Reject(Rejection::new(403, Reason::DynamicBlock, detail));
                }
            }
        }
        if marks.is_empty() { Verdict::Allow } else { Verdict::Mark(marks) }
    }
}

impl FraudRule {
    /// A hit if the account made more than the allowed calls to the rule's range in its window.
    fn velocity<'a>(&self, rule: &'a Rule, question: &ScreenQuestion) -> Option<Hit<'a>> {
        if !rule.covers(&question.callee) {
            return None;
        }
        let limit = self.config.night.limit(rule.calls, question.call.received_ms);
        let key = format!("calls/{}/{}", rule.name, question.call.account);
        let counter = host::counter(&key, rule.minutes * 60);
        let over = match rule.action {
            Action::Mark => counter.add(1) > limit,
            // A refused call takes no place: the account can call again as soon as the window has
            // moved on. Check and count are one step, so that two threads cannot both take the last
            // place.
            Action::Reject => counter.add_within(1, limit).is_err(),
        };
        over.then(|| Hit {
            rule: &rule.name,
            action: rule.action,
            words: format!("more than {limit} calls in {} min", rule.minutes),
        })
    }

    /// A hit if the callee is part of a run of consecutive numbers, all called by the account
    /// within the window, in any order.
    fn sequence(&self, question: &ScreenQuestion) -> Option<Hit<'_>> {
        let sequence = self.config.sequence.as_ref()?;
        let callee: u64 = question.callee.parse().ok()?;
        let account = question.call.account;
        let window_s = sequence.minutes * 60;
        let called =
            |number: u64| host::counter(&format!("callee/{account}/{number}"), window_s).sum() > 0;
        host::counter(&format!("callee/{account}/{callee}"), window_s).add(1);
        let most = u64::from(sequence.numbers);
        let below = (1..most).take_while(|step| callee.checked_sub(*step).is_some_and(called));
        let below = below.count() as u64;
        let above =
            (1..most - below).take_while(|step| callee.checked_add(*step).is_some_and(called));
        let run = below + 1 + above.count() as u64;
        (run >= most).then(|| Hit {
            rule: "sequence",
            action: sequence.action,
            words: format!("{run} numbers in a row up to or around {callee}"),
        })
    }
}

export_plugin!(FraudRule: screening);

#[cfg(test)]
mod tests;
