//! Counts of one build, the basis of a rollback.

use crate::guest::verify::Said;
use crate::settings::RollbackSettings;
use policy::{Answer, Fault, Verdict};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Counts of one build since it was loaded.
#[derive(Debug)]
pub(crate) struct Tally {
    asked: AtomicU64,
    faults: AtomicU64,
    rejects: AtomicU64,
    loaded: Instant,
}

/// A snapshot of a build's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuildTally {
    /// Questions put to it.
    pub asked: u64,
    /// Questions without a usable answer.
    pub faults: u64,
    /// Questions answered with a rejection, with an end, with a callee that no call can have
    /// (NUM-03), or with the plugin's own error.
    pub rejects: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Tally { asked: zero(), faults: zero(), rejects: zero(), loaded: Instant::now() }
    }
}

impl Tally {
    pub(crate) fn note(&self, said: &Result<Said, Fault>) {
        self.asked.fetch_add(1, Relaxed);
        match said {
            Err(fault) if fault.is_deliberate() => {
                self.rejects.fetch_add(1, Relaxed);
            }
            Err(_) => {
                self.faults.fetch_add(1, Relaxed);
            }
            Ok(Said::Answer(answer)) if is_rejection(answer) => {
                self.rejects.fetch_add(1, Relaxed);
            }
            Ok(_) => {}
        }
    }

    pub(crate) fn read(&self) -> BuildTally {
        BuildTally {
            asked: self.asked.load(Relaxed),
            faults: self.faults.load(Relaxed),
            rejects: self.rejects.load(Relaxed),
        }
    }

    /// Time since the build was loaded.
    pub(crate) fn age(&self) -> Duration {
        self.loaded.elapsed()
    }
}

impl BuildTally {
    /// The reason to take back a build with these counts, compared with the previous build.
    pub(crate) fn verdict(self, before: BuildTally, limits: &RollbackSettings) -> Option<String> {
        if self.asked < limits.least.max(1) {
            return None;
        }
        let permille = |part: u64, whole: u64| part.saturating_mul(1000) / whole.max(1);
        let faults = permille(self.faults, self.asked);
        if limits.faults_permille > 0 && faults > u64::from(limits.faults_permille) {
            return Some(format!(
                "{} of {} questions without a usable answer, allowed are {} in 1000",
                self.faults, self.asked, limits.faults_permille
            ));
        }
        let (now, then) =
            (permille(self.rejects, self.asked), permille(before.rejects, before.asked));
        if limits.rejects_permille > 0 && now > then + u64::from(limits.rejects_permille) {
            return Some(format!(
                "{now} of 1000 questions rejected, {then} by the build before; allowed is a rise of {}",
                limits.rejects_permille
            ));
        }
        None
    }
}

/// Whether this answer ends the call or its attempt. A route list without a candidate was turned
/// into a rejection before (`verify::routes`).
fn is_rejection(answer: &Answer) -> bool {
    match answer {
        Answer::Screen(Verdict::Reject(_))
        | Answer::Number(Err(_))
        | Answer::Route(Err(_))
        | Answer::Identity(Err(_)) => true,
        Answer::Number(Ok(numbers)) => !policy::is_number(&numbers.callee),
        Answer::Supervise(answer) => answer.ending().is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::NumberAnswer;

    /// NUM-03: the call ends with `number_invalid`, and the build caused it.
    #[test]
    fn a_callee_that_no_call_can_have_counts_as_a_rejection() {
        let tally = Tally::default();
        for callee in ["4930123", "", "49 30", "49+1"] {
            let numbers = NumberAnswer { callee: callee.into(), ..NumberAnswer::default() };
            tally.note(&Ok(Said::Answer(Answer::Number(Ok(numbers)))));
        }
        assert_eq!(tally.read(), BuildTally { asked: 4, faults: 0, rejects: 3 });
    }

    #[test]
    fn a_build_is_judged_by_faults_and_by_more_rejections_than_before() {
        let limits = RollbackSettings::default();
        let tally = |asked, faults, rejects| BuildTally { asked, faults, rejects };
        let quiet = tally(10_000, 0, 500);
        assert_eq!(tally(99, 99, 0).verdict(quiet, &limits), None, "too few");
        assert_eq!(tally(1_000, 20, 50).verdict(quiet, &limits), None);
        let why = tally(1_000, 21, 0).verdict(quiet, &limits).expect("too many faults");
        assert!(why.starts_with("21 of 1000 questions without"), "{why}");
        let why = tally(1_000, 0, 251).verdict(quiet, &limits).expect("too many rejections");
        assert!(why.starts_with("251 of 1000 questions rejected, 50 by"), "{why}");
        let lax = RollbackSettings { rejects_permille: 0, faults_permille: 0, ..limits };
        assert_eq!(tally(1_000, 1_000, 1_000).verdict(quiet, &lax), None);
    }
}
