//! Counts of one build: its answers, the calls that it decided, and the time that it took. They are
//! the basis of a rollback.

use super::reasons::Reasons;
use crate::guest::verify::Said;
use crate::services::loss::Loss;
use crate::services::stats::{Histogram, Times};
use policy::{Answer, CallOutcome, Fault};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Counts of one build since it was loaded. Signalling threads only add to them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    asked: AtomicU64,
    faults: AtomicU64,
    rejects: AtomicU64,
    no_candidate: AtomicU64,
    challenges: AtomicU64,
    failures: AtomicU64,
    stops: AtomicU64,
    calls: Calls,
    reasons: Reasons,
    times: Times,
}

#[derive(Debug, Default)]
struct Calls {
    begun: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    challenged: AtomicU64,
    charged: AtomicU64,
    sales: AtomicI64,
    margin: AtomicI64,
}

/// A snapshot of a build's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuildTally {
    /// Questions put to it.
    pub asked: u64,
    /// Questions without a usable answer, including those that it was not asked because the breaker
    /// left it out.
    pub faults: u64,
    /// Questions answered with a rejection, with an end, with routes of which none is a candidate,
    /// with a callee that no call can have (NUM-03), or with the plugin's own error.
    pub rejects: u64,
    /// Those of `rejects` that leave a call without a usable vendor trunk.
    pub no_candidate: u64,
    /// Calls that it challenged.
    pub challenges: u64,
    /// Failed attempts after which it was asked what to do.
    pub failures: u64,
    /// Those of `failures` after which it ended the call.
    pub stops: u64,
    /// The calls that it decided.
    pub calls: CallTally,
}

/// Calls that a build decided: that asked it a question before their answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallTally {
    /// Calls that asked it.
    pub begun: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that ended without an answer, except those below.
    pub failed: u64,
    /// Calls that the caller gave up before an answer.
    pub given_up: u64,
    /// Calls that ended with a challenge.
    pub challenged: u64,
    /// Answered calls whose charges are known.
    pub charged: u64,
    /// Sum that their customers pay, in millionths of the currency units.
    pub sales: i64,
    /// What is left of it after the vendors were paid, likewise.
    pub margin: i64,
}

/// Counts and times of a build over some period.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) tally: BuildTally,
    pub(crate) nanos: Histogram,
}

impl Tally {
    /// Counts an answer.
    pub(crate) fn note(&self, said: &Result<Said, Fault>) {
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Relaxed);
        };
        count(&self.asked);
        match said {
            Err(fault) if fault.is_deliberate() => count(&self.rejects),
            Err(_) => count(&self.faults),
            Ok(Said::Pass) => {}
            Ok(Said::Answer(answer)) => match Loss::of(answer) {
                Some(Loss::NoCandidate) => {
                    count(&self.rejects);
                    count(&self.no_candidate);
                }
                Some(Loss::Reject) => count(&self.rejects),
                Some(Loss::Challenge) => count(&self.challenges),
                Some(Loss::Stop) => {
                    count(&self.failures);
                    count(&self.stops);
                }
                None if matches!(answer, Answer::Advance(_)) => count(&self.failures),
                None => {}
            },
        }
    }

    /// Adds the time of a question, nanoseconds.
    pub(crate) fn note_time(&self, nanos: u64) {
        self.times.note(nanos);
    }

    /// Counts a call that asks the build for the first time.
    pub(crate) fn begin_call(&self) {
        self.calls.begun.fetch_add(1, Relaxed);
    }

    /// Counts how a call went.
    pub(crate) fn note_call(&self, outcome: &CallOutcome) {
        let calls = &self.calls;
        let counter = match outcome {
            CallOutcome::Answered => &calls.answered,
            CallOutcome::GivenUp => &calls.given_up,
            CallOutcome::Challenged => &calls.challenged,
            CallOutcome::Failed(reason) => {
                self.reasons.count(reason);
                &calls.failed
            }
            CallOutcome::Charged { sales, margin } => {
                calls.sales.fetch_add(*sales, Relaxed);
                calls.margin.fetch_add(*margin, Relaxed);
                &calls.charged
            }
        };
        counter.fetch_add(1, Relaxed);
    }

    /// The most frequent end reasons of failed calls, each with its count.
    pub(crate) fn reasons(&self) -> Vec<(String, u64)> {
        self.reasons.read()
    }

    pub(crate) fn read(&self) -> BuildTally {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        BuildTally {
            asked: read(&self.asked),
            faults: read(&self.faults),
            rejects: read(&self.rejects),
            no_candidate: read(&self.no_candidate),
            challenges: read(&self.challenges),
            failures: read(&self.failures),
            stops: read(&self.stops),
            calls: CallTally {
                begun: read(&self.calls.begun),
                answered: read(&self.calls.answered),
                failed: read(&self.calls.failed),
                given_up: read(&self.calls.given_up),
                challenged: read(&self.calls.challenged),
                charged: read(&self.calls.charged),
                sales: self.calls.sales.load(Relaxed),
                margin: self.calls.margin.load(Relaxed),
            },
        }
    }

    /// Counts and times.
    pub(crate) fn figures(&self) -> Figures {
        Figures { tally: self.read(), nanos: self.times.read() }
    }
}

impl CallTally {
    /// Calls of which it is known whether they were answered, without those that were challenged:
    /// they come again.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.answered + self.failed + self.given_up
    }

    fn since(self, earlier: CallTally) -> CallTally {
        CallTally {
            begun: self.begun.saturating_sub(earlier.begun),
            answered: self.answered.saturating_sub(earlier.answered),
            failed: self.failed.saturating_sub(earlier.failed),
            given_up: self.given_up.saturating_sub(earlier.given_up),
            challenged: self.challenged.saturating_sub(earlier.challenged),
            charged: self.charged.saturating_sub(earlier.charged),
            sales: self.sales.saturating_sub(earlier.sales),
            margin: self.margin.saturating_sub(earlier.margin),
        }
    }
}

impl Figures {
    /// What was added after `earlier`, a reading of the same build.
    pub(crate) fn since(&self, earlier: &Figures) -> Figures {
        let (now, then) = (self.tally, earlier.tally);
        Figures {
            tally: BuildTally {
                asked: now.asked.saturating_sub(then.asked),
                faults: now.faults.saturating_sub(then.faults),
                rejects: now.rejects.saturating_sub(then.rejects),
                no_candidate: now.no_candidate.saturating_sub(then.no_candidate),
                challenges: now.challenges.saturating_sub(then.challenges),
                failures: now.failures.saturating_sub(then.failures),
                stops: now.stops.saturating_sub(then.stops),
                calls: now.calls.since(then.calls),
            },
            nanos: self.nanos.since(&earlier.nanos),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::loss::NO_ROUTE;
    use policy::{Advance, NumberAnswer, Rejection, Verdict};

    fn tally_of(answers: impl IntoIterator<Item = Answer>) -> BuildTally {
        let tally = Tally::default();
        answers.into_iter().for_each(|answer| tally.note(&Ok(Said::Answer(answer))));
        tally.read()
    }

    /// NUM-03: the call ends with `number_invalid`, and the build caused it.
    #[test]
    fn a_callee_that_no_call_can_have_counts_as_a_rejection() {
        let numbers = ["4930123", "", "49 30", "49+1"].map(|callee| {
            let numbers = NumberAnswer { callee: callee.into(), ..NumberAnswer::default() };
            Answer::Number(Ok(numbers))
        });
        let counted = BuildTally { asked: 4, rejects: 3, ..BuildTally::default() };
        assert_eq!(tally_of(numbers), counted);
    }

    #[test]
    fn each_way_to_lose_a_call_is_counted_as_what_it_is() {
        let rejection = |reason: &str| {
            let (reason, detail) = (reason.into(), policy::Text::default());
            Answer::Route(Err(Rejection { code: 503, reason, detail }))
        };
        let answers = [
            rejection(NO_ROUTE),
            rejection("destination_barred"),
            Answer::Screen(Verdict::Challenge),
            Answer::Screen(Verdict::Allow),
            Answer::Advance(Advance::Next),
            Answer::Advance(Advance::Stop),
            Answer::Advance(Advance::StopWith(404)),
        ];
        let counted = BuildTally {
            asked: 7,
            rejects: 2,
            no_candidate: 1,
            challenges: 1,
            failures: 3,
            stops: 2,
            ..BuildTally::default()
        };
        assert_eq!(tally_of(answers), counted);
    }

    #[test]
    fn calls_are_counted_by_how_they_went() {
        let tally = Tally::default();
        (0..6).for_each(|_| tally.begin_call());
        let failed = |reason: &str| CallOutcome::Failed(reason.into());
        for outcome in [
            CallOutcome::Answered,
            CallOutcome::Charged { sales: 30, margin: -5 },
            CallOutcome::GivenUp,
            CallOutcome::Challenged,
            failed("no_response"),
            failed(NO_ROUTE),
            failed("no_response"),
        ] {
            tally.note_call(&outcome);
        }
        let calls = tally.read().calls;
        assert_eq!((calls.begun, calls.settled(), calls.challenged), (6, 5, 1));
        assert_eq!((calls.answered, calls.failed, calls.given_up), (1, 3, 1));
        assert_eq!((calls.charged, calls.sales, calls.margin), (1, 30, -5));
        let reasons = [("no_response".to_owned(), 2), (NO_ROUTE.to_owned(), 1)];
        assert_eq!(tally.reasons(), reasons);
    }
}
