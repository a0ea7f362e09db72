//! Differences between the answer that a call got and the one that it would get.

use policy::{Advance, Answer, Fault, NumberAnswer, Question, RouteQuestion, Verdict};
use serde::Serialize;

/// The kind of difference between two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Refused now, or ended while it is up.
    NewReject,
    /// No longer refused or ended.
    GoneReject,
    /// Refused or ended with another code, cause or reason.
    OtherReject,
    /// No usable answer now: the hook's fallback applies.
    NewFault,
    /// There was no usable answer.
    GoneFault,
    /// Decided now, left to other plugins before.
    Decides,
    /// Left to other plugins now.
    LeftToOthers,
    /// A different vendor trunk is first.
    FirstRoute,
    /// The same trunks in a different order.
    RouteOrder,
    /// Different trunks.
    RouteSet,
    /// After a failed attempt, the call ends now although vendor trunks are left.
    NewStop,
    /// After a failed attempt, the call no longer ends.
    GoneStop,
    /// Another code at the end after a failed attempt, or no trunk was left.
    AfterFailure,
    /// A different caller number.
    Caller,
    /// A different callee number.
    Callee,
    /// A different number for identity headers.
    IdentityNumber,
    /// A different number for route or rate, or different URI parameters.
    OtherNumbers,
    /// A different charge.
    Price,
    /// The same charge for different seconds.
    BilledSeconds,
    /// The caller has to give credentials now.
    NewChallenge,
    /// The caller no longer has to give credentials.
    GoneChallenge,
    /// Different marks.
    Marks,
    /// A different limit of a call that is up.
    Limit,
    /// A different time of the next supervision question.
    AskAgain,
    /// A different From.
    From,
    /// Different identity headers.
    Headers,
}

/// A difference and its value.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) kinds: Vec<Kind>,
    /// New charge minus the old one.
    pub(super) price: i64,
    /// New margin per minute of the first choice minus the old one.
    pub(super) margin: i64,
}

impl Difference {
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// A call is refused, challenged or ended now that was not.
    pub(super) fn loses(&self) -> bool {
        let losses = [Kind::NewReject, Kind::NewChallenge, Kind::NewStop];
        losses.into_iter().any(|kind| self.has(kind))
    }

    /// A call that was refused, challenged or ended goes on now.
    pub(super) fn saves(&self) -> bool {
        let savings = [Kind::GoneReject, Kind::GoneChallenge, Kind::GoneStop];
        savings.into_iter().any(|kind| self.has(kind))
    }
}

/// None: the decision is left to other plugins.
type Outcome = Result<Option<Answer>, Fault>;

/// None if both mean the same to the call. A refusal's detail for the operator, and the kind of a
/// fault, do not count.
pub(super) fn difference(question: &Question, old: &Outcome, new: &Outcome) -> Option<Difference> {
    let mut found = Difference::default();
    if old == new {
        return None;
    }
    match (old, new) {
        (Err(_), Err(_)) => {}
        (Ok(_), Err(_)) => found.kinds.push(Kind::NewFault),
        (Err(_), Ok(_)) => found.kinds.push(Kind::GoneFault),
        (Ok(None), Ok(_)) => found.kinds.push(Kind::Decides),
        (Ok(_), Ok(None)) => found.kinds.push(Kind::LeftToOthers),
        (Ok(_), Ok(_)) => {}
    }
    match (refusal(old), refusal(new)) {
        (None, None) => {
            if let (Ok(Some(old)), Ok(Some(new))) = (old, new) {
                answers(&mut found, question, old, new);
            }
        }
        (None, Some(_)) => found.kinds.push(Kind::NewReject),
        // Without an answer the fallback may still refuse the call.
        (Some(_), None) if new.is_ok() => found.kinds.push(Kind::GoneReject),
        (Some(_), None) => {}
        (Some(old), Some(new)) => {
            if old != new {
                found.kinds.push(Kind::OtherReject);
            }
        }
    }
    Some(found).filter(|found| !found.kinds.is_empty())
}

/// The refusal or the ending of a call, with its reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    /// Response code; for a call that was up, the Q.850 cause if it ended without a code.
    pub(super) code: u16,
    pub(super) reason: &'a str,
}

/// The refusal in an answer.
pub(super) fn refusal(outcome: &Outcome) -> Option<Refusal<'_>> {
    match outcome.as_ref().ok()?.as_ref()? {
        Answer::Screen(Verdict::Reject(rejection))
        | Answer::Number(Err(rejection))
        | Answer::Route(Err(rejection))
        | Answer::Identity(Err(rejection)) => {
            Some(Refusal { code: rejection.code, reason: &rejection.reason })
        }
        Answer::Supervise(answer) => answer.ending().map(|ending| Refusal {
            code: if ending.code > 0 { ending.code } else { ending.cause.into() },
            reason: &ending.reason,
        }),
        _ => None,
    }
}

fn answers(found: &mut Difference, question: &Question, old: &Answer, new: &Answer) {
    let kinds = &mut found.kinds;
    let mut differs = |kind, differs: bool| {
        if differs {
            kinds.push(kind);
        }
    };
    match (old, new) {
        (Answer::Route(Ok(old)), Answer::Route(Ok(new))) => {
            let sorted = |trunks: &[u32]| {
                let mut trunks = trunks.to_vec();
                trunks.sort_unstable();
                trunks
            };
            let same_set = sorted(old) == sorted(new);
            differs(Kind::FirstRoute, old.first() != new.first());
            differs(Kind::RouteSet, !same_set);
            differs(Kind::RouteOrder, same_set);
            if let Question::Route(question) = question
                && let (Some(old), Some(new)) = (margin(question, old), margin(question, new))
            {
                found.margin = new.saturating_sub(old);
            }
        }
        (Answer::Advance(old), Answer::Advance(new)) => {
            let left = matches!(question, Question::Advance(question) if question.remaining > 0);
            let (went_on, goes_on) = (*old == Advance::Next, *new == Advance::Next);
            differs(Kind::NewStop, left && went_on && !goes_on);
            differs(Kind::GoneStop, left && !went_on && goes_on);
            differs(Kind::AfterFailure, old != new && (!left || went_on == goes_on));
        }
        (Answer::Number(Ok(old)), Answer::Number(Ok(new))) => {
            let others = |it: &NumberAnswer| {
                (it.route_as.clone(), it.rate_as.clone(), it.uri_parameters.clone())
            };
            differs(Kind::Caller, old.caller != new.caller);
            differs(Kind::Callee, old.callee != new.callee);
            differs(Kind::IdentityNumber, old.identity != new.identity);
            differs(Kind::OtherNumbers, others(old) != others(new));
        }
        (Answer::Rate(old), Answer::Rate(new)) => {
            differs(Kind::Price, old.amount != new.amount);
            differs(Kind::BilledSeconds, old.amount == new.amount);
            found.price = new.amount.saturating_sub(old.amount);
        }
        (Answer::Screen(old), Answer::Screen(new)) => {
            let challenge = |verdict: &Verdict| matches!(verdict, Verdict::Challenge);
            differs(Kind::NewChallenge, challenge(new) && !challenge(old));
            differs(Kind::GoneChallenge, challenge(old) && !challenge(new));
            differs(Kind::Marks, challenge(old) == challenge(new));
        }
        (Answer::Supervise(old), Answer::Supervise(new)) => {
            differs(Kind::Limit, old.course != new.course);
            differs(Kind::Marks, old.marks != new.marks);
            differs(Kind::AskAgain, old.ask_again_s != new.ask_again_s);
        }
        (Answer::Identity(Ok(old)), Answer::Identity(Ok(new))) => {
            let headers = old.headers != new.headers;
            let from = (&old.display, &old.user, &old.host);
            differs(Kind::From, from != (&new.display, &new.user, &new.host));
            differs(Kind::Headers, headers);
        }
        _ => {}
    }
}

/// Margin per minute of the first choice: sell price minus its buy price.
pub(super) fn margin(question: &RouteQuestion, trunks: &[u32]) -> Option<i64> {
    let first = trunks.first()?;
    let candidate = question.candidates.iter().find(|candidate| candidate.trunk == *first)?;
    Some(question.sell_price.saturating_sub(candidate.buy_price))
}
