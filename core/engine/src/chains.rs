//! Resolves the plugin chains of the node file to ids.

use crate::snapshot::Snapshot;
use config::{ChainConfig, Config, ConfigErrors};
use host::{ChainScope, ChainSettings, PluginState};
use policy::Hook;

/// The chains of the node file for this snapshot. A chain for a trunk or account that does not
/// exist (yet) is dropped with a warning.
pub(crate) fn resolve(chains: &[ChainConfig], snapshot: &Snapshot) -> Vec<ChainSettings> {
    chains.iter().filter_map(|chain| resolved(chain, snapshot)).collect()
}

/// Refuses chains whose plugins do not implement their hook; the names are checked when the node
/// file is read.
///
/// # Errors
/// Each such place in the node file, with the hooks that the plugin implements.
pub(crate) fn check(config: &Config, plugins: &[PluginState]) -> Result<(), ConfigErrors> {
    let mut problems = Vec::new();
    for (index, chain) in config.plugins.chain.iter().enumerate() {
        for (at, name) in chain.plugins.iter().enumerate() {
            let found = plugins.iter().find(|plugin| *plugin.stamp.name == **name);
            let hooks = found.map(|plugin| plugin.hooks.as_slice()).unwrap_or_default();
            if hooks.contains(&chain.hook) {
                continue;
            }
            let hooks: Vec<&str> = hooks.iter().copied().map(Hook::name).collect();
            let field = format!("plugins.chain[{index}].plugins[{at}]");
            let detail = format!(
                "plugin `{name}` does not answer the hook `{}`; it answers: {}",
                chain.hook,
                hooks.join(", ")
            );
            problems.push(config.source.problem(&field, detail));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(ConfigErrors(problems)) }
}

fn resolved(chain: &ChainConfig, snapshot: &Snapshot) -> Option<ChainSettings> {
    let scope = match (&chain.customer_trunk, &chain.account) {
        (Some(name), _) => snapshot.customer(name).map(|trunk| ChainScope::Trunk(trunk.id)),
        (None, Some(name)) => snapshot.account(name).map(|account| ChainScope::Account(account.id)),
        (None, None) => Some(ChainScope::Everyone),
    };
    if scope.is_none() {
        let name = chain.customer_trunk.as_ref().or(chain.account.as_ref());
        tracing::warn!(hook = %chain.hook, name, "a chain names a trunk or account that is not there");
    }
    Some(ChainSettings { hook: chain.hook, scope: scope?, plugins: chain.plugins.clone() })
}
