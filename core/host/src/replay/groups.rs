//! Differences by customer trunk and by destination.

use super::compare::{Difference, Kind};
use super::report::Money;
use crate::decisions::Decision;
use policy::{Answer, Question, Stage};
use serde::Serialize;
use std::collections::HashMap;
use std::hash::Hash;

/// Digits that make a destination.
const PREFIX: usize = 4;

/// The destinations of at least this many calls are remembered.
const CALLS: usize = 1 << 17;

/// Differences of one customer trunk or destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Name or number of the trunk; or first digits of the callee, empty if unknown.
    pub name: String,
    /// Decisions put to the build.
    pub asked: u64,
    /// With a different answer.
    pub different: u64,
    /// Refused, challenged, ended after a failed attempt, or without an answer now.
    pub new_rejects: u64,
    /// One of these before, not now.
    pub gone_rejects: u64,
    /// With a different first vendor trunk.
    pub first_routes: u64,
    /// With a different number.
    pub numbers: u64,
    /// New charges minus the old ones, including estimates at admission.
    pub price: Money,
    /// New margins per minute of first choices minus the old ones.
    pub margin: Money,
}

impl Group {
    pub(super) fn note(&mut self, difference: &Difference) {
        let any = |kinds: &[Kind]| u64::from(kinds.iter().any(|kind| difference.has(*kind)));
        self.different += 1;
        self.new_rejects += u64::from(difference.loses() || difference.has(Kind::NewFault));
        self.gone_rejects += u64::from(difference.saves() || difference.has(Kind::GoneFault));
        self.first_routes += any(&[Kind::FirstRoute]);
        self.numbers +=
            any(&[Kind::Caller, Kind::Callee, Kind::IdentityNumber, Kind::OtherNumbers]);
        self.price.0 += i128::from(difference.price);
        self.margin.0 += i128::from(difference.margin);
    }
}

/// The groups with the most differences, named.
pub(super) fn largest<K: Copy + Eq + Hash + Ord>(
    groups: HashMap<K, Group>,
    limit: usize,
    name: impl Fn(K) -> String,
) -> Vec<Group> {
    let mut groups: Vec<(K, Group)> =
        groups.into_iter().filter(|(_, group)| group.different > 0).collect();
    groups.sort_by_key(|(key, group)| (std::cmp::Reverse(group.different), *key));
    groups.truncate(limit);
    groups.into_iter().map(|(key, group)| Group { name: name(key), ..group }).collect()
}

/// First digits of a number, as one integer: a leading 1 preserves leading zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Prefix(u32);

impl Prefix {
    pub(super) fn of(number: &str) -> Prefix {
        let digits = number.bytes().skip_while(|byte| *byte == b'+').take(PREFIX);
        let digits = digits.take_while(u8::is_ascii_digit);
        Prefix(digits.fold(1, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    }

    pub(super) fn digits(self) -> String {
        let text = self.0.to_string();
        text.get(1..).unwrap_or_default().to_owned()
    }
}

/// The destinations of recent calls: rating questions and those after a failure do not contain
/// them.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    young: HashMap<u128, Prefix>,
    old: HashMap<u128, Prefix>,
}

impl Destinations {
    /// Remembers the destination in a decision.
    pub(super) fn meet(&mut self, decision: &Decision) {
        let callee = match (&decision.question, &decision.outcome) {
            (Question::Number(question), outcome) if question.stage == Stage::Ingress => {
                match outcome {
                    Ok(Answer::Number(Ok(answer))) => &answer.callee,
                    _ => &question.callee,
                }
            }
            (Question::Route(question), _) => &question.callee,
            (Question::Screen(question), _) => &question.callee,
            (Question::Supervise(question), _) => &question.callee,
            _ => return,
        };
        if self.young.len() >= CALLS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(decision.question.call().id, Prefix::of(callee));
    }

    pub(super) fn of(&self, call: u128) -> Prefix {
        self.young.get(&call).or_else(|| self.old.get(&call)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_its_first_four_digits() {
        let shown = |number| Prefix::of(number).digits();
        assert_eq!(shown("442071234567"), "4420");
        assert_eq!(shown("+0044"), "0044");
        assert_eq!(shown("49"), "49");
        assert_eq!(shown("alice"), "");
        assert_eq!(Prefix::default().digits(), "");
    }
}
