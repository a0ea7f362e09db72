//! Which plugins a call asks at a hook, and in which order.

use super::live::Live;
use crate::error::LoadError;
use policy::{CallFacts, Hook, Supervised};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The plugins of a hook for all calls, one customer trunk or one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSettings {
    /// The hook.
    pub hook: Hook,
    /// The calls that use it.
    pub scope: ChainScope,
    /// Names of plugins in the order in which they are asked; empty: none is asked.
    pub plugins: Vec<String>,
}

/// The calls that use a chain. The narrower scope wins: trunk, account, everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainScope {
    /// All calls without a narrower chain.
    Everyone,
    /// Calls of the account with this id.
    Account(u32),
    /// Calls of the customer trunk with this id.
    Trunk(u32),
}

type Links = Arc<[Arc<Live>]>;

/// The chains of a generation.
#[derive(Clone)]
pub(crate) struct Chains {
    everyone: [Links; Hook::ALL.len()],
    narrower: HashMap<(Hook, ChainScope), Links>,
}

impl Chains {
    /// By default, the plugins that have a hook are asked in the order of the configuration, except
    /// those that are asked only if a chain names them.
    pub(crate) fn new(
        live: &BTreeMap<Arc<str>, Arc<Live>>,
        order: &[Arc<str>],
        settings: &[ChainSettings],
    ) -> Result<Chains, LoadError> {
        let configured = order.iter().filter_map(|name| live.get(name));
        let by_default = |hook: Hook| -> Links {
            let has = |live: &&Arc<Live>| {
                live.version.plugin.settings.by_default && live.version.hooks.contains(&hook)
            };
            configured.clone().filter(has).cloned().collect()
        };
        let mut chains = Chains { everyone: Hook::ALL.map(by_default), narrower: HashMap::new() };
        for chain in settings {
            let links = links(live, chain)?;
            match chain.scope {
                ChainScope::Everyone => chains.everyone[chain.hook as usize] = links,
                narrower => {
                    chains.narrower.insert((chain.hook, narrower), links);
                }
            }
        }
        Ok(chains)
    }

    pub(crate) fn everyone(&self, hook: Hook) -> &[Arc<Live>] {
        &self.everyone[hook as usize]
    }

    pub(crate) fn of(&self, hook: Hook, call: CallFacts) -> &[Arc<Live>] {
        if self.narrower.is_empty() {
            return self.everyone(hook);
        }
        let of = |scope| self.narrower.get(&(hook, scope));
        let narrower =
            of(ChainScope::Trunk(call.trunk)).or_else(|| of(ChainScope::Account(call.account)));
        narrower.unwrap_or(&self.everyone[hook as usize])
    }

    /// The calls for which a plugin answers the supervision hook.
    pub(crate) fn supervised(&self) -> Supervised {
        let (mut trunks, mut accounts) = (Vec::new(), Vec::new());
        for ((hook, scope), links) in &self.narrower {
            let asked = !links.is_empty();
            match scope {
                _ if *hook != Hook::Supervision => {}
                ChainScope::Trunk(trunk) => trunks.push((*trunk, asked)),
                ChainScope::Account(account) => accounts.push((*account, asked)),
                ChainScope::Everyone => {}
            }
        }
        Supervised::new(!self.everyone(Hook::Supervision).is_empty(), trunks, accounts)
    }

    /// Every plugin that some call may ask at the hook.
    pub(crate) fn all(&self, hook: Hook) -> impl Iterator<Item = &Arc<Live>> {
        let narrower = self.narrower.iter().filter(move |((of, _), _)| *of == hook);
        self.everyone(hook).iter().chain(narrower.flat_map(|(_, links)| links.iter()))
    }
}

fn links(live: &BTreeMap<Arc<str>, Arc<Live>>, chain: &ChainSettings) -> Result<Links, LoadError> {
    let mut links: Vec<Arc<Live>> = Vec::with_capacity(chain.plugins.len());
    for name in &chain.plugins {
        let found = live.get(name.as_str()).ok_or_else(|| {
            let known: Vec<&str> = live.keys().map(|name| &**name).collect();
            LoadError::UnknownPlugin { name: name.clone(), known: known.join(", ") }
        })?;
        if !found.version.hooks.contains(&chain.hook) {
            return Err(LoadError::HookNotExported { plugin: name.clone(), hook: chain.hook });
        }
        if links.iter().any(|link| link.version.plugin.name == found.version.plugin.name) {
            return Err(LoadError::ChainedTwice { plugin: name.clone(), hook: chain.hook });
        }
        links.push(Arc::clone(found));
    }
    Ok(links.into())
}
