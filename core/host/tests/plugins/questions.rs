//! Every hook, asked and answered across the boundary.

use crate::common::{bench, call, details, marks, rate, route, screen, supervise};
use policy::{
    Advance, AdvanceQuestion, Answer, AttemptFailure, Charge, Context, Course, Ending, EventKind,
    EventNotice, FailoverSwitches, Fault, IdentityQuestion, NumberQuestion, Question, Rejection,
    Stage, SupervisionAnswer, TrunkIdentity, Verdict,
};

#[test]
fn screening_sees_the_whole_question() {
    let (_host, mut shard, pin) = bench("echo");
    let details = details();
    let context = Context { pin: &pin, details: Some(&details) };
    let reply = shard.ask(context, &screen("echo"));
    assert_eq!(reply.plugin.as_ref().unwrap().version.as_ref(), "1.0.0-build-a");
    assert_eq!(
        marks(reply),
        ["493012345", "echo", "192.0.2.1", "peer/1", "123456789abcdef0011223344556677", "12"]
    );
    assert_eq!(shard.ask(&pin, &screen("1")).outcome, Ok(Answer::Screen(Verdict::Allow)));
    assert_eq!(
        shard.ask(&pin, &screen("challenge")).outcome,
        Ok(Answer::Screen(Verdict::Challenge))
    );
    let barred =
        Rejection { code: 403, reason: "caller_barred".into(), detail: policy::Text::default() };
    assert_eq!(
        shard.ask(&pin, &screen("reject")).outcome,
        Ok(Answer::Screen(Verdict::Reject(barred)))
    );
}

#[test]
fn numbering_rating_routing_and_identity_answer() {
    let (_host, mut shard, pin) = bench("hooks");
    let number = Question::Number(NumberQuestion {
        call: call(),
        stage: Stage::Egress,
        trunk: 5,
        caller: "4930".into(),
        callee: "331".into(),
        identity: policy::Text::default(),
        caller_rules: 0,
        callee_rules: 0,
        identity_rules: 0,
        tech_prefix: "77#".into(),
        reject_unmatched: false,
    });
    let Ok(Answer::Number(Ok(numbers))) = shard.ask(&pin, &number).outcome else { panic!() };
    assert_eq!((numbers.caller.as_str(), numbers.callee.as_str()), ("4930", "77#331"));

    let charge = Charge { amount: 42, billed_seconds: 61 };
    assert_eq!(shard.ask(&pin, &rate(61_000)).outcome, Ok(Answer::Rate(charge)));
    assert_eq!(shard.ask(&pin, &route("331")).outcome, Ok(Answer::Route(Ok(vec![5, 3]))));

    let identity = Question::Identity(IdentityQuestion {
        call: call(),
        trunk: 5,
        caller_out: "4930".into(),
        identity_out: "4930".into(),
        display: "Alice".into(),
        host: "192.0.2.9".into(),
        privacy: policy::Text::default(),
        private: false,
        source_trusted: true,
        target_trusted: true,
        modes: TrunkIdentity::default(),
    });
    let details = details();
    let context = Context { pin: &pin, details: Some(&details) };
    let Ok(Answer::Identity(Ok(answer))) = shard.ask(context, &identity).outcome else { panic!() };
    assert_eq!(answer.display, "Alice");
    assert_eq!(answer.headers[1], ("P-Asserted-Identity".to_owned(), "<tel:4930>".to_owned()));
}

#[test]
fn a_failed_attempt_is_judged_by_its_code() {
    let (_host, mut shard, pin) = bench("advance");
    let mut after = |code| {
        let question = Question::Advance(AdvanceQuestion {
            call: call(),
            trunk: 5,
            failure: AttemptFailure::Response,
            code,
            cause: 0,
            alerted: false,
            media_opened: false,
            rtp_received: false,
            switches: FailoverSwitches { code_policy: vec![(404, true)], ..Default::default() },
            attempts: 1,
            remaining: 1,
        });
        shard.ask(&pin, &question).outcome
    };
    assert_eq!(after(503), Ok(Answer::Advance(Advance::Next)));
    assert_eq!(after(486), Ok(Answer::Advance(Advance::Stop)));
    assert_eq!(after(480), Ok(Answer::Advance(Advance::StopWith(480))));
    assert_eq!(after(404), Ok(Answer::Advance(Advance::Next)), "it passes, nobody else decides");
    assert!(matches!(after(302), Err(Fault::Nonsense(_))));
}

#[test]
fn supervision_sees_the_whole_question_and_answers_in_every_way() {
    let (_host, mut shard, pin) = bench("supervision");
    let mut said = |callee| match shard.ask(&pin, &supervise(callee)).outcome {
        Ok(Answer::Supervise(answer)) => answer,
        other => panic!("an answer is expected, got {other:?}"),
    };
    assert_eq!(said("1"), SupervisionAnswer::default());
    assert_eq!(said("echo").marks, ["2 121 60", "5 493012345 9", "fraud:burst"]);
    let limit = said("limit");
    assert_eq!((limit.course, limit.ask_again_s), (Course::Limit(30), 20));
    let end = |cause, code| {
        Course::End(Ending {
            reason: "told_to".into(),
            cause,
            code,
            detail: policy::Text::default(),
        })
    };
    assert_eq!(said("end").course, end(16, 0));
    assert_eq!(said("end-code").course, end(0, 402));
}

#[test]
fn an_event_is_noted() {
    let (_host, mut shard, pin) = bench("event");
    let event = Question::Event(EventNotice {
        call: call(),
        kind: EventKind::Ringing,
        at_ms: 5,
        trunk: 5,
        code: 180,
        duration_ms: 0,
        caller: "1".into(),
        callee: "2".into(),
    });
    assert_eq!(shard.ask(&pin, &event).outcome, Ok(Answer::Noted));
}

#[test]
fn host_services_answer_from_the_pinned_snapshot() {
    let (host, mut shard, pin) = bench("services");
    let first = marks(shard.ask(&pin, &screen("services")));
    assert_eq!(first[..7], ["rules of seven", "none", "4 Berlin", "none", "2", "2", "true"]);
    let mut other = host.shard();
    let second = marks(other.ask(&pin, &screen("services")));
    assert_eq!(second[4], "4", "a counter is one for all shards");
    assert_eq!(host.counter_keys(), 1);
    assert_ne!(first[7], second[7], "one call, two draws");
}

/// Further details of a call are available on demand.
#[test]
fn a_plugin_reads_headers_numbers_attempts_attributes_and_statistics() {
    let (_host, mut shard, pin) = bench("call");
    let details = details();
    let context = Context { pin: &pin, details: Some(&details) };
    assert_eq!(
        marks(shard.ask(context, &screen("call"))),
        [
            "<sip:1@a>",
            "0",
            "sip:0044@192.0.2.2",
            "0301 0044 44",
            "5:503",
            "gold",
            "cli",
            "4 570,none",
            "192.0.2.7:5061 udp main"
        ]
    );
    let without = marks(shard.ask(&pin, &screen("call")));
    assert_eq!(without[..5], ["", "0", "", "  ", ""]);
    assert_eq!(without[5], "gold", "attributes belong to the snapshot");
}

/// Values live from question to question of one call; those of a question that fails do not count.
#[test]
fn values_are_kept_for_the_later_questions_of_a_call() {
    let (host, mut shard, pin) = bench("kept");
    let (one, two) = (pin.for_call(), pin.for_call());
    assert_eq!(marks(shard.ask(&one, &screen("kept"))), ["", ""]);
    let moment = one.notes.mark();
    assert_eq!(marks(shard.ask(&one, &screen("keep"))), ["true", "87", ""]);
    assert_eq!(one.notes.take_reason("hostile").as_deref(), Some("score 87"));
    assert_eq!(one.notes.take_reason("hostile"), None);
    assert!(shard.ask(&one, &screen("keep-then-trap")).outcome.is_err());
    assert_eq!(one.notes.take_reason("hostile"), None, "no answer, no reason");
    let mut other = host.shard();
    assert_eq!(marks(other.ask(&one, &screen("kept"))), ["87", "87"]);
    assert_eq!(marks(other.ask(&two, &screen("kept"))), ["", ""], "another call");
    let kept = one.notes.kept_at_last();
    assert_eq!(kept.len(), 1);
    assert_eq!((&*kept[0].plugin, &*kept[0].key, &*kept[0].value), ("hostile", "score", "87"));
    assert!(one.notes.kept_before(moment).is_empty(), "a replay begins where the question did");
    assert_eq!(marks(shard.ask(&two, &screen("keep-too-much"))), ["64"]);
    assert!(shard.ask(&two, &screen("long-note")).outcome.is_err());
}

#[test]
fn names_money_and_prices_are_those_of_the_snapshot() {
    let (_host, mut shard, pin) = bench("accounts");
    assert_eq!(
        marks(shard.ask(&pin, &screen("accounts"))),
        ["acme", "office", "carrier-a", "EUR 1000 20 Some(980)", "4930 Berlin 60", "true", "true"]
    );
}

/// NUM-21: a call holds places, which are free when it ends.
#[test]
fn places_end_with_their_call_and_limits_are_not_passed() {
    let (host, mut shard, pin) = bench("places");
    let (one, two) = (pin.for_call(), pin.for_call());
    assert_eq!(marks(shard.ask(&one, &screen("places"))), ["true", "1", "Ok(2)", "Err(2)", "true"]);
    let mut other = host.shard();
    assert_eq!(marks(other.ask(&two, &screen("places")))[..2], ["true", "2"]);
    assert_eq!(marks(other.ask(&two, &screen("places")))[..2], ["false", "2"]);
    drop(one);
    assert_eq!(marks(other.ask(&two, &screen("places")))[..2], ["true", "2"]);
    let asked = host.own_metrics();
    assert_eq!(asked.len(), 1, "a bad name is dropped");
    assert_eq!((asked[0].1.as_str(), asked[0].2), ("asked", host::OwnMetric::Counter(4)));
}

/// Draws depend on the seed, the call and their order, so a replay draws them again.
#[test]
fn random_bits_repeat_for_the_same_call_and_differ_within_it() {
    let (_host, mut shard, pin) = bench("random");
    let mut draw = |pin: &policy::Pin| marks(shard.ask(pin, &screen("services")))[7].clone();
    let (one, again) = (pin.for_call(), pin.for_call());
    let first = draw(&one);
    assert_eq!(draw(&again), first);
    assert_ne!(draw(&one), first);
}

#[test]
fn figures_are_kept_for_each_hook() {
    let (host, mut shard, pin) = bench("figures");
    for _ in 0..10 {
        shard.ask(&pin, &rate(60_000));
    }
    shard.ask(&pin, &rate(2));
    let rating = host.metrics().into_iter().find(|it| it.hook == policy::Hook::Rating).unwrap();
    assert_eq!((rating.answered, rating.faults.nonsense, rating.nanos.count()), (10, 1, 11));
    let state = &host.list()[0];
    assert_eq!((state.answered, state.faults.total(), state.since_generation), (10, 1, 1));
    assert_eq!(state.builds[0].pinned, 1);
    assert!(state.p50_nanos > 0 && state.p50_nanos <= state.p99_nanos);
}
