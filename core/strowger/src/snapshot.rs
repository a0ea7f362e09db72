//! Business objects become one immutable snapshot for calls: names become ids and
//! indices, texts become content handles, counters and purses are those of the snapshots
//! before.

mod lookup;
mod trunks;

pub(crate) use lookup::SnapshotLookup;

use crate::tables::{Table, Tables};
use config::Config;
use ledger::{Purse, RateDeck};
use policy::Owner;
use sip::digest::Algorithm;
use sip::{Flow, Link};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use store::business::{Target, TargetHost, Transport};
use store::{Loaded, LoadedDeck};
use switch::SilenceLimits;
use switch::facts::{
    Account, CallSettings, Destination, Directory, Exits, Facts, Listener, Name, Place, RouteEntry,
    SessionTimers, TrunkUsage,
};
use thiserror::Error;

/// Priority of targets that have none.
const USUAL_PRIORITY: u32 = 100;

/// One configuration snapshot.
pub(crate) struct Snapshot {
    /// What the call machine knows.
    pub(crate) facts: Arc<Facts>,
    /// What plugins look up.
    pub(crate) lookup: Arc<SnapshotLookup>,
}

/// Business objects that name something the node file does not have. One line each.
#[derive(Debug, Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct SnapshotError(pub(crate) Vec<String>);

/// What survives a reload: live counters and purses, by the ids that never change, and what
/// the next snapshot shares with this one because it has not changed.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    node: Arc<TrunkUsage>,
    customers: HashMap<u32, Arc<TrunkUsage>>,
    vendors: HashMap<u32, Arc<TrunkUsage>>,
    purses: HashMap<u32, Arc<Purse>>,
    decks: Vec<LoadedDeck>,
    /// Addresses of names.
    directory: Arc<Directory>,
    facts: Weak<Facts>,
}

impl Registry {
    /// Decks of the last snapshot.
    pub(crate) fn decks(&self) -> Vec<LoadedDeck> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).decks.clone()
    }

    /// The addresses of names, the same for all snapshots.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).directory.clone()
    }
}

/// Names of the node file as the indices that calls use.
struct Names<'a> {
    config: &'a Config,
    problems: Vec<String>,
}

impl Snapshot {
    /// Builds the snapshot of `business` on this node.
    pub(crate) fn build(
        config: &Config,
        business: &Loaded,
        tables: Tables,
        registry: &Registry,
        nonce_secret: [u8; 32],
    ) -> Result<Snapshot, SnapshotError> {
        let mut shared = registry.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = Names { config, problems: Vec::new() };
        let mut lookup = SnapshotLookup::of(tables);
        let rules: HashMap<String, u64> = business
            .rule_sets
            .iter()
            .map(|set| (set.name.clone(), lookup.keep(&set.text)))
            .collect();
        let mut facts = Facts {
            node: config.name.as_str().into(),
            listeners: listeners(config),
            settings: settings(config, nonce_secret),
            usage: shared.node.clone(),
            directory: shared.directory.clone(),
            ..Facts::default()
        };
        let before = shared.facts.upgrade().unwrap_or_default();
        accounts(&mut facts, &before, business, &mut shared.purses);
        for loaded in &business.accounts {
            let words = &loaded.account.attributes;
            lookup.add_attributes(Owner::Account(loaded.id), words);
        }
        for loaded in &business.customer_trunks {
            lookup.add_attributes(Owner::Customer(loaded.id), &loaded.trunk.attributes);
            let usage = shared.customers.entry(loaded.id).or_default().clone();
            let trunk = trunks::customer(loaded, &mut names, &rules, usage);
            let trunk = shared_with(before.customers.get(&trunk.id), trunk);
            facts.customers.insert(trunk.id, trunk);
        }
        for loaded in &business.vendor_trunks {
            let usage = shared.vendors.entry(loaded.id).or_default().clone();
            lookup.add_attributes(Owner::Vendor(loaded.id), &loaded.trunk.attributes);
            lookup.add_usage(loaded.id, &usage);
            let trunk = trunks::vendor(loaded, &mut names, &rules, usage);
            for prefix in &loaded.trunk.prefixes {
                let entry = RouteEntry {
                    trunk: trunk.id,
                    priority: prefix.priority,
                    extend: prefix.extend,
                };
                facts.routes.entry(&prefix.prefix).push(entry);
            }
            let trunk = shared_with(before.vendors.get(&trunk.id), trunk);
            facts.vendors.insert(trunk.id, trunk);
        }
        if !names.problems.is_empty() {
            return Err(SnapshotError(names.problems));
        }
        // Here rather than on the first thread of calls that takes the snapshot.
        facts.arrange();
        let facts = Arc::new(facts);
        shared.decks.clone_from(&business.decks);
        shared.facts = Arc::downgrade(&facts);
        Ok(Snapshot { facts, lookup: Arc::new(lookup) })
    }
}

/// The object of the snapshot before if it is the same.
fn shared_with<T: PartialEq>(before: Option<&Arc<T>>, now: T) -> Arc<T> {
    match before {
        Some(before) if **before == now => Arc::clone(before),
        _ => Arc::new(now),
    }
}

impl Snapshot {
    /// The same with another state of some tables.
    pub(crate) fn with(&self, tables: Vec<Arc<Table>>) -> Snapshot {
        let lookup = Arc::new(self.lookup.with(tables));
        Snapshot { facts: self.facts.clone(), lookup }
    }
}

fn listeners(config: &Config) -> Vec<Listener> {
    let listener = |listener: &config::ListenerConfig| Listener {
        name: listener.name.as_str().into(),
        local: listener.address,
        link: crate::transport::sockets::link(listener),
        twin: twin(config, listener),
        advertised: listener.advertised().into(),
        domain: listener.domain().into(),
        digest_algorithms: listener
            .digest_algorithms
            .iter()
            .map(|algorithm| match algorithm {
                config::DigestAlgorithm::Md5 => Algorithm::Md5,
                config::DigestAlgorithm::Sha256 => Algorithm::Sha256,
            })
            .collect(),
        digest_from_anywhere: listener.digest_from_anywhere,
    };
    config.listeners.iter().map(listener).collect()
}

/// Index of the listener of the other transport at the same address: of several that at the same
/// port, else the first.
fn twin(config: &Config, listener: &config::ListenerConfig) -> Option<u16> {
    let others = (0..).zip(&config.listeners).filter(|(_, other)| {
        other.transport != listener.transport && other.address.ip() == listener.address.ip()
    });
    let twin = others.min_by_key(|(_, other)| other.address.port() != listener.address.port());
    twin.map(|(index, _)| index)
}

fn settings(config: &Config, nonce_secret: [u8; 32]) -> CallSettings {
    CallSettings {
        max_duration: config.calls.max_duration,
        setup_limit: config.calls.setup_limit,
        interim: config.calls.interim,
        supervision: config.calls.supervision,
        channels: config.calls.channels,
        session: session_timers(&config.calls.session),
        silence: silence(&config.media.silence),
        nonce_secret,
    }
}

fn session_timers(config: &config::SessionConfig) -> SessionTimers {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    SessionTimers {
        interval: seconds(config.expires),
        min_se: seconds(config.min_se),
        segment: config.segment,
        misses: config.misses,
        early_hangup: seconds(config.early_hangup),
        probe: config.probe,
    }
}

fn silence(limits: &config::SilenceConfig) -> SilenceLimits {
    SilenceLimits {
        no_media: limits.no_media,
        both_silent: limits.both,
        one_silent: limits.one,
        probe: limits.probe,
        probe_again: limits.probe_again,
        hold: limits.hold,
    }
}

fn accounts(
    facts: &mut Facts,
    before: &Facts,
    business: &Loaded,
    purses: &mut HashMap<u32, Arc<Purse>>,
) {
    let decks: HashMap<&str, &Arc<RateDeck>> =
        business.decks.iter().map(|loaded| (&*loaded.deck.name, &loaded.deck)).collect();
    for loaded in &business.accounts {
        let account = &loaded.account;
        let purse = purses
            .entry(loaded.id)
            .or_insert_with(|| Arc::new(Purse::new(loaded.balance, account.credit_limit)));
        purse.set_credit(account.credit_limit);
        let account = Account {
            id: loaded.id,
            name: account.name.as_str().into(),
            locked: account.locked,
            expires_ms: account.expires,
            max_duration: account.max_duration,
            deck: account.deck.as_deref().and_then(|name| decks.get(name).copied()).cloned(),
            rounding: account.rounding.into(),
            purse: purse.clone(),
        };
        let account = shared_with(before.accounts.get(&account.id), account);
        facts.accounts.insert(account.id, account);
    }
}

impl Names<'_> {
    /// Index of a listener; the first if none is named.
    fn listener(&mut self, owner: &str, name: Option<&str>) -> u16 {
        let known = self.config.listeners.iter().map(|listener| listener.name.as_str());
        let known: Vec<&str> = known.collect();
        self.index(owner, "listener", name, &known)
    }

    /// Index of a media address; the first if none is named.
    fn media_address(&mut self, owner: &str, name: Option<&str>) -> u16 {
        let known = self.config.media.addresses.iter().map(|address| address.name.as_str());
        let known: Vec<&str> = known.collect();
        self.index(owner, "media_address", name, &known)
    }

    /// The name of a sound of the node file, or the code of a country.
    fn sound(&mut self, owner: &str, name: &str) -> Arc<str> {
        if let Some(problem) = crate::review::unknown_sound(self.config, name) {
            self.problems.push(format!("{owner}: {problem}"));
        }
        Arc::from(name)
    }

    fn index(&mut self, owner: &str, field: &str, name: Option<&str>, known: &[&str]) -> u16 {
        let Some(name) = name else { return 0 };
        match known.iter().position(|known| *known == name) {
            Some(index) => u16::try_from(index).unwrap_or(0),
            None => {
                self.problems.push(format!(
                    "{owner}: {field} `{name}` is not in the node file; there are: {}",
                    known.join(", ")
                ));
                0
            }
        }
    }

    /// The domain of a listener.
    fn domain(&self, listener: u16) -> String {
        let listener = self.config.listeners.get(usize::from(listener));
        listener.map(config::ListenerConfig::domain).unwrap_or_default()
    }

    /// The listeners that a trunk with this listener can send from.
    fn exits(&self, listener: u16) -> Exits {
        let own = self.config.listeners.get(usize::from(listener));
        let usual = own.map(crate::transport::sockets::link).unwrap_or_default();
        let twin = own.and_then(|own| twin(self.config, own));
        let (datagram, stream) = match usual {
            Link::Datagram => (Some(listener), twin),
            Link::Stream => (twin, Some(listener)),
        };
        let ipv6 = own.is_some_and(|own| own.address.is_ipv6());
        Exits { datagram, stream, usual, ipv6 }
    }

    /// Where a target leads, unless it is one of our own listeners: a call to ourselves would go
    /// round until Max-Forwards stops it. None: the node has no listener of its transport.
    fn destination(&mut self, owner: &str, target: &Target, exits: Exits) -> Option<Destination> {
        let address = target.address();
        if self.config.listeners.iter().any(|listener| Some(listener.address) == address) {
            self.problems.push(format!("{owner}: target {target} is this switch's own listener"));
        }
        let link = target.transport.map(|transport| match transport {
            Transport::Udp => Link::Datagram,
            Transport::Tcp => Link::Stream,
        });
        let Some(listener) = exits.listener(link.unwrap_or(exits.usual)) else {
            let problem = "the node has no listener of its transport at the trunk's address";
            self.problems.push(format!("{owner}: target {target}: {problem}"));
            return None;
        };
        let place = match (address, &target.host) {
            (Some(remote), _) => {
                Place::Address(Flow { listener, remote, link: link.unwrap_or(exits.usual) })
            }
            (None, TargetHost::Name(name)) => {
                let host = name.as_str().into();
                Place::Name(Arc::new(Name { host, port: target.port, link, exits }))
            }
            (None, TargetHost::Address(_)) => return None,
        };
        // Those without a priority come in their order, as if they had the usual one.
        let priority = target.priority.unwrap_or(USUAL_PRIORITY);
        Some(Destination { priority, weight: target.weight, place })
    }
}

#[cfg(test)]
mod tests;
