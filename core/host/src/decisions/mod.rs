//! The decision log: every question of a call, with its answer and all inputs needed to ask it
//! again (`docs/plugins.md`, "Replay").
//!
//! Each signalling thread writes into its own buffer ([`DecisionTap`]) and hands full buffers to a
//! thread that compresses them and appends them to segment files ([`DecisionLog`]). If that thread
//! falls behind, buffers are dropped and counted: a call never waits. [`DecisionReader`] reads the
//! segments back in time order.

mod format;
mod mask;
mod reader;
mod segment;
mod tap;
mod writer;

pub use reader::{Decision, DecisionReader, EarlierAnswer, ReadCounts, Texts};
pub use tap::{Decided, DecisionTap};

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Buffers that may wait for the writing thread: at most about 16 MiB.
const WAITING: usize = 64;

/// Where and how decisions are kept.
#[derive(Clone, Debug)]
pub struct DecisionSettings {
    /// Folder of the segment files; created if missing.
    pub folder: PathBuf,
    /// Name of the node, kept with each segment.
    pub node: String,
    /// Segments whose last decision is older are deleted.
    pub keep: Duration,
    /// Limit of the bytes on disk; the oldest segments are deleted first.
    pub max_bytes: u64,
    /// Number of last digits of every number that are replaced; 0 keeps numbers unchanged.
    pub mask_digits: u8,
    /// Key of the replacement. With the same key equal numbers stay equal.
    pub mask_key: [u8; 32],
    /// Seed of the host that made these decisions ([`crate::life::host::Host::random_seed`]).
    pub random_seed: u64,
}

/// Figures since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionCounts {
    /// Decisions in the segments.
    pub recorded: u64,
    /// Decisions that were dropped because the writing thread fell behind or the disk failed.
    pub dropped: u64,
    /// Compressed bytes written.
    pub bytes: u64,
}

/// Emptied buffers that are kept for taps.
const SPARE: usize = 4;

/// State that taps and the writing thread share.
#[derive(Debug, Default)]
struct Shared {
    recorded: AtomicU64,
    dropped: AtomicU64,
    bytes: AtomicU64,
    /// Emptied buffers for reuse: a signalling thread that grows a new one for each block pays for
    /// its pages with page faults.
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Shared {
    /// An empty buffer, with capacity if one is spare.
    fn buffer(&self) -> Vec<u8> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(buffer);
        }
    }
}

/// Message to the writing thread.
enum Letter {
    Block(tap::Block),
    End,
}

/// The writing end of a node's decision log.
#[derive(Debug)]
pub struct DecisionLog {
    shared: Arc<Shared>,
    sender: SyncSender<Letter>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl DecisionLog {
    /// Creates the folder and starts the writing thread. Nothing is written before the first
    /// decision.
    ///
    /// # Errors
    /// If the folder cannot be created or read, or the thread does not start.
    pub fn start(settings: DecisionSettings) -> io::Result<DecisionLog> {
        let shared = Arc::new(Shared::default());
        let (sender, receiver) = sync_channel(WAITING);
        let writer = writer::Writer::open(settings, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new()
            .name("decisions".to_owned())
            .spawn(move || writer.run(&receiver))?;
        Ok(DecisionLog { shared, sender, thread: Mutex::new(Some(thread)) })
    }

    /// The writing end of one signalling thread.
    #[must_use]
    pub fn tap(&self, shard: u16) -> DecisionTap {
        DecisionTap::new(shard, self.sender.clone(), Arc::clone(&self.shared))
    }

    /// Figures for metrics.
    #[must_use]
    pub fn counts(&self) -> DecisionCounts {
        DecisionCounts {
            recorded: self.shared.recorded.load(Relaxed),
            dropped: self.shared.dropped.load(Relaxed),
            bytes: self.shared.bytes.load(Relaxed),
        }
    }

    /// Writes all buffers handed over so far and ends the thread. A tap hands over its buffer when
    /// it is dropped, so drop taps first; later buffers are lost.
    pub fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        // Fails only if the thread has already ended.
        let _ = self.sender.send(Letter::End);
        if thread.join().is_err() {
            tracing::error!("the thread that keeps decisions ended in a panic");
        }
    }
}

#[cfg(test)]
mod tests;
