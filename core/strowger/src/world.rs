//! The one place where new calls get their world from: a configuration snapshot and a
//! plugin generation, replaced together by one atomic store (promise 4 of the design).

use crate::chains;
use crate::retired::Retired;
use crate::shard::Mailbox;
use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use config::ChainConfig;
use host::{Host, LoadError, Retreat, SwapReport};
use ledger::RateDeck;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use switch::World;

/// Joins snapshots and plugin generations, and publishes the result to the shards.
pub(crate) struct WorldDesk {
    host: Host,
    chains: Vec<ChainConfig>,
    published: Arc<ArcSwap<World>>,
    /// Held while a world is put together: of two changes, neither loses the other.
    snapshot: Mutex<Arc<Snapshot>>,
    shards: OnceLock<Vec<Mailbox>>,
    retired: Retired,
}

impl WorldDesk {
    /// The first world.
    ///
    /// # Errors
    /// A chain that names a plugin which is unknown or has not the hook.
    pub(crate) fn new(
        host: Host,
        chains: Vec<ChainConfig>,
        snapshot: Arc<Snapshot>,
    ) -> Result<WorldDesk, LoadError> {
        host.set_chains(chains::resolve(&chains, &snapshot))?;
        let world = join(&host, &snapshot);
        Ok(WorldDesk {
            host,
            chains,
            published: Arc::new(ArcSwap::from_pointee(world)),
            snapshot: Mutex::new(snapshot),
            shards: OnceLock::new(),
            retired: Retired::default(),
        })
    }

    /// Who is woken by each new world.
    pub(crate) fn attach(&self, shards: Vec<Mailbox>) {
        let _ = self.shards.set(shards);
    }

    /// What the shards read.
    pub(crate) fn published(&self) -> Arc<ArcSwap<World>> {
        self.published.clone()
    }

    /// The snapshot of new calls.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.lock().clone()
    }

    /// The plugin host.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Gives new calls another snapshot.
    pub(crate) fn replace_snapshot(&self, snapshot: Arc<Snapshot>) {
        let mut current = self.lock();
        self.retire(&current, &snapshot);
        *current = snapshot;
        self.set_chains(&current);
        self.publish(&current);
    }

    /// Keeps what calls may be the last to hold of a snapshot. Decks are shared by snapshots,
    /// and a call holds that of its account.
    fn retire(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>) {
        self.retired.keep(Arc::clone(&old.lookup));
        if Arc::ptr_eq(&old.facts, &new.facts) {
            return;
        }
        self.retired.keep(Arc::clone(&old.facts));
        let decks = |snapshot: &Snapshot| -> HashMap<*const RateDeck, Arc<RateDeck>> {
            let accounts = snapshot.facts.accounts.values();
            let decks = accounts.filter_map(|account| account.deck.clone());
            decks.map(|deck| (Arc::as_ptr(&deck), deck)).collect()
        };
        let kept = decks(new);
        let gone = decks(old).into_iter().filter(|(deck, _)| !kept.contains_key(deck));
        gone.for_each(|(_, deck)| self.retired.keep(deck));
    }

    /// Gives back what replaced snapshots held and no call needs any more. It may take tens of
    /// milliseconds: not for an async thread.
    pub(crate) fn sweep(&self) {
        self.retired.sweep();
    }

    /// Changes which builds of a plugin new calls ask.
    pub(crate) fn change(
        &self,
        change: impl FnOnce(&Host) -> Result<SwapReport, LoadError>,
    ) -> Result<SwapReport, LoadError> {
        let report = change(&self.host)?;
        self.publish(&self.lock());
        Ok(report)
    }

    /// Takes back builds that do badly; the host logs each.
    pub(crate) fn watch_builds(&self) -> Vec<Retreat> {
        let retreats = self.host.watch();
        if !retreats.is_empty() {
            self.publish(&self.lock());
        }
        retreats
    }

    /// Chains name trunks and accounts, which a snapshot may bring or take.
    fn set_chains(&self, snapshot: &Snapshot) {
        if let Err(error) = self.host.set_chains(chains::resolve(&self.chains, snapshot)) {
            tracing::error!(%error, "chains stay as they were");
        }
    }

    /// As [`WorldDesk::swap`] for a file of the plugin folder.
    pub(crate) fn swap_file(&self, path: &Path) -> Result<SwapReport, LoadError> {
        let report = self.host.swap_file(path)?;
        self.publish(&self.lock());
        Ok(report)
    }

    fn publish(&self, snapshot: &MutexGuard<'_, Arc<Snapshot>>) {
        self.published.store(Arc::new(join(&self.host, snapshot)));
        for shard in self.shards.get().into_iter().flatten() {
            shard.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Snapshot>> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn join(host: &Host, snapshot: &Snapshot) -> World {
    World { facts: snapshot.facts.clone(), pin: host.pin(snapshot.lookup.clone()) }
}
