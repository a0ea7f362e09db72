//! Watched folders: a replaced plugin is swapped in, a changed number file is read again.

use crate::node::Node;
use crate::world::WorldDesk;
use host::{LoadError, ProcessorSet, keep_to};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A file is looked at when nothing happened to the folder for this long: a copy comes as
/// many events.
const QUIET: Duration = Duration::from_millis(150);

/// Watches as long as it lives.
pub(crate) struct FolderWatch {
    watcher: notify::RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
}

impl FolderWatch {
    /// Watches the plugin folder.
    pub(crate) fn plugins(
        folder: &Path,
        desk: Arc<WorldDesk>,
        housekeeping: Option<ProcessorSet>,
    ) -> anyhow::Result<FolderWatch> {
        let mut watch =
            FolderWatch::start("plugin-folder", housekeeping, written, move |changed| {
                changed.iter().for_each(|path| swap(path, &desk));
            })?;
        watch.add(folder)?;
        Ok(watch)
    }

    /// Watches the folders of number files, which are added one by one.
    pub(crate) fn tables(
        node: Weak<Node>,
        housekeeping: Option<ProcessorSet>,
    ) -> anyhow::Result<FolderWatch> {
        FolderWatch::start("table-folders", housekeeping, finished, move |_| {
            if let Some(node) = node.upgrade() {
                node.read_outdated_tables();
            }
        })
    }

    /// Watches a folder more, unless it is watched already.
    pub(crate) fn add(&mut self, folder: &Path) -> notify::Result<()> {
        if !self.folders.contains(folder) {
            self.watcher.watch(folder, RecursiveMode::NonRecursive)?;
            self.folders.insert(folder.to_owned());
        }
        Ok(())
    }

    /// `which` gives the files that an event concerns, `act` gets them when all is quiet.
    fn start(
        thread: &str,
        housekeeping: Option<ProcessorSet>,
        which: fn(Event) -> Vec<PathBuf>,
        act: impl FnMut(BTreeSet<PathBuf>) + Send + 'static,
    ) -> anyhow::Result<FolderWatch> {
        let (sender, receiver) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event| {
            let _ = sender.send(event);
        })?;
        std::thread::Builder::new().name(thread.to_owned()).spawn(move || {
            keep_to(housekeeping.as_ref());
            follow(&receiver, which, act);
        })?;
        Ok(FolderWatch { watcher, folders: BTreeSet::new() })
    }
}

/// Ends when the watcher is dropped and its channel with it.
fn follow(
    events: &Receiver<notify::Result<Event>>,
    which: fn(Event) -> Vec<PathBuf>,
    mut act: impl FnMut(BTreeSet<PathBuf>),
) {
    let mut changed = BTreeSet::new();
    loop {
        let event = if changed.is_empty() {
            events.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            events.recv_timeout(QUIET)
        };
        match event {
            Ok(Ok(event)) => changed.extend(which(event)),
            Ok(Err(error)) => tracing::warn!(%error, "a folder cannot be watched"),
            Err(RecvTimeoutError::Timeout) => act(std::mem::take(&mut changed)),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Plugin files that an event says were written or moved here.
fn written(event: Event) -> Vec<PathBuf> {
    let relevant = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_));
    let wasm = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
    if relevant { event.paths.into_iter().filter(wasm).collect() } else { Vec::new() }
}

/// Files that an event says were closed by their writer or moved here. What is still open
/// for writing may be half of a list.
fn finished(event: Event) -> Vec<PathBuf> {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_)) => event.paths,
        _ => Vec::new(),
    }
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
