//! The recorder: takes documents off the call path, makes them durable in the journal,
//! then moves finished calls into the database.

mod alarm;
mod clerk;
mod keeper;
mod outbox;
mod segments;

pub use alarm::Alarm;

use crate::error::StoreError;
use crate::journal::{Journal, JournalReader};
use crate::recovery::{Recovery, recover};
use crate::store::Store;
use clerk::Clerk;
use keeper::Keeper;
use ledger::{CallDocument, CallId, RecordState};
use outbox::Outbox;
use segments::Segments;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

/// Most calls of one database transaction.
const LARGEST_BATCH: usize = 4096;
/// Between attempts when journal or database fail.
const RETRY: Duration = Duration::from_secs(1);
/// An attempt to write the database that takes longer is told.
const SLOW: Duration = Duration::from_secs(8);
/// Attempts that fail one after the other, of which one is told: once a minute.
const TOLD: u64 = 60;

/// Told the ids of finished calls that have just become durable.
pub type OnDurable = Arc<dyn Fn(&[CallId]) + Send + Sync>;

/// How the recorder works.
#[derive(Clone)]
pub struct RecorderSettings {
    /// Documents that may wait for the journal, in memory: past it no new calls are to be
    /// taken ([`Recorder::is_full`]) and interim copies are dropped, so that there is never
    /// more than this and the ends of the calls that are up. As many finished calls that wait
    /// for the database are told to the operator, once (CDR-14).
    pub capacity: usize,
    /// Bytes that the journal may take on disk; past it no new calls are to be taken (CDR-14).
    pub journal_bytes: u64,
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
            journal_bytes: 50 << 30,
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
            .field("journal_bytes", &self.journal_bytes)
            .field("held", &self.held)
            .field("commit_window", &self.commit_window)
            .field("store_window", &self.store_window)
            .field("segment_bytes", &self.segment_bytes)
            .finish_non_exhaustive()
    }
}

/// The recorder's state for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Documents waiting for the journal, and finished calls waiting for the database.
    pub depth: u64,
    /// Documents taken since the start.
    pub submitted: u64,
    /// Of these, documents that are in memory only.
    pub in_memory: u64,
    /// Of these, finished calls that wait in the journal for the database.
    pub in_journal: u64,
    /// Finished calls in the journal since the start: durable.
    pub durable_finals: u64,
    /// Of these, those in the database.
    pub stored_finals: u64,
    /// Interim copies not taken because the queue was full.
    pub dropped: u64,
    /// Unanswered calls not recorded because the queue was full twice over.
    pub refused: u64,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// Bytes of the journal that were damaged and not read, since the start and at it.
    pub damaged_bytes: u64,
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
    /// Documents that the journal's thread has taken and not written yet.
    in_hand: AtomicU64,
    /// Bytes of the journal on disk.
    journal_bytes: AtomicU64,
    journal_limit: u64,
    damaged: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    failures: AtomicU64,
    commit_ms: AtomicU64,
    /// The last attempt to write the journal failed.
    journal_fails: AtomicBool,
    /// What the last attempt to write the database says, if it failed, and when one that is
    /// under way has begun.
    database: Mutex<(Option<String>, Option<Instant>)>,
    journal: JournalReader,
    /// No new calls are to be taken.
    full: AtomicBool,
}

impl Shared {
    /// A panic elsewhere cannot leave the queue half-changed.
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last attempt to write the database failed with these words, or did not.
    fn trouble(&self, words: Option<String>) {
        self.database.lock().unwrap_or_else(PoisonError::into_inner).0 = words;
    }

    /// An attempt to write the database begins or ends.
    fn attempt(&self, begins: bool) {
        let since = begins.then(Instant::now);
        self.database.lock().unwrap_or_else(PoisonError::into_inner).1 = since;
    }

    /// Why the database does not take records, or not at once.
    fn database_trouble(&self) -> Option<String> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let (words, since) = &*database;
        let slow = since.map(|since| since.elapsed()).filter(|time| *time >= SLOW);
        let slow = slow.map(|time| format!("no answer for {} s", time.as_secs()));
        words.clone().or(slow)
    }

    /// Looks again at whether new calls may be taken, with so many documents in the inbox.
    fn look_at_room(&self, documents: usize) {
        let waiting = documents as u64 + self.in_hand.load(Ordering::Acquire);
        let no_memory = waiting >= self.capacity;
        let no_disk = self.journal_bytes.load(Ordering::Acquire) >= self.journal_limit;
        self.full.store(no_memory || no_disk, Ordering::Release);
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
            in_hand: AtomicU64::new(0),
            journal_bytes: AtomicU64::new(journal.bytes()),
            journal_limit: settings.journal_bytes,
            damaged: AtomicU64::new(recovery.damaged_bytes),
            dropped: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            commit_ms: AtomicU64::new(0),
            journal_fails: AtomicBool::new(false),
            database: Mutex::default(),
            journal: journal.reader(),
            full: AtomicBool::new(false),
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
            unrotated: (0, None),
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
        let keeper = Keeper {
            store,
            journal: reader,
            shared: shared.clone(),
            progress,
            jobs: inbox,
            suspects: Vec::new(),
            tries: 0,
        };
        let runtime = Runtime::current();
        std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || keeper.run(&runtime))
            .map_err(StoreError::io("the database's thread"))?;
        Ok((Recorder { handle: Arc::new(Handle { shared, progress: watcher }) }, recovery))
    }

    /// Takes a document: an interim copy of a call that is up, or the final one. Returns
    /// at once; a final document is durable within 100 ms (CDR-06). While the journal cannot
    /// be written they wait in memory. A full queue takes no interim copies, one that is full
    /// twice over no calls that were not answered, such as those refused meanwhile; the end of
    /// an answered call is always taken.
    pub fn submit(&self, document: Box<CallDocument>) {
        let shared = &self.handle.shared;
        let mut inbox = shared.inbox();
        let waiting = inbox.documents.len() as u64 + shared.in_hand.load(Ordering::Acquire);
        if waiting >= shared.capacity {
            shared.full.store(true, Ordering::Release);
            let call = &document.call;
            if call.state == RecordState::Interim {
                shared.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if waiting >= 2 * shared.capacity && call.answer_ms.is_none() {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                return;
            }
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
    }

    /// Whether new calls are to be refused, because their records could soon be lost: as much
    /// waits in memory or lies on disk as may (CDR-14).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.handle.shared.full.load(Ordering::Acquire)
    }

    /// What the operator has to see to now.
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        let shared = &self.handle.shared;
        let (stored, durable) =
            (shared.stored.load(Ordering::Acquire), shared.durable.load(Ordering::Acquire));
        let states = [
            (Alarm::JournalFails, shared.journal_fails.load(Ordering::Acquire)),
            (Alarm::DatabaseFails, shared.database_trouble().is_some()),
            (Alarm::DatabaseBehind, durable.saturating_sub(stored) >= shared.capacity),
            (Alarm::Full, self.is_full()),
        ];
        states.into_iter().filter(|(_, is_so)| *is_so).map(|(alarm, _)| alarm).collect()
    }

    /// Why the database does not take records, in its own words where it has any; none when it
    /// does.
    #[must_use]
    pub fn database_trouble(&self) -> Option<String> {
        self.handle.shared.database_trouble()
    }

    /// Files of the journal's folder with calls that are not in the database, as long as they are
    /// there: damaged segments, and calls that the database refuses.
    #[must_use]
    pub fn set_aside(&self) -> Option<String> {
        self.handle.shared.journal.set_aside()
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
        let in_memory = inbox.documents.len() as u64 + shared.in_hand.load(Ordering::Relaxed);
        let in_journal = durable_finals.saturating_sub(stored_finals);
        Gauges {
            depth: in_memory + in_journal,
            in_memory,
            in_journal,
            submitted: inbox.submitted,
            durable_finals,
            stored_finals,
            dropped: shared.dropped.load(Ordering::Relaxed),
            refused: shared.refused.load(Ordering::Relaxed),
            journal_bytes: shared.journal_bytes.load(Ordering::Relaxed),
            damaged_bytes: shared.damaged.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
            commit_ms: shared.commit_ms.load(Ordering::Relaxed),
        }
    }

    /// Waits until everything submitted before is in the journal, and its finished calls
    /// in the database. For those who read the records.
    pub async fn flush(&self) {
        let finals = self.flush_journal().await;
        let mut progress = self.handle.progress.clone();
        // An error means that the writers have ended, and with them anything to wait for.
        let _ = progress.wait_for(|now| now.stored >= finals || now.ended).await;
    }

    /// Waits until everything submitted before is in the journal: nothing of it is lost any
    /// more, whatever becomes of the process. Gives back how many finished calls are in it.
    pub async fn flush_journal(&self) -> u64 {
        let shared = &self.handle.shared;
        let submitted = {
            let mut inbox = shared.inbox();
            inbox.hurry = true;
            inbox.submitted
        };
        shared.wake.notify_all();
        let mut progress = self.handle.progress.clone();
        let journaled = progress.wait_for(|now| now.journaled >= submitted || now.ended).await;
        journaled.map_or(0, |now| now.finals)
    }
}
