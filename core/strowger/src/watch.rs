//! The watched plugin folder: a replaced `.wasm` file is swapped in.

use crate::world::WorldDesk;
use host::LoadError;
use notify::{EventKind, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// A file is looked at when nothing happened to the folder for this long: a copy comes as
/// many events.
const QUIET: Duration = Duration::from_millis(150);

/// Watches as long as it lives.
pub(crate) struct FolderWatch {
    _watcher: notify::RecommendedWatcher,
}

impl FolderWatch {
    /// Begins to watch `folder`.
    pub(crate) fn start(folder: &Path, desk: Arc<WorldDesk>) -> anyhow::Result<FolderWatch> {
        let (sender, receiver) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event| {
            let _ = sender.send(event);
        })?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        std::thread::Builder::new()
            .name("plugin-folder".to_owned())
            .spawn(move || follow(&receiver, &desk))?;
        Ok(FolderWatch { _watcher: watcher })
    }
}

/// Ends when the watcher is dropped and its channel with it.
fn follow(events: &Receiver<notify::Result<notify::Event>>, desk: &WorldDesk) {
    let mut changed = BTreeSet::new();
    loop {
        let event = if changed.is_empty() {
            events.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            events.recv_timeout(QUIET)
        };
        match event {
            Ok(Ok(event)) => changed.extend(written(event)),
            Ok(Err(error)) => tracing::warn!(%error, "the plugin folder cannot be watched"),
            Err(RecvTimeoutError::Timeout) => {
                for path in std::mem::take(&mut changed) {
                    swap(&path, desk);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Plugin files that an event says were written or moved here.
fn written(event: notify::Event) -> Vec<PathBuf> {
    let relevant = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_));
    let wasm = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
    if relevant { event.paths.into_iter().filter(wasm).collect() } else { Vec::new() }
}

fn swap(path: &Path, desk: &WorldDesk) {
    if !path.exists() {
        return;
    }
    let file = path.display();
    match desk.swap_file(path) {
        Ok(report) if report.from == report.to => {}
        Ok(report) => {
            tracing::info!(
                %file, from = %report.from, to = %report.to, generation = report.generation,
                "plugin swapped in from the watched folder"
            );
        }
        Err(error @ LoadError::HalfWritten { .. }) => {
            tracing::debug!(%file, %error, "plugin file is being written");
        }
        Err(error) => {
            tracing::error!(%file, %error, "plugin not loaded; the live version goes on");
        }
    }
}
