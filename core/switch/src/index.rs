//! Who may be at an address: decided before anything is parsed (SEC-20).

use crate::facts::{Authentication, CustomerTrunk, Facts, Network};
use foldhash::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// Source addresses of one snapshot, arranged for lookup: what a look costs does not grow
/// with the number of trunks.
#[derive(Debug, Default)]
pub(crate) struct SourceIndex {
    /// Hosts that a customer trunk names exactly.
    hosts: HashMap<IpAddr, Vec<Arc<CustomerTrunk>>>,
    /// Trunks by the wider networks that they name.
    networks: Networks,
    /// Hosts of vendor targets.
    vendors: HashSet<IpAddr>,
    /// Digest trunks that may come from anywhere, by user.
    users: HashMap<Arc<str>, Arc<CustomerTrunk>>,
}

/// The index of a snapshot, made by the first who looks or ahead by [`Facts::arrange`], and
/// shared by all shards.
#[derive(Debug, Default)]
pub struct Sources(OnceLock<Arc<SourceIndex>>);

impl Facts {
    /// Arranges what packets are looked up in, so that no signalling thread has to. Facts that
    /// are changed afterwards would be looked up as they were.
    pub fn arrange(&self) {
        self.source_index();
    }

    pub(crate) fn source_index(&self) -> &Arc<SourceIndex> {
        self.sources.0.get_or_init(|| Arc::new(SourceIndex::new(self)))
    }
}

impl SourceIndex {
    fn new(facts: &Facts) -> SourceIndex {
        let mut index = SourceIndex::default();
        for trunk in facts.customers.values() {
            for network in &trunk.networks {
                let full = if network.address.is_ipv4() { 32 } else { 128 };
                let trunks = if network.prefix >= full {
                    index.hosts.entry(network.address.to_canonical()).or_default()
                } else {
                    index.networks.entry(network)
                };
                // One trunk's networks come one after the other.
                if trunks.last().is_none_or(|known| known.id != trunk.id) {
                    trunks.push(Arc::clone(trunk));
                }
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
            || self
                .networks
                .around(host)
                .any(|trunk| trunk.networks.iter().any(|n| n.contains(source)))
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
            .chain(self.networks.around(host))
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

/// Networks wider than a host: one table for each number of bits that some network has, so
/// that a host is found in as many steps as there are numbers of bits, not networks.
#[derive(Debug, Default)]
struct Networks {
    trunks: HashMap<(IpAddr, u8), Vec<Arc<CustomerTrunk>>>,
    /// Numbers of bits of IPv4 and of IPv6 networks, each once.
    bits: [Vec<u8>; 2],
}

impl Networks {
    fn entry(&mut self, network: &Network) -> &mut Vec<Arc<CustomerTrunk>> {
        let bits = &mut self.bits[usize::from(network.address.is_ipv6())];
        if !bits.contains(&network.prefix) {
            bits.push(network.prefix);
        }
        let first = first_address(network.address, network.prefix);
        self.trunks.entry((first, network.prefix)).or_default()
    }

    /// Trunks with a network around the host, whatever the port.
    fn around(&self, host: IpAddr) -> impl Iterator<Item = &Arc<CustomerTrunk>> {
        let of_bits = move |bits: &u8| self.trunks.get(&(first_address(host, *bits), *bits));
        self.bits[usize::from(host.is_ipv6())].iter().filter_map(of_bits).flatten()
    }
}

/// First address of the network of so many bits around a host.
fn first_address(host: IpAddr, bits: u8) -> IpAddr {
    match host {
        IpAddr::V4(host) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(host) & mask).into())
        }
        IpAddr::V6(host) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(host) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests;
