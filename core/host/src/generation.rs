use crate::LoadError;
use crate::chain::{ChainSettings, Chains};
use crate::reaper::Reaper;
use crate::shadow::Shadow;
use crate::trial::Canary;
use crate::version::Version;
use policy::{CallFacts, Hook, HookSet, PluginStamp, Supervised};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The plugins that calls of one time ask. It never changes; a swap makes the next one,
/// and the last call that pinned this one frees it.
pub struct Generation {
    number: u64,
    live: BTreeMap<Arc<str>, Arc<Live>>,
    chains: Chains,
    reaper: Reaper,
}

/// A plugin in one generation: the build that is live and what stands beside it.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) version: Arc<Version>,
    /// The build that it replaced: asked once when it fails at rating or routing, and what
    /// a rollback brings back.
    pub(crate) previous: Option<Arc<Version>>,
    /// A build that decides a part of the calls.
    pub(crate) canary: Option<Canary>,
    /// A build that is asked and compared, not obeyed.
    pub(crate) shadow: Option<Arc<Shadow>>,
}

impl Live {
    pub(crate) fn alone(version: Arc<Version>) -> Live {
        Live { version, previous: None, canary: None, shadow: None }
    }

    /// One of its builds may wait for a server outside.
    pub(crate) fn may_wait(&self) -> bool {
        self.versions().any(|version| version.on_fibre())
    }

    /// Every build that a call of the generation may ask.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        let canary = self.canary.as_ref().map(|canary| &canary.version);
        [&self.version].into_iter().chain(self.previous.as_ref()).chain(canary)
    }
}

impl Generation {
    /// Grows by one with each change; the first is 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Which build a call without a chain of its own asks first; none if no plugin has the
    /// hook.
    #[must_use]
    pub fn stamp(&self, hook: Hook) -> Option<&Arc<PluginStamp>> {
        self.chains.everyone(hook).first().map(|live| &live.version.stamp)
    }

    /// Hooks that somebody answers.
    pub(crate) fn answers(&self, hook: Hook) -> bool {
        self.chains.all(hook).next().is_some()
    }

    /// Whose calls somebody supervises.
    pub(crate) fn supervised(&self) -> Supervised {
        self.chains.supervised()
    }

    /// Hooks whose plugins may ask about the call.
    pub(crate) fn wants_details(&self) -> HookSet {
        let wants = |hook: &Hook| {
            let mut links = self.chains.all(*hook);
            links.any(|live| {
                let shadow = live.shadow.as_ref().map(|shadow| shadow.version());
                live.versions().chain(shadow).any(|version| version.wants_details())
            })
        };
        Hook::ALL.into_iter().filter(wants).collect()
    }

    pub(crate) fn new(
        number: u64,
        live: BTreeMap<Arc<str>, Arc<Live>>,
        order: &[Arc<str>],
        settings: &[ChainSettings],
        reaper: &Reaper,
    ) -> Result<Generation, LoadError> {
        let chains = Chains::new(&live, order, settings)?;
        Ok(Generation { number, live, chains, reaper: reaper.clone() })
    }

    /// Who is asked by this call, in order.
    pub(crate) fn chain(&self, hook: Hook, call: CallFacts) -> &[Arc<Live>] {
        self.chains.of(hook, call)
    }

    pub(crate) fn plugin(&self, name: &str) -> Option<&Arc<Live>> {
        self.live.get(name)
    }

    pub(crate) fn plugins(&self) -> &BTreeMap<Arc<str>, Arc<Live>> {
        &self.live
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.reaper.take_plugins(std::mem::take(&mut self.live));
    }
}
