//! Callers that call too often are refused temporarily (SEC-18).

use crate::config::Velocity;
use plugin_sdk::{Reason, Rejection, ScreenQuestion, host};

/// Counts the call; refuses it if its caller is blocked or has just exceeded the limit. Calls
/// without a caller number are not counted, because they share no caller.
pub(crate) fn refusal(velocity: &Velocity, question: &ScreenQuestion) -> Option<Rejection> {
    let caller = question.caller.as_str();
    if velocity.limit == 0 || caller.is_empty() {
        return None;
    }
    let blocked = format!("block/{}/{caller}", question.call.account);
    let block = host::counter(&blocked, velocity.block_s);
    if block.sum() > 0 {
        return Some(refused(velocity, caller, "is blocked"));
    }
    let counted = format!("calls/{}/{caller}", question.call.account);
    let calls = host::counter(&counted, velocity.window_s);
    if calls.add(1) <= u64::from(velocity.limit) || is_exempt(velocity, caller) {
        return None;
    }
    block.add(1);
    // The caller starts over when the block ends, even if the window is longer.
    calls.clear();
    Some(refused(velocity, caller, "is blocked from now on"))
}

fn is_exempt(velocity: &Velocity, caller: &str) -> bool {
    !velocity.exempt.is_empty() && host::table(&velocity.exempt).longest_prefix(caller).is_some()
}

fn refused(velocity: &Velocity, caller: &str, state: &str) -> Rejection {
    let Velocity { limit, window_s, block_s, .. } = velocity;
    let detail =
        format!("caller `{caller}` {state} ({block_s} s): over {limit} calls in {window_s} s");
    Rejection::new(403, Reason::DynamicBlock, detail)
}

#[cfg(test)]
mod tests {
    use crate::ListScreening;
    use plugin_sdk::{AccountId, FakeHost, Reason, ScreenQuestion, Screening, Verdict, configured};

    const LIMIT_3: &str = r#"{"velocity":{"limit":3,"window_s":600,"block_s":1200}}"#;

    fn call(caller: &str) -> ScreenQuestion {
        ScreenQuestion {
            caller: caller.to_owned(),
            callee: "4420".to_owned(),
            ..ScreenQuestion::default()
        }
    }

    fn passed(plugin: &mut ListScreening, question: &ScreenQuestion) -> bool {
        match plugin.screen(question) {
            Verdict::Allow => true,
            Verdict::Reject(rejection) => {
                assert_eq!((rejection.code, rejection.reason), (403, Reason::DynamicBlock));
                false
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    #[test]
    fn the_default_limit_is_1000_calls_an_hour_sec_18() {
        let _switch = FakeHost::install();
        let mut plugin: ListScreening = configured("").expect("default");
        for _ in 0..1_000 {
            assert!(passed(&mut plugin, &call("49301")));
        }
        assert!(!passed(&mut plugin, &call("49301")));
    }

    #[test]
    fn a_blocked_caller_is_refused_until_the_block_ends() {
        let switch = FakeHost::install();
        let mut plugin: ListScreening = configured(LIMIT_3).expect("legal");
        for expected in [true, true, true, false, false] {
            assert_eq!(passed(&mut plugin, &call("1")), expected);
        }
        switch.advance(1_200_000);
        assert!(!passed(&mut plugin, &call("1")), "not a second less than the operator said");
        switch.advance(1_200_000 / 60);
        assert!(passed(&mut plugin, &call("1")), "the block has ended");
    }

    #[test]
    fn a_caller_begins_anew_after_a_block_that_is_shorter_than_the_window() {
        let switch = FakeHost::install();
        let json = r#"{"velocity":{"limit":1,"window_s":86400,"block_s":60}}"#;
        let mut plugin: ListScreening = configured(json).expect("legal");
        assert!(passed(&mut plugin, &call("1")));
        assert!(!passed(&mut plugin, &call("1")));
        switch.advance(61_000);
        assert!(passed(&mut plugin, &call("1")));
    }

    #[test]
    fn the_window_slides() {
        let switch = FakeHost::install();
        let mut plugin: ListScreening = configured(LIMIT_3).expect("legal");
        for _ in 0..20 {
            assert!(passed(&mut plugin, &call("1")), "3 calls in 600 s are within the limit");
            switch.advance(204_000);
        }
    }

    #[test]
    fn callers_and_accounts_are_counted_apart_and_no_caller_not_at_all() {
        let _switch = FakeHost::install();
        let mut plugin: ListScreening = configured(LIMIT_3).expect("legal");
        let mut other = call("1");
        other.call.account = AccountId(9);
        for _ in 0..4 {
            passed(&mut plugin, &call("1"));
            assert!(passed(&mut plugin, &call("")));
        }
        assert!(passed(&mut plugin, &other));
        assert!(passed(&mut plugin, &call("2")));
    }

    #[test]
    fn exempt_callers_and_a_limit_of_zero_are_never_blocked() {
        let switch = FakeHost::install();
        switch.table("unlimited-callers", &[("800", "call centre")]);
        let mut plugin: ListScreening = configured(LIMIT_3).expect("legal");
        let mut unlimited: ListScreening =
            configured(r#"{"velocity":{"limit":0}}"#).expect("legal");
        for _ in 0..10 {
            assert!(passed(&mut plugin, &call("8001")));
            assert!(passed(&mut unlimited, &call("1")));
        }
    }
}
