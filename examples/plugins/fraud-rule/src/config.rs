//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default, which together mean no rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Limits on an account's calls to ranges of destinations; at most 32 rules.
    pub rules: Vec<Rule>,
    /// Limit on runs of consecutive callees; `None` does not look for runs.
    pub sequence: Option<Sequence>,
    /// Hours with lower limits.
    pub night: Night,
}

/// A limit on an account's calls to one range of destinations.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// 1 to 32 of a-z, 0-9 and `_`; appears in marks, in the detail of a rejection and in metrics.
    pub name: String,
    /// Callee prefixes; empty means every callee.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Window: 1, 5 or 60 minutes.
    pub minutes: u32,
    /// Calls that are still normal, 1 to 1,000,000.
    pub calls: u32,
    /// Treatment of a call above the limit.
    pub action: Action,
}

/// A run of consecutive callees.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Length of the run, 3 to 50.
    pub numbers: u32,
    /// Window: 1, 5 or 60 minutes.
    pub minutes: u32,
    /// Treatment of a call that completes or extends the run.
    pub action: Action,
}

/// Treatment of a call that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The call proceeds, with `fraud:RULE` in its record.
    Mark,
    /// The call is refused with 403 and the end reason `dynamic_block`.
    Reject,
}

/// Hours in which a rule allows only a part of its usual calls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Night {
    /// First hour, 0 to 23. Default 22.
    pub from_hour: u32,
    /// First hour after the night, 0 to 23; if equal to `from_hour`, there is no night. Default 6.
    pub to_hour: u32,
    /// Minutes that the local clock is ahead of UTC, -840 to 840. Default 0.
    pub utc_offset_minutes: i32,
    /// Percentage of each rule's `calls` that applies at night, 1 to 100. Default 100: all.
    pub percent: u32,
}

impl Default for Night {
    fn default() -> Self {
        Night { from_hour: 22, to_hour: 6, utc_offset_minutes: 0, percent: 100 }
    }
}

impl Rule {
    pub(crate) fn covers(&self, callee: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| callee.starts_with(prefix))
    }
}

impl Night {
    /// `calls` by day, `percent` of it at night, at least 1.
    pub(crate) fn limit(&self, calls: u32, utc_ms: u64) -> u64 {
        let calls = u64::from(calls);
        if !self.holds(utc_ms) {
            return calls;
        }
        (calls * u64::from(self.percent) / 100).max(1)
    }

    fn holds(&self, utc_ms: u64) -> bool {
        let minutes = i64::try_from(utc_ms / 60_000).unwrap_or(i64::MAX);
        let local = minutes.saturating_add(i64::from(self.utc_offset_minutes));
        let hour = local.div_euclid(60).rem_euclid(24);
        let (from, to) = (i64::from(self.from_hour), i64::from(self.to_hour));
        if from <= to { (from..to).contains(&hour) } else { hour >= from || hour < to }
    }
}

impl Config {
    /// Checks the limits that the types alone do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.rules.len() > 32 {
            return Err(format!("field `rules`: {} rules; at most 32", self.rules.len()));
        }
        for (at, rule) in self.rules.iter().enumerate() {
            let wrong = |field: &str, allowed: &str| {
                Err(format!("field `rules[{at}].{field}`: allowed is {allowed}"))
            };
            let letter =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if !(1..=32).contains(&rule.name.len()) || !rule.name.bytes().all(letter) {
                return wrong("name", "1 to 32 of a-z, 0-9 and _");
            }
            if self.rules[..at].iter().any(|other| other.name == rule.name) {
                return wrong("name", "a name that no other rule has");
            }
            if !is_window(rule.minutes) {
                return wrong("minutes", "1, 5 or 60");
            }
            if !(1..=1_000_000).contains(&rule.calls) {
                return wrong("calls", "1 to 1000000");
            }
        }
        if let Some(Sequence { numbers, minutes, .. }) = self.sequence {
            if !(3..=50).contains(&numbers) {
                return Err("field `sequence.numbers`: allowed is 3 to 50".to_owned());
            }
            if !is_window(minutes) {
                return Err("field `sequence.minutes`: allowed is 1, 5 or 60".to_owned());
            }
        }
        let Night { from_hour, to_hour, utc_offset_minutes, percent } = self.night;
        if from_hour > 23 || to_hour > 23 {
            return Err("field `night`: hours are 0 to 23".to_owned());
        }
        if !(-840..=840).contains(&utc_offset_minutes) {
            return Err("field `night.utc_offset_minutes`: allowed is -840 to 840".to_owned());
        }
        if !(1..=100).contains(&percent) {
            return Err("field `night.percent`: allowed is 1 to 100".to_owned());
        }
        Ok(())
    }
}

fn is_window(minutes: u32) -> bool {
    [1, 5, 60].contains(&minutes)
}
