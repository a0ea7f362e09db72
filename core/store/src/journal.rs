//! The journal: append-only segment files that make records durable before the database
//! has them (CDR-06).
//!
//! A segment begins with [`MAGIC`]; then come entries: length (4 bytes, little-endian, of
//! kind and payload), CRC-32 of kind and payload (4 bytes), kind (1 byte), payload
//! ([`framing`]). What a crash left half-written at the end is cut off; a segment that is
//! damaged elsewhere is read around the damage and set aside instead of being deleted
//! ([`aside`]).

mod aside;
mod framing;

pub(crate) use framing::{Entry, Kind, Segment};

use crate::error::StoreError;
use aside::Aside;
use framing::{MAGIC, entries, frame};
use ledger::CallId;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// Rights of the folder and of the files in it: numbers and money are their owner's only.
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
/// Kind of the file of a call that the database refuses.
const REFUSED: &str = "refused";
/// Number of a segment that nobody reaches: a file of a greater one is not ours.
const LAST: u64 = 9_999_999_999_999_999 / 2;
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
    aside: Aside,
    /// Held for the life of the journal: two nodes must not share a folder.
    _lock: File,
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
    aside: Aside,
}

impl JournalReader {
    /// The entries of a stretch, all of them unless the disk has changed some. What is missing of
    /// a file that has become shorter, or is gone, is damage.
    pub(crate) fn read(&self, stretch: Stretch) -> Result<Segment, StoreError> {
        let path = path(&self.folder, stretch.segment);
        let length = usize::try_from(stretch.to.saturating_sub(stretch.from)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        let read = match File::open(&path) {
            Ok(file) => read_at(&file, &mut bytes, stretch.from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        };
        let there = read.map_err(StoreError::io(&path))?;
        // Zeros are no entries.
        bytes[there..].fill(0);
        let segment = entries(&bytes, stretch.from).whole();
        for part in &segment.damage {
            self.aside.damage(&path, stretch.segment, *part);
        }
        Ok(segment)
    }

    /// Keeps a segment for people to look at: something in it was not read.
    pub(crate) fn keep(&self, segment: u64, what: &str) {
        self.aside.keep(&path(&self.folder, segment), segment, what);
    }

    /// Writes a finished call that the database refuses to a file of its own.
    pub(crate) fn refuse(&self, id: CallId, payload: &[u8], why: &str) -> Result<(), StoreError> {
        let path = self.folder.join(format!("{id:032x}.{REFUSED}"));
        let mut bytes = MAGIC.to_vec();
        frame(&mut bytes, Kind::Final, payload);
        write_whole(&self.folder, &path, &bytes).map_err(StoreError::io(&path))?;
        tracing::error!(
            file = %path.display(), why,
            "the database refuses this call, which is kept in a file; each start tries it again"
        );
        self.aside.note(path, format!("the database refuses the call: {why}"));
        Ok(())
    }

    /// What people have to look at, as long as it is there; none if there is nothing.
    pub(crate) fn set_aside(&self) -> Option<String> {
        self.aside.words()
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
        let aside = Aside::find(folder).map_err(StoreError::io(folder))?;
        let segment = segments(folder)?.last().map_or(1, |last| last + 1);
        let file = begin(folder, segment).map_err(StoreError::io(path(folder, segment)))?;
        Ok(Journal {
            folder: folder.to_owned(),
            file,
            segment,
            committed: MAGIC.len() as u64,
            pending: Vec::new(),
            aside,
            _lock: lock,
        })
    }

    /// For those who read what was written.
    pub(crate) fn reader(&self) -> JournalReader {
        JournalReader { folder: self.folder.clone(), aside: self.aside.clone() }
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
        frame(&mut self.pending, kind, payload);
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

    /// Deletes a segment whose entries are no longer needed; one of which something was not read
    /// is kept under another name.
    pub(crate) fn delete(&self, segment: u64) -> io::Result<()> {
        let path = path(&self.folder, segment);
        match self.aside.name(segment) {
            None => std::fs::remove_file(path),
            Some(kind) => {
                std::fs::rename(&path, free_name(&path, kind))?;
                self.aside.done(segment);
                Ok(())
            }
        }
    }

    /// Files with calls that the database has refused before, and the calls.
    pub(crate) fn refused(&self) -> Result<Vec<(PathBuf, Vec<Entry>)>, StoreError> {
        let mut refused = Vec::new();
        for path in self.aside.refused() {
            let bytes = std::fs::read(&path).map_err(StoreError::io(&path))?;
            let body = bytes.strip_prefix(MAGIC).unwrap_or(&bytes);
            refused.push((path, entries(body, 0).entries));
        }
        Ok(refused)
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
            if bytes.len() < MAGIC.len() {
                tracing::warn!(
                    file = %path.display(), bytes = torn,
                    "a segment of the journal has no whole head, and no records in it"
                );
            }
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
        for part in &read.damage {
            self.aside.damage(&path, segment, *part);
        }
        if read.torn > 0 {
            self.aside.torn(&path, segment, bytes.len() as u64 - read.torn, read.torn);
        }
        Ok(read)
    }
}

/// Reads until the bytes are full or the file ends; gives back how many were read.
fn read_at(file: &File, bytes: &mut [u8], from: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], from + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Writes a file that survives a power failure with its name.
fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(PRIVATE_FILE);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    File::open(folder)?.sync_all()
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
    let path = path(folder, segment);
    write_whole(folder, &path, MAGIC)?;
    OpenOptions::new().write(true).open(path)
}

/// A name of this kind that no file has: one of a run before is not written over.
fn free_name(path: &Path, kind: &str) -> PathBuf {
    let numbered = (2_u32..).map(|number| path.with_extension(format!("{number}.{kind}")));
    let mut names = std::iter::once(path.with_extension(kind)).chain(numbered);
    names.find(|name| !name.exists()).unwrap_or_else(|| path.with_extension(kind))
}

fn path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:016}.journal"))
}

fn segments(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(StoreError::io(folder))? {
        let found = entry.map_err(StoreError::io(folder))?.path();
        if found.extension().is_none_or(|extension| extension != "journal") {
            continue;
        }
        let stem = found.file_stem().and_then(|stem| stem.to_str());
        // Only as it is written here: a number of another form would name another file.
        let number = stem.and_then(|stem| stem.parse::<u64>().ok());
        match number.filter(|number| *number <= LAST && path(folder, *number) == found) {
            Some(number) => numbers.push(number),
            None => tracing::warn!(
                file = %found.display(),
                "this is no segment of the journal by its name, and is not read"
            ),
        }
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
