//! The builds of one plugin in a generation.

use super::shadow::Shadow;
use super::trial::Canary;
use crate::build::version::Version;
use policy::{CallFacts, CallNotes};
use std::sync::Arc;

/// A plugin in one generation: the live build and the builds beside it.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) version: Arc<Version>,
    /// The build that it replaced: asked once when the live build fails at rating or routing, and
    /// restored by a rollback.
    pub(crate) previous: Option<Arc<Version>>,
    /// A build that decides a share of the calls.
    pub(crate) canary: Option<Canary>,
    /// A build that is asked and compared, but not obeyed.
    pub(crate) shadow: Option<Arc<Shadow>>,
}

impl Live {
    pub(crate) fn alone(version: Arc<Version>) -> Live {
        Live { version, previous: None, canary: None, shadow: None }
    }

    /// Whether one of its builds may wait for an outside server.
    pub(crate) fn may_wait(&self) -> bool {
        self.versions().any(|version| version.on_fibre())
    }

    /// The canary, if it decides this call.
    pub(crate) fn canary_of(&self, call: CallFacts, notes: &CallNotes) -> Option<&Arc<Version>> {
        let canary = self.canary.as_ref().filter(|canary| canary.selection.takes(call, notes));
        canary.map(|canary| &canary.version)
    }

    /// The build that decides this call.
    pub(crate) fn build_of(&self, call: CallFacts, notes: &CallNotes) -> &Arc<Version> {
        self.canary_of(call, notes).unwrap_or(&self.version)
    }

    /// Every build that a call of the generation may ask.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        let canary = self.canary.as_ref().map(|canary| &canary.version);
        [&self.version].into_iter().chain(self.previous.as_ref()).chain(canary)
    }
}
