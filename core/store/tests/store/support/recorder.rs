//! A recorder on a folder of its own.

use super::configuration::{SMALL, configuration};
use super::database::{Other, database};
use business::Business;
use std::path::{Path, PathBuf};
use std::time::Duration;
use strowger_store::{Recorder, RecorderSettings, Recovery, Store};

pub(crate) async fn open(folder: &Path) -> Store {
    let store = Store::open(database(folder)).await.expect("the store works");
    let configuration = configuration(&[("all.toml", SMALL)]);
    let business = Business::from_folder(configuration.path(), "realm").expect("the store works");
    store.apply(&business).await.expect("the store works");
    store
}

pub(crate) async fn start(store: &Store, folder: &Path) -> (Recorder, Recovery) {
    Recorder::start(store, folder.join("journal"), RecorderSettings::default())
        .await
        .expect("the store works")
}

/// A recorder that commits and stores at once, with `settings` for the rest, whose database
/// somebody else holds until it is released.
pub(crate) async fn start_locked(
    store: &Store,
    folder: &Path,
    settings: RecorderSettings,
) -> (Recorder, Other) {
    let settings = RecorderSettings {
        commit_window: Duration::from_millis(1),
        // Each commit of the journal is a job of its own for the database.
        store_window: Duration::ZERO,
        ..settings
    };
    let started = Recorder::start(store, folder.join("journal"), settings).await;
    let mut other = Other::connect(folder).await;
    other.lock().await;
    (started.expect("the store works").0, other)
}

pub(crate) fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("journal")).expect("the store works");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the store works").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
    paths.sort();
    paths
}

/// The journal's thread gives the folder free a moment after the last recorder is dropped.
pub(crate) async fn wait_for_release(folder: &Path) {
    for _ in 0..500 {
        let lock = std::fs::OpenOptions::new().append(true).open(folder.join("journal/lock"));
        if lock.expect("the lock file").try_lock().is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the journal is still locked");
}

/// Waits until this many finished calls are durable.
pub(crate) async fn wait_until_durable(recorder: &Recorder, finals: u64) {
    for _ in 0..1000 {
        if recorder.durable_finals() >= finals {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?}", recorder.gauges());
}
