//! Operations on builds of a plugin: canary, shadow, promotion, rollback.

use super::Node;
use super::service::refused;
use api::ApiError;
use api::{DifferenceLine, SwapDone, TrialParameters};
use host::{LoadError, SelectBy, Selection, Source, SwapReport};
use policy::{Answer, Question};
use std::fmt::Write;

/// The kind of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// The build decides the selected calls.
    Canary,
    /// The build is asked for comparison only.
    Shadow,
}

/// Operations on loaded builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Makes the canary the live build.
    Promote,
    /// Makes the previous build the live one.
    Rollback,
    /// Ends canary and shadow.
    End,
}

impl Node {
    /// Starts a trial. Blocks for compilation and self-test, so not for an async thread.
    pub fn trial(
        &self,
        name: &str,
        trial: Trial,
        source: Source,
        parameters: &TrialParameters,
    ) -> Result<SwapDone, ApiError> {
        let selection = self.selection(parameters)?;
        self.changed(name, |host| match trial {
            Trial::Canary => host.canary(name, source, selection),
            Trial::Shadow => host.shadow(name, source, selection),
        })
    }

    /// Switches to a build that is already loaded.
    pub fn turn(&self, name: &str, turn: Turn) -> Result<SwapDone, ApiError> {
        self.changed(name, |host| match turn {
            Turn::Promote => host.promote(name),
            Turn::Rollback => host.rollback(name),
            Turn::End => host.end_trial(name),
        })
    }

    /// The decisions on which the shadow of a plugin differed, oldest first.
    pub fn differences(&self, name: &str) -> Result<Vec<DifferenceLine>, ApiError> {
        let differences = self.desk().host().differences(name).map_err(refused)?;
        let line = |one: &host::Difference| DifferenceLine {
            at_ms: one.at_ms,
            call: format!("{:032x}", one.question.call().id),
            hook: one.question.hook().name().to_owned(),
            question: asked(&one.question),
            live: said(&one.live),
            shadow: match &one.shadow {
                Ok(answer) => said(answer),
                Err(fault) => format!("fault: {fault}"),
            },
            loss: one.loss.unwrap_or_default().to_owned(),
        };
        Ok(differences.iter().map(line).collect())
    }

    /// Changes builds and reports the result.
    pub(super) fn changed(
        &self,
        name: &str,
        change: impl FnOnce(&host::Host) -> Result<SwapReport, LoadError>,
    ) -> Result<SwapDone, ApiError> {
        let generation_before = self.generation();
        let report = self.desk().change(change).map_err(refused)?;
        Ok(SwapDone {
            name: name.to_owned(),
            before: report.from.to_string(),
            after: report.to.to_string(),
            generation_before,
            generation: report.generation,
            self_tests: report.self_test_cases,
            compile_ms: report.compile_ms,
        })
    }

    fn selection(&self, parameters: &TrialParameters) -> Result<Selection, ApiError> {
        let share = match &parameters.share {
            None => Selection::all().share,
            Some(text) => share(text).ok_or_else(|| {
                let detail =
                    format!("`{text}` is not a share; write 0% to 100%, such as 5% or 0.25%");
                ApiError::invalid("share", detail)
            })?,
        };
        let snapshot = self.desk().snapshot();
        let names = parameters.trunks.split(',').map(str::trim).filter(|name| !name.is_empty());
        let id = |name: &str| {
            snapshot.customer(name).map(|trunk| trunk.id).ok_or_else(|| {
                ApiError::invalid("trunks", format!("there is no customer trunk `{name}`"))
            })
        };
        let trunks = names.map(id).collect::<Result<_, _>>()?;
        let by = match parameters.by {
            api::SelectBy::Call => SelectBy::Call,
            api::SelectBy::Number => SelectBy::Number,
        };
        Ok(Selection { share, by, trunks })
    }
}

/// Parses `5%`, `0.25%` or `5` to ten thousandths.
fn share(text: &str) -> Option<u32> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 2 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hundredths: u32 = format!("{fraction:0<2}").parse().ok()?;
    let share = whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(hundredths)?;
    (share <= Selection::all().share).then_some(share)
}

/// A question in one line.
fn asked(question: &Question) -> String {
    let caller = |caller: &str| if caller.is_empty() { "-".to_owned() } else { caller.to_owned() };
    match question {
        Question::Screen(q) => format!("{} -> {} from {}", caller(&q.caller), q.callee, q.source),
        Question::Number(q) => {
            format!("{} -> {} on trunk {}", caller(&q.caller), q.callee, q.trunk)
        }
        Question::Rate(q) => format!("{} ms for account {}", q.duration_ms, q.subject.account),
        Question::Route(q) => format!("{} with {} candidates", q.callee, q.candidates.len()),
        Question::Advance(q) => format!("trunk {} failed with {}", q.trunk, q.code),
        Question::Identity(q) => format!("{} towards trunk {}", caller(&q.caller_out), q.trunk),
        Question::Supervise(q) => {
            format!("{} -> {} up for {} s", caller(&q.caller), q.callee, q.answered_s)
        }
        Question::Event(notice) => format!("{:?}", notice.kind).to_lowercase(),
    }
}

/// An answer in one line.
fn said(answer: &Answer) -> String {
    let refusal = |r: &policy::Rejection| format!("reject {} {}", r.code, r.reason);
    match answer {
        Answer::Screen(policy::Verdict::Allow) => "allow".to_owned(),
        Answer::Screen(policy::Verdict::Challenge) => "challenge".to_owned(),
        Answer::Screen(policy::Verdict::Mark(words)) => format!("mark {}", words.join(" ")),
        Answer::Screen(policy::Verdict::Reject(r)) => refusal(r),
        Answer::Number(Err(r)) | Answer::Route(Err(r)) | Answer::Identity(Err(r)) => refusal(r),
        Answer::Number(Ok(numbers)) => {
            format!("{} -> {} ({})", numbers.caller, numbers.callee, numbers.identity)
        }
        Answer::Rate(charge) => {
            format!("{} for {} s", ledger::Money(i128::from(charge.amount)), charge.billed_seconds)
        }
        Answer::Route(Ok(trunks)) => {
            let list: Vec<String> = trunks.iter().map(ToString::to_string).collect();
            format!("trunks {}", list.join(", "))
        }
        Answer::Advance(advance) => format!("{advance:?}").to_lowercase(),
        Answer::Identity(Ok(identity)) => {
            let mut text = format!("{}@{}", identity.user, identity.host);
            for (name, value) in &identity.headers {
                // Writing to a String cannot fail.
                let _ = write!(text, "; {name}: {value}");
            }
            text
        }
        Answer::Supervise(answer) => answer.to_string(),
        Answer::Noted => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_in_percent() {
        let read = ["5%", "0.25%", "100%", "33.3 %", "7"].map(share);
        assert_eq!(read, [500, 25, 10_000, 3_330, 700].map(Some));
        assert_eq!(["", "%", "101%", "-1%", "5.123%", "1.x%"].map(share), [None; 6]);
    }
}
