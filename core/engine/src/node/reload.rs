//! Replaces the business objects during calls: read, checked, compared, stored, published to new
//! calls.

use super::Node;
use super::start::{FIRST_ANSWERS, read_business};
use crate::alarms::AlarmKind;
use crate::review;
use crate::tables::{TableError, Tables};
use api::ApiError;
use api::ReloadDone;
use business::Business;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use tokio::runtime::Handle;

impl Node {
    /// Reads the business folder, lists the differences, and unless it is a dry run stores it and
    /// publishes it to new calls. Any error refuses the whole folder; without differences nothing
    /// is done.
    ///
    /// Reading and comparing a large business takes seconds of CPU time. It runs on a separate
    /// thread, so that requests and signals are handled meanwhile.
    pub async fn reload(
        self: &Arc<Node>,
        folder: Option<PathBuf>,
        dry_run: bool,
        overwrite: bool,
    ) -> Result<ReloadDone, ApiError> {
        let Some(folder) = folder.or_else(|| self.business_folder()) else {
            let detail = "name a folder: the node file has no `business` folder";
            return Err(ApiError::invalid("folder", detail));
        };
        let (node, runtime) = (Arc::clone(self), Handle::current());
        let work = move || runtime.block_on(node.take_business(&folder, dry_run, overwrite));
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| ApiError::internal(error.to_string()))?
    }

    /// A reload without a waiting client, such as by SIGHUP: an error raises an alarm.
    pub async fn reload_unattended(self: &Arc<Node>) {
        match self.reload(None, false, false).await {
            Ok(done) => tracing::info!(objects = done.objects, "reloaded"),
            Err(error) => {
                let detail = format!("the business files are not taken: {error}");
                self.alarms.raise(AlarmKind::ReloadRefused, "business", detail);
            }
        }
    }

    async fn take_business(
        &self,
        folder: &Path,
        dry_run: bool,
        overwrite: bool,
    ) -> Result<ReloadDone, ApiError> {
        let _turn = self.reloading.lock().await;
        let business =
            read_business(&self.config, folder).map_err(|errors| refused(errors.to_string()))?;
        let others: Vec<String> =
            self.lists_of_the_api().await?.into_iter().map(|list| list.name).collect();
        review::review(&self.config, self.desk.host(), &business, &others)
            .map_err(|error| refused(error.to_string()))?;
        let live = self.live_tables();
        let filled = Tables::of(&business.number_lists, &live);
        if dry_run {
            let previewed = match overwrite {
                true => self.store.preview_over(&business).await,
                false => self.store.preview(&business).await,
            };
            let of_tables = self.of_folder(filled, overwrite).await?.differences(&live);
            return Ok(done(dry_run, &previewed.map_err(store_failed)?, of_tables));
        }
        let done = self.bring(&business, filled, overwrite).await?;
        self.alarms.clear(AlarmKind::ReloadRefused, "business");
        Ok(done)
    }

    /// The tables of a folder that would be in force: lists owned by the API stay as they are.
    async fn of_folder(&self, mut filled: Tables, overwrite: bool) -> Result<Tables, ApiError> {
        if !overwrite {
            for list in self.lists_of_the_api().await? {
                filled.remove(&list.name);
            }
        }
        Ok(filled)
    }

    /// Number lists that the API owns, which a folder never removes.
    async fn lists_of_the_api(&self) -> Result<Vec<store::Object>, ApiError> {
        let lists = self.store.objects(store::ObjectKind::NumberList).await;
        let mut lists = lists.map_err(store_failed)?;
        lists.retain(|list| list.origin == store::Ownership::Api);
        Ok(lists)
    }

    /// Clears the alarms of rejected tables: every file has been read.
    fn take_back_refusals(&self) {
        let mut refused = self.refused_tables.lock().unwrap_or_else(PoisonError::into_inner);
        for table in std::mem::take(&mut *refused).keys() {
            self.alarms.clear(AlarmKind::TableRefused, table);
        }
    }

    /// Stores a business with its lists and publishes it to new calls; returns the changes, one per
    /// line.
    async fn bring(
        &self,
        business: &Business,
        filled: Tables,
        overwrite: bool,
    ) -> Result<ReloadDone, ApiError> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(refused("the node is stopping".to_owned()));
        }
        let live = self.live_tables();
        let applied = match overwrite {
            true => self.store.apply_over(business).await,
            false => self.store.apply(business).await,
        };
        let changes = applied.map_err(store_failed)?;
        let lists = self.store.number_lists().await.map_err(store_failed)?;
        let tables = Tables::read(&self.store, &lists, &filled.and(&live)).await;
        let tables = tables.map_err(unreadable)?;
        let of_tables = tables.differences(&live);
        let lines = changes.log_lines().into_iter().chain(of_tables.iter().cloned());
        lines.for_each(|line| tracing::info!("business: {line}"));
        self.take_back_refusals();
        if !changes.is_empty() {
            self.unpublished.store(true, Ordering::Relaxed);
        }
        // Objects stored earlier but not published are no longer a difference.
        if self.unpublished.load(Ordering::Relaxed) || !tables.are(&live) {
            self.publish_stored(tables).await?;
        }
        Ok(done(false, &changes, of_tables))
    }

    /// Publishes everything stored to new calls; lists among `tables` are not read again.
    pub(super) async fn publish_stored(&self, tables: Tables) -> Result<(), ApiError> {
        let loaded = self.store.load_beside(&self.registry.decks()).await;
        let loaded = loaded.map_err(store_failed)?;
        let tables = Tables::read(&self.store, &loaded.number_lists, &tables).await;
        let tables = tables.map_err(unreadable)?;
        let snapshot =
            self.snapshot_of(&loaded, tables).map_err(|error| refused(error.to_string()))?;
        // Resolve new names before calls use them; old names are kept until the new snapshot is
        // published.
        self.resolver.prepare(&snapshot.facts, FIRST_ANSWERS).await;
        let snapshot = Arc::new(snapshot);
        self.desk.replace_snapshot(Arc::clone(&snapshot));
        self.in_force().await;
        self.resolver.keep_only(&snapshot.facts);
        self.unpublished.store(false, Ordering::Relaxed);
        self.sources.replace(&loaded.customer_trunks);
        self.folds.forget();
        if let Err(error) = self.watch_tables() {
            tracing::error!(%error, "a folder of number files cannot be watched");
        }
        Ok(())
    }
}

pub(super) fn refused(detail: String) -> ApiError {
    ApiError::refused("configuration_refused", detail)
}

pub(super) fn unreadable(error: TableError) -> ApiError {
    match error {
        TableError::File(errors) => refused(errors.to_string()),
        TableError::Store(error) => store_failed(error),
    }
}

/// Refusals of the store are for the operator to resolve; anything else is an internal error.
pub(super) fn store_failed(error: store::StoreError) -> ApiError {
    match error {
        error @ store::StoreError::Stale { .. } => ApiError::stale(error.to_string()),
        store::StoreError::Refused(why) => ApiError::refused("configuration_refused", why),
        error => ApiError::internal(error.to_string()),
    }
}

/// The answer to a reload with these differences.
fn done(dry_run: bool, changes: &store::Changes, of_tables: Vec<String>) -> ReloadDone {
    let objects = changes.changes.len() + of_tables.len();
    let mut lines = changes.lines();
    lines.extend(of_tables);
    ReloadDone { dry_run, objects, changes: lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::Handover;
    use crate::node::PreparedNode;
    use config::Config;
    use std::time::Duration;

    const ACCOUNT: &str = "[[account]]\nname = \"acme\"\ncurrency = \"EUR\"\n";

    /// Promise 4: a change shares everything that it does not touch; without a difference the
    /// snapshot stays.
    #[test]
    fn where_nothing_differs_new_calls_keep_the_snapshot_that_there_is() {
        let name = format!("strowger-nothing-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("business")).unwrap();
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(
            "data_dir = \"data\"\nbusiness = \"business\"\nshards = 1\n\
             [[listeners]]\nname = \"main\"\naddress = \"{free}\"\n\
             [media]\naddresses = [{{ name = \"main\", bind = \"127.0.0.1\", ports = \"20000-29999\" }}]\n\
             [admin]\naddress = \"127.0.0.1:0\"\n"
        );
        std::fs::write(folder.join("node.toml"), text).unwrap();
        let write = |text: &str| std::fs::write(folder.join("business/all.toml"), text).unwrap();
        write(ACCOUNT);
        let config = Config::load(&folder.join("node.toml")).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let prepared = PreparedNode::new(config).unwrap();
        let running = runtime.block_on(prepared.start(Handover::default())).unwrap();
        let node = Arc::clone(&running.node);
        let reload = || runtime.block_on(node.reload(None, false, false)).unwrap().changes;
        let same = |before: &Arc<_>| Arc::ptr_eq(&node.desk.snapshot(), before);

        let first = node.desk.snapshot();
        for _ in 0..3 {
            assert!(reload().is_empty());
            assert!(same(&first), "nothing differs");
        }
        write(&format!("{ACCOUNT}{}", ACCOUNT.replace("acme", "other")));
        assert_eq!(reload(), ["+ account other"]);
        let second = node.desk.snapshot();
        assert!(!same(&first));
        let account = |facts: &switch::facts::Facts| Arc::clone(&facts.accounts()[&1]);
        assert!(Arc::ptr_eq(&account(&first.facts), &account(&second.facts)), "it did not change");
        // Stored by a reload that could not publish: the next one does.
        node.unpublished.store(true, Ordering::Relaxed);
        assert!(reload().is_empty());
        assert!(!same(&second));

        runtime.block_on(running.stop(Duration::ZERO));
        let _ = std::fs::remove_dir_all(&folder);
    }
}
