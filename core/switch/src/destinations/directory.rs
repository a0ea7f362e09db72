//! Data about vendors' addresses that changes while calls run: the addresses of all names, replaced
//! together by one atomic store (SIG-66), and the addresses that accept no connections.

use super::Name;
use super::unconnected::Unconnected;
use arc_swap::{ArcSwap, Guard};
use foldhash::{HashMap, HashSet};
use sip::{Flow, Link};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// One address of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The address.
    pub address: SocketAddr,
    /// Its transport.
    pub link: Link,
    /// Priority of the SRV record, lower first.
    pub priority: u16,
    /// Weight of the SRV record.
    pub weight: u16,
}

/// The resolved addresses of all names. The resolver writes it, shards read it without a lock, and
/// every snapshot of the configuration shares it.
#[derive(Debug, Default)]
pub struct Directory {
    answers: ArcSwap<Answers>,
    unconnected: Unconnected,
}

/// The state of the directory at one moment.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    names: HashMap<Arc<Name>, Vec<Answer>>,
    /// Every host that some name resolves to: its packets come from a vendor.
    hosts: HashSet<IpAddr>,
    /// Hosts that a name resolved to recently: calls that began there may still be up.
    former: HashSet<IpAddr>,
}

impl Directory {
    /// Replaces all data. `former` are hosts that names resolved to before.
    pub fn publish(
        &self,
        names: impl IntoIterator<Item = (Arc<Name>, Vec<Answer>)>,
        former: impl IntoIterator<Item = IpAddr>,
    ) {
        let names: HashMap<Arc<Name>, Vec<Answer>> = names.into_iter().collect();
        let all = names.values().flatten();
        let hosts = all.map(|answer| answer.address.ip().to_canonical()).collect();
        let former = former.into_iter().map(|host| host.to_canonical()).collect();
        self.answers.store(Arc::new(Answers { names, hosts, former }));
    }

    pub(crate) fn answers(&self) -> Guard<Arc<Answers>> {
        self.answers.load()
    }

    /// Whether some name resolves to this host.
    pub(crate) fn has_host(&self, host: IpAddr) -> bool {
        let answers = self.answers();
        !answers.hosts.is_empty() && answers.hosts.contains(&host)
    }

    /// Whether some name resolved to this host recently.
    pub fn had_host(&self, host: IpAddr) -> bool {
        let answers = self.answers();
        !answers.former.is_empty() && answers.former.contains(&host.to_canonical())
    }

    /// `address` refused a connection: large requests go there over UDP for a while.
    pub(crate) fn note_no_connection(&self, now: Instant, address: SocketAddr) {
        self.unconnected.note(now, address);
    }

    /// Whether `address` refused a connection recently.
    pub(crate) fn takes_no_connection(&self, now: Instant, address: SocketAddr) -> bool {
        self.unconnected.has(now, address)
    }

    /// The address of a peer's host name, if a trunk names it too: the address of `flow` if the
    /// name resolves to it, else the first one of the same transport.
    pub(crate) fn address_of(
        &self,
        host: &str,
        port: Option<u16>,
        flow: Flow,
    ) -> Option<SocketAddr> {
        let answers = self.answers();
        let mut first = None;
        for (name, found) in &answers.names {
            if name.port != port || !name.host.eq_ignore_ascii_case(host) {
                continue;
            }
            let fits = |answer: &&Answer| {
                answer.link == flow.link && answer.address.is_ipv6() == flow.remote.is_ipv6()
            };
            for answer in found.iter().filter(fits) {
                if answer.address == flow.remote {
                    return Some(flow.remote);
                }
                first.get_or_insert(answer.address);
            }
        }
        first
    }
}

impl Answers {
    /// The addresses of a name; none while it has not been resolved.
    pub(super) fn of(&self, name: &Arc<Name>) -> &[Answer] {
        self.names.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}
