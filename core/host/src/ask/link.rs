//! A question to one plugin: which of its builds is asked, and which stands in for it.

use super::fold::nobody_decided;
use crate::build::version::Version;
use crate::generation::live::Live;
use crate::guest::verify::Said;
use crate::plugin::Plugin;
use crate::services::ticker::{Deadline, Watched};
use crate::settings::Fallback;
use policy::{Context, FailedBuild, Fault, Hook, NotesMark, Question, Reply};
use std::sync::Arc;
use std::time::Instant;

/// Processor time of the second build after the first one failed, so that both together stay below
/// 10 ms with the default deadline.
const SECOND_DEADLINE_MS: u32 = 3;

/// The builds of one plugin for one question.
pub(super) struct Link<'a> {
    pub(super) live: &'a Live,
    /// The build that is asked.
    pub(super) version: &'a Arc<Version>,
    /// Asked if `version` has a fault.
    pub(super) other: Option<&'a Arc<Version>>,
    pub(super) begun: Instant,
    /// The notes of the call before this question.
    pub(super) mark: NotesMark,
}

impl<'a> Link<'a> {
    pub(super) fn new(live: &'a Live, context: Context<'_>, question: &Question) -> Link<'a> {
        let begun = Instant::now();
        let hook = question.hook();
        let canary = live.canary_of(question.call(), &context.pin.notes);
        let (version, other) = match canary.filter(|canary| canary.hooks.contains(&hook)) {
            Some(canary) => (canary, Some(&live.version)),
            None => (&live.version, live.previous.as_ref().filter(|_| stands_in(hook))),
        };
        Link { live, version, other, begun, mark: context.pin.notes.mark() }
    }

    /// The build to ask after a fault of the first one. An error that a build returns on purpose is
    /// its decision; no other build overrules it.
    pub(super) fn stand_in(&self, first: &Result<Said, Fault>) -> Option<&'a Arc<Version>> {
        self.other.filter(|_| matches!(first, Err(fault) if !fault.is_deliberate()))
    }

    /// Reuses the clock reading of the start: reading the clock takes a tenth of the time of a
    /// short question.
    pub(super) fn deadline<'w>(&self, watched: Watched<'w>) -> Deadline<'w> {
        watched.deadline_from(self.live.version.plugin.settings.deadline_ms, self.begun)
    }

    pub(super) fn second_deadline<'w>(&self, watched: Watched<'w>) -> Deadline<'w> {
        watched.deadline(self.live.version.plugin.settings.deadline_ms.min(SECOND_DEADLINE_MS))
    }
}

/// The answer of one plugin, and the build that gave it.
pub(super) struct LinkReply<'a> {
    pub(super) said: Result<Said, Fault>,
    pub(super) version: &'a Arc<Version>,
    /// The build that failed, if this one stood in for it.
    pub(super) instead_of: Option<Box<FailedBuild>>,
    pub(super) nanos: u64,
}

impl LinkReply<'_> {
    /// The reply of a chain of one.
    pub(super) fn reply(self, question: &Question) -> Reply {
        let rejects = self.said.is_err() && must_answer(&self.version.plugin, question);
        let outcome = match self.said {
            Ok(Said::Answer(answer)) => Ok(answer),
            Ok(Said::Pass) => nobody_decided(question).ok_or_else(undecided),
            Err(fault) => Err(fault),
        };
        Reply {
            outcome,
            plugin: Some(Arc::clone(&self.version.stamp)),
            nanos: self.nanos,
            by_previous: self.instead_of.is_some(),
            instead_of: self.instead_of,
            rejects,
            earlier: Vec::new(),
        }
    }
}

/// Whether a failure of this plugin refuses the call at screening or ends it at supervision,
/// because the operator set `fallback` to reject.
pub(super) fn must_answer(plugin: &Plugin, question: &Question) -> bool {
    matches!(question, Question::Screen(_) | Question::Supervise(_))
        && plugin.settings.fallback == Fallback::Reject
}

/// Hooks whose previous build answers when the live one fails.
fn stands_in(hook: Hook) -> bool {
    matches!(hook, Hook::Rating | Hook::Routing)
}

pub(super) fn undecided() -> Fault {
    Fault::Refused("no plugin decides this".to_owned())
}
