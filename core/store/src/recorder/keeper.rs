//! The database thread: moves finished calls from memory or journal into the database.

use super::{LARGEST_BATCH, Progress, RETRY, Shared, TOLD};
use crate::document::decode;
use crate::error::StoreError;
use crate::journal::{Entry, JournalReader, Kind, Stretch};
use crate::records::Finished;
use crate::store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
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
    /// Calls that the database has refused while it took no other: whether that is their fault or
    /// its own shows when it takes one.
    pub(super) suspects: Vec<Finished>,
    /// How often these were tried in vain.
    pub(super) tries: u64,
}

impl Keeper {
    pub(super) fn run(mut self, runtime: &Runtime) {
        while let Some(job) = self.next() {
            match job {
                Job::Store(calls) => {
                    let count = calls.len() as u64;
                    self.store(runtime, calls, count);
                }
                Job::ReadBack(stretch, count) => {
                    let calls = self.read_back(stretch);
                    self.store(runtime, calls, count);
                }
                Job::Settle => self.settle(runtime),
            }
        }
    }

    /// The next job; while there are suspects, after a while without one, another attempt at
    /// these. None when the recorder has gone.
    fn next(&self) -> Option<Job> {
        if self.suspects.is_empty() {
            return self.jobs.recv().ok();
        }
        match self.jobs.recv_timeout(RETRY) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => Some(Job::Store(Vec::new())),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Tries until the database takes them. They are `count`, whether they could be read or
    /// not: nobody waits for those that are lost.
    fn store(&mut self, runtime: &Runtime, calls: Vec<Finished>, count: u64) {
        let started = Instant::now();
        let lost = count.saturating_sub(calls.len() as u64);
        let mut rest = calls;
        while !rest.is_empty() || !self.suspects.is_empty() {
            let mut calls = self.with_suspects(rest);
            rest = calls.split_off(calls.len().min(LARGEST_BATCH));
            self.store_batch(runtime, calls);
            if rest.is_empty() {
                break;
            }
        }
        self.stored(lost);
        tracing::debug!(calls = count, elapsed = ?started.elapsed(), "records stored");
    }

    /// Calls behind those that are suspected.
    fn with_suspects(&mut self, calls: Vec<Finished>) -> Vec<Finished> {
        let mut all = std::mem::take(&mut self.suspects);
        all.extend(calls);
        all
    }

    fn store_batch(&mut self, runtime: &Runtime, calls: Vec<Finished>) {
        let count = calls.len() as u64;
        let mut failures = 0;
        let recorded = loop {
            self.shared.attempt(true);
            let recorded = runtime.block_on(self.store.record(&calls));
            self.shared.attempt(false);
            match recorded {
                Ok(recorded) => break recorded,
                Err(error) => {
                    self.fail(failures, &error, "records are not stored; they wait in the journal");
                    failures += 1;
                    std::thread::sleep(RETRY);
                }
            }
        };
        let mut places = BTreeMap::new();
        places.extend(recorded.refused);
        let refused = calls.into_iter().enumerate();
        let refused: Vec<(Finished, StoreError)> =
            refused.filter_map(|(at, call)| Some((call, places.remove(&at)?))).collect();
        if recorded.new == 0 && !refused.is_empty() {
            let told = refused.first().map(|(call, error)| {
                StoreError::Refused(format!("call {:032x}: {error}", call.document.call.id))
            });
            let taken = count.saturating_sub(refused.len() as u64);
            self.suspects = refused.into_iter().map(|(call, _)| call).collect();
            if let Some(error) = told {
                self.fail(self.tries, &error, "a record is refused, and no other was taken since");
                self.tries += 1;
            }
            self.stored(taken);
            return;
        }
        for (call, error) in &refused {
            self.set_aside(call, &error.to_string());
        }
        let tries = std::mem::take(&mut self.tries);
        self.recover(failures + tries);
        self.stored(count);
    }

    /// Tries until a call that the database refuses, while it takes others, is in a file of its
    /// own: its segment of the journal will go.
    fn set_aside(&self, call: &Finished, why: &str) {
        let mut failures = 0;
        while let Err(error) = self.journal.refuse(call.document.call.id, &call.bytes, why) {
            self.fail(failures, &error, "a refused record is not set aside");
            failures += 1;
            std::thread::sleep(RETRY);
        }
        self.recover(failures);
    }

    fn stored(&self, count: u64) {
        if count == 0 {
            return;
        }
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
                    let damaged: u64 = read.damage.iter().map(|part| part.length).sum();
                    self.shared.damaged.fetch_add(damaged, Ordering::Relaxed);
                    return self.finals(stretch.segment, read.entries);
                }
                Err(error) => {
                    self.fail(failures, &error, "the journal is not read back");
                    failures += 1;
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// The finished calls among some entries.
    fn finals(&self, segment: u64, entries: Vec<Entry>) -> Vec<Finished> {
        let last = entries.into_iter().filter(|entry| entry.kind == Kind::Final);
        last.filter_map(|Entry { payload: bytes, .. }| {
            match decode(&bytes, "a finished call in the journal") {
                Ok(document) => Some(Finished { document: Box::new(document), bytes }),
                // It was encoded here, and its check sum is right.
                Err(error) => {
                    self.journal.keep(segment, &error.to_string());
                    None
                }
            }
        })
        .collect()
    }

    /// Tells of the first failure and of one a minute after it.
    fn fail(&self, failures: u64, error: &StoreError, what: &str) {
        if failures.is_multiple_of(TOLD) {
            tracing::error!(%error, "{what}; trying again each second");
        }
        self.shared.trouble(Some(error.to_string()));
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn recover(&self, failures: u64) {
        if failures > 0 {
            self.shared.trouble(None);
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
