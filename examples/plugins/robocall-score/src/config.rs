//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default. Points of 0 switch a sign off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Score from which on a call is marked `robocall:SCORE`. Default 40.
    pub mark_at: i32,
    /// Score from which on a call is refused; 0 is never. Default 0.
    pub reject_at: i32,
    /// Response code of a refusal, 400 to 699. Default 603.
    pub code: u16,
    /// Points of `verstat=TN-Validation-Failed` in P-Asserted-Identity or From. Default 60.
    pub failed: i32,
    /// Points of a call without a passed verification. Default 10.
    pub unverified: i32,
    /// Points of a call without a caller number. Default 20.
    pub anonymous: i32,
    /// Points of a caller that is no number of 7 to 15 digits, or the callee itself. Default 40.
    pub impossible: i32,
    /// Points of a caller whose first digits are those of the callee. Default 20.
    pub neighbour: i32,
    /// Digits that make a neighbour, 5 to 15. Default 7: area and exchange in North America.
    pub neighbour_digits: usize,
    /// Points of a caller with more than `burst_calls` calls a minute. Default 40.
    pub burst: i32,
    /// Calls of a caller within a minute that are still normal. Default 20.
    pub burst_calls: u64,
    /// Number list of kind `prefix`: callers, value: points, below 0 for good ones. Default
    /// `caller-reputation`.
    pub reputation: String,
    /// Callees for whom no call is scored. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            mark_at: 40,
            reject_at: 0,
            code: 603,
            failed: 60,
            unverified: 10,
            anonymous: 20,
            impossible: 40,
            neighbour: 20,
            neighbour_digits: 7,
            burst: 40,
            burst_calls: 20,
            reputation: "caller-reputation".to_owned(),
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}

impl Config {
    /// Checks the rules that the types do not express.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Config { mark_at, reject_at, code, neighbour_digits, .. } = *self;
        if mark_at < 1 {
            return Err(format!("field `mark_at`: {mark_at}, allowed is 1 and more"));
        }
        if reject_at != 0 && reject_at < mark_at {
            let allowed = format!("0 or `mark_at`, {mark_at}, and more");
            return Err(format!("field `reject_at`: {reject_at}, allowed is {allowed}"));
        }
        if !(400..=699).contains(&code) {
            return Err(format!("field `code`: {code}, allowed is 400 to 699"));
        }
        if !(5..=15).contains(&neighbour_digits) {
            return Err(format!(
                "field `neighbour_digits`: {neighbour_digits}, allowed is 5 to 15"
            ));
        }
        Ok(())
    }
}
