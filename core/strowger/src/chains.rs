//! Chains of plugins by the names of the node file, as the ids that calls carry.

use crate::snapshot::Snapshot;
use config::ChainConfig;
use host::{ChainScope, ChainSettings};

/// The chains of the node file for this snapshot. One for a trunk or account that the
/// business does not have (yet) is left out with a warning: it would hold for nobody.
pub(crate) fn resolve(chains: &[ChainConfig], snapshot: &Snapshot) -> Vec<ChainSettings> {
    chains.iter().filter_map(|chain| resolved(chain, snapshot)).collect()
}

fn resolved(chain: &ChainConfig, snapshot: &Snapshot) -> Option<ChainSettings> {
    let facts = &snapshot.facts;
    let scope = match (&chain.customer_trunk, &chain.account) {
        (Some(name), _) => {
            let found = facts.customers.values().find(|trunk| *trunk.name == **name);
            found.map(|trunk| ChainScope::Trunk(trunk.id))
        }
        (None, Some(name)) => {
            let found = facts.accounts.values().find(|account| *account.name == **name);
            found.map(|account| ChainScope::Account(account.id))
        }
        (None, None) => Some(ChainScope::Everyone),
    };
    if scope.is_none() {
        let name = chain.customer_trunk.as_ref().or(chain.account.as_ref());
        tracing::warn!(hook = %chain.hook, name, "a chain names a trunk or account that is not there");
    }
    Some(ChainSettings { hook: chain.hook, scope: scope?, plugins: chain.plugins.clone() })
}
