//! The world of new calls: a configuration snapshot and a plugin generation, replaced together by
//! one atomic store (promise 4 of the design).

use crate::chains;
use crate::mailbox::{Command, Mailbox};
use crate::retired::Retired;
use crate::snapshot::{CallLookup, Snapshot};
use arc_swap::ArcSwap;
use config::ChainConfig;
use host::{Host, LoadError, Retreat, SwapReport};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use switch::World;
use switch::facts::Facts;

/// Combines snapshots and plugin generations, and publishes the result to the shards.
pub(crate) struct WorldDesk {
    host: Host,
    chains: Vec<ChainConfig>,
    published: Arc<ArcSwap<World>>,
    /// Locked while a world is assembled, so that no concurrent change is lost.
    snapshot: Mutex<Arc<Snapshot>>,
    shards: OnceLock<Vec<Mailbox>>,
    retired: Retired,
}

impl WorldDesk {
    /// The first world.
    ///
    /// # Errors
    /// A chain names a plugin that is unknown or lacks the hook.
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

    /// Sets the shards to wake for each new world.
    pub(crate) fn attach(&self, shards: Vec<Mailbox>) {
        let _ = self.shards.set(shards);
    }

    /// The published world, read by the shards.
    pub(crate) fn published(&self) -> Arc<ArcSwap<World>> {
        self.published.clone()
    }

    /// The snapshot for new calls.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.lock().clone()
    }

    /// The plugin host.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Publishes another snapshot to new calls.
    pub(crate) fn replace_snapshot(&self, snapshot: Arc<Snapshot>) {
        let mut current = self.lock();
        self.retire(&current, &snapshot);
        let cut = cut_accounts(&current, &snapshot);
        *current = snapshot;
        self.set_chains(&current);
        self.publish(&current);
        for account in cut {
            for shard in self.shards.get().into_iter().flatten() {
                shard.send(Command::Cut(account));
            }
        }
    }

    /// Keeps the parts of a snapshot of which calls may be the last users. Parts shared with the
    /// next snapshot stay there.
    fn retire(&self, old: &Arc<Snapshot>, new: &Arc<Snapshot>) {
        self.retired.keep(Arc::clone(&old.lookup));
        if !Arc::ptr_eq(&old.facts, &new.facts) {
            self.retired.keep(Arc::clone(&old.facts));
        }
    }

    /// Frees parts of replaced snapshots that no call needs. It may take tens of milliseconds, so
    /// not for an async thread.
    pub(crate) fn sweep(&self) {
        self.retired.sweep();
    }

    /// Changes the builds of a plugin for new calls.
    pub(crate) fn change(
        &self,
        change: impl FnOnce(&Host) -> Result<SwapReport, LoadError>,
    ) -> Result<SwapReport, LoadError> {
        let report = change(&self.host)?;
        self.publish(&self.lock());
        Ok(report)
    }

    /// Rolls back builds that perform badly; the host logs each.
    pub(crate) fn watch_builds(&self) -> Vec<Retreat> {
        let retreats = self.host.watch();
        if !retreats.is_empty() {
            self.publish(&self.lock());
        }
        retreats
    }

    /// Resolves the chains again: a snapshot may add or remove trunks and accounts.
    fn set_chains(&self, snapshot: &Snapshot) {
        if let Err(error) = self.host.set_chains(chains::resolve(&self.chains, snapshot)) {
            tracing::error!(%error, "chains stay as they were");
        }
    }

    /// As [`WorldDesk::swap`], for a file in the plugin folder.
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

/// Accounts newly locked together with their running calls (BILL-51).
fn cut_accounts(old: &Snapshot, new: &Snapshot) -> Vec<u32> {
    if Arc::ptr_eq(&old.facts, &new.facts) {
        return Vec::new();
    }
    let cuts = |facts: &Facts, id: &u32| {
        facts.accounts().get(id).is_some_and(|account| account.locked && account.cuts)
    };
    let others = new.facts.accounts().unshared(old.facts.accounts()).into_iter();
    let ids = others.map(|(id, _)| id);
    ids.filter(|id| cuts(&new.facts, id) && !cuts(&old.facts, id)).collect()
}

fn join(host: &Host, snapshot: &Snapshot) -> World {
    World { facts: snapshot.facts.clone(), pin: host.pin(Arc::new(CallLookup::of(snapshot))) }
}
