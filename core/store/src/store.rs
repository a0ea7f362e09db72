use crate::error::{StoreError, Task};
use crate::{balance, migrations};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;

/// Connections for queries; they never wait for the writer (WAL).
const READERS: u32 = 4;

/// The database: business objects, balances and records in one SQLite file.
///
/// One connection writes, a few read. Clones share them.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) writer: Arc<Mutex<Writer>>,
    pub(crate) readers: SqlitePool,
    path: PathBuf,
}

/// The only connection that changes anything.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) connection: SqliteConnection,
    /// Number of the next call record.
    pub(crate) next_seq: i64,
}

impl Store {
    /// Opens the database, creating it readable for its owner only, and brings it to this
    /// version's schema.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or is not a database of ours.
    pub async fn open(path: impl AsRef<Path>) -> Result<Store, StoreError> {
        let path = path.as_ref().to_owned();
        create(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            // Records are durable by the journal; `apply` and payments raise this.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-16000")
            .pragma("wal_autocheckpoint", "8000")
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging();
        let mut connection =
            SqliteConnection::connect_with(&options).await.during("opening the database")?;
        balance::mend_inexact(&mut connection).await?;
        let migrated = migrations::migrator().run(&mut connection).await;
        migrated.map_err(|source| StoreError::Migrate { path: path.clone(), source })?;
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(seq) FROM call_record")
            .fetch_one(&mut connection)
            .await
            .during("reading the last record number")?;
        let writer = Writer { connection, next_seq: last.unwrap_or(0) + 1 };
        Ok(Store { writer: Arc::new(Mutex::new(writer)), readers: readers(options), path })
    }

    /// Opens the database of a node, running or not, to read from it only: it is neither
    /// made nor brought to another schema.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened. A database of another version shows when it is read.
    pub async fn open_to_read(path: impl AsRef<Path>) -> Result<Store, StoreError> {
        let path = path.as_ref().to_owned();
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .read_only(true)
            .busy_timeout(Duration::from_secs(10))
            .disable_statement_logging();
        let connection =
            SqliteConnection::connect_with(&options).await.during("opening the database")?;
        let writer = Writer { connection, next_seq: 0 };
        Ok(Store { writer: Arc::new(Mutex::new(writer)), readers: readers(options), path })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies the write-ahead log into the database file and forces both to disk: what
    /// was committed before survives a power failure after.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        let (busy, log, done): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(FULL)")
            .fetch_one(&mut writer.connection)
            .await
            .during("forcing the database to disk")?;
        if busy != 0 || log != done {
            return Err(StoreError::Refused(
                "forcing the database to disk: a reader was in the way".to_owned(),
            ));
        }
        Ok(())
    }
}

impl Writer {
    /// Whether a commit waits for the disk itself.
    pub(crate) async fn wait_for_disk(&mut self, wait: bool) -> Result<(), StoreError> {
        let pragma = if wait { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
        sqlx::query(pragma)
            .execute(&mut self.connection)
            .await
            .during("setting durability")
            .map(|_| ())
    }
}

/// Connections for queries. A limit of time that a search was given ends with it, also when
/// nobody waited for its end.
fn readers(options: SqliteConnectOptions) -> SqlitePool {
    let unlimited =
        SqlitePoolOptions::new().max_connections(READERS).before_acquire(|connection, _| {
            Box::pin(async move {
                connection.lock_handle().await?.remove_progress_handler();
                Ok(true)
            })
        });
    unlimited.connect_lazy_with(options)
}

/// Makes the file and its folder; it holds vendor passwords, so only its owner reads it.
fn create(path: &Path) -> Result<(), StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ()).map_err(StoreError::io(path))
}

/// The time of day in UTC milliseconds.
pub(crate) fn utc_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A time or duration as the database keeps it.
pub(crate) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{apply, balance, correction, currency, load, payment, purge, query, records};
    use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};

    #[tokio::test]
    async fn every_statement_prepares_on_the_schema() {
        let folder = std::env::temp_dir().join(format!("strowger-prepare-{}", std::process::id()));
        let store = Store::open(folder.join("strowger.db")).await.unwrap();
        let mut texts: Vec<Arc<str>> = [
            records::BOOK,
            records::IS_RECORDED,
            apply::OPEN,
            apply::CLEAR_DECK,
            load::LOAD_ACCOUNTS,
            load::LOAD_DECK_ROWS,
            payment::PAY,
            payment::PAID,
            query::DOCUMENT,
            query::COUNT_CALLS,
            records::POST,
            balance::BALANCE,
            balance::POSTINGS_SUM,
            balance::ALL_BALANCES,
            balance::ALL_SUMS,
            correction::CORRECTIONS,
            correction::CORRECT,
            currency::MOVED,
            purge::CALLS,
            purge::ATTEMPTS,
        ]
        .map(Arc::from)
        .to_vec();
        for table in [
            apply::ACCOUNTS,
            apply::CUSTOMER_TRUNKS,
            apply::VENDOR_TRUNKS,
            apply::RULE_SETS,
            apply::DECKS,
            apply::NUMBER_LISTS,
        ] {
            texts.extend([table.select, table.insert, table.update, table.remove].map(Arc::from));
        }
        for insertion in [&records::CALLS, &records::ATTEMPTS, &records::POSTINGS] {
            texts.extend(insertion.texts());
        }
        let number = Some("44".to_owned());
        let filter = query::CallFilter {
            since_ms: Some(1),
            until_ms: Some(2),
            caller: number.clone(),
            callee: number.clone(),
            number,
            reason: Some("normal".to_owned()),
            answered: Some(true),
            rerate: true,
            before: Some(3),
            limit: 5,
            ..query::CallFilter::default()
        };
        for few in [false, true] {
            let wanted = query::Wanted {
                filter: Some(&filter),
                customer_trunk: Some(1),
                vendor_trunk: Some(1),
                account: Some(1),
                few_of_vendor: few,
                few_numbers: [few; 3],
            };
            texts.push(query::page(&wanted).into_string().into());
        }
        let mut writer = store.writer.lock().await;
        for text in texts {
            let prepared = writer.connection.prepare(AssertSqlSafe(text.clone()).into_sql_str());
            assert!(prepared.await.is_ok(), "{text}");
        }
        drop(writer);
        let _ = std::fs::remove_dir_all(folder);
    }
}
