use super::*;
use plugin_sdk::{AccountId, Call, FakeHost, configured, testing};

/// 2026-01-01 12:00 UTC.
const NOON: u64 = 1_767_268_800_000;
const HOUR: u64 = 3_600_000;

fn call(account: u32, callee: impl ToString, received_ms: u64) -> ScreenQuestion {
    ScreenQuestion {
        call: Call { account: AccountId(account), received_ms, ..Call::default() },
        callee: callee.to_string(),
        ..ScreenQuestion::default()
    }
}

fn plugin(json: &str) -> FraudRule {
    configured(json).expect(json)
}

fn marks(words: &[&str]) -> Verdict {
    Verdict::Mark(words.iter().map(|word| (*word).to_owned()).collect())
}

const PREMIUM: &str = r#"{"rules":[
    {"name":"premium","prefixes":["4490","4487"],"minutes":5,"calls":3,"action":"reject"},
    {"name":"burst","minutes":1,"calls":5,"action":"mark"}
]}"#;

#[test]
fn calls_to_a_range_are_counted_for_each_account_and_refused_above_the_limit() {
    let switch = FakeHost::install();
    let mut plugin = plugin(PREMIUM);
    for _ in 0..3 {
        assert_eq!(plugin.screen(&call(1, "44901", NOON)), Verdict::Allow);
    }
    let Verdict::Reject(rejection) = plugin.screen(&call(1, "44871", NOON)) else {
        panic!("the fourth call to the range");
    };
    assert_eq!((rejection.code, rejection.reason), (403, Reason::DynamicBlock));
    assert_eq!(rejection.detail, "rule premium: more than 3 calls in 5 min");
    assert_eq!(plugin.screen(&call(2, "44901", NOON)), Verdict::Allow, "another account");
    assert_eq!(plugin.screen(&call(1, "4420", NOON)), Verdict::Allow, "another range");
    assert_eq!(switch.metric("hits_premium"), 1);
    switch.advance(5 * 61_000);
    assert_eq!(plugin.screen(&call(1, "44901", NOON)), Verdict::Allow, "the window moved on");
}

#[test]
fn a_mark_lets_the_call_go_on_and_stays_while_the_burst_lasts() {
    let switch = FakeHost::install();
    let mut plugin = plugin(PREMIUM);
    for number in 0..5 {
        assert_eq!(plugin.screen(&call(1, 4_420_000 + 7 * number, NOON)), Verdict::Allow);
    }
    assert_eq!(plugin.screen(&call(1, "4430", NOON)), marks(&["fraud:burst"]));
    assert_eq!(plugin.screen(&call(1, "4440", NOON)), marks(&["fraud:burst"]));
    assert_eq!(switch.metric("hits_burst"), 2);
}

#[test]
fn at_night_a_part_of_the_calls_is_enough() {
    let _switch = FakeHost::install();
    let json = r#"{
        "night":{"from_hour":22,"to_hour":6,"percent":50,"utc_offset_minutes":60},
        "rules":[{"name":"all","minutes":60,"calls":4,"action":"reject"}]}"#;
    let mut plugin = plugin(json);
    let mut passed = |account, at| {
        (0..6).filter(|_| plugin.screen(&call(account, "44", at)) == Verdict::Allow).count()
    };
    assert_eq!(passed(1, NOON), 4);
    assert_eq!(passed(2, NOON + 9 * HOUR), 2, "21:00 UTC is 22:00 on the wall");
    assert_eq!(passed(3, NOON + 17 * HOUR - 1), 2, "05:59:59");
    assert_eq!(passed(4, NOON + 17 * HOUR), 4, "06:00");
}

#[test]
fn a_run_of_callees_is_found_and_single_ones_are_not() {
    let switch = FakeHost::install();
    let json = r#"{"sequence":{"numbers":4,"minutes":5,"action":"mark"}}"#;
    let mut plugin = plugin(json);
    for callee in [4_420_100, 4_420_101, 4_420_102, 4_420_104] {
        assert_eq!(plugin.screen(&call(1, callee, NOON)), Verdict::Allow, "{callee}");
    }
    assert_eq!(plugin.screen(&call(2, 4_420_103, NOON)), Verdict::Allow, "another account");
    assert_eq!(plugin.screen(&call(1, 4_420_103, NOON)), marks(&["fraud:sequence"]));
    assert_eq!(plugin.screen(&call(1, "sip-user", NOON)), Verdict::Allow, "no number");
    switch.advance(5 * 61_000);
    assert_eq!(plugin.screen(&call(1, 4_420_105, NOON)), Verdict::Allow, "long ago");
}

/// A run is found at its last missing number, in whatever order its numbers were called: forwards,
/// backwards, or with gaps filled later.
#[test]
fn the_order_of_a_run_does_not_matter() {
    testing::check(500, |draw| {
        let length = 3 + draw.small(8);
        let json = format!(r#"{{"sequence":{{"numbers":{length},"minutes":60,"action":"mark"}}}}"#);
        let mut plugin = plugin(&json);
        let first = 44_200_000 + draw.below(1_000_000);
        let mut run: Vec<u64> = (first..first + u64::from(length)).collect();
        for at in (1..run.len()).rev() {
            let other = draw.below(at as u64 + 1) as usize;
            run.swap(at, other);
        }
        let last = run.pop().expect("three or more");
        for callee in run {
            assert_eq!(plugin.screen(&call(1, callee, NOON)), Verdict::Allow, "{callee}");
        }
        assert_eq!(plugin.screen(&call(1, last, NOON)), marks(&["fraud:sequence"]));
    });
}

/// Within one window never more calls of an account pass than the rule allows.
#[test]
fn a_limit_is_never_passed() {
    testing::check(100, |draw| {
        let limit = 1 + draw.small(20);
        let json = format!(
            r#"{{"rules":[{{"name":"all","minutes":1,"calls":{limit},"action":"reject"}}]}}"#
        );
        let mut plugin = plugin(&json);
        let mut passed = std::collections::BTreeMap::new();
        for _ in 0..200 {
            let question = draw.screen_question();
            if plugin.screen(&question) == Verdict::Allow {
                *passed.entry(question.call.account).or_insert(0) += 1;
            }
        }
        assert!(passed.values().all(|calls| *calls <= limit), "{limit}: {passed:?}");
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<FraudRule>(json).expect_err("must be refused");
    let rule = |name: &str, minutes: u32, calls: u32| {
        format!(
            r#"{{"rules":[{{"name":"{name}","minutes":{minutes},"calls":{calls},"action":"mark"}}]}}"#
        )
    };
    assert_eq!(
        refused(&rule("A", 1, 1)),
        "field `rules[0].name`: allowed is 1 to 32 of a-z, 0-9 and _"
    );
    assert_eq!(refused(&rule("a", 2, 1)), "field `rules[0].minutes`: allowed is 1, 5 or 60");
    assert_eq!(refused(&rule("a", 1, 0)), "field `rules[0].calls`: allowed is 1 to 1000000");
    let two = r#"{"sequence":{"numbers":2,"minutes":1,"action":"mark"}}"#;
    assert_eq!(refused(two), "field `sequence.numbers`: allowed is 3 to 50");
    assert!(refused(r#"{"night":{"percent":0}}"#).starts_with("field `night.percent`"));
}
