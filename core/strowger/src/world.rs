//! The one place where new calls get their world from: a configuration snapshot and a
//! plugin generation, replaced together by one atomic store (promise 4 of the design).

use crate::shard::Mailbox;
use crate::snapshot::Snapshot;
use crate::tables::Retired;
use arc_swap::ArcSwap;
use host::{Host, LoadError, Source, SwapReport};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use switch::World;

/// Joins snapshots and plugin generations, and publishes the result to the shards.
pub(crate) struct WorldDesk {
    host: Host,
    published: Arc<ArcSwap<World>>,
    /// Held while a world is put together: of two changes, neither loses the other.
    snapshot: Mutex<Arc<Snapshot>>,
    shards: OnceLock<Vec<Mailbox>>,
    retired: Retired,
}

impl WorldDesk {
    /// The first world.
    pub(crate) fn new(host: Host, snapshot: Arc<Snapshot>) -> WorldDesk {
        let world = join(&host, &snapshot);
        WorldDesk {
            host,
            published: Arc::new(ArcSwap::from_pointee(world)),
            snapshot: Mutex::new(snapshot),
            shards: OnceLock::new(),
            retired: Retired::default(),
        }
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
        self.retired.keep(current.lookup.tables(), snapshot.lookup.tables());
        *current = snapshot;
        self.publish(&current);
    }

    /// Gives back what replaced snapshots held and no call needs any more.
    pub(crate) fn sweep(&self) {
        self.retired.sweep();
    }

    /// Gives new calls another build of a plugin; waits for its compilation and tests.
    pub(crate) fn swap(&self, plugin: &str, source: Source) -> Result<SwapReport, LoadError> {
        let report = self.host.swap(plugin, source)?;
        self.publish(&self.lock());
        Ok(report)
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
