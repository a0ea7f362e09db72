use super::*;
use plugin_sdk::{AccountId, Call, Course, FakeHost, configured, testing};

fn switch() -> FakeHost {
    let switch = FakeHost::install();
    switch.table("premium-destinations", &[("4490", ""), ("11", "")]);
    switch
}

fn plugin(json: &str) -> PremiumHold {
    configured(json).expect(json)
}

fn screened(plugin: &mut PremiumHold, account: u32, callee: &str) -> Verdict {
    let call = Call { account: AccountId(account), ..Call::default() };
    plugin.screen(&ScreenQuestion { call, callee: callee.to_owned(), ..Default::default() })
}

fn is_first(verdict: &Verdict) -> bool {
    *verdict == Verdict::Mark(vec![MARK.to_owned()])
}

#[test]
fn the_first_call_is_marked_and_the_next_is_refused() {
    let switch = switch();
    let mut plugin = plugin("");
    assert!(is_first(&screened(&mut plugin, 7, "+4490123")));
    let line = "warn: account 7 calls 4490123, a premium destination, unapproved";
    assert_eq!(switch.lines(), [line]);
    let Verdict::Reject(rejection) = screened(&mut plugin, 7, "4490999") else {
        panic!("the second call is refused");
    };
    assert_eq!((rejection.code, rejection.reason.as_str()), (403, "premium_hold"));
    assert_eq!(rejection.detail, "account 7 is not approved for premium destinations");
    assert!(is_first(&screened(&mut plugin, 8, "4490123")), "another account");
    assert_eq!(screened(&mut plugin, 7, "442071"), Verdict::Allow, "another destination");
    assert_eq!((switch.metric("first_calls"), switch.metric("refused")), (2, 1));
    switch.advance(87_841_000);
    assert!(is_first(&screened(&mut plugin, 7, "4490123")), "a day later");
}

#[test]
fn only_the_word_approved_lifts_the_hold() {
    let switch = switch();
    let mut plugin = plugin(r#"{"first_calls":0}"#);
    for word in ["", "no", "Approved"] {
        switch.account_attribute("premium", word);
        assert!(matches!(screened(&mut plugin, 7, "4490"), Verdict::Reject(_)), "{word}");
    }
    switch.account_attribute("premium", "approved");
    assert_eq!(screened(&mut plugin, 7, "4490"), Verdict::Allow);
}

#[test]
fn emergency_numbers_are_never_held_even_if_a_prefix_fits_them() {
    let _switch = switch();
    let mut plugin = plugin(r#"{"first_calls":0}"#);
    assert_eq!(screened(&mut plugin, 7, "112"), Verdict::Allow);
    assert!(matches!(screened(&mut plugin, 7, "118"), Verdict::Reject(_)));
}

#[test]
fn a_marked_call_ends_exactly_after_its_seconds() {
    let mut plugin = plugin(r#"{"seconds":90}"#);
    let up = |answered_s, mark: &str| SupervisionQuestion {
        answered_s,
        marks: vec!["fraud:night".to_owned(), mark.to_owned()],
        ..SupervisionQuestion::default()
    };
    for (answered_s, left_s) in [(0, 90), (1, 89), (89, 1), (90, 1), (4_000, 1)] {
        let answer = plugin.supervise(&up(answered_s, MARK));
        assert_eq!(answer, SupervisionAnswer::limit(left_s).ask_no_more(), "{answered_s}");
    }
    assert_eq!(plugin.supervise(&up(0, "premium:long")).course, Course::GoOn);
}

#[test]
fn without_a_list_nothing_is_held() {
    testing::check(200, |draw| {
        let mut plugin = plugin("");
        assert_eq!(plugin.screen(&draw.screen_question()), Verdict::Allow);
        assert_eq!(plugin.supervise(&draw.supervision_question()).course, Course::GoOn);
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |json: &str| configured::<PremiumHold>(json).expect_err("must be refused");
    for (json, words) in [
        (r#"{"table":""}"#, "field `table`: name a number list"),
        (r#"{"first_calls":1001}"#, "field `first_calls`: 1001, allowed is 0 to 1000"),
        (r#"{"seconds":0}"#, "field `seconds`: 0, allowed is 1 to 3600"),
        (r#"{"seconds":3601}"#, "field `seconds`: 3601, allowed is 1 to 3600"),
    ] {
        assert_eq!(refused(json), words);
    }
    assert!(refused(r#"{"minutes":1}"#).contains("minutes"));
}
