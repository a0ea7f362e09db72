//! The database thread: moves finished calls from memory or journal into the database.

use super::{LARGEST_BATCH, Progress, RETRY, Shared, TOLD};
use crate::document::decode;
use crate::error::StoreError;
use crate::journal::{Entry, JournalReader, Kind, Stretch};
use crate::records::Finished;
use crate::recovery::report_damage;
use crate::store::Store;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Instant;
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

/// For the database thread, which does one after the other.
#[derive(Debug)]
pub(super) enum Job {
    /// Store finished calls, durable already.
    Store(Vec<Finished>),
    /// Store the finished calls of this stretch of the journal, so many.
    ReadBack(Stretch, u64),
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
                Job::Store(calls) => {
                    let count = calls.len() as u64;
                    self.store(runtime, &calls, count);
                }
                Job::ReadBack(stretch, count) => {
                    self.store(runtime, &self.read_back(stretch), count);
                }
                Job::Settle => self.settle(runtime),
            }
        }
    }

    /// Tries until the database takes them. They are `count`, whether they could be read or
    /// not: nobody waits for those that are lost.
    fn store(&self, runtime: &Runtime, calls: &[Finished], count: u64) {
        let started = Instant::now();
        let mut left = count;
        for calls in calls.chunks(LARGEST_BATCH) {
            let mut failures = 0;
            while let Err(error) = runtime.block_on(self.store.record(calls)) {
                self.fail(failures, &error, "records are not stored; they wait in the journal");
                failures += 1;
            }
            self.recover(failures);
            let stored = left.min(calls.len() as u64);
            left -= stored;
            self.stored(stored);
        }
        self.stored(left);
        tracing::debug!(calls = count, elapsed = ?started.elapsed(), "records stored");
    }

    fn stored(&self, count: u64) {
        let stored = self.shared.stored.fetch_add(count, Ordering::AcqRel) + count;
        self.progress.send_modify(|progress| progress.stored = stored);
    }

    /// Tries until the journal can be read: what it holds is nowhere else. What is damaged in
    /// it stays in its segment, and the rest is taken.
    fn read_back(&self, stretch: Stretch) -> Vec<Finished> {
        let mut failures = 0;
        loop {
            match self.journal.read(stretch) {
                Ok(read) => {
                    self.recover(failures);
                    for part in read.damage {
                        report_damage(stretch.segment, part);
                        self.shared.damaged.fetch_add(part.length, Ordering::Relaxed);
                    }
                    return finals(read.entries);
                }
                Err(error) => {
                    self.fail(failures, &error, "the journal is not read back");
                    failures += 1;
                }
            }
        }
    }

    /// Tells of the first failure and of one a minute after it, and waits before the next
    /// attempt.
    fn fail(&self, failures: u64, error: &StoreError, what: &str) {
        if failures.is_multiple_of(TOLD) {
            tracing::error!(%error, "{what}; trying again each second");
        }
        self.shared.database_fails.store(true, Ordering::Release);
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(RETRY);
    }

    fn recover(&self, failures: u64) {
        if failures > 0 {
            self.shared.database_fails.store(false, Ordering::Release);
            tracing::info!(failures, "records are stored again");
        }
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
fn finals(entries: Vec<Entry>) -> Vec<Finished> {
    let last = entries.into_iter().filter(|entry| entry.kind == Kind::Final);
    last.filter_map(|Entry { payload: bytes, .. }| {
        let document = decode(&bytes, "a finished call in the journal");
        // It was encoded here, and its check sum is right.
        let document = document.inspect_err(|error| tracing::error!(%error, "not recorded"));
        Some(Finished { document: Box::new(document.ok()?), bytes })
    })
    .collect()
}
