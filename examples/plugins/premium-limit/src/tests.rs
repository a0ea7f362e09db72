use super::*;
use plugin_sdk::{Course, Ending, configured, testing};

const LIMITS: &str = r#"{"limits":[
    {"prefixes":["4490","4487"],"seconds":600,"warn_s":100},
    {"prefixes":["44909"],"seconds":30,"reason":"adult_limit","cause":21}
]}"#;

fn plugin(json: &str) -> PremiumLimit {
    configured(json).expect(json)
}

fn up(callee: &str, answered_s: u32) -> SupervisionQuestion {
    SupervisionQuestion { callee: callee.to_owned(), answered_s, ..SupervisionQuestion::default() }
}

fn ending(answer: SupervisionAnswer) -> Ending {
    match answer.course {
        Course::End(ending) => ending,
        other => panic!("it ends, not {other:?}"),
    }
}

#[test]
fn a_call_is_marked_and_then_ends() {
    let mut plugin = plugin(LIMITS);
    let asked = |plugin: &mut PremiumLimit, answered_s| plugin.supervise(&up("44901", answered_s));
    assert_eq!(asked(&mut plugin, 0), SupervisionAnswer::limit(610).ask_again(500));
    assert_eq!(asked(&mut plugin, 60), SupervisionAnswer::limit(550).ask_again(440));
    assert_eq!(asked(&mut plugin, 500), SupervisionAnswer::limit(110).mark(MARK).ask_again(100));
    let end = ending(asked(&mut plugin, 600));
    assert_eq!((end.reason.as_str(), end.cause), ("premium_limit", 31));
    assert_eq!(end.detail, "up for 600 s, allowed are 600 s");
    assert_eq!(ending(asked(&mut plugin, 700)).reason.as_str(), "premium_limit", "asked late");
}

#[test]
fn the_longest_prefix_decides() {
    let mut plugin = plugin(LIMITS);
    assert_eq!(ending(plugin.supervise(&up("449091", 30))).reason.as_str(), "adult_limit");
    assert_eq!(ending(plugin.supervise(&up("449091", 30))).cause, 21);
    let longer = plugin.supervise(&up("44871", 30));
    assert_eq!(longer.course, Course::Limit(580));
}

#[test]
fn nobody_asks_about_other_calls_again() {
    let mut plugin = plugin(LIMITS);
    let answer = plugin.supervise(&up("442071234567", 0));
    assert_eq!(answer, SupervisionAnswer::go_on().ask_no_more());
    assert_eq!(
        configured::<PremiumLimit>("").expect("no limits").supervise(&up("4490", 9)),
        answer
    );
}

#[test]
fn a_mark_may_be_left_out() {
    let json = r#"{"limits":[{"prefixes":["4490"],"seconds":600,"warn_s":0}]}"#;
    let answer = plugin(json).supervise(&up("4490", 0));
    assert_eq!(answer, SupervisionAnswer::limit(610).ask_again(600));
    let short = r#"{"limits":[{"prefixes":["4490"],"seconds":3}]}"#;
    let mut short = plugin(short);
    assert_eq!(short.supervise(&up("4490", 0)).ask_again_s, 2, "half of a short limit");
    assert_eq!(short.supervise(&up("4490", 2)).marks, [MARK]);
}

/// A call that follows the answers is marked at the right time and ends exactly at the limit.
#[test]
fn a_call_that_follows_its_answers_ends_on_time() {
    testing::check(300, |draw| {
        let seconds = 2 + draw.small(5_000);
        let warn_s = draw.small(seconds);
        let json = format!(
            r#"{{"limits":[{{"prefixes":["44"],"seconds":{seconds},"warn_s":{warn_s}}}]}}"#
        );
        let mut plugin = plugin(&json);
        let mut question = draw.supervision_question();
        question.callee = "44".to_owned() + &question.callee;
        (question.answered_s, question.asking) = (0, 0);
        let mut marked_s = None;
        let ended_s = loop {
            let answer = plugin.supervise(&question);
            if !answer.marks.is_empty() {
                marked_s.get_or_insert(question.answered_s);
            }
            if matches!(answer.course, Course::End(_)) {
                break question.answered_s;
            }
            assert!(answer.ask_again_s > 0 && question.asking < 3, "{answer:?}");
            question.answered_s += answer.ask_again_s;
            question.asking += 1;
        };
        assert_eq!(ended_s, seconds);
        assert_eq!(marked_s, (warn_s > 0).then(|| seconds - warn_s));
    });
}

#[test]
fn a_bad_setting_names_its_field() {
    let refused = |limit: &str| {
        let json = format!(r#"{{"limits":[{limit}]}}"#);
        configured::<PremiumLimit>(&json).expect_err("must be refused")
    };
    let cases = [
        (r#"{"prefixes":[],"seconds":1}"#, "prefixes`: allowed is one or more of 1 to 32 digits"),
        (r#"{"prefixes":["+44"],"seconds":1}"#, "prefixes`: allowed is one or more"),
        (r#"{"prefixes":["1","1"],"seconds":1}"#, "prefixes`: allowed is a prefix that is named"),
        (r#"{"prefixes":["1"],"seconds":0}"#, "seconds`: allowed is 1 to 86400"),
        (r#"{"prefixes":["1"],"seconds":9,"warn_s":9}"#, "warn_s`: allowed is less than"),
        (r#"{"prefixes":["1"],"seconds":9,"reason":"No"}"#, "reason`: allowed is 1 to 64"),
        (r#"{"prefixes":["1"],"seconds":9,"cause":0}"#, "cause`: allowed is 1 to 127"),
    ];
    for (limit, words) in cases {
        let said = refused(limit);
        assert!(said.contains(&format!("field `limits[0].{words}")), "{said}");
    }
}
