//! The journal: append-only segment files that make records durable before the database
//! has them (CDR-06).
//!
//! A segment begins with [`MAGIC`]; then come entries: length (4 bytes, little-endian, of
//! kind and payload), CRC-32 of kind and payload (4 bytes), kind (1 byte), payload
//! ([`framing`]). What a crash left half-written at the end is cut off; a segment that is
//! damaged elsewhere is read around the damage and set aside instead of being deleted.

mod framing;

pub(crate) use framing::{Damage, Entry, Kind, Segment};

use crate::error::StoreError;
use framing::{MAGIC, entries};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Rights of the folder and of the files in it: numbers and money are their owner's only.
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
/// Room kept from one commit to the next, bytes: some 1,000 calls. A disk that stood still for a
/// second makes one commit of tens of megabytes.
const PENDING_KEPT: usize = 2 * 1024 * 1024;

/// The folder with the segments, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    file: File,
    segment: u64,
    /// Bytes of the segment that are on disk and whole.
    committed: u64,
    /// Entries since the last commit.
    pending: Vec<u8>,
    damaged: Damaged,
    /// Held for the life of the journal: two nodes must not share a folder.
    _lock: File,
}

/// Segments in which damage was found: they are kept.
#[derive(Clone, Debug, Default)]
struct Damaged(Arc<Mutex<BTreeSet<u64>>>);

impl Damaged {
    fn add(&self, segment: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(segment);
    }

    fn take(&self, segment: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&segment)
    }
}

/// Whole entries of a segment, on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) segment: u64,
    /// Bytes of the segment before it.
    pub(crate) from: u64,
    /// Bytes of the segment up to its end.
    pub(crate) to: u64,
}

/// Reads a journal while another thread appends to it.
#[derive(Clone, Debug)]
pub(crate) struct JournalReader {
    folder: PathBuf,
    damaged: Damaged,
}

impl JournalReader {
    /// The entries of a stretch, all of them unless the disk has changed some.
    pub(crate) fn read(&self, stretch: Stretch) -> Result<Segment, StoreError> {
        let path = path(&self.folder, stretch.segment);
        let length = usize::try_from(stretch.to.saturating_sub(stretch.from)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        File::open(&path)
            .and_then(|file| file.read_exact_at(&mut bytes, stretch.from))
            .map_err(StoreError::io(&path))?;
        let segment = entries(&bytes, stretch.from).whole();
        if !segment.damage.is_empty() {
            self.damaged.add(stretch.segment);
        }
        Ok(segment)
    }
}

impl Journal {
    /// Opens the folder, making it if need be, and begins a new segment after those there.
    pub(crate) fn open(folder: &Path) -> Result<Journal, StoreError> {
        make_private(folder).map_err(StoreError::io(folder))?;
        let lock_path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(PRIVATE_FILE)
            .open(&lock_path)
            .map_err(StoreError::io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Refused(format!(
                    "the journal {} is in use by another process",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io(lock_path)(error)),
        }
        let segment = segments(folder)?.last().map_or(1, |last| last + 1);
        let file = begin(folder, segment).map_err(StoreError::io(path(folder, segment)))?;
        Ok(Journal {
            folder: folder.to_owned(),
            file,
            segment,
            committed: MAGIC.len() as u64,
            pending: Vec::new(),
            damaged: Damaged::default(),
            _lock: lock,
        })
    }

    /// For those who read what was written.
    pub(crate) fn reader(&self) -> JournalReader {
        JournalReader { folder: self.folder.clone(), damaged: self.damaged.clone() }
    }

    /// Number of the segment that is written to.
    pub(crate) fn segment(&self) -> u64 {
        self.segment
    }

    /// Bytes in it.
    pub(crate) fn bytes(&self) -> u64 {
        self.committed + self.pending.len() as u64
    }

    /// Adds an entry to the next commit.
    pub(crate) fn append(&mut self, kind: Kind, payload: &[u8]) {
        let mut check = crc32fast::Hasher::new();
        check.update(&[kind as u8]);
        check.update(payload);
        // Payloads are one call each: kilobytes.
        let length = payload.len() as u32 + 1;
        self.pending.extend_from_slice(&length.to_le_bytes());
        self.pending.extend_from_slice(&check.finalize().to_le_bytes());
        self.pending.push(kind as u8);
        self.pending.extend_from_slice(payload);
    }

    /// Writes what was appended and forces it to disk. After an error the entries are
    /// still there to be tried again, and the segment is as before.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // At its place, so that what a failed attempt left is written over.
        let written = self.file.write_all_at(&self.pending, self.committed);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            self.file.set_len(self.committed)?;
            return Err(error);
        }
        self.committed += self.pending.len() as u64;
        self.pending.clear();
        self.pending.shrink_to(PENDING_KEPT);
        Ok(())
    }

    /// Begins the next segment.
    pub(crate) fn rotate(&mut self) -> io::Result<()> {
        self.commit()?;
        self.file = begin(&self.folder, self.segment + 1)?;
        self.segment += 1;
        self.committed = MAGIC.len() as u64;
        Ok(())
    }

    /// Deletes a segment whose entries are no longer needed; one that is damaged is kept
    /// under another name.
    pub(crate) fn delete(&self, segment: u64) -> io::Result<()> {
        let path = path(&self.folder, segment);
        if !self.damaged.take(segment) {
            return std::fs::remove_file(path);
        }
        let aside = path.with_extension("damaged");
        std::fs::rename(&path, &aside).inspect_err(|_| self.damaged.add(segment))
    }

    /// Keeps a segment for people to look at: something in it was not read.
    pub(crate) fn keep(&self, segment: u64) {
        self.damaged.add(segment);
    }

    /// Numbers of the segments before the one written to.
    pub(crate) fn earlier(&self) -> Result<Vec<u64>, StoreError> {
        let mut numbers = segments(&self.folder)?;
        numbers.retain(|number| *number < self.segment);
        Ok(numbers)
    }

    /// Reads a segment back, around what is damaged.
    pub(crate) fn read(&self, segment: u64) -> Result<Segment, StoreError> {
        let path = path(&self.folder, segment);
        let bytes = std::fs::read(&path).map_err(StoreError::io(&path))?;
        if MAGIC.starts_with(&bytes) {
            // A crash while the segment was made leaves a part of the head.
            let torn = if bytes.len() < MAGIC.len() { bytes.len() as u64 } else { 0 };
            return Ok(Segment::torn(torn));
        }
        let read = match bytes.strip_prefix(MAGIC) {
            Some(body) => entries(body, MAGIC.len() as u64),
            // The head is damaged, or it is a later version's: then nothing in it is ours.
            None => entries(&bytes, 0).whole(),
        };
        let other_version = bytes.starts_with(&MAGIC[..MAGIC.len() - 1]);
        if read.entries.is_empty() && other_version && !bytes.starts_with(MAGIC) {
            return Err(StoreError::unreadable(
                path.display().to_string(),
                "it is not a journal of this version",
            ));
        }
        if !read.damage.is_empty() {
            self.damaged.add(segment);
        }
        Ok(read)
    }
}

/// Makes the folder; one that others may look into is closed to them.
fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder)?;
    if folder.metadata()?.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(folder, Permissions::from_mode(PRIVATE_FOLDER))?;
    }
    Ok(())
}

fn begin(folder: &Path, segment: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(PRIVATE_FILE);
    let mut file = options.open(path(folder, segment))?;
    file.write_all(MAGIC)?;
    file.sync_data()?;
    // The name has to survive as well.
    File::open(folder)?.sync_all()?;
    Ok(file)
}

fn path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:016}.journal"))
}

fn segments(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(StoreError::io(folder))? {
        let name = entry.map_err(StoreError::io(folder))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".journal"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_commit_does_not_keep_its_room() {
        let folder = std::env::temp_dir().join(format!("strowger-journal-{}", std::process::id()));
        let mut journal = Journal::open(&folder).expect("a folder of its own");
        for _ in 0..10 {
            journal.append(Kind::Interim, &vec![7; 1024 * 1024]);
        }
        journal.commit().expect("room on the disk");
        let kept = journal.pending.capacity();
        std::fs::remove_dir_all(&folder).expect("it is ours");
        assert!(kept <= PENDING_KEPT, "{kept} bytes are kept");
    }
}
