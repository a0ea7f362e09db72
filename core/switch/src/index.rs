//! Who may be at an address: decided before anything is parsed (SEC-20).

use crate::facts::{Authentication, CustomerTrunk, Facts};
use foldhash::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Source addresses of one snapshot, arranged for lookup.
#[derive(Default)]
pub(crate) struct SourceIndex {
    /// Hosts that a customer trunk names exactly.
    hosts: HashMap<IpAddr, Vec<Arc<CustomerTrunk>>>,
    /// Trunks with wider networks; few.
    networks: Vec<Arc<CustomerTrunk>>,
    /// Hosts of vendor targets.
    vendors: HashSet<IpAddr>,
    /// Digest trunks that may come from anywhere, by user.
    users: HashMap<Arc<str>, Arc<CustomerTrunk>>,
}

impl SourceIndex {
    pub(crate) fn new(facts: &Facts) -> SourceIndex {
        let mut index = SourceIndex::default();
        for trunk in facts.customers.values() {
            let mut wide = false;
            for network in &trunk.networks {
                let full = if network.address.is_ipv4() { 32 } else { 128 };
                if network.prefix >= full {
                    let host = network.address.to_canonical();
                    let trunks = index.hosts.entry(host).or_default();
                    if !trunks.iter().any(|known| known.id == trunk.id) {
                        trunks.push(Arc::clone(trunk));
                    }
                } else {
                    wide = true;
                }
            }
            if wide {
                index.networks.push(Arc::clone(trunk));
            }
            if let (Authentication::Digest, Some(digest)) = (trunk.authentication, &trunk.digest) {
                index.users.insert(Arc::clone(&digest.user), Arc::clone(trunk));
            }
        }
        for trunk in facts.vendors.values() {
            index.vendors.extend(trunk.targets.iter().map(|t| t.ip().to_canonical()));
        }
        index
    }

    /// A customer or vendor that is known by its address.
    pub(crate) fn knows(&self, source: SocketAddr) -> bool {
        let host = source.ip().to_canonical();
        self.vendors.contains(&host)
            || self.hosts.contains_key(&host)
            || self.networks.iter().any(|t| t.networks.iter().any(|n| n.contains(source)))
    }

    /// Digest users may come from any address.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// The digest trunk of a user.
    pub(crate) fn user(&self, user: &str) -> Option<&Arc<CustomerTrunk>> {
        self.users.get(user)
    }

    /// The trunk that calls from `source` belong to: IP and port before the longest
    /// network, then the longest ingress tech prefix of `callee` (ROUTE-13).
    pub(crate) fn customer(&self, source: SocketAddr, callee: &str) -> Option<&Arc<CustomerTrunk>> {
        let host = source.ip().to_canonical();
        let exact = self.hosts.get(&host).map_or(&[][..], Vec::as_slice);
        exact
            .iter()
            .chain(&self.networks)
            .filter(|trunk| trunk.authentication != Authentication::Digest)
            .filter(|trunk| callee.starts_with(&*trunk.tech_prefix))
            .filter_map(|trunk| {
                let network = trunk
                    .networks
                    .iter()
                    .filter(|network| network.contains(source))
                    .map(|network| (network.port.is_some(), network.prefix))
                    .max()?;
                Some((network, trunk.tech_prefix.len(), trunk))
            })
            .max_by_key(|(network, prefix, trunk)| (*network, *prefix, std::cmp::Reverse(trunk.id)))
            .map(|(_, _, trunk)| trunk)
    }
}
