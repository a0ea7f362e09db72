//! A list of rules and the choice among those that match.
//!
//! A rule set as text has one rule per line:
//!
//! ```text
//! # Mobile numbers without trunk prefix
//! 013 -> 8613
//! 00 ->              # strip
//! *  -> 025*         # everything else
//! ```
//!
//! Spaces around source and target are ignored; an empty source or target may be written
//! `(nothing)`. A `#` at the beginning of the line or after a space begins a note if a space or the
//! end of the line follows; `\#` is always the character.

use crate::rule::Rule;
use std::fmt;

/// Rules in the order of NUM-13.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

/// Why a text is not a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRuleSet {
    /// Line of the text, from 1.
    pub line: usize,
    /// The rule and what is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadRuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for BadRuleSet {}

impl RuleSet {
    /// Reads a text, one rule per line.
    ///
    /// # Errors
    /// The first line that is not a rule.
    pub fn parse(text: &str) -> Result<RuleSet, BadRuleSet> {
        rules(text).collect::<Result<_, _>>().map(RuleSet::new)
    }

    /// Every line of a text that is not a rule.
    #[must_use]
    pub fn problems(text: &str) -> Vec<BadRuleSet> {
        rules(text).filter_map(Result::err).collect()
    }

    /// Builds a rule set from rules in list order.
    #[must_use]
    pub fn new(mut rules: Vec<Rule>) -> RuleSet {
        rules.sort_by_cached_key(Rule::rank);
        RuleSet { rules }
    }

    /// The number after the one rule that NUM-13 chooses; `None` if no rule matches (NUM-19).
    /// `random` returns 64 random bits.
    pub fn rewrite(&self, number: &str, random: &mut dyn FnMut() -> u64) -> Option<String> {
        self.rules.iter().find_map(|rule| rule.apply(number, random))
    }

    /// Number of rules.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// The rules of a text, line by line.
fn rules(text: &str) -> impl Iterator<Item = Result<Rule, BadRuleSet>> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let bad = |reason: String| BadRuleSet { line: index + 1, reason };
        let rule = without_note(line).trim();
        if rule.is_empty() {
            return None;
        }
        let Some((source, target)) = rule.split_once("->") else {
            return Some(Err(bad(format!("`{rule}` is no rule; write `source -> target`"))));
        };
        let rule = Rule::parse(side(source), side(target));
        Some(rule.map_err(|error| bad(error.to_string())))
    })
}

/// Source or target without the spaces around it.
fn side(text: &str) -> &str {
    match text.trim() {
        "(nothing)" => "",
        text => text,
    }
}

fn without_note(line: &str) -> &str {
    let mut before_is_space = true;
    for (position, character) in line.char_indices() {
        let after = line[position + character.len_utf8()..].chars().next();
        let ends = after.is_none_or(char::is_whitespace);
        if character == '#' && before_is_space && ends {
            return &line[..position];
        }
        before_is_space = character.is_whitespace();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str, number: &str) -> Option<String> {
        RuleSet::parse(text).expect("legal").rewrite(number, &mut || 0)
    }

    #[test]
    fn notes_and_empty_lines_are_skipped_and_hash_numbers_are_kept() {
        let text = "# all of it\n\n  00 ->   # strip\n31 -> #31#\n#21# -> 21 # note\n5 -> \\#\n";
        assert_eq!(RuleSet::parse(text).expect("legal").len(), 4);
        assert_eq!(rewritten(text, "0044").as_deref(), Some("44"));
        assert_eq!(rewritten(text, "319").as_deref(), Some("#31#9"));
        assert_eq!(rewritten(text, "#21#9").as_deref(), Some("219"));
        assert_eq!(rewritten(text, "59").as_deref(), Some("#9"));
    }

    #[test]
    fn equal_rules_are_decided_by_their_position_num_13() {
        assert_eq!(rewritten("1 -> a\n1 -> b", "12").as_deref(), Some("a2"));
    }

    #[test]
    fn the_order_of_num_13_holds_step_by_step() {
        assert_eq!(rewritten("1 -> a\n1? -> b", "12").as_deref(), Some("b"), "head characters");
        assert_eq!(rewritten("1? -> a\n12 -> b", "12").as_deref(), Some("b"), "literals");
        assert_eq!(rewritten("1G0L9 -> a\n1E1 -> b", "12").as_deref(), Some("b2"), "E first");
        assert_eq!(rewritten("1L9 -> a\n1G0L9 -> b", "12").as_deref(), Some("b2"), "L with G");
        assert_eq!(rewritten("1 -> a\n1L9 -> b", "12").as_deref(), Some("b2"), "then one of them");
        assert_eq!(rewritten("1* -> a\n1 -> b", "12").as_deref(), Some("b2"), "without `*` first");
        assert_eq!(
            rewritten("1? -> a\n1? -> b", "12").as_deref(),
            Some("a"),
            "the first of equals"
        );
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = RuleSet::parse("0 -> 1\n\n5 = 6").expect_err("no rule");
        assert_eq!(error.to_string(), "line 3: `5 = 6` is no rule; write `source -> target`");
        let error = RuleSet::parse("0* -> 1*2*").expect_err("two stars");
        assert_eq!(error.to_string(), "line 1: rule `0* -> 1*2*`: a target has at most one `*`");
    }
}
