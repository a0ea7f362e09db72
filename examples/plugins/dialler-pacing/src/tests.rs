use super::*;
use plugin_sdk::{Call, FakeHost, configured, testing};

fn plugin(json: &str) -> DiallerPacing {
    configured(json).expect(json)
}

fn call(account: u32) -> Call {
    Call { account: AccountId(account), ..Call::default() }
}

/// Code and detail of the refusal, if any.
fn refused(plugin: &mut DiallerPacing, account: u32, callee: &str) -> Option<(u16, String)> {
    let callee = callee.to_owned();
    match plugin.screen(&ScreenQuestion { call: call(account), callee, ..Default::default() }) {
        Verdict::Allow => None,
        Verdict::Reject(rejection) => Some((rejection.code, rejection.detail)),
        other => panic!("{other:?}"),
    }
}

/// Calls of account 1 within one moment, each to another number.
fn allowed(plugin: &mut DiallerPacing, calls: u32) -> usize {
    (0..calls).filter(|call| refused(plugin, 1, &format!("44{call:06}")).is_none()).count()
}

fn told(plugin: &mut DiallerPacing, kind: EventKind, times: u32) {
    for _ in 0..times {
        plugin.notify(&Event { call: call(1), kind, ..Event::default() });
    }
}

#[test]
fn an_account_has_so_many_calls_a_second() {
    let switch = FakeHost::install();
    let mut plugin = plugin("");
    assert_eq!(allowed(&mut plugin, 30), 10);
    let said = refused(&mut plugin, 1, "449").expect("too fast");
    assert_eq!(said, (503, "account 1 has 10 calls a second".to_owned()));
    assert_eq!(refused(&mut plugin, 2, "449"), None, "another account");
    switch.advance(1_034);
    assert_eq!(allowed(&mut plugin, 30), 10, "numbers that were refused may be called");
}

#[test]
fn an_account_that_nobody_answers_is_slow() {
    let switch = FakeHost::install();
    let mut plugin = plugin("");
    told(&mut plugin, EventKind::Routed, 99);
    assert_eq!(allowed(&mut plugin, 30), 10, "too few to judge");
    switch.advance(1_034);
    told(&mut plugin, EventKind::Routed, 1);
    told(&mut plugin, EventKind::Answered, 9);
    told(&mut plugin, EventKind::Failed, 50);
    assert_eq!(allowed(&mut plugin, 30), 2);
    let (_, detail) = refused(&mut plugin, 1, "449").expect("too fast");
    assert_eq!(detail, "account 1 has 2 calls a second: few of its calls are answered");
    switch.advance(1_034);
    told(&mut plugin, EventKind::Answered, 1);
    assert_eq!(allowed(&mut plugin, 30), 10, "exactly at the share");
}

#[test]
fn a_number_is_called_so_often_a_day() {
    let switch = FakeHost::install();
    let mut plugin = plugin("");
    for callee in ["4420", "+4420", "4420"] {
        assert_eq!(refused(&mut plugin, 1, callee), None);
    }
    let said = refused(&mut plugin, 1, "4420").expect("the fourth call");
    assert_eq!(said, (403, "3 calls to `4420` within a day".to_owned()));
    assert_eq!(refused(&mut plugin, 1, "4421"), None);
    assert_eq!(refused(&mut plugin, 2, "4420"), None);
    switch.advance(87_841_000);
    assert_eq!(refused(&mut plugin, 1, "4420"), None);
    let mut free = self::plugin(r#"{"per_callee_per_day":0,"calls_per_second":10000}"#);
    assert!((0..50).all(|_| refused(&mut free, 1, "4420").is_none()));
}

#[test]
fn emergency_calls_are_never_refused() {
    let _switch = FakeHost::install();
    let json = r#"{"calls_per_second":1,"slow_calls_per_second":1,"per_callee_per_day":1}"#;
    let mut plugin = plugin(json);
    assert!((0..5).all(|_| refused(&mut plugin, 1, "112").is_none()));
    assert_eq!(refused(&mut plugin, 1, "4420"), None, "they were not counted");
}

#[test]
fn whatever_is_asked_there_is_an_answer() {
    let mut plugin = plugin("");
    testing::check(300, |draw| {
        let verdict = plugin.screen(&draw.screen_question());
        assert!(matches!(verdict, Verdict::Allow | Verdict::Reject(_)));
        plugin.notify(&draw.event());
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<DiallerPacing>(json).expect_err("must be refused");
    for (json, words) in [
        (r#"{"calls_per_second":0}"#, "field `calls_per_second`: 0, allowed is 1 to 10000"),
        (
            r#"{"slow_calls_per_second":11}"#,
            "field `slow_calls_per_second`: 11, allowed is 1 to 10",
        ),
        (
            r#"{"min_answered_percent":101}"#,
            "field `min_answered_percent`: 101, allowed is 0 to 100",
        ),
    ] {
        assert_eq!(refused(json), words);
    }
    assert!(refused(r#"{"min_calls":-1}"#).starts_with("field `min_calls`: "));
}
