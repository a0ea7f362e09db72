//! Files of the journal's folder that people have to look at: segments of which something was not
//! read, and calls that the database refuses.

use super::REFUSED;
use super::framing::Damage;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Kind of a segment in which something was damaged.
const DAMAGED: &str = "damaged";
/// Kind of a segment with an end that a crash left half-written.
const TORN: &str = "torn";

/// What is kept. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Aside(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// Segments that are not to be deleted, and the kind that they become instead.
    segments: BTreeMap<u64, &'static str>,
    /// Files that are told to the operator as long as they are there, and why. A damaged segment
    /// has its name of before until the rest of it is in the database.
    told: BTreeMap<PathBuf, String>,
}

impl Aside {
    /// With what a run before has left.
    pub(super) fn find(folder: &Path) -> io::Result<Aside> {
        let aside = Aside::default();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let kind = path.extension().and_then(|kind| kind.to_str());
            if matches!(kind, Some(DAMAGED | REFUSED)) {
                aside.note(path, "a run before has set it aside".to_owned());
            }
        }
        Ok(aside)
    }

    /// A part of a segment is no entries.
    pub(super) fn damage(&self, segment_path: &Path, segment: u64, part: Damage) {
        let Damage { from, length } = part;
        let what = format!("{length} bytes from byte {from} on are damaged and were not read");
        self.keep(segment_path, segment, &what);
    }

    /// Something of a segment was not read.
    pub(super) fn keep(&self, segment_path: &Path, segment: u64, what: &str) {
        let kept_as = segment_path.with_extension(DAMAGED);
        tracing::error!(
            file = %segment_path.display(), kept_as = %kept_as.display(),
            "the journal is damaged: {what}; the file is kept once the rest of it is in the \
             database"
        );
        self.kept().segments.insert(segment, DAMAGED);
        self.note(kept_as, what.to_owned());
    }

    /// The end of a segment is half-written: nobody was told that it was recorded.
    pub(super) fn torn(&self, segment_path: &Path, segment: u64, from: u64, length: u64) {
        let kept_as = segment_path.with_extension(TORN);
        tracing::warn!(
            file = %segment_path.display(), kept_as = %kept_as.display(), from, bytes = length,
            "a half-written end of the journal is cut"
        );
        self.kept().segments.entry(segment).or_insert(TORN);
    }

    /// A file is to be told to the operator.
    pub(super) fn note(&self, path: PathBuf, why: String) {
        self.kept().told.entry(path).or_insert(why);
    }

    /// The kind that a segment becomes instead of being deleted.
    pub(super) fn name(&self, segment: u64) -> Option<&'static str> {
        self.kept().segments.get(&segment).copied()
    }

    /// A segment has got its new name.
    pub(super) fn done(&self, segment: u64) {
        self.kept().segments.remove(&segment);
    }

    /// The files of calls that the database has refused.
    pub(super) fn refused(&self) -> Vec<PathBuf> {
        let is_one = |path: &&PathBuf| path.extension().is_some_and(|kind| kind == REFUSED);
        self.kept().told.keys().filter(is_one).cloned().collect()
    }

    /// The files that are there; none if there is none.
    pub(super) fn words(&self) -> Option<String> {
        let mut kept = self.kept();
        kept.told.retain(|path, _| path.exists() || path.with_extension("journal").exists());
        let (file, why) = kept.told.first_key_value()?;
        let more = match kept.told.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more in that folder"),
        };
        Some(format!("{}: {why}{more}", file.display()))
    }

    /// A panic elsewhere cannot leave it half-changed.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
