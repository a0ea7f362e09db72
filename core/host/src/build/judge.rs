//! Judges a build by its figures: its answers, the calls that it decided, and its speed, compared
//! with those of another build.
//!
//! Two shares always differ by chance. So a share counts as worse only if it is worse by more than
//! the operator allows, and by more than chance explains.

use super::tally::Figures;
use crate::settings::RollbackSettings;

/// A difference of two shares by more standard deviations than this is not chance: about one of
/// 4,000 equal builds shows it.
const DEVIATIONS: f64 = 3.5;

/// A build that loses half of the calls more than the other is judged after this part of the
/// questions that otherwise are needed.
const EARLY: u64 = 4;

/// The smallest rise of a share, in thousandths, that is judged early.
const EARLY_RISE: u64 = 500;

/// The quantile of the time of a question by which builds are compared. A tenth of all questions
/// takes longer; what disturbs fewer of them is mostly the machine.
const SLOW_QUANTILE: f64 = 0.9;

/// The reason to take back a build with the figures `now`, compared with the build that would
/// decide instead. Where that one has too few figures, absolute limits apply.
pub(crate) fn against(
    now: &Figures,
    before: &Figures,
    limits: &RollbackSettings,
) -> Option<String> {
    faults(now, limits)
        .or_else(|| answers(now, before, limits))
        .or_else(|| calls(now, before, limits))
        .or_else(|| margin(now, before, limits))
        .or_else(|| slower(now, before, limits))
}

/// What is wrong with a build that has no other to be compared with. Failed calls count only if it
/// `routes` them: when vendors are away, the other plugins of the calls have no part in it.
pub(crate) fn alone(now: &Figures, routes: bool, limits: &RollbackSettings) -> Option<String> {
    let lost = || {
        lost_answers(now).into_iter().filter(|lost| !lost.may_be_all).find_map(|lost| {
            beyond_alone(lost.share, limits).map(|(permille, allowed)| {
                format!("{permille} of 1000 {}, allowed are {allowed}", lost.words)
            })
        })
    };
    let failed = || {
        beyond_alone(failed(now), limits).filter(|_| routes).map(|(permille, allowed)| {
            format!("{permille} of 1000 calls failed, allowed are {allowed}")
        })
    };
    faults(now, limits).or_else(lost).or_else(failed)
}

/// A part of a whole.
#[derive(Clone, Copy)]
struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    fn permille(self) -> u64 {
        self.part.min(self.whole).saturating_mul(1000) / self.whole.max(1)
    }

    fn fraction(self) -> f64 {
        self.part.min(self.whole) as f64 / self.whole.max(1) as f64
    }

    /// Whether the two differ by more than chance: the test of two proportions.
    fn differs(self, other: Share) -> bool {
        let (one, two) = (self.whole.max(1) as f64, other.whole.max(1) as f64);
        let all = (self.fraction() * one + other.fraction() * two) / (one + two);
        let deviation = (all * (1.0 - all) * (1.0 / one + 1.0 / two)).sqrt();
        (self.fraction() - other.fraction()).abs() > DEVIATIONS * deviation
    }
}

/// Thousandths now and before, if the share rose by more than `allowed` thousandths and more than
/// chance explains. None if there are too few on one of the sides.
fn rise(now: Share, before: Share, allowed: u32, limits: &RollbackSettings) -> Option<(u64, u64)> {
    let least = limits.least.max(1);
    if allowed == 0 || now.whole < least.div_ceil(EARLY) || before.whole < least {
        return None;
    }
    let allowed = u64::from(allowed);
    let allowed = if now.whole < least { allowed.max(EARLY_RISE) } else { allowed };
    let risen = now.permille() > before.permille() + allowed && now.differs(before);
    risen.then(|| (now.permille(), before.permille()))
}

/// The share in thousandths and the allowed one, if it is above.
fn beyond_alone(share: Share, limits: &RollbackSettings) -> Option<(u64, u32)> {
    let allowed = limits.alone_permille;
    let judged = allowed > 0 && share.whole >= limits.least.max(1);
    (judged && share.permille() > u64::from(allowed)).then(|| (share.permille(), allowed))
}

fn faults(now: &Figures, limits: &RollbackSettings) -> Option<String> {
    let tally = now.tally;
    let share = Share { part: tally.faults, whole: tally.asked };
    let judged = limits.faults_permille > 0 && tally.asked >= limits.least.max(1);
    (judged && share.permille() > u64::from(limits.faults_permille)).then(|| {
        format!(
            "{} of {} questions without a usable answer, allowed are {} in 1000",
            tally.faults, tally.asked, limits.faults_permille
        )
    })
}

/// Answers of one kind after which a call does not go on.
struct Lost {
    words: &'static str,
    share: Share,
    /// A plugin that always says this may be right.
    may_be_all: bool,
}

fn lost_answers(figures: &Figures) -> [Lost; 3] {
    let tally = figures.tally;
    let kind =
        |words, part, whole, may_be_all| Lost { words, share: Share { part, whole }, may_be_all };
    [
        kind("questions rejected", tally.rejects, tally.asked, false),
        kind("questions challenged", tally.challenges, tally.asked, false),
        // Many nodes try one vendor only.
        kind("failed attempts ended the call", tally.stops, tally.failures, true),
    ]
}

fn answers(now: &Figures, before: &Figures, limits: &RollbackSettings) -> Option<String> {
    let allowed = limits.rejects_permille;
    let no_candidate = now.tally.no_candidate;
    let note = match no_candidate {
        0 => String::new(),
        count => format!("; {count} times no usable vendor trunk was left"),
    };
    lost_answers(now).into_iter().zip(lost_answers(before)).find_map(|(now, before)| {
        if before.share.whole < limits.least.max(1) {
            let (permille, allowed) =
                beyond_alone(now.share, limits).filter(|_| allowed > 0 && !now.may_be_all)?;
            let words = now.words;
            return Some(format!("{permille} of 1000 {words}, allowed are {allowed}{note}"));
        }
        let (permille, then) = rise(now.share, before.share, allowed, limits)?;
        Some(format!(
            "{permille} of 1000 {}, {then} by the build before; allowed is a rise of {allowed}{note}",
            now.words
        ))
    })
}

/// Failed calls. A call that is still being set up counts as answered.
fn failed(figures: &Figures) -> Share {
    let calls = figures.tally.calls;
    let whole = calls.begun.saturating_sub(calls.challenged).max(calls.settled());
    Share { part: calls.failed, whole }
}

fn calls(now: &Figures, before: &Figures, limits: &RollbackSettings) -> Option<String> {
    let then = before.tally.calls;
    let failed_then = Share { part: then.failed, whole: then.settled() };
    let failed_now = failed(now);
    if failed_then.whole < limits.least.max(1) {
        let (permille, allowed) =
            beyond_alone(failed_now, limits).filter(|_| limits.failed_permille > 0)?;
        return Some(format!("{permille} of 1000 calls failed, allowed are {allowed}"));
    }
    let allowed = limits.failed_permille;
    if let Some((permille, then)) = rise(failed_now, failed_then, allowed, limits) {
        return Some(format!(
            "{permille} of 1000 calls failed, {then} with the build before; allowed is a rise of \
             {allowed}"
        ));
    }
    let unanswered = |failed: Share, given_up| Share { part: failed.part + given_up, ..failed };
    let given_up = now.tally.calls.given_up;
    let unanswered_now = unanswered(failed_now, given_up);
    let unanswered_then = unanswered(failed_then, then.given_up);
    // What is allowed is a part of the calls that were answered.
    let answered_then = 1000 - unanswered_then.permille();
    let allowed = u64::from(limits.answered_permille) * answered_then / 1000;
    let allowed = u32::try_from(allowed).unwrap_or(u32::MAX);
    let (unanswered, _) = rise(unanswered_now, unanswered_then, allowed, limits)?;
    Some(format!(
        "{} of 1000 calls answered, {answered_then} with the build before; allowed is a fall of \
         {allowed}",
        1000 - unanswered
    ))
}

/// The margin as a part of the sales does not depend on how long calls last.
fn margin(now: &Figures, before: &Figures, limits: &RollbackSettings) -> Option<String> {
    let of = |figures: &Figures| {
        let calls = figures.tally.calls;
        let enough = calls.charged >= limits.least.max(1) && calls.sales > 0;
        let permille = i128::from(calls.margin) * 1000 / i128::from(calls.sales.max(1));
        enough.then_some(permille)
    };
    let (margin, then) = (of(now)?, of(before)?);
    let allowed = limits.margin_permille;
    (allowed > 0 && margin + i128::from(allowed) < then).then(|| {
        format!(
            "the margin is {margin} of 1000 of the sales, {then} with the build before; allowed is a \
             fall of {allowed}"
        )
    })
}

fn slower(now: &Figures, before: &Figures, limits: &RollbackSettings) -> Option<String> {
    let least = limits.least.max(1);
    if limits.slower_times == 0 || now.nanos.count() < least || before.nanos.count() < least {
        return None;
    }
    let micros = |figures: &Figures| figures.nanos.quantile(SLOW_QUANTILE) / 1000;
    let (time, then) = (micros(now), micros(before));
    let allowed = then.saturating_mul(limits.slower_times.into()).max(limits.slow_us);
    (time > allowed).then(|| {
        format!(
            "a tenth of the questions takes {time} us or longer, {then} us by the build before; \
             allowed are {allowed} us"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::tally::{BuildTally, CallTally, Tally};

    fn of(tally: BuildTally) -> Figures {
        Figures { tally, ..Figures::default() }
    }

    fn answers_of(asked: u64, faults: u64, rejects: u64) -> Figures {
        of(BuildTally { asked, faults, rejects, ..BuildTally::default() })
    }

    fn calls_of(answered: u64, failed: u64, given_up: u64) -> Figures {
        let begun = answered + failed + given_up;
        let calls = CallTally { begun, answered, failed, given_up, ..CallTally::default() };
        of(BuildTally { asked: begun, calls, ..BuildTally::default() })
    }

    fn limits() -> RollbackSettings {
        RollbackSettings::default()
    }

    fn off() -> RollbackSettings {
        RollbackSettings {
            faults_permille: 0,
            rejects_permille: 0,
            failed_permille: 0,
            answered_permille: 0,
            margin_permille: 0,
            slower_times: 0,
            alone_permille: 0,
            ..limits()
        }
    }

    #[test]
    fn a_build_is_judged_by_faults_and_by_more_rejections_than_before() {
        let quiet = answers_of(10_000, 0, 500);
        let verdict = |now: &Figures| against(now, &quiet, &limits());
        assert_eq!(verdict(&answers_of(99, 99, 0)), None, "too few");
        assert_eq!(verdict(&answers_of(1_000, 20, 50)), None);
        let why = verdict(&answers_of(1_000, 21, 0)).expect("too many faults");
        assert!(why.starts_with("21 of 1000 questions without"), "{why}");
        let why = verdict(&answers_of(1_000, 0, 251)).expect("too many rejections");
        assert!(why.starts_with("251 of 1000 questions rejected, 50 by"), "{why}");
        assert_eq!(against(&answers_of(1_000, 1_000, 1_000), &quiet, &off()), None);
    }

    #[test]
    fn challenges_and_stops_lose_calls_too() {
        let tally = |challenges, stops| {
            let (asked, failures) = (1_000, 400);
            of(BuildTally { asked, challenges, failures, stops, ..BuildTally::default() })
        };
        let before = tally(100, 100);
        assert_eq!(against(&tally(300, 180), &before, &limits()), None);
        let why = against(&tally(301, 0), &before, &limits()).expect("challenges");
        assert!(why.starts_with("301 of 1000 questions challenged, 100 by"), "{why}");
        let why = against(&tally(0, 400), &before, &limits()).expect("stops");
        assert!(why.starts_with("1000 of 1000 failed attempts ended the call, 250 by"), "{why}");
    }

    #[test]
    fn a_build_that_loses_everything_is_judged_early() {
        let quiet = answers_of(10_000, 0, 500);
        let verdict = |asked, rejects| against(&answers_of(asked, 0, rejects), &quiet, &limits());
        assert_eq!(verdict(24, 24), None);
        assert!(verdict(25, 25).is_some());
        assert_eq!(verdict(99, 50), None, "half is judged with all questions only");
        assert!(verdict(100, 50).is_some());
    }

    #[test]
    fn calls_that_fail_or_are_not_answered_count() {
        let before = calls_of(600, 300, 100);
        let verdict = |now: &Figures| against(now, &before, &limits());
        assert_eq!(verdict(&calls_of(600, 300, 100)), None);
        assert_eq!(verdict(&calls_of(0, 24, 0)), None, "too few");
        let why = verdict(&calls_of(0, 25, 0)).expect("all of them fail");
        assert!(why.starts_with("1000 of 1000 calls failed, 300 with"), "{why}");
        let why = verdict(&calls_of(300, 700, 0)).expect("more fail");
        assert!(why.starts_with("700 of 1000 calls failed, 300 with"), "{why}");
        // No more calls fail, but callers give up: the vendor lets them wait.
        let why = verdict(&calls_of(400, 300, 300)).expect("fewer are answered");
        assert!(why.starts_with("400 of 1000 calls answered, 600 with"), "{why}");
        assert_eq!(verdict(&calls_of(430, 300, 270)), None, "within the allowed fall");
        assert_eq!(against(&calls_of(0, 1_000, 0), &before, &off()), None);
    }

    #[test]
    fn calls_that_still_ring_are_not_lost() {
        let before = calls_of(600, 300, 100);
        // Failures come first after a swap, answers need time.
        let mut now = calls_of(0, 90, 10);
        now.tally.calls.begun = 400;
        assert_eq!(against(&now, &before, &limits()), None);
    }

    #[test]
    fn chance_takes_back_no_build() {
        // 30 % of few calls fail instead of 5 %: more than allowed, but it may be chance.
        let strict = RollbackSettings { least: 12, ..limits() };
        let before = calls_of(19, 1, 0);
        assert_eq!(against(&calls_of(8, 4, 0), &before, &strict), None);
        assert!(against(&calls_of(80, 40, 0), &calls_of(190, 10, 0), &strict).is_some());
    }

    #[test]
    fn a_margin_that_falls_counts_whatever_the_calls_cost() {
        let earned = |charged, sales, margin| {
            let calls = CallTally { charged, sales, margin, ..CallTally::default() };
            of(BuildTally { calls, ..BuildTally::default() })
        };
        let before = earned(1_000, 500_000_000, 150_000_000);
        let verdict = |now: &Figures| against(now, &before, &limits());
        assert_eq!(verdict(&earned(100, 100_000, 10_000)), None, "a fall by 20 of 100");
        assert_eq!(verdict(&earned(99, 100_000, -90_000)), None, "too few");
        let why = verdict(&earned(100, 100_000, -50_000)).expect("it sells at a loss");
        assert!(why.starts_with("the margin is -500 of 1000 of the sales, 300 with"), "{why}");
        assert_eq!(verdict(&earned(100, 0, -50_000)), None, "nothing was sold");
    }

    #[test]
    fn a_slow_build_is_taken_back_unless_its_times_do_not_matter() {
        let took = |micros: u64| {
            let tally = Tally::default();
            (0..99).for_each(|_| tally.note_time(micros * 1000));
            // One that the machine delayed.
            tally.note_time(30_000_000);
            tally.figures()
        };
        let verdict = |now, before| against(&took(now), &took(before), &limits());
        assert_eq!(verdict(6, 2), None);
        assert_eq!(verdict(40, 2), None, "20 times slower, but far below a millisecond");
        let why = verdict(2_000, 10).expect("200 times slower");
        assert!(why.starts_with("a tenth of the questions takes 20"), "{why}");
        assert_eq!(verdict(2_000, 300), None, "it was slow before");
        let mut few = took(2_000);
        few.nanos.buckets.iter_mut().for_each(|(_, count)| *count /= 2);
        assert_eq!(against(&few, &took(10), &limits()), None, "too few");
    }

    #[test]
    fn without_a_build_before_absolute_limits_apply() {
        let nobody = Figures::default();
        assert_eq!(against(&answers_of(100, 0, 90), &nobody, &limits()), None);
        let why = against(&answers_of(100, 0, 91), &nobody, &limits()).expect("nearly all");
        assert_eq!(why, "910 of 1000 questions rejected, allowed are 900");
        assert_eq!(alone(&answers_of(100, 0, 91), false, &limits()), Some(why));
        let why = alone(&calls_of(5, 95, 0), true, &limits()).expect("nearly all fail");
        assert_eq!(why, "950 of 1000 calls failed, allowed are 900");
        assert_eq!(alone(&calls_of(5, 95, 0), false, &limits()), None, "it does not route");
        assert_eq!(alone(&calls_of(50, 50, 0), true, &limits()), None);
        let stops = BuildTally { asked: 500, failures: 500, stops: 500, ..BuildTally::default() };
        assert_eq!(alone(&of(stops), true, &limits()), None, "there may be one vendor only");
        assert_eq!(alone(&answers_of(500, 500, 500), true, &off()), None);
    }
}
