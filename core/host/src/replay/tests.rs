//! Which differences count, and how they are named.

use super::compare::{Difference, difference};
use super::*;
use policy::{
    Advance, AdvanceQuestion, Answer, AttemptFailure, CallFacts, Candidate, Charge, Course, Ending,
    FailoverSwitches, IdentityAnswer, NumberAnswer, Question, Rejection, RouteQuestion,
    SupervisionAnswer, Verdict,
};

fn question() -> Question {
    let candidate = |trunk: u32, buy_price| Candidate {
        trunk,
        prefix_length: 2,
        prefix_priority: 0,
        extend: true,
        priority: 10,
        weight: 1,
        last_resort: false,
        active: 0,
        channels: 0,
        calls_today: 0,
        buy_price,
    };
    Question::Route(RouteQuestion {
        call: CallFacts { id: 1, received_ms: 2, trunk: 3, account: 4 },
        caller: "1555".into(),
        callee: "4420".into(),
        sell_price: 100,
        candidates: vec![candidate(1, 40), candidate(2, 70), candidate(3, 90)],
    })
}

fn failed() -> AdvanceQuestion {
    AdvanceQuestion {
        call: CallFacts { id: 1, received_ms: 2, trunk: 3, account: 4 },
        trunk: 1,
        failure: AttemptFailure::Response,
        code: 503,
        cause: 0,
        alerted: false,
        media_opened: false,
        rtp_received: false,
        switches: FailoverSwitches::default(),
        attempts: 1,
        remaining: 1,
    }
}

fn rejection(code: u16, detail: &str) -> Rejection {
    Rejection { code, reason: "barred".into(), detail: detail.into() }
}

fn route(trunks: &[u32]) -> Result<Answer, Fault> {
    Ok(Answer::Route(Ok(trunks.to_vec())))
}

fn found(old: &Result<Answer, Fault>, new: &Result<Answer, Fault>) -> Option<Difference> {
    difference(&question(), &old.clone().map(Some), &new.clone().map(Some))
}

fn kinds(old: &Result<Answer, Fault>, new: &Result<Answer, Fault>) -> Vec<Kind> {
    found(old, new).map(|found| found.kinds).unwrap_or_default()
}

#[test]
fn routes_differ_in_the_first_the_set_or_the_order() {
    assert_eq!(found(&route(&[1, 2]), &route(&[1, 2])), None);
    let first = found(&route(&[1, 2, 3]), &route(&[2, 1, 3])).expect("another first choice");
    assert_eq!(first.kinds, [Kind::FirstRoute, Kind::RouteOrder]);
    assert_eq!(first.margin, 30 - 60, "100 - 70 instead of 100 - 40");
    assert_eq!(kinds(&route(&[1, 2, 3]), &route(&[1, 3, 2])), [Kind::RouteOrder]);
    assert_eq!(kinds(&route(&[1, 2]), &route(&[1])), [Kind::RouteSet]);
    assert_eq!(kinds(&route(&[1]), &route(&[])), [Kind::FirstRoute, Kind::RouteSet]);
    let advance = |advance| Ok(Answer::Advance(advance));
    let after = |remaining, old, new| {
        let failed = AdvanceQuestion { remaining, ..failed() };
        let (old, new) = (advance(old).map(Some), advance(new).map(Some));
        difference(&Question::Advance(failed), &old, &new).expect("another decision")
    };
    let stop = after(1, Advance::Next, Advance::Stop);
    assert_eq!((stop.loses(), stop.kinds), (true, vec![Kind::NewStop]));
    let next = after(1, Advance::StopWith(404), Advance::Next);
    assert_eq!((next.saves(), next.kinds), (true, vec![Kind::GoneStop]));
    let code = after(1, Advance::Stop, Advance::StopWith(404));
    assert_eq!((code.loses(), code.kinds), (false, vec![Kind::AfterFailure]));
    assert_eq!(after(0, Advance::Next, Advance::Stop).kinds, [Kind::AfterFailure], "none is left");
}

#[test]
fn refusals_and_faults_come_and_go() {
    let refused = |code, detail| Ok(Answer::Route(Err(rejection(code, detail))));
    let fault = |words: &str| Err(Fault::Refused(words.to_owned()));
    assert_eq!(kinds(&route(&[1]), &refused(403, "")), [Kind::NewReject]);
    assert_eq!(kinds(&refused(403, ""), &route(&[1])), [Kind::GoneReject]);
    assert_eq!(kinds(&refused(403, ""), &refused(404, "")), [Kind::OtherReject]);
    assert_eq!(found(&refused(403, "one"), &refused(403, "another")), None, "for people only");
    assert_eq!(kinds(&route(&[1]), &fault("no")), [Kind::NewFault]);
    assert_eq!(kinds(&refused(403, ""), &fault("no")), [Kind::NewFault]);
    assert_eq!(kinds(&fault("no"), &route(&[1])), [Kind::GoneFault]);
    assert_eq!(kinds(&fault("no"), &refused(403, "")), [Kind::GoneFault, Kind::NewReject]);
    assert_eq!(found(&fault("no"), &fault("never")), None, "the same fallback");
}

#[test]
fn a_decision_may_be_left_to_others() {
    let (left, decided) = (Ok(None), route(&[1]).map(Some));
    let kinds = |old, new| difference(&question(), old, new).map(|found| found.kinds);
    assert_eq!(kinds(&left, &left), None);
    assert_eq!(kinds(&left, &decided), Some(vec![Kind::Decides]));
    assert_eq!(kinds(&decided, &left), Some(vec![Kind::LeftToOthers]));
}

#[test]
fn numbers_prices_verdicts_and_identities_differ() {
    let number = |caller: &str, callee: &str, rate_as: &str| {
        Ok(Answer::Number(Ok(NumberAnswer {
            caller: caller.into(),
            callee: callee.into(),
            rate_as: rate_as.into(),
            ..NumberAnswer::default()
        })))
    };
    assert_eq!(kinds(&number("1", "2", ""), &number("1", "3", "")), [Kind::Callee]);
    let both = kinds(&number("1", "2", ""), &number("2", "2", "44"));
    assert_eq!(both, [Kind::Caller, Kind::OtherNumbers]);

    let charge = |amount, billed_seconds| Ok(Answer::Rate(Charge { amount, billed_seconds }));
    let dearer = found(&charge(10, 60), &charge(25, 60)).expect("another price");
    assert_eq!((dearer.kinds, dearer.price), (vec![Kind::Price], 15));
    assert_eq!(kinds(&charge(10, 60), &charge(10, 61)), [Kind::BilledSeconds]);

    let screen = |verdict| Ok(Answer::Screen(verdict));
    let marked = || screen(Verdict::Mark(vec!["odd".into()]));
    assert_eq!(kinds(&screen(Verdict::Allow), &marked()), [Kind::Marks]);
    assert_eq!(kinds(&marked(), &screen(Verdict::Challenge)), [Kind::NewChallenge]);
    assert_eq!(kinds(&screen(Verdict::Challenge), &marked()), [Kind::GoneChallenge]);

    let identity = |user: &str, header: &str| {
        Ok(Answer::Identity(Ok(IdentityAnswer {
            display: policy::Text::default(),
            user: user.into(),
            host: "h".into(),
            headers: vec![("Privacy".to_owned(), header.to_owned())],
        })))
    };
    let both = kinds(&identity("1", "id"), &identity("2", "none"));
    assert_eq!(both, [Kind::From, Kind::Headers]);
}

/// Ending a call counts as refusing one.
#[test]
fn ends_of_calls_that_are_up_come_and_go() {
    let supervised = |course, ask_again_s| {
        let marks = Vec::new();
        Ok(Answer::Supervise(SupervisionAnswer { course, marks, ask_again_s }))
    };
    let end = |reason: &str, cause| {
        let detail = policy::Text::default();
        supervised(Course::End(Ending { reason: reason.into(), cause, code: 0, detail }), 0)
    };
    let goes_on = || supervised(Course::GoOn, 0);
    assert_eq!(kinds(&goes_on(), &end("over", 31)), [Kind::NewReject]);
    assert_eq!(kinds(&end("over", 31), &goes_on()), [Kind::GoneReject]);
    assert_eq!(kinds(&end("over", 31), &end("over", 16)), [Kind::OtherReject]);
    assert_eq!(kinds(&end("over", 31), &end("broke", 31)), [Kind::OtherReject]);
    assert_eq!(kinds(&goes_on(), &supervised(Course::Limit(9), 0)), [Kind::Limit]);
    assert_eq!(kinds(&goes_on(), &supervised(Course::GoOn, 5)), [Kind::AskAgain]);
}

/// Refusals come first, then money, then first choices, whatever their order in time.
#[test]
fn the_sharpest_examples_are_kept() {
    let example = |kind: Kind, price: i64| Example {
        call: String::new(),
        at_ms: price.unsigned_abs(),
        hook: "routing",
        kinds: vec![kind],
        question: String::new(),
        before: String::new(),
        after: String::new(),
        log: Vec::new(),
    };
    let mut sharpest = example::Sharpest::new(4);
    let met = [
        (Kind::RouteOrder, 0),
        (Kind::FirstRoute, 0),
        (Kind::Price, 5),
        (Kind::Price, -9),
        (Kind::Price, 1),
        (Kind::NewReject, 0),
    ];
    for (kind, price) in met {
        let difference = Difference { kinds: vec![kind], price, margin: 0 };
        sharpest.meet(&difference, || example(kind, price));
    }
    let kept: Vec<(Kind, u64)> =
        sharpest.into_examples().iter().map(|it| (it.kinds[0], it.at_ms)).collect();
    let wanted = [(Kind::NewReject, 0), (Kind::Price, 9), (Kind::Price, 5), (Kind::Price, 1)];
    assert_eq!(kept, wanted);
}
