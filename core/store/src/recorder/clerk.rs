//! The journal's thread: makes documents durable, reports them, and passes finished calls on.

use super::keeper::Job;
use super::outbox::Outbox;
use super::segments::Segments;
use super::{Documents, LARGEST_BATCH, Progress, RETRY, RecorderSettings, Shared, TOLD};
use crate::document::encode;
use crate::journal::{Journal, Kind, Stretch};
use crate::records::Finished;
use ledger::{CallDocument, CallId, RecordState};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::time::Instant;
use tokio::sync::watch;

/// The thread that writes the journal.
pub(super) struct Clerk {
    pub(super) journal: Journal,
    pub(super) segments: Segments,
    pub(super) shared: Arc<Shared>,
    pub(super) progress: Arc<watch::Sender<Progress>>,
    pub(super) jobs: mpsc::Sender<Job>,
    /// Finished calls that wait for company on their way to the database: handing them
    /// over one commit at a time would wake the database thread for each.
    pub(super) outbox: Outbox,
    /// The operator was told that the database is behind.
    pub(super) behind: bool,
    /// No new segment could be begun: how often, and when to try again.
    pub(super) unrotated: (u64, Option<Instant>),
    /// After a commit: when to look for documents without being told. While calls keep
    /// ending, nobody has to wake this thread.
    pub(super) linger: Option<Instant>,
    pub(super) settings: RecorderSettings,
}

/// What the clerk does next.
struct Work {
    documents: Documents,
    /// When the first of the documents came.
    since: Option<Instant>,
    /// Nothing may be left waiting.
    hurry: bool,
}

impl Clerk {
    pub(super) fn run(mut self) {
        while let Some(Work { documents, since, hurry }) = self.wait() {
            self.write(documents, since);
            let old =
                self.outbox.since().is_some_and(|t| t.elapsed() >= self.settings.store_window);
            if hurry || old || self.outbox.len() >= LARGEST_BATCH {
                self.pass_on();
            }
            self.tidy();
        }
        self.progress.send_modify(|progress| progress.ended = true);
    }

    /// Waits for work; none when the recorder is gone and everything is written.
    fn wait(&mut self) -> Option<Work> {
        let mut inbox = self.shared.inbox();
        loop {
            let now = Instant::now();
            let commit = inbox.since.map(|since| since + self.settings.commit_window);
            let store = self.outbox.since().map(|since| since + self.settings.store_window);
            let due = [commit, store].into_iter().flatten().min();
            let left = !inbox.documents.is_empty() || !self.outbox.is_empty();
            if inbox.stop && !left {
                return None;
            }
            let hurry = inbox.hurry || inbox.stop;
            let lingered = self.linger.take_if(|end| *end <= now).is_some();
            inbox.attended = self.linger.is_some();
            let company = lingered && !inbox.documents.is_empty();
            if hurry || company || due.is_some_and(|due| due <= now) {
                inbox.hurry = false;
                let documents = std::mem::take(&mut inbox.documents);
                self.shared.in_hand.store(documents.len() as u64, Ordering::Release);
                if !documents.is_empty() {
                    self.linger = Some(now + self.settings.commit_window);
                    inbox.attended = true;
                }
                return Some(Work { documents, since: inbox.since.take(), hurry });
            }
            inbox = match due.into_iter().chain(self.linger).min() {
                None => self.shared.wake.wait(inbox).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let woken = self.shared.wake.wait_timeout(inbox, due - now);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Hands finished calls to the database thread.
    fn pass_on(&mut self) {
        if let Some(job) = std::mem::take(&mut self.outbox).into_job() {
            // Without that thread the journal keeps the calls.
            let _ = self.jobs.send(job);
        }
    }

    /// Writes documents to the journal, reports them, and passes finished calls on.
    fn write(&mut self, documents: Documents, since: Option<Instant>) {
        if documents.is_empty() {
            return;
        }
        let count = documents.len() as u64;
        let is_final = |document: &CallDocument| document.call.state == RecordState::Final;
        let ended: HashSet<CallId> =
            documents.iter().filter(|d| is_final(d)).map(|d| d.call.id).collect();
        let mut finished = Vec::new();
        let (segment, from) = (self.journal.segment(), self.journal.bytes());
        for document in documents {
            let id = document.call.id;
            if !is_final(&document) && ended.contains(&id) {
                // The final document becomes durable in the same moment and says all of it.
                continue;
            }
            let bytes = match encode(&document, Vec::with_capacity(1024)) {
                Ok(bytes) => bytes,
                Err(error) => {
                    // Cannot happen to data of plain integers and texts; if it does, the
                    // other calls of the batch must not suffer.
                    tracing::error!(call = %format!("{id:032x}"), %error, "not recorded");
                    self.shared.failures.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            };
            if is_final(&document) {
                self.journal.append(Kind::Final, &bytes);
                self.segments.finished(id);
                finished.push(Finished { document, bytes });
            } else {
                self.journal.append(Kind::Interim, &bytes);
                self.segments.interim(id, self.journal.segment());
            }
        }
        let mut failures = 0;
        while let Err(error) = self.journal.commit() {
            self.shared.journal_fails.store(true, Ordering::Release);
            self.shared.failures.fetch_add(1, Ordering::Relaxed);
            let waiting = count + self.shared.inbox().documents.len() as u64;
            if failures % TOLD == 0 {
                tracing::error!(%error, waiting, "the journal cannot be written: records are in memory only; trying again each second");
            }
            failures += 1;
            if self.stopped_while_waiting() {
                tracing::error!(documents = waiting, "the recorder ends before they are durable");
                return;
            }
            self.look_at_room();
        }
        if failures > 0 {
            self.shared.journal_fails.store(false, Ordering::Release);
            tracing::info!(documents = count, failures, "the journal is written again");
        }
        let finals = finished.len() as u64;
        let durable = self.shared.durable.fetch_add(finals, Ordering::AcqRel) + finals;
        self.segments.last_final(durable);
        if let Some(since) = since {
            let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.shared.commit_ms.store(ms, Ordering::Relaxed);
        }
        if let Some(report) = self.settings.on_durable.as_ref().filter(|_| finals > 0) {
            let ids: Vec<CallId> = finished.iter().map(|call| call.document.call.id).collect();
            report(&ids);
        }
        if finals > 0 {
            let waiting = durable - self.shared.stored.load(Ordering::Acquire);
            let to = self.journal.bytes();
            let stretch = Stretch { segment, from, to };
            self.outbox.add(finished, stretch, waiting <= self.settings.held as u64);
            self.watch_backlog(waiting);
        }
        self.shared.in_hand.store(0, Ordering::Release);
        let bytes = self.segments.closed_bytes() + self.journal.bytes();
        self.shared.journal_bytes.store(bytes, Ordering::Release);
        self.look_at_room();
        self.progress.send_modify(|progress| {
            progress.journaled += count;
            progress.finals = durable;
        });
    }

    fn look_at_room(&self) {
        // Locked before it is looked at: a submit in between would be overlooked.
        let inbox = self.shared.inbox();
        self.shared.look_at_room(inbox.documents.len());
    }

    /// Tells the operator once when the database is far behind, and once when it has caught
    /// up (CDR-14).
    fn watch_backlog(&mut self, waiting: u64) {
        let behind = waiting >= self.shared.capacity;
        if behind && !self.behind {
            tracing::warn!(
                calls = waiting,
                "the database is behind; finished calls wait in the journal"
            );
            self.behind = true;
        } else if self.behind && waiting < self.shared.capacity / 2 {
            tracing::info!(calls = waiting, "the database catches up");
            self.behind = false;
        }
    }

    /// Waits before another attempt; true when the recorder goes meanwhile.
    fn stopped_while_waiting(&self) -> bool {
        let inbox = self.shared.inbox();
        let waited = self.shared.wake.wait_timeout_while(inbox, RETRY, |inbox| !inbox.stop);
        waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }

    /// Begins a new segment when this one is full, and deletes those no longer needed.
    fn tidy(&mut self) {
        let now = Instant::now();
        let may = self.unrotated.1.is_none_or(|again| again <= now);
        if may && self.journal.bytes() >= self.settings.segment_bytes {
            // What is handed over lies in one segment.
            self.pass_on();
            let bytes = self.journal.bytes();
            match self.journal.rotate() {
                Ok(()) => {
                    self.unrotated = (0, None);
                    self.segments.begin(self.journal.segment(), bytes);
                    let _ = self.jobs.send(Job::Settle);
                }
                Err(error) => {
                    if self.unrotated.0.is_multiple_of(TOLD) {
                        tracing::error!(%error, "no new segment of the journal; staying with this one");
                    }
                    self.unrotated = (self.unrotated.0 + 1, Some(now + RETRY));
                    self.shared.failures.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let settled = self.shared.settled.load(Ordering::Acquire);
        while let Some(segment) = self.segments.pop_done(settled) {
            if let Err(error) = self.journal.delete(segment) {
                // It is read again at the next start and found to hold nothing new.
                tracing::warn!(segment, %error, "a done segment of the journal stays");
            }
        }
    }
}
