//! Supervision questions about running calls: their times, the effect of the answers, and answers
//! that come late or never.

use crate::support::agent::VendorPlan;
use crate::support::facts::{CALLER, VENDOR_A, small_operator};
use crate::support::{Stage, call, hangs_up_after, policy::pin, sent, stage_of};
use ledger::EndedBy;
use policy::{
    Answer, Course, Ending, Fault, Pin, Question, Supervised, SupervisionAnswer,
    SupervisionQuestion, Verdict,
};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use strowger_switch::World;
use strowger_switch::facts::Facts;

type Asked = Rc<RefCell<Vec<SupervisionQuestion>>>;
type Said = Result<SupervisionAnswer, Fault>;

/// An operator with a supervision interval of `seconds`.
fn every(seconds: u64) -> Facts {
    let mut facts = small_operator();
    facts.settings.supervision = Duration::from_secs(seconds);
    facts
}

/// A stage with this supervision, and the questions that were asked.
fn stage(facts: Facts, mut answer: impl FnMut(&SupervisionQuestion) -> Said + 'static) -> Stage {
    stage_with(facts, move |question| match question {
        Question::Supervise(asked) => Some(answer(asked).map(Answer::Supervise)),
        _ => None,
    })
}

fn stage_with(
    facts: Facts,
    answer: impl FnMut(&Question) -> Option<Result<Answer, Fault>> + 'static,
) -> Stage {
    let mut stage = stage_of(facts, VendorPlan::answers(), VendorPlan::answers());
    let pin = Pin { supervised: Supervised::everyone(), ..pin(1) };
    stage.set_world(Arc::new(World { facts: Arc::clone(&stage.facts), pin }));
    stage.policy.instead = Some(Box::new(answer));
    stage
}

/// Lets every call go on, and keeps the questions.
fn listening(facts: Facts) -> (Stage, Asked) {
    let asked = Asked::default();
    let kept = Rc::clone(&asked);
    let stage = stage(facts, move |question| {
        kept.borrow_mut().push(question.clone());
        Ok(SupervisionAnswer::default())
    });
    (stage, asked)
}

/// The number and the time of each question, seconds.
fn times(asked: &Asked) -> Vec<(u32, u32)> {
    asked.borrow().iter().map(|question| (question.asking, question.answered_s)).collect()
}

fn said(course: Course) -> Said {
    Ok(SupervisionAnswer { course, ..SupervisionAnswer::default() })
}

fn ends(reason: &str, cause: u8, code: u16) -> Course {
    Course::End(Ending { reason: reason.into(), cause, code, detail: "as told".into() })
}

/// One call, run until everything is quiet.
fn whole_call(stage: &mut Stage, hangup_s: u64) {
    call(stage, hangs_up_after(hangup_s));
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
}

#[test]
fn a_call_is_asked_about_on_answer_and_at_the_interval() {
    let (mut stage, asked) = listening(every(10));
    whole_call(&mut stage, 35);
    assert_eq!(times(&asked), [(0, 0), (1, 10), (2, 20), (3, 30)]);
    let first = asked.borrow()[0].clone();
    assert_eq!((first.call.trunk, first.call.account, first.trunk), (1, 1, 11));
    assert_eq!((first.callee.as_str(), first.sell_price), ("4420123", 6_000_000_000));
    assert_eq!((first.interval_s, first.marks.len()), (10, 0));
    let document = &stage.finals[0];
    assert_eq!(first.call.id, document.call.id);
    assert_eq!(document.call.end_reason, "caller_hangup");
    let mut trail = document.trail.iter().filter(|entry| &*entry.hook == "supervision");
    assert_eq!(trail.next().map(|entry| entry.answer.as_str()), Some("go on"));
}

#[test]
fn without_an_interval_a_call_is_asked_about_once_unless_the_answer_wants_more() {
    let (mut stage, asked) = listening(every(0));
    whole_call(&mut stage, 35);
    assert_eq!(times(&asked), [(0, 0)]);

    let asked = Asked::default();
    let kept = Rc::clone(&asked);
    let mut stage = self::stage(every(0), move |question| {
        kept.borrow_mut().push(question.clone());
        let ask_again_s = if question.asking < 2 { 7 } else { 0 };
        Ok(SupervisionAnswer { ask_again_s, ..SupervisionAnswer::default() })
    });
    whole_call(&mut stage, 35);
    assert_eq!(times(&asked), [(0, 0), (1, 7), (2, 14)]);
}

/// Without a plugin for the hook no question is asked.
#[test]
fn calls_that_nobody_supervises_are_not_asked_about() {
    let (mut stage, asked) = listening(every(1));
    let nobody = Supervised::new(true, [(1, false)], []);
    let pin = Pin { supervised: nobody, ..pin(1) };
    stage.set_world(Arc::new(World { facts: Arc::clone(&stage.facts), pin }));
    whole_call(&mut stage, 5);
    assert_eq!(times(&asked), []);
    assert!(!stage.policy.asked.contains(&"supervision"));
}

/// SIG-89, SIG-93: both sides get the cause, the record has the reason, and the talk time is
/// billed.
#[test]
fn an_end_reaches_both_sides_and_the_record() {
    for (cause, code, header) in [
        (31, 0, "Reason: Q.850;cause=31\r\n"),
        (16, 402, "Reason: Q.850;cause=16, SIP;cause=402\r\n"),
        (0, 403, "Reason: Q.850;cause=21, SIP;cause=403\r\n"),
    ] {
        let mut stage = stage(every(10), move |question| match question.answered_s {
            20.. => said(ends("premium_limit", cause, code)),
            _ => said(Course::GoOn),
        });
        whole_call(&mut stage, 60);
        for address in [CALLER, VENDOR_A] {
            let byes = sent(&stage, address, "BYE ");
            assert!(byes.len() == 1 && byes[0].contains(header), "{address}: {byes:?}");
        }
        let document = &stage.finals[0];
        let record = &document.call;
        assert_eq!(
            (record.end_reason.as_str(), record.ended_by),
            ("premium_limit", EndedBy::Switch)
        );
        assert_eq!((record.detail.as_str(), record.duration_ms), ("as told", 20_000));
        assert_eq!(record.billable_ms, 20_000);
        assert_eq!(record.sell.as_ref().expect("charged").billed_s, 20);
        assert_eq!(document.attempts[0].end_reason, "premium_limit");
    }
}

/// RFC 3261 section 15: the caller gets its BYE after its ACK.
#[test]
fn a_call_may_end_on_answer() {
    let mut stage = stage(every(10), |_| said(ends("out_of_hours", 31, 0)));
    whole_call(&mut stage, 60);
    assert_eq!(stage.agent(CALLER).last().responses.last(), Some(&200));
    assert_eq!(stage.agent(CALLER).last().requests, ["BYE"]);
    assert_eq!(stage.agent(VENDOR_A).last().requests, ["INVITE", "BYE"]);
    let record = &stage.finals[0].call;
    assert_eq!((record.end_reason.as_str(), record.duration_ms), ("out_of_hours", 1));
    assert_eq!(record.sell.as_ref().expect("charged").billed_s, 1, "BILL-10");
}

/// SIG-35: a limit needs no further answer; a later one replaces it, and a shorter limit from
/// elsewhere still applies.
#[test]
fn a_limit_ends_the_call_by_itself() {
    for (later, node_s, lasted_ms) in
        [(Course::GoOn, 0, 15_000), (Course::Limit(15), 0, 35_000), (Course::Limit(15), 12, 12_000)]
    {
        let mut facts = every(10);
        facts.settings.max_duration = Duration::from_secs(node_s);
        let mut stage = stage(facts, move |question| match question.asking {
            0 => said(Course::Limit(15)),
            1 | 2 => said(later.clone()),
            _ => said(Course::GoOn),
        });
        whole_call(&mut stage, 120);
        let record = &stage.finals[0].call;
        assert_eq!(
            (record.end_reason.as_str(), record.ended_by),
            ("max_duration", EndedBy::Switch)
        );
        assert_eq!(record.duration_ms, lasted_ms);
        assert!(record.sell.is_some());
    }
}

#[test]
fn marks_are_kept_on_the_record_once_and_seen_by_the_next_question() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&seen);
    let mut stage = stage_with(every(10), move |question| match question {
        Question::Screen(_) => Some(Ok(Answer::Screen(Verdict::Mark(vec!["new".into()])))),
        Question::Supervise(asked) => {
            kept.borrow_mut().push(asked.marks.join(" "));
            let marks = vec!["long".into(), "new".into()];
            let answer = SupervisionAnswer { marks, ..SupervisionAnswer::default() };
            Some(Ok(Answer::Supervise(answer)))
        }
        _ => None,
    });
    whole_call(&mut stage, 25);
    assert_eq!(*seen.borrow(), ["new", "new long", "new long"]);
    assert_eq!(stage.finals[0].call.marks, ["new", "long"]);
    let interim = stage.interims.last().expect("one at the answer");
    assert_eq!(interim.call.marks, ["new"], "written before the answer came");
}

fn slow(stage: &mut Stage, supervision: Option<Duration>) {
    stage.policy.delay = Some(Box::new(move |question| match question {
        Question::Supervise(_) => supervision,
        _ => Some(Duration::ZERO),
    }));
}

/// Times count from the question; one question is open at a time.
#[test]
fn a_slow_answer_delays_nothing() {
    for (slow_s, wanted) in
        [(4, &[(0, 0), (1, 10), (2, 20)][..]), (12, &[(0, 0), (1, 12), (2, 24)])]
    {
        let (mut stage, asked) = listening(every(10));
        slow(&mut stage, Some(Duration::from_secs(slow_s)));
        whole_call(&mut stage, 29);
        assert_eq!(times(&asked), wanted);
        assert_eq!(stage.finals[0].call.duration_ms, 29_002, "its BYE is taken at once");
    }
    // A slow answer ends the call when it arrives.
    let mut stage = stage(every(10), |_| said(ends("over", 16, 0)));
    slow(&mut stage, Some(Duration::from_secs(4)));
    whole_call(&mut stage, 29);
    assert_eq!(stage.finals[0].call.duration_ms, 4_000);
}

/// An answer after the end is ignored, both while the charges are asked for and when the call is
/// gone.
#[test]
fn an_answer_after_the_end_is_ignored() {
    for charge_s in [0, 20] {
        let mut stage = stage(every(10), |_| {
            let marks = vec!["late".into()];
            Ok(SupervisionAnswer { course: ends("over", 16, 0), marks, ask_again_s: 0 })
        });
        stage.policy.delay = Some(Box::new(move |question| match question {
            Question::Supervise(_) => Some(Duration::from_secs(8)),
            Question::Rate(asked) if asked.subject.is_final => Some(Duration::from_secs(charge_s)),
            _ => Some(Duration::ZERO),
        }));
        whole_call(&mut stage, 5);
        let record = &stage.finals[0].call;
        assert_eq!((record.end_reason.as_str(), record.duration_ms), ("caller_hangup", 5_002));
        assert_eq!(record.sell.as_ref().expect("charged").billed_s, 6);
        assert!(record.marks.is_empty() && !record.rerate);
        assert_eq!(stage.finals.len(), 1);
    }
}

/// Without an answer a call goes on, or ends if the operator chose so.
#[test]
fn a_question_without_an_answer_is_the_operators_choice() {
    for (must_answer, reason, lasted_ms) in
        [(false, "caller_hangup", 25_002), (true, "internal_error", 10_000)]
    {
        let mut stage = stage(every(10), |question| match question.asking {
            0 => said(Course::GoOn),
            _ => Err(Fault::Deadline(5, String::new())),
        });
        stage.policy.must_screen = must_answer;
        whole_call(&mut stage, 25);
        let record = &stage.finals[0].call;
        assert_eq!((record.end_reason.as_str(), record.duration_ms), (reason, lasted_ms));
        assert!(record.sell.is_some(), "what was talked is billed");
        let failed = stage.switch.counters().fallbacks["supervision"];
        assert_eq!(failed, if must_answer { 1 } else { 2 });
    }
}

/// A question that is never answered is the last one, and nothing else waits for it.
#[test]
fn an_answer_that_never_comes_keeps_nobody_waiting() {
    let mut facts = every(10);
    facts.settings.max_duration = Duration::from_secs(100);
    let (mut stage, asked) = listening(facts);
    slow(&mut stage, None);
    whole_call(&mut stage, 600);
    assert_eq!(times(&asked), [(0, 0)]);
    assert_eq!(stage.finals[0].call.end_reason, "max_duration");
    assert_eq!(stage.interims.len(), 2, "CDR-06");
}

/// OPS-64: the machine that continues a call continues its supervision.
#[test]
fn askings_go_on_in_the_next_machine() {
    let (mut stage, asked) = listening(every(60));
    call(&mut stage, hangs_up_after(200));
    for _ in 0..21 {
        stage.run(Duration::from_secs(10));
        stage.change_machines(Duration::ZERO);
    }
    stage.run_until_quiet();
    stage.assert_nothing_leaks();
    assert_eq!(times(&asked), [(0, 0), (1, 60), (2, 120), (3, 180)]);
}
