//! Settings of the plugin.

use serde::Deserialize;

/// Longest limit of a call.
const DAY_S: u32 = 86_400;

/// Settings; the default limits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// At most 64; the longest prefix that matches the callee decides.
    pub limits: Vec<Limit>,
}

/// Longest duration of calls to a range of destinations.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Prefixes of callees, each of 1 to 32 digits.
    pub prefixes: Vec<String>,
    /// Seconds from the answer to the end, 1 to 86,400.
    pub seconds: u32,
    /// Time of the mark in seconds before the end; 0 means no mark. Default 60, or half of a limit
    /// that is shorter than two minutes.
    pub warn_s: Option<u32>,
    /// End reason in the record, 1 to 64 of a-z, 0-9 and `_`.
    #[serde(default = "default_reason")]
    pub reason: String,
    /// Q.850 cause sent to both sides, 1 to 127; default 31 (normal, unspecified).
    #[serde(default = "default_cause")]
    pub cause: u8,
}

fn default_reason() -> String {
    "premium_limit".to_owned()
}

fn default_cause() -> u8 {
    31
}

impl Limit {
    /// Time of the mark, seconds from the answer; `None` if there is no mark.
    pub(crate) fn warned_after_s(&self) -> Option<u32> {
        let warn_s = self.warn_s.unwrap_or_else(|| (self.seconds / 2).min(60));
        (warn_s > 0).then(|| self.seconds.saturating_sub(warn_s))
    }

    /// Length of its longest prefix that matches.
    fn fits(&self, callee: &str) -> Option<usize> {
        let fitting = self.prefixes.iter().filter(|prefix| callee.starts_with(prefix.as_str()));
        fitting.map(String::len).max()
    }
}

impl Config {
    /// The limit of calls to this callee.
    pub(crate) fn limit(&self, callee: &str) -> Option<&Limit> {
        let fitting = self.limits.iter().filter_map(|limit| Some((limit.fits(callee)?, limit)));
        fitting.max_by_key(|(length, _)| *length).map(|(_, limit)| limit)
    }

    /// Checks the limits that the types alone do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.limits.len() > 64 {
            return Err(format!("field `limits`: {} limits; at most 64", self.limits.len()));
        }
        let mut known: Vec<&str> = Vec::new();
        for (at, limit) in self.limits.iter().enumerate() {
            let wrong = |field: &str, allowed: &str| {
                Err(format!("field `limits[{at}].{field}`: allowed is {allowed}"))
            };
            let word = limit.reason.as_bytes();
            let letter =
                |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
            if limit.prefixes.is_empty() || !limit.prefixes.iter().all(|it| is_prefix(it)) {
                return wrong("prefixes", "one or more of 1 to 32 digits");
            }
            for prefix in &limit.prefixes {
                if known.contains(&prefix.as_str()) {
                    return wrong("prefixes", "a prefix that is named nowhere else");
                }
                known.push(prefix);
            }
            if !(1..=DAY_S).contains(&limit.seconds) {
                return wrong("seconds", "1 to 86400");
            }
            if limit.warn_s.is_some_and(|warn_s| warn_s >= limit.seconds) {
                return wrong("warn_s", "less than `seconds`");
            }
            if !(1..=64).contains(&word.len()) || !word.iter().all(letter) {
                return wrong("reason", "1 to 64 of a-z, 0-9 and _");
            }
            if !(1..=127).contains(&limit.cause) {
                return wrong("cause", "1 to 127");
            }
        }
        Ok(())
    }
}

fn is_prefix(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
