//! The rules applied at ingress and at egress, and the checks of their results.

use crate::cache::RuleSets;
use plugin_sdk::{NumberQuestion, Numbers, Reason, Rejection, RuleSetId, Stage, host};

/// NUM-04 and NUM-05 at ingress; NUM-08, NUM-09, NUM-10 and NUM-22 at egress.
pub(crate) fn rewrite(
    rule_sets: &mut RuleSets,
    question: &NumberQuestion,
) -> Result<Numbers, Rejection> {
    let callee = rewrite_callee(rule_sets, question)?;
    let caller = rewrite_caller(rule_sets, question.caller_rules, &question.caller)?;
    match question.stage {
        Stage::Ingress => Ok(Numbers { caller, callee, ..Numbers::default() }),
        Stage::Egress => {
            let identity = rewrite_caller(rule_sets, question.identity_rules, &caller)?;
            let callee = match question.tech_prefix.as_str() {
                "" => callee,
                prefix => format!("{prefix}{callee}"),
            };
            Ok(Numbers { caller, callee, identity, ..Numbers::default() })
        }
    }
}

fn rewrite_callee(
    rule_sets: &mut RuleSets,
    question: &NumberQuestion,
) -> Result<String, Rejection> {
    let number = question.callee.as_str();
    let invalid = |detail: String| Rejection::new(484, Reason::NumberInvalid, detail);
    let rules = rule_sets.get(question.callee_rules)?;
    let rewritten = rules.and_then(|rules| rules.rewrite(number, &mut host::random));
    if rewritten.is_none() && rules.is_some() && question.reject_unmatched {
        return Err(invalid(format!("no rule matches callee `{number}`")));
    }
    let callee = rewritten.unwrap_or_else(|| number.to_owned());
    if callee.is_empty() {
        return Err(invalid(format!("callee `{number}` is empty after its rewrite")));
    }
    if !is_number(&callee) {
        return Err(invalid(format!(
            "callee `{callee}`, rewritten from `{number}`, is not a number"
        )));
    }
    Ok(callee)
}

/// A caller that is not a valid number becomes empty (NUM-03).
fn rewrite_caller(
    rule_sets: &mut RuleSets,
    rules: RuleSetId,
    number: &str,
) -> Result<String, Rejection> {
    let rules = rule_sets.get(rules)?;
    let rewritten = rules.and_then(|rules| rules.rewrite(number, &mut host::random));
    let caller = rewritten.unwrap_or_else(|| number.to_owned());
    Ok(if is_number(&caller) { caller } else { String::new() })
}

/// NUM-03: 1 to 64 characters, `+` only in the first place.
fn is_number(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"*#._-".contains(&byte);
    let digits = text.strip_prefix('+').unwrap_or(text);
    (1..=64).contains(&text.len()) && digits.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::FakeHost;

    fn ask(question: &NumberQuestion) -> Result<Numbers, Rejection> {
        rewrite(&mut RuleSets::default(), question)
    }

    fn egress(caller: &str, callee: &str) -> NumberQuestion {
        NumberQuestion {
            stage: Stage::Egress,
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            ..NumberQuestion::default()
        }
    }

    #[test]
    fn without_rules_numbers_stay_as_they_are_num_19() {
        let _switch = FakeHost::install();
        let numbers = ask(&egress("+4912", "0044")).expect("numbers");
        assert_eq!(numbers.caller, "+4912");
        assert_eq!(numbers.callee, "0044");
        assert_eq!(numbers.identity, "+4912", "no identity rules: the outgoing caller");
    }

    #[test]
    fn the_tech_prefix_comes_after_the_rewrite_num_10() {
        let switch = FakeHost::install();
        switch.text(1, "880 -> 00880");
        let question = NumberQuestion {
            callee_rules: RuleSetId(1),
            tech_prefix: "*99".to_owned(),
            ..egress("", "880171234567")
        };
        assert_eq!(ask(&question).expect("numbers").callee, "*9900880171234567");
        let ingress = NumberQuestion { stage: Stage::Ingress, ..question };
        assert_eq!(ask(&ingress).expect("numbers").callee, "00880171234567", "egress only");
    }

    #[test]
    fn identity_rules_start_from_the_rewritten_caller_num_22() {
        let switch = FakeHost::install();
        switch.text(1, "0 -> 880");
        switch.text(2, "* -> +*");
        switch.text(3, "* ->");
        let question = NumberQuestion {
            caller_rules: RuleSetId(1),
            identity_rules: RuleSetId(2),
            ..egress("01712345678", "44")
        };
        let numbers = ask(&question).expect("numbers");
        assert_eq!(numbers.caller, "8801712345678");
        assert_eq!(numbers.identity, "+8801712345678");
        let omitted = NumberQuestion { identity_rules: RuleSetId(3), ..question };
        assert_eq!(ask(&omitted).expect("numbers").identity, "");
    }

    #[test]
    fn an_empty_callee_is_refused_even_with_a_tech_prefix_num_17() {
        let switch = FakeHost::install();
        switch.text(1, "000 ->");
        let question = NumberQuestion {
            callee_rules: RuleSetId(1),
            tech_prefix: "77".to_owned(),
            ..egress("", "000")
        };
        let rejection = ask(&question).expect_err("no number left");
        assert_eq!((rejection.code, rejection.reason), (484, Reason::NumberInvalid));
    }

    #[test]
    fn a_callee_without_a_matching_rule_is_refused_on_demand_num_19() {
        let switch = FakeHost::install();
        switch.text(1, "00 -> 00");
        let strict = NumberQuestion {
            callee_rules: RuleSetId(1),
            reject_unmatched: true,
            ..egress("", "0123")
        };
        assert_eq!(ask(&strict).expect_err("unmatched").code, 484);
        let lax = NumberQuestion { reject_unmatched: false, ..strict.clone() };
        assert_eq!(ask(&lax).expect("unchanged").callee, "0123");
        let no_rules = NumberQuestion { callee_rules: RuleSetId::NONE, ..strict };
        assert_eq!(ask(&no_rules).expect("unchanged").callee, "0123");
    }

    #[test]
    fn what_is_no_number_is_refused_as_callee_and_dropped_as_caller_num_03() {
        let _switch = FakeHost::install();
        assert_eq!(ask(&egress("", "12+3")).expect_err("plus inside").code, 484);
        assert_eq!(ask(&egress("", &"1".repeat(65))).expect_err("too long").code, 484);
        assert_eq!(ask(&egress("ann@home", "1")).expect("numbers").caller, "");
        assert_eq!(ask(&egress("john.smith", "1")).expect("numbers").caller, "john.smith");
    }

    #[test]
    fn a_broken_rule_set_refuses_the_call_and_names_the_rule() {
        let switch = FakeHost::install();
        switch.text(5, "0 -> 1\n0*1 -> 5");
        let question = NumberQuestion { callee_rules: RuleSetId(5), ..egress("", "1") };
        let rejection = ask(&question).expect_err("broken");
        assert_eq!(rejection.code, 500);
        assert!(rejection.detail.contains("line 2: rule `0*1 -> 5`"), "{rejection}");
        let unknown = NumberQuestion { caller_rules: RuleSetId(6), ..egress("", "1") };
        assert!(ask(&unknown).expect_err("unknown").detail.contains("no text"));
    }
}
