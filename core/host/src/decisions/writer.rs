//! The thread that masks, compresses, appends and deletes.

use super::format::{self, BlockHead, Item};
use super::mask::Mask;
use super::segment::{SegmentHead, SegmentWriter, make_folder, numbers, path};
use super::tap::Block;
use super::{DecisionSettings, Letter, Shared};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

/// The folder is divided into at least this many segments; one is deleted at a time.
const SHARES: u64 = 16;

/// Largest segment, so that reading can start close to its first decision.
const LARGEST: u64 = 64 << 20;

/// Interval of checking the age of segments while no decision comes.
const LOOK: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    settings: DecisionSettings,
    shared: Arc<Shared>,
    mask: Option<Mask>,
    /// Segments that are complete, oldest first.
    done: VecDeque<Done>,
    done_bytes: u64,
    next: u64,
    open: Option<Open>,
    failing: bool,
}

struct Done {
    number: u64,
    bytes: u64,
    /// When it was last written to.
    until: SystemTime,
}

struct Open {
    number: u64,
    began: SystemTime,
    segment: SegmentWriter,
    /// Handles of the texts in it.
    texts: HashSet<u64>,
}

impl Writer {
    pub(super) fn open(settings: DecisionSettings, shared: Arc<Shared>) -> io::Result<Writer> {
        make_folder(&settings.folder)?;
        let mut done = VecDeque::new();
        for number in numbers(&settings.folder)? {
            let about = std::fs::metadata(path(&settings.folder, number))?;
            let until = about.modified().unwrap_or_else(|_| SystemTime::now());
            done.push_back(Done { number, bytes: about.len(), until });
        }
        Ok(Writer {
            mask: Mask::new(settings.mask_key, settings.mask_digits),
            shared,
            done_bytes: done.iter().map(|done| done.bytes).sum(),
            next: done.back().map_or(1, |done: &Done| done.number + 1),
            done,
            open: None,
            failing: false,
            settings,
        })
    }

    pub(super) fn run(mut self, letters: &Receiver<Letter>) {
        loop {
            match letters.recv_timeout(LOOK) {
                Ok(Letter::Block(block)) => self.take(block),
                Ok(Letter::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.delete_old();
        }
    }

    fn take(&mut self, block: Block) {
        let decisions = block.decisions;
        match self.write(block) {
            Ok(bytes) => {
                self.failing = false;
                self.shared.recorded.fetch_add(decisions, Relaxed);
                self.shared.bytes.fetch_add(bytes, Relaxed);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let folder = self.settings.folder.display();
                    tracing::error!(%folder, %error, "decisions are not kept; calls go on");
                }
                self.shared.dropped.fetch_add(decisions, Relaxed);
                self.close();
            }
        }
    }

    fn write(&mut self, mut block: Block) -> io::Result<u64> {
        if let Some(mask) = &self.mask {
            block.items = masked(mask, &block.items).map_err(io::Error::other)?;
        }
        let now = SystemTime::now();
        if self.open.as_ref().is_some_and(|open| open.segment.is_deleted()) {
            let folder = self.settings.folder.display();
            tracing::warn!(%folder, "decisions were deleted by somebody; a new segment begins");
            self.open = None;
        } else if self.open.as_ref().is_some_and(|open| self.is_full(open, now)) {
            self.close();
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(now)?,
        };
        block.texts.retain(|(handle, _)| open.texts.insert(*handle));
        let head = BlockHead {
            shard: block.shard,
            stamps: block.stamps,
            texts: block.texts,
            items: u32::try_from(block.items.len()).map_err(io::Error::other)?,
        };
        let head = postcard::to_stdvec(&head).map_err(io::Error::other)?;
        let frame = open.segment.compress([&head, &block.items]);
        self.shared.give_back(block.items);
        // Kept open even on failure, so that its complete part is counted.
        let open = self.open.insert(open);
        let frame = frame?;
        let room = self.settings.max_bytes.saturating_sub(open.segment.bytes());
        let bytes = frame.len() as u64;
        self.make_room(room.saturating_sub(bytes));
        if let Some(open) = &mut self.open {
            open.segment.append(&frame)?;
        }
        Ok(bytes)
    }

    fn is_full(&self, open: &Open, now: SystemTime) -> bool {
        let share = (self.settings.max_bytes / SHARES).min(LARGEST);
        let age = now.duration_since(open.began).unwrap_or_default();
        open.segment.bytes() >= share || age >= self.settings.keep / SHARES as u32
    }

    fn begin(&mut self, now: SystemTime) -> io::Result<Open> {
        let head = SegmentHead {
            node: self.settings.node.clone(),
            began_ms: platform::utc_ms_of(now),
            random_seed: self.settings.random_seed,
            masked: self.settings.mask_digits,
        };
        // Somebody may have deleted it.
        make_folder(&self.settings.folder)?;
        let number = self.next;
        self.next += 1;
        let segment = SegmentWriter::create(&path(&self.settings.folder, number), &head)?;
        Ok(Open { number, began: now, segment, texts: HashSet::new() })
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            let bytes = open.segment.bytes();
            self.done.push_back(Done { number: open.number, bytes, until: SystemTime::now() });
            self.done_bytes += bytes;
        }
    }

    /// Deletes the oldest segments until the complete ones take no more than `bytes`.
    fn make_room(&mut self, bytes: u64) {
        while self.done_bytes > bytes && !self.done.is_empty() {
            self.delete_oldest();
        }
    }

    fn delete_old(&mut self) {
        let now = SystemTime::now();
        let old =
            |done: &Done| now.duration_since(done.until).is_ok_and(|age| age > self.settings.keep);
        let count = self.done.iter().take_while(|done| old(done)).count();
        (0..count).for_each(|_| self.delete_oldest());
    }

    fn delete_oldest(&mut self) {
        let Some(done) = self.done.pop_front() else { return };
        self.done_bytes -= done.bytes;
        let path = path(&self.settings.folder, done.number);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "old decisions stay");
        }
    }
}

/// The items again, with masked numbers and without INVITEs.
fn masked(mask: &Mask, items: &[u8]) -> postcard::Result<Vec<u8>> {
    let mut result = Vec::with_capacity(items.len());
    let mut rest = items;
    while let Some((item, behind)) = format::next(rest)? {
        rest = behind;
        match item.decode()? {
            Item::Decision(mut decision) => {
                mask.decision(&mut decision);
                format::append(&mut result, item.tag, &*decision)?;
            }
            // Numbers stand anywhere in it.
            Item::Invite(_) => {}
        }
    }
    Ok(result)
}
