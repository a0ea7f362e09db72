use super::*;
use plugin_sdk::{FakeHost, configured, testing};

const CALLEE: &str = "12025550100";

fn plugin(json: &str) -> RobocallScore {
    configured(json).expect(json)
}

fn screened(plugin: &mut RobocallScore, caller: &str, callee: &str) -> Verdict {
    let (caller, callee) = (caller.to_owned(), callee.to_owned());
    plugin.screen(&ScreenQuestion { caller, callee, ..ScreenQuestion::default() })
}

/// The score of a call that every score refuses.
fn score(caller: &str) -> String {
    match screened(&mut plugin(r#"{"mark_at":1,"reject_at":1}"#), caller, CALLEE) {
        Verdict::Allow => "0".to_owned(),
        Verdict::Reject(rejection) => {
            assert_eq!((rejection.code, rejection.reason.as_str()), (603, "robocall"));
            rejection.detail
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_sign_has_its_points() {
    let _switch = FakeHost::install();
    for (caller, detail) in [
        ("442071234567", "score 10: unverified 10"),
        ("+442071234567", "score 10: unverified 10"),
        ("", "score 30: unverified 10, anonymous 20"),
        ("anonymous", "score 30: unverified 10, anonymous 20"),
        ("123456", "score 50: unverified 10, impossible 40"),
        ("sales", "score 50: unverified 10, impossible 40"),
        (CALLEE, "score 50: unverified 10, impossible 40"),
        ("+12025550100", "score 50: unverified 10, impossible 40"),
        ("12025559999", "score 30: unverified 10, neighbour 20"),
        ("12025569999", "score 10: unverified 10"),
    ] {
        assert_eq!(score(caller), detail, "`{caller}`");
    }
}

#[test]
fn a_failure_counts_whoever_says_it_and_a_success_only_from_a_trusted_trunk() {
    let switch = FakeHost::install();
    let passed = "<sip:+442071234567;verstat=TN-Validation-Passed@a.example;user=phone>;tag=1";
    switch.header("From", passed);
    assert_eq!(score("442071234567"), "score 10: unverified 10", "anybody can write that");
    switch.customer_attribute("verstat", "trusted");
    assert_eq!(score("442071234567"), "0");
    switch.header("P-Asserted-Identity", "<tel:+442071234567;verstat=TN-Validation-Failed>");
    assert_eq!(score("442071234567"), "score 60: failed 60");
}

#[test]
fn many_calls_a_minute_are_a_sign() {
    let switch = FakeHost::install();
    let mut plugin = plugin(r#"{"burst_calls":3}"#);
    for _ in 0..3 {
        assert_eq!(screened(&mut plugin, "442071234567", CALLEE), Verdict::Allow);
    }
    let marked = Verdict::Mark(vec!["robocall:50".to_owned()]);
    assert_eq!(screened(&mut plugin, "442071234567", CALLEE), marked);
    assert_eq!(screened(&mut plugin, "442071234568", CALLEE), Verdict::Allow, "another caller");
    switch.advance(62_000);
    assert_eq!(screened(&mut plugin, "442071234567", CALLEE), Verdict::Allow);
}

#[test]
fn a_reputation_adds_or_takes_points() {
    let switch = FakeHost::install();
    let rows = [("4420", "70"), ("44207", " -10 "), ("4930", "bad")];
    switch.table("caller-reputation", &rows);
    assert_eq!(score("442081234567"), "score 80: unverified 10, reputation 70");
    assert_eq!(score("442071234567"), "0", "the longest prefix decides");
    assert_eq!(score("493012345678"), "score 10: unverified 10", "a value that is no number");
}

#[test]
fn a_call_is_marked_and_refused_exactly_from_the_score_on() {
    let _switch = FakeHost::install();
    let at = |mark_at, reject_at| {
        let json = format!(r#"{{"mark_at":{mark_at},"reject_at":{reject_at},"code":608}}"#);
        screened(&mut plugin(&json), "123456", CALLEE)
    };
    assert_eq!(at(51, 0), Verdict::Allow);
    assert_eq!(at(50, 0), Verdict::Mark(vec!["robocall:50".to_owned()]));
    assert_eq!(at(50, 51), Verdict::Mark(vec!["robocall:50".to_owned()]));
    assert!(matches!(at(50, 50), Verdict::Reject(rejection) if rejection.code == 608));
}

#[test]
fn by_default_no_call_is_refused_and_an_emergency_call_is_not_scored() {
    testing::check(500, |draw| {
        let verdict = plugin("").screen(&draw.screen_question());
        assert!(!matches!(verdict, Verdict::Reject(_) | Verdict::Challenge), "{verdict:?}");
    });
    let strict = r#"{"mark_at":1,"reject_at":1}"#;
    assert_eq!(screened(&mut plugin(strict), "", "911"), Verdict::Allow);
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<RobocallScore>(json).expect_err("must be refused");
    for (json, words) in [
        (r#"{"mark_at":0}"#, "field `mark_at`: 0, allowed is 1 and more"),
        (r#"{"reject_at":39}"#, "field `reject_at`: 39, allowed is 0 or `mark_at`, 40, and more"),
        (r#"{"code":399}"#, "field `code`: 399, allowed is 400 to 699"),
        (r#"{"neighbour_digits":4}"#, "field `neighbour_digits`: 4, allowed is 5 to 15"),
    ] {
        assert_eq!(refused(json), words);
    }
    assert!(refused(r#"{"failed":"many"}"#).starts_with("field `failed`: invalid type"));
}
