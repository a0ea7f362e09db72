//! Watched folders: a replaced plugin is swapped in, a changed number file is read again.

use crate::alarms::{AlarmKind, Alarms};
use crate::world::WorldDesk;
use host::LoadError;
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecursiveMode, Watcher};
use platform::{ProcessorSet, keep_to};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A file is read after this time without events in the folder: a copy causes many events.
const QUIET: Duration = Duration::from_millis(150);

/// In a folder with continuous events, files are read after this time anyway.
const LONGEST: Duration = Duration::from_secs(2);

/// Changes in a watched folder.
#[derive(Debug, Default)]
struct Changes {
    /// Files to read.
    changed: BTreeSet<PathBuf>,
    /// Files being written: they may be incomplete.
    being_written: BTreeSet<PathBuf>,
}

/// Watches until dropped.
pub(crate) struct FolderWatch {
    watcher: notify::RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
}

impl FolderWatch {
    /// Watches the plugin folder.
    pub(crate) fn plugins(
        folder: &Path,
        desk: Arc<WorldDesk>,
        alarms: Alarms,
        housekeeping: Option<ProcessorSet>,
    ) -> anyhow::Result<FolderWatch> {
        let mut watch =
            FolderWatch::start("plugin-folder", housekeeping, written, move |changes| {
                changes.changed.iter().for_each(|path| swap(path, &desk, &alarms));
            })?;
        watch.add(folder)?;
        Ok(watch)
    }

    /// Watches the folders of number files, which are added one by one; `read` gets the files that
    /// are still being written.
    pub(crate) fn tables(
        housekeeping: Option<ProcessorSet>,
        read: impl Fn(&BTreeSet<PathBuf>) + Send + 'static,
    ) -> anyhow::Result<FolderWatch> {
        FolderWatch::start("table-folders", housekeeping, finished, move |changes| {
            read(&changes.being_written);
        })
    }

    /// Watches another folder, unless it is already watched.
    pub(crate) fn add(&mut self, folder: &Path) -> notify::Result<()> {
        if !self.folders.contains(folder) {
            self.watcher.watch(folder, RecursiveMode::NonRecursive)?;
            self.folders.insert(folder.to_owned());
        }
        Ok(())
    }

    /// `note` adds an event to the changes; `act` gets them when there are no more events.
    fn start(
        thread: &str,
        housekeeping: Option<ProcessorSet>,
        note: fn(&mut Changes, Event),
        act: impl FnMut(&Changes) + Send + 'static,
    ) -> anyhow::Result<FolderWatch> {
        let (sender, receiver) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event| {
            let _ = sender.send(event);
        })?;
        std::thread::Builder::new().name(thread.to_owned()).spawn(move || {
            keep_to(housekeeping.as_ref());
            follow(&receiver, note, act);
        })?;
        Ok(FolderWatch { watcher, folders: BTreeSet::new() })
    }
}

/// Ends when the watcher and its channel are dropped.
fn follow(
    events: &Receiver<notify::Result<Event>>,
    note: fn(&mut Changes, Event),
    mut act: impl FnMut(&Changes),
) {
    let mut changes = Changes::default();
    let mut latest = Instant::now();
    loop {
        let event = if changes.changed.is_empty() {
            let event = events.recv().map_err(|_| RecvTimeoutError::Disconnected);
            latest = Instant::now() + LONGEST;
            event
        } else {
            let left = latest.saturating_duration_since(Instant::now());
            events.recv_timeout(QUIET.min(left))
        };
        match event {
            Ok(Ok(event)) => note(&mut changes, event),
            Ok(Err(error)) => tracing::warn!(%error, "a folder cannot be watched"),
            Err(RecvTimeoutError::Timeout) => {
                act(&changes);
                changes.changed.clear();
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Adds plugin files written or moved here.
fn written(changes: &mut Changes, event: Event) {
    if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_)) {
        let wasm = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
        changes.changed.extend(event.paths.into_iter().filter(wasm));
    }
}

/// Adds files closed by their writer or moved here.
fn finished(changes: &mut Changes, event: Event) {
    if event.need_rescan() {
        // Events were lost, perhaps a "closed" among them.
        changes.being_written.clear();
    }
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_)) => changes.being_written.extend(event.paths),
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_)) => {
            for path in event.paths {
                changes.being_written.remove(&path);
                changes.changed.insert(path);
            }
        }
        EventKind::Remove(_) => {
            for path in &event.paths {
                changes.being_written.remove(path);
            }
        }
        _ => {}
    }
}

fn swap(path: &Path, desk: &WorldDesk, alarms: &Alarms) {
    if !path.exists() {
        return;
    }
    let file = path.display();
    let object = path.file_name().unwrap_or_default().to_string_lossy();
    let swapped = desk.swap_file(path);
    if swapped.is_ok() {
        alarms.clear(AlarmKind::PluginRefused, &object);
    }
    match swapped {
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
        // The folder may also contain builds for trials.
        Err(LoadError::UnknownPlugin { .. }) => {
            tracing::info!(%file, "the node file has no plugin for this file: ignored");
        }
        Err(error) => {
            alarms.raise(
                AlarmKind::PluginRefused,
                &object,
                format!("{file} is not loaded: {error}"),
            );
        }
    }
}
