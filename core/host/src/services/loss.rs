//! Answers by which a call is lost. Each may be right; many more than before are a bad sign.

use policy::{Advance, Answer, Verdict};

/// The end reason of a list of routes without a candidate (SIG-93).
pub(crate) const NO_ROUTE: &str = "no_route_available";

/// An answer after which the call, or its attempt, does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// No vendor trunk is left. `verify::routes` turned a list without a candidate into this
    /// rejection; a router that knows it says it itself.
    NoCandidate,
    /// Another rejection, or the end of a call that is up.
    Reject,
    /// The caller has to give credentials.
    Challenge,
    /// No other vendor trunk is tried after a failed attempt.
    Stop,
}

impl Loss {
    /// Its name for operators.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Loss::NoCandidate => "no candidate",
            Loss::Reject => "reject",
            Loss::Challenge => "challenge",
            Loss::Stop => "stop",
        }
    }

    pub(crate) fn of(answer: &Answer) -> Option<Loss> {
        match answer {
            Answer::Route(Err(rejection)) if rejection.reason == NO_ROUTE => {
                Some(Loss::NoCandidate)
            }
            Answer::Screen(Verdict::Reject(_))
            | Answer::Number(Err(_))
            | Answer::Route(Err(_))
            | Answer::Identity(Err(_)) => Some(Loss::Reject),
            Answer::Number(Ok(numbers)) if !policy::is_number(&numbers.callee) => {
                Some(Loss::Reject)
            }
            Answer::Supervise(answer) if answer.ending().is_some() => Some(Loss::Reject),
            Answer::Screen(Verdict::Challenge) => Some(Loss::Challenge),
            Answer::Advance(Advance::Stop | Advance::StopWith(_)) => Some(Loss::Stop),
            _ => None,
        }
    }
}
