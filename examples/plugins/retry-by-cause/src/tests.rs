use super::*;
use plugin_sdk::host::{CallNumbers, PastAttempt};
use plugin_sdk::{Failure, FakeHost, configured, testing};

fn plugin(json: &str) -> RetryByCause {
    configured(json).expect(json)
}

fn failed(code: u16, cause: u8) -> Outcome {
    Outcome { trunk: TrunkId(2), code, cause, ..Outcome::default() }
}

fn after(plugin: &mut RetryByCause, outcome: &Outcome) -> Decision {
    plugin.after_failure(&Call::default(), outcome)
}

fn past(trunk: u32, code: u16) -> PastAttempt {
    let trunk = TrunkId(trunk);
    PastAttempt { trunk, failure: Failure::Response, code, cause: 0, duration_ms: 900 }
}

#[test]
fn the_cause_decides_before_the_code_route_51() {
    let _switch = FakeHost::install();
    let mut plugin = plugin("");
    for (code, cause, decision) in [
        (503, 0, Decision::Next),
        (486, 0, Decision::Stop),
        (503, 17, Decision::Stop),
        (486, 34, Decision::Next),
        (404, 1, Decision::Stop),
        (480, 0, Decision::Pass),
        (480, 16, Decision::Pass),
        (0, 0, Decision::Pass),
    ] {
        assert_eq!(after(&mut plugin, &failed(code, cause)), decision, "{code} cause {cause}");
    }
}

#[test]
fn a_doubtful_code_is_believed_when_another_vendor_sends_it_as_well() {
    let switch = FakeHost::install();
    let mut plugin = plugin("");
    assert_eq!(after(&mut plugin, &failed(404, 0)), Decision::Next, "no attempt before");
    switch.attempt(past(2, 404));
    switch.attempt(past(1, 503));
    assert_eq!(after(&mut plugin, &failed(404, 0)), Decision::Next, "the vendor itself");
    switch.attempt(past(1, 404));
    assert_eq!(after(&mut plugin, &failed(404, 0)), Decision::Stop);
    assert_eq!(after(&mut plugin, &failed(484, 0)), Decision::Next, "another code");
}

#[test]
fn the_last_attempt_of_the_limit_ends_the_call_route_53() {
    let _switch = FakeHost::install();
    let attempts = |attempts| Outcome { attempts, ..failed(503, 0) };
    let mut limited = plugin("");
    assert_eq!(after(&mut limited, &attempts(4)), Decision::Next);
    assert_eq!(after(&mut limited, &attempts(5)), Decision::Stop);
    let mut unlimited = plugin(r#"{"max_attempts":0}"#);
    assert_eq!(after(&mut unlimited, &attempts(500)), Decision::Next);
}

#[test]
fn the_caller_may_get_another_code() {
    let _switch = FakeHost::install();
    let mut plugin = plugin(r#"{"answers":{"603":480,"503":502}}"#);
    assert_eq!(after(&mut plugin, &failed(603, 0)), Decision::StopWith(480));
    assert_eq!(after(&mut plugin, &failed(600, 0)), Decision::Stop);
    assert_eq!(after(&mut plugin, &failed(503, 0)), Decision::Next, "the call goes on");
    let last = Outcome { attempts: 5, ..failed(503, 0) };
    assert_eq!(after(&mut plugin, &last), Decision::StopWith(502));
}

#[test]
fn an_emergency_call_tries_every_vendor_route_66() {
    let switch = FakeHost::install();
    switch.numbers(CallNumbers { callee: "112".to_owned(), ..CallNumbers::default() });
    let mut defaults = plugin("");
    testing::check(300, |draw| {
        FakeHost::install().numbers(CallNumbers { callee: "112".to_owned(), ..Default::default() });
        assert_eq!(after(&mut defaults, &draw.outcome()), Decision::Next);
    });
    assert_eq!(after(&mut plugin(r#"{"emergency":[]}"#), &failed(486, 0)), Decision::Stop);
}

#[test]
fn the_choice_of_vendors_is_left_as_it_is() {
    testing::check(100, |draw| {
        let question = draw.route_question();
        let all: Vec<TrunkId> = question.candidates.iter().map(|it| it.trunk).collect();
        assert_eq!(plugin("").select(&question), Ok(all));
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<RetryByCause>(json).expect_err("must be refused");
    for (json, words) in [
        (r#"{"stop_causes":[0]}"#, "field `stop_causes`: 0, allowed is 1 to 127"),
        (r#"{"retry_causes":[128]}"#, "field `retry_causes`: 128, allowed is 1 to 127"),
        (r#"{"retry_causes":[17]}"#, "field `retry_causes`: 17 is in `stop_causes` as well"),
        (r#"{"stop_codes":[200]}"#, "field `stop_codes`: 200, allowed is 300 to 699"),
        (r#"{"retry_codes":[404]}"#, "field `confirm_codes`: 404 is in `retry_codes` as well"),
        (r#"{"answers":{"200":480}}"#, "field `answers`: 200, allowed is 300 to 699"),
        (r#"{"answers":{"603":302}}"#, "field `answers`: 302, allowed is 400 to 699"),
    ] {
        assert_eq!(refused(json), words);
    }
    assert!(refused(r#"{"stop_codes":["busy"]}"#).starts_with("field `stop_codes[0]`: "));
}
