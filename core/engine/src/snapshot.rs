//! Turns business objects into an immutable snapshot for calls: names become ids and indices, texts
//! become content handles; counters and purses are shared with earlier snapshots.

mod book;
mod draft;
mod lookup;
mod names;
mod trunks;

pub(crate) use draft::Changed;
pub(crate) use lookup::{CallLookup, SnapshotLookup};

use crate::tables::{Table, Tables};
use book::Book;
use config::Config;
use draft::Draft;
use live::{Live, Rate};
use names::Names;
use sip::digest::Algorithm;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use store::{Loaded, LoadedDeck};
use switch::SilenceLimits;
use switch::facts::{
    Account, CallSettings, CustomerTrunk, Directory, Facts, Listener, SessionTimers, VendorTrunk,
};
use thiserror::Error;

/// One configuration snapshot.
pub(crate) struct Snapshot {
    /// The facts for the call machine.
    pub(crate) facts: Arc<Facts>,
    /// The lookups for plugins.
    pub(crate) lookup: Arc<SnapshotLookup>,
    /// Names, which calls do not need.
    book: Book,
}

/// References of business objects that the node file lacks, one per line.
#[derive(Debug, Error)]
#[error("{}", .0.join("\n"))]
pub struct SnapshotError(pub(crate) Vec<String>);

/// Unchanged parts that the next snapshot shares, and the live state, which is keyed by ids that
/// never change.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    live: Live,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    decks: Vec<LoadedDeck>,
    /// Numbers of decks by name, the same in every snapshot of this process.
    deck_numbers: HashMap<Arc<str>, u32>,
    /// Addresses of host names.
    directory: Arc<Directory>,
    facts: Weak<Facts>,
}

impl Registry {
    /// A registry before the first snapshot.
    pub(crate) fn new(live: Live) -> Registry {
        Registry { live, shared: Mutex::default() }
    }

    /// The live state, which changes during calls.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Decks of the last snapshot.
    pub(crate) fn decks(&self) -> Vec<LoadedDeck> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).decks.clone()
    }

    /// The addresses of host names, shared by all snapshots.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).directory.clone()
    }
}

impl Shared {
    /// The number of a deck.
    fn deck_number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.deck_numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.deck_numbers.len()).unwrap_or(u32::MAX);
        self.deck_numbers.insert(name.into(), number);
        number
    }
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
        let mut facts = Facts::default();
        facts.node = config.name.as_str().into();
        facts.listeners = listeners(config);
        facts.settings = settings(config, nonce_secret);
        facts.directory = shared.directory.clone();
        let empty = Snapshot {
            facts: Arc::new(facts),
            lookup: Arc::new(SnapshotLookup::of(tables, &registry.live)),
            book: Book::default(),
        };
        shared.decks.clone_from(&business.decks);
        let before = shared.facts.upgrade().unwrap_or_default();
        let mut draft = Draft::of(&empty, before, config, &registry.live, &mut shared);
        draft.fill(business);
        let snapshot = draft.finish()?;
        shared.facts = Arc::downgrade(&snapshot.facts);
        Ok(snapshot)
    }

    /// This snapshot with one object changed. All others are shared and not checked, except trunks
    /// that use a changed rule set. What the store refuses is not checked again: an account with a
    /// missing parent has none.
    ///
    /// # Errors
    /// The object refers to something that the node file lacks.
    pub(crate) fn patched(
        &self,
        config: &Config,
        change: Changed<'_>,
        registry: &Registry,
    ) -> Result<Snapshot, SnapshotError> {
        let mut shared = registry.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Arc::clone(&self.facts);
        let mut draft = Draft::of(self, before, config, &registry.live, &mut shared);
        draft.apply(change);
        let snapshot = draft.finish()?;
        shared.facts = Arc::downgrade(&snapshot.facts);
        Ok(snapshot)
    }

    /// Whether there were so many changes of vendor trunks that [`Snapshot::folded`] pays off.
    pub(crate) fn needs_fold(&self) -> bool {
        self.facts.needs_fold()
    }

    /// The same snapshot, rebuilt so that further changes of vendor trunks are fast.
    pub(crate) fn folded(&self) -> Snapshot {
        let mut facts = Facts::clone(&self.facts);
        facts.fold();
        let (lookup, book) = (Arc::clone(&self.lookup), self.book.clone());
        Snapshot { facts: Arc::new(facts), lookup, book }
    }

    /// This snapshot with some tables replaced.
    pub(crate) fn with(&self, tables: Vec<Arc<Table>>) -> Snapshot {
        let lookup = Arc::new(self.lookup.with(tables));
        Snapshot { facts: self.facts.clone(), lookup, book: self.book.clone() }
    }

    /// This snapshot without a table.
    pub(crate) fn without_table(&self, name: &str) -> Snapshot {
        let lookup = Arc::new(self.lookup.without(name));
        Snapshot { facts: self.facts.clone(), lookup, book: self.book.clone() }
    }

    /// The account with this name.
    pub(crate) fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.facts.accounts().get(self.book.accounts.get(name)?)
    }

    /// The customer trunk with this name.
    pub(crate) fn customer(&self, name: &str) -> Option<&Arc<CustomerTrunk>> {
        self.facts.customers().get(self.book.customers.get(name)?)
    }

    /// The vendor trunk with this name.
    pub(crate) fn vendor(&self, name: &str) -> Option<&Arc<VendorTrunk>> {
        self.facts.vendors().get(self.book.vendors.get(name)?)
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

/// Index of the listener with the other transport at the same address: preferably the one at the
/// same port, otherwise the first.
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
        rate: Rate { per_mille: config.calls.cps.saturating_mul(1000), burst: 0 },
        slice: config.calls.slice,
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

#[cfg(test)]
mod tests;
