//! The set that a call pins: the plugins at one moment, and the order in which they are asked.

pub(crate) mod chain;
pub(crate) mod live;
pub(crate) mod shadow;
pub(crate) mod trial;

use crate::error::LoadError;
use crate::services::reaper::Reaper;
use chain::{ChainSettings, Chains};
use live::Live;
use policy::{CallFacts, Hook, HookSet, PluginStamp, Supervised};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The plugins that calls of one period ask. It never changes: a swap makes the next generation,
/// and the last call that pinned this one frees it.
pub struct Generation {
    number: u64,
    live: BTreeMap<Arc<str>, Arc<Live>>,
    chains: Chains,
    reaper: Reaper,
}

impl Generation {
    /// Grows by one with each change; the first is 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The build that a call without a narrower chain asks first; none if no plugin has the hook.
    #[must_use]
    pub fn stamp(&self, hook: Hook) -> Option<&Arc<PluginStamp>> {
        self.chains.everyone(hook).first().map(|live| &live.version.stamp)
    }

    /// Whether a plugin answers the hook.
    pub(crate) fn answers(&self, hook: Hook) -> bool {
        self.chains.all(hook).next().is_some()
    }

    /// The calls that some plugin supervises.
    pub(crate) fn supervised(&self) -> Supervised {
        self.chains.supervised()
    }

    /// Hooks whose plugins may query details of the call.
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

    /// The plugins that this call asks, in order.
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
        self.reaper.take(std::mem::take(&mut self.live));
    }
}
