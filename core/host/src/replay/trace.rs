//! Every question of a replay with its answers, to read one call from beginning to end.

use super::example::{answered, asked, call_id};
use super::report::Report;
use super::{Compared, Names};
use crate::settings::LogLines;
use policy::Question;
use serde::Serialize;

/// Questions that a report lists.
const MOST: usize = 1_000;

/// A question of a call that was put to the build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Traced {
    /// Id of the call, as in its record.
    pub call: String,
    /// When it was asked, UTC milliseconds.
    pub at_ms: u64,
    /// The hook.
    pub hook: &'static str,
    /// The question, in short.
    pub question: String,
    /// The whole question.
    pub asked: Question,
    /// The build that was asked then; empty: none.
    pub by: String,
    /// The answer then.
    pub before: String,
    /// The answer of the build, or its fault.
    pub after: String,
    /// Lines that the build logged meanwhile.
    pub log: Vec<String>,
}

/// Collects them.
pub(super) struct Trace<'a> {
    wanted: bool,
    names: &'a Names,
    traced: Vec<Traced>,
    left_out: u64,
}

impl<'a> Trace<'a> {
    pub(super) fn new(wanted: bool, names: &'a Names) -> Trace<'a> {
        Trace { wanted, names, traced: Vec::new(), left_out: 0 }
    }

    pub(super) fn add(&mut self, compared: &Compared) {
        if !self.wanted {
            return;
        }
        if self.traced.len() >= MOST {
            self.left_out += 1;
            return;
        }
        let Compared { decision, old, new, log, .. } = compared;
        self.traced.push(Traced {
            call: call_id(decision.question.call().id),
            at_ms: decision.at_ms,
            hook: decision.question.hook().name(),
            question: asked(&decision.question, self.names),
            asked: decision.question.clone(),
            by: decision.plugin.as_ref().map(ToString::to_string).unwrap_or_default(),
            before: answered(old, self.names),
            after: answered(new, self.names),
            log: lines(log),
        });
    }

    pub(super) fn finish(self, report: &mut Report) {
        if self.left_out > 0 {
            report.notes.push(format!("{} further questions are not listed", self.left_out));
        }
        report.trace = self.traced;
    }
}

/// Log lines for display.
pub(super) fn lines(log: &LogLines) -> Vec<String> {
    let mut lines: Vec<String> = log.lines.iter().map(ToString::to_string).collect();
    if log.more > 0 {
        lines.push(format!("and {} more lines", log.more));
    }
    lines
}
