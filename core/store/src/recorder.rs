//! The recorder: takes documents off the call path, makes them durable in the journal,
//! then moves finished calls into the database.

mod keeper;
mod outbox;

use crate::document::encode;
use crate::error::StoreError;
use crate::journal::{Journal, Kind, Stretch};
use crate::records::Finished;
use crate::recovery::{Recovery, recover};
use crate::store::Store;
use keeper::{Job, Keeper};
use ledger::{CallDocument, CallId, RecordState};
use outbox::Outbox;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

/// Most calls of one database transaction.
const LARGEST_BATCH: usize = 4096;
/// Between attempts when journal or database fail.
const RETRY: Duration = Duration::from_secs(1);

/// Told the ids of finished calls that have just become durable.
pub type OnDurable = Arc<dyn Fn(&[CallId]) + Send + Sync>;

/// How the recorder works.
#[derive(Clone)]
pub struct RecorderSettings {
    /// Documents that may wait for the journal, in memory; past it they are refused. As many
    /// finished calls that wait for the database are told to the operator, once (CDR-14).
    pub capacity: usize,
    /// Finished calls that are kept in memory on their way from the journal to the database.
    /// Those beyond are read back from the journal when it is their turn.
    pub held: usize,
    /// A commit of the journal waits this long for company; a record is durable this long
    /// after it was submitted, plus one write to disk.
    pub commit_window: Duration,
    /// A transaction of the database waits this long for company.
    pub store_window: Duration,
    /// A segment of the journal ends past this size.
    pub segment_bytes: u64,
    /// Called on the journal's thread; it must return at once.
    pub on_durable: Option<OnDurable>,
}

impl Default for RecorderSettings {
    fn default() -> Self {
        RecorderSettings {
            capacity: 100_000,
            held: 10_000,
            commit_window: Duration::from_millis(75),
            store_window: Duration::from_millis(500),
            segment_bytes: 32 * 1024 * 1024,
            on_durable: None,
        }
    }
}

impl fmt::Debug for RecorderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderSettings")
            .field("capacity", &self.capacity)
            .field("held", &self.held)
            .field("commit_window", &self.commit_window)
            .field("store_window", &self.store_window)
            .field("segment_bytes", &self.segment_bytes)
            .finish_non_exhaustive()
    }
}

/// The queue is full: the journal's disk has failed for long. The document comes back.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("the record queue is full; call {:032x} is not recorded", document.call.id)]
pub struct Overflow {
    /// What was to be recorded.
    pub document: Box<CallDocument>,
}

/// The recorder's state for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Documents waiting for the journal, and finished calls waiting for the database.
    pub depth: u64,
    /// Documents taken since the start.
    pub submitted: u64,
    /// Finished calls in the journal since the start: durable.
    pub durable_finals: u64,
    /// Of these, those in the database.
    pub stored_finals: u64,
    /// Documents refused because the queue was full.
    pub refused: u64,
    /// Failed attempts to write journal or database.
    pub failures: u64,
    /// Age of the last commit of the journal that had to wait, ms: submit to durable.
    pub commit_ms: u64,
}

/// Takes the documents of calls. Clones share one journal and one queue; when the last
/// one is dropped, what was taken is still written to the journal.
#[derive(Clone)]
pub struct Recorder {
    handle: Arc<Handle>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("gauges", &self.gauges()).finish()
    }
}

/// Ends the journal's thread when the last recorder goes.
struct Handle {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.inbox().stop = true;
        self.shared.wake.notify_all();
    }
}

/// What recorder, journal thread and database thread share.
struct Shared {
    inbox: Mutex<Inbox>,
    wake: Condvar,
    capacity: u64,
    /// Finished calls in the journal.
    durable: AtomicU64,
    /// Finished calls in the database.
    stored: AtomicU64,
    /// Finished calls in the database file itself, on disk.
    settled: AtomicU64,
    refused: AtomicU64,
    failures: AtomicU64,
    commit_ms: AtomicU64,
}

impl Shared {
    /// A panic elsewhere cannot leave the queue half-changed.
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Boxed: a pointer moves under the lock, not a kilobyte.
type Documents = Vec<Box<CallDocument>>;

#[derive(Default)]
struct Inbox {
    documents: Documents,
    /// When the first of them came.
    since: Option<Instant>,
    submitted: u64,
    /// The journal's thread looks here by itself within a commit window.
    attended: bool,
    /// Someone waits for everything to be written.
    hurry: bool,
    stop: bool,
}

/// How far writing has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Documents in the journal.
    journaled: u64,
    /// Finished calls among them.
    finals: u64,
    /// Finished calls in the database.
    stored: u64,
    /// The journal's thread has ended.
    ended: bool,
}

impl Recorder {
    /// Opens the journal, brings what a crash left in it into the database, and starts
    /// taking documents. To be called within a tokio runtime, before [`Store::load`], so
    /// that balances are complete.
    ///
    /// # Errors
    ///
    /// When the journal cannot be opened or read, or the database fails.
    pub async fn start(
        store: &Store,
        journal: impl AsRef<Path>,
        settings: RecorderSettings,
    ) -> Result<(Recorder, Recovery), StoreError> {
        let mut journal = Journal::open(journal.as_ref())?;
        let recovery = recover(store, &mut journal).await?;
        let shared = Arc::new(Shared {
            inbox: Mutex::new(Inbox::default()),
            wake: Condvar::new(),
            capacity: settings.capacity as u64,
            durable: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            commit_ms: AtomicU64::new(0),
        });
        let (progress, watcher) = watch::channel(Progress::default());
        let progress = Arc::new(progress);
        let (jobs, inbox) = mpsc::channel();
        let reader = journal.reader();
        let mut clerk = Clerk {
            segments: Segments::new(journal.segment()),
            journal,
            shared: shared.clone(),
            progress: progress.clone(),
            jobs,
            outbox: Outbox::default(),
            behind: false,
            linger: None,
            settings,
        };
        for document in &recovery.unfinished {
            clerk.segments.interim(document.call.id, clerk.journal.segment());
        }
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || clerk.run())
            .map_err(StoreError::io("the journal's thread"))?;
        let store = store.clone();
        let keeper =
            Keeper { store, journal: reader, shared: shared.clone(), progress, jobs: inbox };
        let runtime = Runtime::current();
        std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || keeper.run(&runtime))
            .map_err(StoreError::io("the database's thread"))?;
        Ok((Recorder { handle: Arc::new(Handle { shared, progress: watcher }) }, recovery))
    }

    /// Takes a document: an interim copy of a call that is up, or the final one. Returns
    /// at once; a final document is durable within 100 ms (CDR-06).
    ///
    /// # Errors
    ///
    /// When the journal could not be written for so long that the queue is full; the document
    /// is in the error. What only the database does not take is never refused (CDR-14).
    pub fn submit(&self, document: Box<CallDocument>) -> Result<(), Overflow> {
        let shared = &self.handle.shared;
        let mut inbox = shared.inbox();
        if inbox.documents.len() as u64 >= shared.capacity {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Overflow { document });
        }
        inbox.documents.push(document);
        inbox.submitted += 1;
        if inbox.documents.len() == 1 {
            inbox.since = Some(Instant::now());
            if !inbox.attended {
                drop(inbox);
                shared.wake.notify_all();
            }
        }
        Ok(())
    }

    /// Finished calls that have become durable since the start.
    #[must_use]
    pub fn durable_finals(&self) -> u64 {
        self.handle.shared.durable.load(Ordering::Acquire)
    }

    /// Figures for metrics.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let shared = &self.handle.shared;
        // Stored before durable: the other order could show more stored than durable.
        let stored_finals = shared.stored.load(Ordering::Acquire);
        let durable_finals = shared.durable.load(Ordering::Acquire);
        let inbox = shared.inbox();
        Gauges {
            depth: inbox.documents.len() as u64 + (durable_finals - stored_finals),
            submitted: inbox.submitted,
            durable_finals,
            stored_finals,
            refused: shared.refused.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
            commit_ms: shared.commit_ms.load(Ordering::Relaxed),
        }
    }

    /// Waits until everything submitted before is in the journal, and its finished calls
    /// in the database. For the shutdown, and for those who read the records.
    pub async fn flush(&self) {
        let shared = &self.handle.shared;
        let submitted = {
            let mut inbox = shared.inbox();
            inbox.hurry = true;
            inbox.submitted
        };
        shared.wake.notify_all();
        let mut progress = self.handle.progress.clone();
        let journaled = progress.wait_for(|now| now.journaled >= submitted || now.ended).await;
        let Ok(finals) = journaled.map(|now| now.finals) else { return };
        // An error means that the writers have ended, and with them anything to wait for.
        let _ = progress.wait_for(|now| now.stored >= finals || now.ended).await;
    }
}

/// The thread that writes the journal.
struct Clerk {
    journal: Journal,
    segments: Segments,
    shared: Arc<Shared>,
    progress: Arc<watch::Sender<Progress>>,
    jobs: mpsc::Sender<Job>,
    /// Finished calls that wait for company on their way to the database: handing them
    /// over one commit at a time would wake the database thread for each.
    outbox: Outbox,
    /// The operator was told that the database is behind.
    behind: bool,
    /// After a commit: when to look for documents without being told. While calls keep
    /// ending, nobody has to wake this thread.
    linger: Option<Instant>,
    settings: RecorderSettings,
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
    fn run(mut self) {
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
        while let Err(error) = self.journal.commit() {
            tracing::error!(%error, "the journal cannot be written; trying again");
            self.shared.failures.fetch_add(1, Ordering::Relaxed);
            if self.stopped_while_waiting() {
                tracing::error!(documents = count, "the recorder ends before they are durable");
                return;
            }
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
            let stretch = Stretch { segment, from, to: self.journal.bytes() };
            self.outbox.add(finished, stretch, waiting <= self.settings.held as u64);
            self.watch_backlog(waiting);
        }
        self.progress.send_modify(|progress| {
            progress.journaled += count;
            progress.finals = durable;
        });
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
        if self.journal.bytes() >= self.settings.segment_bytes {
            // What is handed over lies in one segment.
            self.pass_on();
            match self.journal.rotate() {
                Ok(()) => {
                    self.segments.begin(self.journal.segment());
                    let _ = self.jobs.send(Job::Settle);
                }
                Err(error) => {
                    tracing::error!(%error, "no new segment of the journal; staying with this one");
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

/// Which segments of the journal are still needed.
struct Segments {
    /// For each segment: latest interim copies in it, and finals up to its end.
    open: BTreeMap<u64, (u64, u64)>,
    /// Segment with the latest interim copy of each call that is up.
    calls: HashMap<CallId, u64>,
}

impl Segments {
    fn new(first: u64) -> Self {
        Segments { open: BTreeMap::from([(first, (0, 0))]), calls: HashMap::new() }
    }

    fn begin(&mut self, segment: u64) {
        let finals = self.open.last_key_value().map_or(0, |(_, (_, finals))| *finals);
        self.open.insert(segment, (0, finals));
    }

    fn interim(&mut self, id: CallId, segment: u64) {
        self.finished(id);
        self.calls.insert(id, segment);
        if let Some((interims, _)) = self.open.get_mut(&segment) {
            *interims += 1;
        }
    }

    fn finished(&mut self, id: CallId) {
        if let Some(segment) = self.calls.remove(&id)
            && let Some((interims, _)) = self.open.get_mut(&segment)
        {
            *interims -= 1;
        }
    }

    fn last_final(&mut self, count: u64) {
        if let Some(mut last) = self.open.last_entry() {
            last.get_mut().1 = count;
        }
    }

    /// The oldest segment, if it is not the current one and nothing needs it: finals may
    /// not go before older interim copies of the same calls.
    fn pop_done(&mut self, settled: u64) -> Option<u64> {
        let (segment, (interims, finals)) = self.open.first_key_value()?;
        if self.open.len() < 2 || *interims > 0 || *finals > settled {
            return None;
        }
        let segment = *segment;
        self.open.remove(&segment);
        Some(segment)
    }
}
