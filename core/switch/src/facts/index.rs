//! Which customer may call from an address: decided before anything is parsed (SEC-20).

use crate::facts::{Authentication, CustomerTrunk, Network, VendorTrunk};
use crate::shared_map::SharedMap;
use sip::digest::Credentials;
use std::cmp::Reverse;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Some trunks, by id.
type Trunks = Arc<[Arc<CustomerTrunk>]>;

/// Source addresses of one snapshot, indexed: the cost of a look-up does not grow with the number
/// of trunks. It is updated with each changed trunk, and shares everything else with the previous
/// snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceIndex {
    /// Hosts that a customer trunk names exactly.
    hosts: SharedMap<IpAddr, Trunks>,
    /// Trunks by their wider networks.
    networks: Networks,
    /// Hosts of vendor targets that are listed by address, with the number of trunks that list
    /// each.
    vendors: SharedMap<IpAddr, u32>,
    /// Digest trunks that may call from any address, by user; realm and tech prefix distinguish
    /// them.
    users: SharedMap<Arc<str>, Trunks>,
    /// Their realms, with the number of trunks for each.
    realms: SharedMap<Arc<str>, u32>,
    /// The first of the realms.
    first_realm: Option<Arc<str>>,
    /// Number of trunks that need more than an address.
    demanding: u32,
    /// A new allocation whenever a trunk may have lost an address.
    losses: Arc<()>,
}

impl SourceIndex {
    /// Adds, replaces or removes a customer trunk.
    pub(crate) fn change_customer(
        &mut self,
        before: Option<&CustomerTrunk>,
        now: Option<&Arc<CustomerTrunk>>,
    ) {
        if let (Some(before), Some(now)) = (before, now)
            && is_found_as(before, now)
        {
            return self.renew(now);
        }
        let kept = |network| now.is_some_and(|now| now.networks.contains(network));
        if before.is_some_and(|before| !before.networks.iter().all(kept)) {
            self.losses = Arc::default();
        }
        if let Some(trunk) = before {
            self.forget(trunk);
        }
        if let Some(trunk) = now {
            self.learn(trunk);
        }
    }

    /// Replaces a trunk whose addresses and users are unchanged.
    fn renew(&mut self, trunk: &Arc<CustomerTrunk>) {
        for network in &trunk.networks {
            match exact(network) {
                Some(host) => renew(&mut self.hosts, &host, trunk),
                None => renew(&mut self.networks.trunks, &Networks::key(network), trunk),
            }
        }
        if let (Authentication::Digest, Some(digest)) = (trunk.authentication, &trunk.digest) {
            renew(&mut self.users, &digest.user, trunk);
        }
    }

    fn learn(&mut self, trunk: &Arc<CustomerTrunk>) {
        for network in &trunk.networks {
            match exact(network) {
                Some(host) => join(&mut self.hosts, host, trunk),
                None => self.networks.join(network, trunk),
            }
        }
        self.demanding += u32::from(trunk.authentication != Authentication::Address);
        if let (Authentication::Digest, Some(digest)) = (trunk.authentication, &trunk.digest) {
            join(&mut self.users, Arc::clone(&digest.user), trunk);
            let trunks = self.realms.get(&digest.realm).copied().unwrap_or_default();
            self.realms.insert(Arc::clone(&digest.realm), trunks + 1);
            if self.first_realm.as_ref().is_none_or(|first| digest.realm < *first) {
                self.first_realm = Some(Arc::clone(&digest.realm));
            }
        }
    }

    fn forget(&mut self, trunk: &CustomerTrunk) {
        for network in &trunk.networks {
            match exact(network) {
                Some(host) => drop(leave(&mut self.hosts, &host, trunk.id)),
                None => self.networks.leave(network, trunk.id),
            }
        }
        self.demanding -= u32::from(trunk.authentication != Authentication::Address);
        if let (Authentication::Digest, Some(digest)) = (trunk.authentication, &trunk.digest) {
            leave(&mut self.users, &digest.user, trunk.id);
            if take_one(&mut self.realms, &digest.realm)
                && self.first_realm.as_ref() == Some(&digest.realm)
            {
                self.first_realm = self.realms.keys().min().cloned();
            }
        }
    }

    /// The same for a vendor trunk.
    pub(crate) fn change_vendor(
        &mut self,
        before: Option<&VendorTrunk>,
        now: Option<&Arc<VendorTrunk>>,
    ) {
        let hosts = |trunk: Option<&VendorTrunk>| -> Vec<IpAddr> {
            let hosts = trunk.into_iter().flat_map(|trunk| trunk.targets.hosts());
            hosts.map(|host| host.to_canonical()).collect()
        };
        let (before, now) = (hosts(before), hosts(now.map(|now| &**now)));
        if before == now {
            return;
        }
        for host in now {
            let trunks = self.vendors.get(&host).copied().unwrap_or_default();
            self.vendors.insert(host, trunks + 1);
        }
        for host in before {
            if take_one(&mut self.vendors, &host) {
                self.losses = Arc::default();
            }
        }
    }

    /// Whether addresses of the previous snapshot may no longer be known.
    pub(crate) fn has_lost_some_of(&self, before: &SourceIndex) -> bool {
        !Arc::ptr_eq(&self.losses, &before.losses)
    }

    /// Whether a customer or vendor is known by this address.
    pub(crate) fn knows(&self, source: SocketAddr) -> bool {
        let host = source.ip().to_canonical();
        self.vendors.contains_key(&host)
            || self.hosts.contains_key(&host)
            || self
                .networks
                .around(host)
                .any(|trunk| trunk.networks.iter().any(|n| n.contains(source)))
    }

    /// Whether digest users may call from any address.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether some INVITEs must contain a password.
    pub(crate) fn demands_digest(&self) -> bool {
        self.demanding > 0
    }

    /// The digest trunk that unverified credentials claim. Among several with this user and realm,
    /// the one with the longest ingress tech prefix of `callee` (ROUTE-13); one whose prefix does
    /// not match only if there is no other.
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

    /// The realm for challenging a stranger: the host that it calls, else that of the listener,
    /// else the first.
    pub(crate) fn realm<'a>(&'a self, called: &'a str, domain: &'a str) -> Option<&'a str> {
        let known = [called, domain].into_iter().find(|realm| self.has_realm(realm));
        known.or(self.first_realm.as_deref())
    }

    /// Whether a digest user has this realm.
    pub(crate) fn has_realm(&self, realm: &str) -> bool {
        self.realms.contains_key(realm)
    }

    /// The customer trunk of `source`: exact IP and port before the longest network, then the
    /// longest ingress tech prefix of `callee` (ROUTE-13). Of two equal matches that both need a
    /// password, the one whose user is claimed.
    pub(crate) fn customer(
        &self,
        source: SocketAddr,
        callee: &str,
        user: Option<&str>,
    ) -> Option<&Arc<CustomerTrunk>> {
        let host = source.ip().to_canonical();
        let exact = self.hosts.get(&host).map(|trunks| &**trunks).unwrap_or_default();
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

/// Networks wider than a host: one table for each prefix length in use, so a look-up takes as many
/// steps as there are prefix lengths, not networks.
#[derive(Clone, Debug, Default)]
struct Networks {
    trunks: SharedMap<(IpAddr, u8), Trunks>,
    /// Prefix lengths of IPv4 and of IPv6 networks, with the number of networks for each.
    bits: [Vec<(u8, u32)>; 2],
}

impl Networks {
    fn key(network: &Network) -> (IpAddr, u8) {
        (first_address(network.address, network.prefix), network.prefix)
    }

    fn join(&mut self, network: &Network, trunk: &Arc<CustomerTrunk>) {
        let networks = self.trunks.len();
        join(&mut self.trunks, Networks::key(network), trunk);
        if self.trunks.len() > networks {
            let bits = &mut self.bits[usize::from(network.address.is_ipv6())];
            match bits.iter_mut().find(|(bits, _)| *bits == network.prefix) {
                Some((_, networks)) => *networks += 1,
                None => bits.push((network.prefix, 1)),
            }
        }
    }

    fn leave(&mut self, network: &Network, trunk: u32) {
        if leave(&mut self.trunks, &Networks::key(network), trunk) {
            let bits = &mut self.bits[usize::from(network.address.is_ipv6())];
            for (_, networks) in bits.iter_mut().filter(|(bits, _)| *bits == network.prefix) {
                *networks -= 1;
            }
            bits.retain(|(_, networks)| *networks > 0);
        }
    }

    /// Trunks with a network that contains the host, for any port.
    fn around(&self, host: IpAddr) -> impl Iterator<Item = &Arc<CustomerTrunk>> {
        let of_bits = move |(bits, _): &(u8, u32)| {
            self.trunks.get(&(first_address(host, *bits), *bits)).map(|trunks| trunks.iter())
        };
        self.bits[usize::from(host.is_ipv6())].iter().filter_map(of_bits).flatten()
    }
}

/// Whether two states of a trunk have the same addresses and users.
fn is_found_as(one: &CustomerTrunk, other: &CustomerTrunk) -> bool {
    let user = |trunk: &CustomerTrunk| {
        trunk.digest.as_ref().map(|digest| (Arc::clone(&digest.user), Arc::clone(&digest.realm)))
    };
    (&one.networks, one.authentication) == (&other.networks, other.authentication)
        && user(one) == user(other)
}

/// The host of a network that is no wider than one host.
fn exact(network: &Network) -> Option<IpAddr> {
    let full = if network.address.is_ipv4() { 32 } else { 128 };
    (network.prefix >= full).then(|| network.address.to_canonical())
}

/// Adds a trunk to those of a key. One trunk may occur twice at a key, with different ports.
fn join<K: Hash + Eq + Clone>(
    table: &mut SharedMap<K, Trunks>,
    key: K,
    trunk: &Arc<CustomerTrunk>,
) {
    let trunks = table.get(&key).map(|trunks| &**trunks).unwrap_or_default();
    if let Err(at) = trunks.binary_search_by_key(&trunk.id, |known| known.id) {
        let (lower, higher) = trunks.split_at(at);
        let trunks = [lower, std::slice::from_ref(trunk), higher].concat().into();
        table.insert(key, trunks);
    }
}

/// Replaces a trunk among those of a key.
fn renew<K: Hash + Eq + Clone>(
    table: &mut SharedMap<K, Trunks>,
    key: &K,
    trunk: &Arc<CustomerTrunk>,
) {
    let Some(trunks) = table.get(key) else { return };
    let now =
        |known: &Arc<CustomerTrunk>| Arc::clone(if known.id == trunk.id { trunk } else { known });
    let trunks = trunks.iter().map(now).collect();
    table.insert(key.clone(), trunks);
}

/// Removes a trunk from those of a key; returns whether it was the last.
fn leave<K: Hash + Eq + Clone>(table: &mut SharedMap<K, Trunks>, key: &K, trunk: u32) -> bool {
    let Some(trunks) = table.get(key) else { return false };
    let rest: Trunks = trunks.iter().filter(|known| known.id != trunk).cloned().collect();
    if rest.is_empty() {
        return table.remove(key).is_some();
    }
    if rest.len() < trunks.len() {
        table.insert(key.clone(), rest);
    }
    false
}

/// Decrements the count of a key; returns whether it was the last.
fn take_one<K: Hash + Eq + Clone>(table: &mut SharedMap<K, u32>, key: &K) -> bool {
    match table.get(key) {
        Some(2..) => {
            let rest = table[key] - 1;
            table.insert(key.clone(), rest);
            false
        }
        _ => table.remove(key).is_some(),
    }
}

/// First address of the network of `bits` bits around a host.
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
impl SourceIndex {
    /// Whether both indexes have the same content.
    pub(crate) fn is_like(&self, other: &SourceIndex) -> bool {
        let sorted = |index: &SourceIndex| {
            let mut bits = index.networks.bits.clone();
            bits.iter_mut().for_each(|bits| bits.sort_unstable());
            bits
        };
        let SourceIndex { hosts, networks, vendors, users, realms, .. } = self;
        (hosts, &networks.trunks, vendors) == (&other.hosts, &other.networks.trunks, &other.vendors)
            && (users, realms) == (&other.users, &other.realms)
            && (&self.first_realm, self.demanding) == (&other.first_realm, other.demanding)
            && sorted(self) == sorted(other)
    }
}

#[cfg(test)]
mod tests;
