//! The database thread: moves finished calls from memory or journal into the database.

use super::{LARGEST_BATCH, Progress, RETRY, Shared};
use crate::document::decode;
use crate::error::StoreError;
use crate::journal::{Entry, JournalReader, Kind, Stretch};
use crate::records::Finished;
use crate::store::{Store, utc_ms};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

/// For the database thread, which does one after the other.
#[derive(Debug)]
pub(super) enum Job {
    /// Store finished calls, durable already.
    Store(Vec<Finished>),
    /// Store the finished calls of this stretch of the journal.
    ReadBack(Stretch),
    /// Force the database to disk, so that segments of the journal can go.
    Settle,
}

/// The thread that moves finished calls into the database. It is one of its own because each
/// statement is a round trip to the connection's thread: a task of the runtime would wake two
/// threads for each answer, its own and the one that watches sockets in its stead.
pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) journal: JournalReader,
    pub(super) shared: Arc<Shared>,
    pub(super) progress: Arc<watch::Sender<Progress>>,
    pub(super) jobs: mpsc::Receiver<Job>,
}

impl Keeper {
    pub(super) fn run(self, runtime: &Runtime) {
        while let Ok(job) = self.jobs.recv() {
            match job {
                Job::Store(calls) => self.store(runtime, &calls),
                Job::ReadBack(stretch) => self.store(runtime, &self.read_back(stretch)),
                Job::Settle => self.settle(runtime),
            }
        }
    }

    /// Tries until the database takes them.
    fn store(&self, runtime: &Runtime, calls: &[Finished]) {
        let started = utc_ms();
        for calls in calls.chunks(LARGEST_BATCH) {
            while let Err(error) = runtime.block_on(self.store.record(calls)) {
                tracing::error!(%error, calls = calls.len(), "records not stored; trying again");
                self.wait_after_failure();
            }
            let count = calls.len() as u64;
            let stored = self.shared.stored.fetch_add(count, Ordering::AcqRel) + count;
            self.progress.send_modify(|progress| progress.stored = stored);
        }
        tracing::debug!(calls = calls.len(), ms = utc_ms() - started, "records stored");
    }

    /// Tries until the journal can be read: what it holds is nowhere else.
    fn read_back(&self, stretch: Stretch) -> Vec<Finished> {
        loop {
            match self.journal.read(stretch).and_then(finals) {
                Ok(calls) => return calls,
                Err(error) => {
                    tracing::error!(%error, "the journal is not read back; trying again");
                    self.wait_after_failure();
                }
            }
        }
    }

    fn wait_after_failure(&self) {
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(RETRY);
    }

    fn settle(&self, runtime: &Runtime) {
        match runtime.block_on(self.store.settle()) {
            Ok(()) => {
                let stored = self.shared.stored.load(Ordering::Acquire);
                self.shared.settled.store(stored, Ordering::Release);
            }
            // The segments wait for the next time.
            Err(error) => tracing::warn!(%error, "the journal keeps its segments"),
        }
    }
}

/// The finished calls among some entries.
fn finals(entries: Vec<Entry>) -> Result<Vec<Finished>, StoreError> {
    let last = entries.into_iter().filter(|entry| entry.kind == Kind::Final);
    last.map(|Entry { payload: bytes, .. }| {
        let document = Box::new(decode(&bytes, "a finished call in the journal")?);
        Ok(Finished { document, bytes })
    })
    .collect()
}
