//! The targets of a vendor trunk (SIG-65, SIG-66): addresses, and names whose addresses a resolver
//! keeps up to date in a [`Directory`]. Each call draws its own order.

mod directory;
mod order;
mod unconnected;

pub use directory::{Answer, Directory};

use rand::Rng;
use serde::{Deserialize, Serialize};
use sip::{Flow, Link};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A host name of a target, with everything that its addresses depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The host name.
    pub host: Arc<str>,
    /// The port as written. A name with a port has no SRV records (RFC 3263 section 4.2).
    pub port: Option<u16>,
    /// The transport as written; without one the records of the name choose it (RFC 3263 section
    /// 4.1).
    pub link: Option<Link>,
    /// The listeners that requests can leave from.
    pub exits: Exits,
}

/// The listeners of a trunk: its own, and the one of the other transport at the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exits {
    /// Index of the UDP listener.
    pub datagram: Option<u16>,
    /// Index of the TCP listener.
    pub stream: Option<u16>,
    /// The transport of the trunk's own listener.
    pub usual: Link,
    /// The listeners are bound to IPv6 addresses.
    pub ipv6: bool,
}

impl Exits {
    /// The listener that speaks this transport.
    #[must_use]
    pub fn listener(&self, link: Link) -> Option<u16> {
        match link {
            Link::Datagram => self.datagram,
            Link::Stream => self.stream,
        }
    }

    /// The transports that have a listener, the usual one first.
    pub fn links(&self) -> impl Iterator<Item = Link> {
        let other = match self.usual {
            Link::Datagram => Link::Stream,
            Link::Stream => Link::Datagram,
        };
        let exits = *self;
        [self.usual, other].into_iter().filter(move |link| exits.listener(*link).is_some())
    }
}

/// One entry of a trunk's list of targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Lower first.
    pub priority: u32,
    /// Share of the calls among the entries of one priority; entries without weights are tried in
    /// the order of the list.
    pub weight: Option<u32>,
    /// Its address or name.
    pub place: Place,
}

/// The address or the name of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// An address.
    Address(Flow),
    /// A name with its current addresses.
    Name(Arc<Name>),
}

/// The list of targets of a trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destinations {
    list: Vec<Destination>,
    /// The order of every call, if it is always the same.
    fixed: Option<Arc<[Way]>>,
}

impl Destinations {
    /// A list in the operator's order.
    #[must_use]
    pub fn new(mut list: Vec<Destination>) -> Destinations {
        list.sort_by_key(|destination| destination.priority);
        let ways = list.iter().map(|destination| match (&destination.place, destination.weight) {
            (Place::Address(flow), None) => Some(Way { flow: *flow, name: None }),
            _ => None,
        });
        let fixed = ways.collect::<Option<Arc<[Way]>>>();
        Destinations { list, fixed }
    }

    /// The hosts listed by address.
    pub fn hosts(&self) -> impl Iterator<Item = IpAddr> {
        self.list.iter().filter_map(|destination| match &destination.place {
            Place::Address(flow) => Some(flow.remote.ip()),
            Place::Name(_) => None,
        })
    }

    /// The listed names.
    pub fn names(&self) -> impl Iterator<Item = &Arc<Name>> {
        self.list.iter().filter_map(|destination| match &destination.place {
            Place::Address(_) => None,
            Place::Name(name) => Some(name),
        })
    }

    /// The first entry as text, for an attempt that has no address.
    pub(crate) fn first_text(&self) -> &str {
        self.names().next().map(|name| &*name.host).unwrap_or_default()
    }

    /// Whether `awake` accepts one of the addresses, or there is none.
    pub(crate) fn is_open(
        &self,
        directory: &Directory,
        mut awake: impl FnMut(SocketAddr) -> bool,
    ) -> bool {
        if let Some(fixed) = &self.fixed {
            return fixed.is_empty() || fixed.iter().any(|way| awake(way.flow.remote));
        }
        let answers = directory.answers();
        let mut any = false;
        for entry in &self.list {
            let open = match &entry.place {
                Place::Address(flow) => {
                    any = true;
                    awake(flow.remote)
                }
                Place::Name(name) => {
                    let found = answers.of(name);
                    any |= !found.is_empty();
                    found.iter().any(|answer| awake(answer.address))
                }
            };
            if open {
                return true;
            }
        }
        !any
    }

    /// Every way to the trunk, in the order for one call. Empty while no name has an address.
    pub(crate) fn ways(&self, directory: &Directory, rng: &mut impl Rng) -> Ways {
        if let Some(fixed) = &self.fixed {
            return Ways { list: Arc::clone(fixed), at: 0 };
        }
        let answers = directory.answers();
        let mut ways: Vec<Way> = Vec::new();
        let entries = self.list.iter().map(|entry| (entry.priority, entry.weight, entry));
        for entry in order::drawn(entries.collect(), rng) {
            let found = match &entry.place {
                Place::Address(flow) => vec![Way { flow: *flow, name: None }],
                Place::Name(name) => {
                    let answers = answers.of(name).iter();
                    let answers = answers.map(|a| (a.priority.into(), Some(a.weight.into()), a));
                    let drawn = order::drawn(answers.collect(), rng).into_iter();
                    drawn.filter_map(|answer| Way::of(name, answer)).collect()
                }
            };
            // Two names may resolve to one address; it is tried once.
            for way in found {
                if ways.iter().all(|known| known.flow != way.flow) {
                    ways.push(way);
                }
            }
        }
        Ways { list: ways.into(), at: 0 }
    }
}

/// One way to a vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Way {
    /// Where the request goes.
    pub(crate) flow: Flow,
    /// The name that resolved to it.
    pub(crate) name: Option<Arc<Name>>,
}

impl Way {
    fn of(name: &Arc<Name>, answer: &Answer) -> Option<Way> {
        let listener = name.exits.listener(answer.link)?;
        let flow = Flow { listener, remote: answer.address, link: answer.link };
        Some(Way { flow, name: Some(Arc::clone(name)) })
    }

    /// The host for our identities towards this vendor (SIG-70).
    pub(crate) fn host(&self) -> ledger::Text {
        match (&self.name, self.flow.remote) {
            (Some(name), _) => (&*name.host).into(),
            (None, SocketAddr::V4(address)) => sip::ip_text(IpAddr::V4(*address.ip())),
            (None, SocketAddr::V6(address)) => {
                compact_str::format_compact!("[{}]", address.ip())
            }
        }
    }

    /// The part of the Request-URI after the `@`. A name stays as the operator wrote it: vendors
    /// distinguish their customers by it (RFC 3263 section 4 resolves the next hop, not the URI).
    pub(crate) fn uri_end(&self) -> String {
        let Some(name) = &self.name else {
            let flow = self.flow;
            return [&*sip::address_text(flow.remote), flow.link.uri_parameter()].concat();
        };
        let port = name.port.map(|port| format!(":{port}")).unwrap_or_default();
        let parameter = name.link.map(Link::uri_parameter).unwrap_or_default();
        [&*name.host, &port, parameter].concat()
    }
}

/// The ways to a trunk in the order of one call, from the next one on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ways {
    list: Arc<[Way]>,
    at: usize,
}

impl Ways {
    /// The next way; none if there never was one, or all were tried.
    pub(crate) fn first(&self) -> Option<&Way> {
        self.list.get(self.at)
    }

    /// The ways from the first that `awake` accepts. An empty list stays: its attempt reports why.
    /// None: all remaining ways are at rest.
    pub(crate) fn skip_to_awake(
        mut self,
        mut awake: impl FnMut(SocketAddr) -> bool,
    ) -> Option<Ways> {
        if self.list.is_empty() {
            return Some(self);
        }
        while let Some(way) = self.first() {
            if awake(way.flow.remote) {
                return Some(self);
            }
            self.at += 1;
        }
        None
    }

    /// The ways after the first; none if it was the last.
    pub(crate) fn rest(&self) -> Option<Ways> {
        let rest = Ways { list: Arc::clone(&self.list), at: self.at + 1 };
        rest.first().is_some().then_some(rest)
    }
}

#[cfg(test)]
mod tests;
