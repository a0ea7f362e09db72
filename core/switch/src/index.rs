//! Who may be at an address: decided before anything is parsed (SEC-20).

use crate::facts::{Authentication, CustomerTrunk, Directory, Facts, Network};
use foldhash::{HashMap, HashSet};
use sip::digest::Credentials;
use std::cmp::Reverse;
use std::collections::BTreeSet;
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
    /// Hosts of vendor targets that are listed by address.
    vendors: HashSet<IpAddr>,
    /// Those of targets that are listed by name.
    directory: Arc<Directory>,
    /// Digest trunks that may come from anywhere, by user: told apart by realm and tech prefix.
    users: HashMap<Arc<str>, Vec<Arc<CustomerTrunk>>>,
    /// Their realms.
    realms: BTreeSet<Arc<str>>,
    /// Some address is believed only with a password.
    demands_digest: bool,
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

    /// Whether a trunk names the address.
    #[must_use]
    pub fn knows(&self, source: std::net::SocketAddr) -> bool {
        self.source_index().knows(source)
    }

    /// Whether customers may prove themselves by digest alone at this listener.
    #[must_use]
    pub fn admits_users(&self, listener: u16) -> bool {
        let listener = self.listeners.get(usize::from(listener));
        self.source_index().has_users()
            && listener.is_none_or(|listener| listener.digest_from_anywhere)
    }

    pub(crate) fn source_index(&self) -> &Arc<SourceIndex> {
        self.sources.0.get_or_init(|| Arc::new(SourceIndex::new(self)))
    }
}

impl SourceIndex {
    fn new(facts: &Facts) -> SourceIndex {
        let directory = Arc::clone(&facts.directory);
        let mut index = SourceIndex { directory, ..SourceIndex::default() };
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
            index.demands_digest |= trunk.authentication != Authentication::Address;
            if let (Authentication::Digest, Some(digest)) = (trunk.authentication, &trunk.digest) {
                let trunks = index.users.entry(Arc::clone(&digest.user)).or_default();
                trunks.push(Arc::clone(trunk));
                index.realms.insert(Arc::clone(&digest.realm));
            }
        }
        for trunk in facts.vendors.values() {
            index.vendors.extend(trunk.targets.hosts().map(|host| host.to_canonical()));
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
            || self.directory.has_host(host)
    }

    /// Digest users may come from any address.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Some INVITEs have to carry a password.
    pub(crate) fn demands_digest(&self) -> bool {
        self.demands_digest
    }

    /// The digest trunk that credentials claim to be, not verified. Of several with this user
    /// and realm it is the one with the longest ingress tech prefix of `callee` (ROUTE-13); one
    /// without a prefix of it only if there is no other.
    pub(crate) fn user(
        &self,
        claim: &Credentials<'_>,
        callee: &str,
    ) -> Option<&Arc<CustomerTrunk>> {
        let of_realm = |trunk: &&Arc<CustomerTrunk>| {
            trunk.digest.as_ref().is_some_and(|digest| *digest.realm == *claim.realm)
        };
        let fits = |trunk: &Arc<CustomerTrunk>| {
            let prefix = &*trunk.tech_prefix;
            callee.starts_with(prefix).then_some(prefix.len())
        };
        let trunks = self.users.get(claim.username)?.iter().filter(of_realm);
        trunks.max_by_key(|trunk| (fits(trunk), Reverse(trunk.id)))
    }

    /// The realm to challenge a stranger in: the one that it calls, else that of the listener,
    /// else the first.
    pub(crate) fn realm(&self, called: &str, domain: &str) -> Option<&Arc<str>> {
        let known = |realm: &str| self.realms.get(realm);
        known(called).or_else(|| known(domain)).or_else(|| self.realms.first())
    }

    /// Whether a digest user has this realm.
    pub(crate) fn has_realm(&self, realm: &str) -> bool {
        self.realms.contains(realm)
    }

    /// The trunk that calls from `source` belong to: IP and port before the longest
    /// network, then the longest ingress tech prefix of `callee` (ROUTE-13). Of two alike that
    /// both demand a password it is the one whose user is claimed.
    pub(crate) fn customer(
        &self,
        source: SocketAddr,
        callee: &str,
        user: Option<&str>,
    ) -> Option<&Arc<CustomerTrunk>> {
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
                let claimed = trunk.authentication == Authentication::AddressAndDigest
                    && trunk.digest.as_ref().map(|digest| &*digest.user) == user;
                Some(((network, trunk.tech_prefix.len(), claimed, Reverse(trunk.id)), trunk))
            })
            .max_by_key(|(place, _)| *place)
            .map(|(_, trunk)| trunk)
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
