//! Scores callers by the signs of robocalls: a failed or missing verification of the caller's
//! number, a withheld or impossible number, a neighbour's number, many calls a minute, a bad
//! reputation. The points add up; a high score marks the call, a higher one refuses it.
//!
//! By default nothing is refused: look at the marks first.
#![forbid(unsafe_code)]

mod config;

pub use config::Config;

use plugin_sdk::{
    Plugin, Reason, Rejection, ScreenQuestion, Screening, Verdict, export_plugin, host,
};

/// The plugin.
#[derive(Debug)]
pub struct RobocallScore {
    config: Config,
}

impl Plugin for RobocallScore {
    const NAME: &'static str = "robocall-score";
    const SUMMARY: &'static str = "Scores callers by the signs of robocalls.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(RobocallScore { config })
    }
}

impl RobocallScore {
    /// The signs that a call shows, with their points.
    fn signs(&self, question: &ScreenQuestion) -> Vec<(&'static str, i32)> {
        let it = &self.config;
        let caller = question.caller.trim_start_matches('+');
        let callee = question.callee.trim_start_matches('+');
        let digits = caller.bytes().all(|byte| byte.is_ascii_digit());
        let possible = digits && (7..=15).contains(&caller.len()) && caller != callee;
        let known = !caller.is_empty() && caller != "anonymous";
        let mut signs = vec![match verification() {
            Some(true) => ("verified", 0),
            Some(false) => ("failed", it.failed),
            None => ("unverified", it.unverified),
        }];
        if !known {
            signs.push(("anonymous", it.anonymous));
            return signs;
        }
        if !possible {
            signs.push(("impossible", it.impossible));
        } else if caller.get(..it.neighbour_digits) == callee.get(..it.neighbour_digits) {
            signs.push(("neighbour", it.neighbour));
        }
        if host::counter(caller, 60).add(1) > it.burst_calls {
            signs.push(("burst", it.burst));
        }
        let reputation = host::table(&it.reputation).longest_prefix(caller);
        let points = reputation.and_then(|hit| hit.value.trim().parse().ok());
        signs.extend(points.map(|points: i32| ("reputation", points)));
        signs
    }
}

/// The result in the parameter `verstat` of 3GPP TS 24.229. A customer can lie about a success but
/// has no reason to invent a failure, so a failure in any header counts, and a success only from a
/// customer trunk with the attribute `verstat = "trusted"`.
fn verification() -> Option<bool> {
    let call = host::call();
    let headers = ["P-Asserted-Identity", "From"].map(|name| call.header(name)).concat();
    let says = |word: &str| headers.iter().any(|value| value.contains(word));
    if says("verstat=TN-Validation-Failed") {
        return Some(false);
    }
    let trusted = call.customer_attribute("verstat").as_deref() == Some("trusted");
    (trusted && says("verstat=TN-Validation-Passed")).then_some(true)
}

impl Screening for RobocallScore {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        if self.config.emergency.contains(&question.callee) {
            return Verdict::Allow;
        }
        let signs = self.signs(question);
        let score = signs.iter().fold(0_i32, |sum, (_, points)| sum.saturating_add(*points));
        let Config { mark_at, reject_at, code, .. } = self.config;
        if reject_at > 0 && score >= reject_at {
            let words: Vec<String> = signs
                .iter()
                .filter(|(_, points)| *points != 0)
                .map(|(sign, points)| format!("{sign} {points}"))
                .collect();
            let detail = format!("score {score}: {}", words.join(", "));
            Verdict::Reject(Rejection::new(code, Reason::Other("robocall".to_owned()), detail))
        } else if score >= mark_at {
            Verdict::Mark(vec![format!("robocall:{score}")])
        } else {
            Verdict::Allow
        }
    }
}

export_plugin!(RobocallScore: screening);

#[cfg(test)]
mod tests;
