//! The decision log: every question that calls asked, with its answer and everything that
//! is needed to ask it again (`docs/plugins.md`, "Replay").
//!
//! Each signalling thread writes into a buffer of its own ([`DecisionTap`]) and hands full
//! ones to a thread that compresses and appends them to segment files ([`DecisionLog`]).
//! When that thread is behind, buffers are dropped and counted: a call never waits.
//! [`DecisionReader`] reads the segments back in the order of time.

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
    /// Folder of the segment files; made when missing.
    pub folder: PathBuf,
    /// Name of the node, kept with each segment.
    pub node: String,
    /// Segments whose last decision is older are deleted.
    pub keep: Duration,
    /// Bytes on disk that are never passed; the oldest segments go first.
    pub max_bytes: u64,
    /// This many last digits of every number are replaced; 0 keeps numbers as they are.
    pub mask_digits: u8,
    /// Decides which digits replace which. With the same key equal numbers stay equal.
    pub mask_key: [u8; 32],
    /// Seed of the host whose decisions these are ([`crate::Host::random_seed`]).
    pub random_seed: u64,
}

/// Figures since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionCounts {
    /// Decisions in the segments.
    pub recorded: u64,
    /// Decisions that were dropped: the writing thread was behind, or the disk failed.
    pub dropped: u64,
    /// Compressed bytes written.
    pub bytes: u64,
}

/// Emptied buffers that are kept for taps.
const SPARE: usize = 4;

/// What taps and the writing thread share.
#[derive(Debug, Default)]
struct Shared {
    recorded: AtomicU64,
    dropped: AtomicU64,
    bytes: AtomicU64,
    /// Emptied buffers: a signalling thread that grows a new one for each block pays for its
    /// pages with page faults.
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Shared {
    /// An empty buffer, with room if there is one.
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

/// What is sent to the writing thread.
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
    /// Makes the folder and starts the writing thread. Nothing is written before the first
    /// decision.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or the thread does not start.
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

    /// Writes what taps have handed over so far and ends the thread. A tap hands over what
    /// it holds when it is dropped, so drop taps before; what comes later is lost.
    pub fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        // It fails only when the thread has ended already.
        let _ = self.sender.send(Letter::End);
        if thread.join().is_err() {
            tracing::error!("the thread that keeps decisions ended in a panic");
        }
    }
}

#[cfg(test)]
mod tests;
