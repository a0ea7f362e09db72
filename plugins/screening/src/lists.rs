//! Allow and deny lists.
//!
//! A caller on the allow list passes a level regardless of the deny list (SEC-17). For a
//! destination the longer entry of the two lists decides; deny wins a tie (ROUTE-63). Each list
//! defines whether its entries are prefixes or whole numbers.

use crate::config::Level;
use plugin_sdk::host::{self, Hit};
use plugin_sdk::{Call, Reason, Rejection, ScreenQuestion};
use std::fmt::Write;

/// Looks up numbers; keeps the buffer for names with placeholders.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    name: String,
}

impl Lists {
    /// The first list that bars the call, level by level.
    pub(crate) fn refusal(
        &mut self,
        levels: &[Level],
        question: &ScreenQuestion,
    ) -> Option<Rejection> {
        levels.iter().find_map(|level| {
            self.bars_caller(level, question).or_else(|| self.bars_callee(level, question))
        })
    }

    fn bars_caller(&mut self, level: &Level, question: &ScreenQuestion) -> Option<Rejection> {
        let (caller, call) = (&question.caller, &question.call);
        let deny = self.find(&level.caller_deny, call, caller)?;
        if self.find(&level.caller_allow, call, caller).is_some() {
            return None;
        }
        Some(barred(Reason::CallerBarred, "caller", caller, &level.caller_deny, &deny))
    }

    fn bars_callee(&mut self, level: &Level, question: &ScreenQuestion) -> Option<Rejection> {
        let (callee, call) = (&question.callee, &question.call);
        let deny = self.find(&level.callee_deny, call, callee)?;
        let allow = self.find(&level.callee_allow, call, callee);
        if allow.is_some_and(|allow| allow.length > deny.length) {
            return None;
        }
        Some(barred(Reason::DestinationBarred, "callee", callee, &level.callee_deny, &deny))
    }

    /// The entry of a list, by its configured name, that matches the number.
    fn find(&mut self, list: &str, call: &Call, number: &str) -> Option<Hit> {
        if list.is_empty() {
            return None;
        }
        host::table(self.resolve(list, call)).longest_prefix(number)
    }

    /// The name with its placeholders filled in.
    fn resolve<'a>(&'a mut self, list: &'a str, call: &Call) -> &'a str {
        if !list.contains('{') {
            return list;
        }
        self.name.clear();
        let mut rest = list;
        while let Some((before, after)) = rest.split_once('{') {
            self.name.push_str(before);
            let (placeholder, after) = after.split_once('}').unwrap_or((after, ""));
            let id = if placeholder == "account" { call.account.0 } else { call.trunk.0 };
            // Writing to a String cannot fail.
            let _ = write!(self.name, "{id}");
            rest = after;
        }
        self.name.push_str(rest);
        &self.name
    }
}

fn barred(reason: Reason, side: &str, number: &str, list: &str, entry: &Hit) -> Rejection {
    let matched: String = number.chars().take(entry.length as usize).collect();
    let mut detail = format!("{side} `{number}` is barred by entry `{matched}` of list {list}");
    if !entry.value.is_empty() {
        let _ = write!(detail, ": {}", entry.value);
    }
    Rejection::new(403, reason, detail)
}

/// Checks the placeholders, which needs no lists.
///
/// # Errors
/// The first name that is filled in wrongly.
pub(crate) fn check() -> Result<u32, String> {
    let call = Call {
        trunk: plugin_sdk::TrunkId(7),
        account: plugin_sdk::AccountId(42),
        ..Call::default()
    };
    let examples = [
        ("barred-callers", "barred-callers"),
        ("barred-{account}", "barred-42"),
        ("{trunk}-barred-{account}-x", "7-barred-42-x"),
    ];
    let mut lists = Lists::default();
    let mut passed = 0;
    for (list, expected) in examples {
        let got = lists.resolve(list, &call);
        if got != expected {
            return Err(format!("list name `{list}`: expected `{expected}`, got `{got}`"));
        }
        passed += 1;
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use crate::ListScreening;
    use plugin_sdk::{
        AccountId, Call, FakeHost, Reason, Rejection, ScreenQuestion, Screening, TrunkId, Verdict,
        configured,
    };

    fn screening(json: &str) -> ListScreening {
        configured(json).expect("legal configuration")
    }

    fn call(caller: &str, callee: &str) -> ScreenQuestion {
        ScreenQuestion {
            call: Call { trunk: TrunkId(7), account: AccountId(42), ..Call::default() },
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            ..ScreenQuestion::default()
        }
    }

    fn rejection(verdict: Verdict) -> Rejection {
        match verdict {
            Verdict::Reject(rejection) => rejection,
            other => panic!("expected a rejection, got {other:?}"),
        }
    }

    #[test]
    fn the_self_test_passes() {
        assert_eq!(super::check(), Ok(3));
    }

    #[test]
    fn a_call_that_is_on_no_list_goes_on() {
        let _switch = FakeHost::install();
        assert_eq!(screening("{}").screen(&call("49301", "4420")), Verdict::Allow);
    }

    #[test]
    fn a_barred_caller_is_refused_unless_allowed_sec_17() {
        let switch = FakeHost::install();
        switch.table("barred-callers", &[("4930", "sold abroad")]);
        switch.table("allowed-callers", &[("49", "")]);
        let mut plugin = screening(
            r#"{"levels":[{"caller_allow":"allowed-callers","caller_deny":"barred-callers"}]}"#,
        );
        assert_eq!(plugin.screen(&call("49301", "1")), Verdict::Allow, "allow list first");
        switch.table("allowed-callers", &[("491", "")]);
        let refused = rejection(plugin.screen(&call("49301", "1")));
        assert_eq!((refused.code, refused.reason), (403, Reason::CallerBarred));
        assert_eq!(
            refused.detail,
            "caller `49301` is barred by entry `4930` of list barred-callers: sold abroad"
        );
    }

    #[test]
    fn for_destinations_the_longer_entry_wins_and_deny_wins_a_tie_route_63() {
        let switch = FakeHost::install();
        switch.table("barred-destinations", &[("4490", ""), ("21", "")]);
        switch.table("allowed-destinations", &[("44", ""), ("449011", ""), ("21", "")]);
        let mut plugin = screening("{}");
        assert_eq!(plugin.screen(&call("1", "4420")), Verdict::Allow);
        assert_eq!(plugin.screen(&call("1", "449011")), Verdict::Allow);
        for barred in ["4490", "449012", "216"] {
            let refused = rejection(plugin.screen(&call("1", barred)));
            assert_eq!(refused.reason, Reason::DestinationBarred, "{barred}");
        }
    }

    #[test]
    fn a_call_must_pass_every_level() {
        let switch = FakeHost::install();
        switch.table("barred-42", &[("9", "")]);
        switch.table("barred-t7", &[("8", "")]);
        let mut plugin = screening(
            r#"{"levels":[{"callee_deny":"barred-{account}"},{"callee_deny":"barred-t{trunk}"}]}"#,
        );
        assert_eq!(rejection(plugin.screen(&call("1", "91"))).code, 403);
        assert_eq!(rejection(plugin.screen(&call("1", "81"))).code, 403);
        assert_eq!(plugin.screen(&call("1", "71")), Verdict::Allow);
        let mut other = call("1", "91");
        other.call.account = AccountId(43);
        assert_eq!(plugin.screen(&other), Verdict::Allow, "another account's list");
    }

    #[test]
    fn an_emergency_number_is_never_refused_route_66() {
        let switch = FakeHost::install();
        switch.table("barred-callers", &[("", "")]);
        let mut plugin = screening(r#"{"emergency":["112"]}"#);
        assert_eq!(plugin.screen(&call("1", "112")), Verdict::Allow);
        assert_eq!(rejection(plugin.screen(&call("1", "1120"))).code, 403);
    }
}
