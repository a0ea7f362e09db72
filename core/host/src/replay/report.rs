//! The results of a replay, for people and for machines.

use super::{Example, Group, Kind, Traced};
use crate::decisions::ReadCounts;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Money in 10^-10 of the currency unit; written as a decimal number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(pub i128);

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.unsigned_abs();
        let (whole, part) = (units / 10_000_000_000, units % 10_000_000_000);
        let part = format!("{part:010}");
        let part = part.trim_end_matches('0');
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = match part {
            "" => format!("{sign}{whole}"),
            part => format!("{sign}{whole}.{part}"),
        };
        f.pad(&text)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A sum of money as it was and as it would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Number of decisions in it.
    pub count: u64,
    /// As it was.
    pub before: Money,
    /// As it would be.
    pub after: Money,
}

impl Sums {
    pub(super) fn add(&mut self, before: i64, after: i64) {
        self.count += 1;
        self.before.0 += i128::from(before);
        self.after.0 += i128::from(after);
    }

    /// The increase, or if negative the decrease.
    #[must_use]
    pub fn difference(&self) -> Money {
        Money(self.after.0 - self.before.0)
    }

    /// The difference in thousandths of the sum before; none if that sum is zero.
    #[must_use]
    pub fn permille(&self) -> Option<i64> {
        let before = self.before.0.checked_abs().filter(|before| *before != 0)?;
        i64::try_from(self.difference().0 * 1_000 / before).ok()
    }
}

/// Answers of one hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HookReport {
    /// Decisions put to the build.
    pub asked: u64,
    /// Decisions with another answer.
    pub different: u64,
    /// Decisions without a usable answer of the build.
    pub faults: u64,
    /// Number of decisions by kind of difference; one decision may differ in several ways.
    pub kinds: BTreeMap<Kind, u64>,
}

/// How often a refusal appears or disappears.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// The hook that refuses.
    pub hook: &'static str,
    /// Response code.
    pub code: u16,
    /// End reason.
    pub reason: String,
    /// Calls that would get it but did not.
    pub new: u64,
    /// Calls that got it but would not.
    pub gone: u64,
}

/// All results of a replay.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The build.
    pub plugin: String,
    /// First decision put to it, UTC milliseconds; 0 when there was none.
    pub from_ms: u64,
    /// Last decision put to it.
    pub until_ms: u64,
    /// Decisions put to it.
    pub asked: u64,
    /// Decisions with the same answer as the call's.
    pub same: u64,
    /// Decisions with another answer.
    pub different: u64,
    /// Decisions that it leaves to others.
    pub passed: u64,
    /// Decisions without a usable answer of the build.
    pub faults: u64,
    /// Calls that would be refused, challenged, or ended after a failed attempt, and were not.
    pub lost_calls: u64,
    /// Calls that were, and would not be.
    pub saved_calls: u64,
    /// Wall time, seconds.
    pub seconds: f64,
    /// Decisions per second on one thread, including reading.
    pub per_second: f64,
    /// By hook.
    pub hooks: BTreeMap<&'static str, HookReport>,
    /// Final charges of customers.
    pub sell: Sums,
    /// Final charges of vendors.
    pub buy: Sums,
    /// Sell price minus buy price of the first choice, one minute of each call: an estimate.
    pub margin: Sums,
    /// Refusals that appear or disappear, most frequent first.
    pub rejects: Vec<Turn>,
    /// By customer trunk, most differences first.
    pub trunks: Vec<Group>,
    /// By first digits of the callee, most differences first.
    pub destinations: Vec<Group>,
    /// The most significant differences: lost calls, then money, then first choices.
    pub examples: Vec<Example>,
    /// Lines that the build logged while it was loaded.
    pub log_at_load: Vec<String>,
    /// Each question with its answers, if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<Traced>,
    /// Counts of what was read.
    pub log: ReadCounts,
    /// Limits to the accuracy of the results.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_without_loss() {
        let shown = |units| Money(units).to_string();
        assert_eq!(shown(12_345_000_000), "1.2345");
        assert_eq!(shown(-1), "-0.0000000001");
        assert_eq!(shown(20_000_000_000), "2");
        assert_eq!(format!("[{:>6}]", Money(0)), "[     0]");
    }

    #[test]
    fn a_change_is_told_in_thousandths_of_what_was() {
        let mut sums = Sums::default();
        assert_eq!(sums.permille(), None);
        sums.add(200, 100);
        sums.add(-400, -400);
        assert_eq!((sums.difference(), sums.permille()), (Money(-100), Some(-500)));
    }
}
