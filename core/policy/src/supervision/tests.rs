//! Which calls are asked about, when, and how answers combine.

use super::*;
use crate::{Answer, CallNotes, HookSet, Lookup, PrefixHit};

struct NoLookup;

impl Lookup for NoLookup {
    fn text(&self, _: u64) -> Option<Arc<str>> {
        None
    }
    fn longest_prefix(&self, _: &str, _: &str) -> Option<PrefixHit> {
        None
    }
    fn exact(&self, _: &str, _: &str) -> Option<Arc<str>> {
        None
    }
}

fn pin(supervised: Supervised) -> Pin {
    Pin {
        generation: 1,
        policy: Arc::new(()),
        lookup: Arc::new(NoLookup),
        hears_events: false,
        supervised,
        wants_details: HookSet::default(),
        notes: Arc::new(CallNotes::default()),
    }
}

fn call(trunk: u32, account: u32) -> CallFacts {
    CallFacts { id: 1, received_ms: 2, trunk, account }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn supervisor(interval_s: u64, answered: Instant) -> Supervisor {
    let pin = pin(Supervised::everyone());
    Supervisor::of(&pin, call(1, 1), seconds(interval_s), answered).expect("somebody is asked")
}

fn reply(outcome: Result<SupervisionAnswer, Fault>) -> Reply {
    Reply {
        outcome: outcome.map(Answer::Supervise),
        plugin: None,
        nanos: 0,
        by_previous: false,
        instead_of: None,
        rejects: false,
        earlier: Vec::new(),
    }
}

fn says(course: Course, ask_again_s: u32) -> Reply {
    reply(Ok(SupervisionAnswer { course, marks: Vec::new(), ask_again_s }))
}

fn ending(reason: &str) -> Ending {
    Ending { reason: reason.into(), cause: 16, code: 0, detail: Text::default() }
}

#[test]
fn the_narrower_word_says_whose_calls_are_supervised() {
    let covered = |supervised: &Supervised| {
        [call(7, 70), call(8, 70), call(9, 90)].map(|call| supervised.covers(call))
    };
    assert_eq!(covered(&Supervised::default()), [false; 3]);
    assert_eq!(covered(&Supervised::everyone()), [true; 3]);
    let some = Supervised::new(false, [(8, false)], [(70, true)]);
    assert_eq!(covered(&some), [true, false, false], "a trunk's word goes before its account's");
    let others = Supervised::new(true, [(8, true)], [(70, false)]);
    assert_eq!(covered(&others), [false, true, true]);
    let all = Supervised::new(true, [(8, true)], [(70, true)]);
    assert_eq!(all, Supervised::everyone(), "nothing to look up");
    let answered = Instant::now();
    assert!(Supervisor::of(&pin(some), call(8, 70), seconds(60), answered).is_none());
}

#[test]
fn a_call_is_asked_about_on_answer_and_then_at_the_interval() {
    let answered = Instant::now();
    let mut supervisor = supervisor(60, answered);
    assert_eq!(supervisor.due(), Some(answered));
    let asking = supervisor.ask(answered);
    assert_eq!(asking, Asking { number: 0, answered_s: 0, interval_s: 60 });
    assert_eq!(supervisor.due(), None, "one question at a time");
    assert_eq!(supervisor.settle(says(Course::GoOn, 0)), Supervision::default());
    assert_eq!(supervisor.due(), Some(answered + seconds(60)));

    let late = answered + seconds(61);
    assert_eq!(supervisor.ask(late), Asking { number: 1, answered_s: 61, interval_s: 60 });
    supervisor.settle(says(Course::GoOn, 5));
    assert_eq!(supervisor.due(), Some(late + seconds(5)), "the answer names another time");
    supervisor.ask(late + seconds(5));
    supervisor.settle(reply(Err(Fault::Deadline(5, String::new()))));
    assert_eq!(supervisor.due(), Some(late + seconds(65)), "without an answer it goes on");
}

#[test]
fn without_an_interval_only_an_answer_asks_again() {
    let answered = Instant::now();
    let mut supervisor = supervisor(0, answered);
    supervisor.ask(answered);
    supervisor.settle(says(Course::GoOn, 30));
    assert_eq!(supervisor.due(), Some(answered + seconds(30)));
    supervisor.ask(answered + seconds(30));
    supervisor.settle(says(Course::GoOn, 0));
    assert_eq!(supervisor.due(), None);
}

#[test]
fn a_later_limit_takes_the_place_of_an_earlier_one() {
    let answered = Instant::now();
    let mut supervisor = supervisor(50, answered);
    supervisor.ask(answered);
    supervisor.settle(says(Course::Limit(60), 0));
    assert_eq!(supervisor.limit(), Some(answered + seconds(60)));
    let again = answered + seconds(50);
    supervisor.ask(again);
    supervisor.settle(says(Course::GoOn, 0));
    assert_eq!(supervisor.limit(), Some(answered + seconds(60)), "to go on changes nothing");
    supervisor.ask(again);
    supervisor.settle(says(Course::Limit(60), 0));
    assert_eq!(supervisor.limit(), Some(again + seconds(60)), "from the moment of the asking");
}

#[test]
fn an_end_is_told_and_so_is_a_failure_where_the_operator_chose_so() {
    let answered = Instant::now();
    let mut supervisor = supervisor(60, answered);
    supervisor.ask(answered);
    let end = supervisor.settle(says(Course::End(ending("over")), 0));
    assert_eq!(end.ending, Some(ending("over")));

    supervisor.ask(answered);
    let failed = Reply { rejects: true, ..reply(Err(Fault::Deadline(5, String::new()))) };
    let end = supervisor.settle(failed).ending.expect("it ends");
    assert_eq!((&*end.reason, end.cause, end.code), ("internal_error", 41, 503));
    assert_eq!(end.detail, "supervision: deadline of 5 ms passed");
}

#[test]
fn where_nobody_is_there_nobody_is_asked_again() {
    let answered = Instant::now();
    let mut supervisor = supervisor(60, answered);
    supervisor.ask(answered);
    assert_eq!(supervisor.settle(reply(Err(Fault::Absent))), Supervision::default());
    assert_eq!(supervisor.due(), None);
}

#[test]
fn answers_of_a_chain_are_joined() {
    let joined = |answers: &[(Course, u32)], interval_s| {
        let mut answers = answers.iter().map(|(course, ask_again_s)| SupervisionAnswer {
            course: course.clone(),
            marks: vec!["m".into()],
            ask_again_s: *ask_again_s,
        });
        let mut first = answers.next().expect("one at least");
        answers.for_each(|next| first.join(next, interval_s));
        (first.course, first.ask_again_s, first.marks.len())
    };
    let end = || Course::End(ending("over"));
    let cases = [
        (vec![(Course::GoOn, 0), (Course::Limit(9), 0)], 60, (Course::Limit(9), 60, 2)),
        (vec![(Course::Limit(9), 90), (Course::GoOn, 70)], 0, (Course::Limit(9), 70, 2)),
        (vec![(Course::Limit(9), 0), (Course::Limit(4), 5)], 60, (Course::Limit(4), 5, 2)),
        (vec![(Course::GoOn, 90), (Course::GoOn, 0)], 60, (Course::GoOn, 60, 2)),
        (vec![(Course::GoOn, 0), (Course::GoOn, 0)], 0, (Course::GoOn, 0, 2)),
        (vec![(Course::Limit(9), 0), (end(), 0)], 60, (end(), 60, 2)),
    ];
    for (answers, interval_s, wanted) in cases {
        assert_eq!(joined(&answers, interval_s), wanted, "{answers:?}");
    }
}

#[test]
fn a_word_is_on_the_record_once_and_there_is_an_end_to_them() {
    let mut marks: Vec<Text> = vec!["long".into()];
    add_marks(&mut marks, ["long".into(), "dear".into(), "dear".into()]);
    assert_eq!(marks, ["long", "dear"]);
    add_marks(&mut marks, (0..200).map(|n| Text::from(n.to_string())));
    assert_eq!(marks.len(), MARKS);
}

#[test]
fn an_answer_is_told_in_a_few_words() {
    let told = |course: Course, marks: &[&str], ask_again_s| {
        let marks = marks.iter().map(|word| Text::from(*word)).collect();
        SupervisionAnswer { course, marks, ask_again_s }.to_string()
    };
    assert_eq!(told(Course::GoOn, &[], 0), "go on");
    assert_eq!(
        told(Course::Limit(30), &["a", "b"], 9),
        "limit 30 s, mark a b, ask again after 9 s"
    );
    assert_eq!(told(Course::End(ending("over")), &[], 0), "end over cause 16");
    let coded = Ending { code: 402, cause: 0, ..ending("broke") };
    assert_eq!(told(Course::End(coded), &[], 0), "end broke code 402");
}
