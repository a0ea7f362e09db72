use crate::db::{Connection, Database, Pool};
use crate::error::{StoreError, Task};
use crate::{balance, migrations, proof};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// How long a payment or a change of the business waits for the connection that writes.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The database: business objects, balances and records.
///
/// One connection writes, a few read. Clones share them.
#[derive(Clone)]
pub struct Store {
    /// The only writing connection.
    writer: Arc<Mutex<Connection>>,
    pub(crate) readers: Pool,
    database: Database,
}

impl fmt::Debug for Store {
    /// Hides the drivers' passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database and migrates it to this version's schema. A missing SQLite file is
    /// created, readable for its owner only.
    ///
    /// # Errors
    ///
    /// It cannot be opened or is not a Strowger database. [`StoreError::is_away`] tells whether a
    /// retry may help.
    pub async fn open(database: impl Into<Database>) -> Result<Store, StoreError> {
        let database = database.into();
        if let Some(path) = database.file() {
            create(path)?;
        }
        let mut writer = connect(&database, false).await?;
        balance::mend_inexact(&mut writer).await?;
        migrations::run(&mut writer, &database).await?;
        proof::open_books(&mut writer).await?;
        let readers = Pool::of(&database, false);
        Ok(Store { writer: Arc::new(Mutex::new(writer)), readers, database })
    }

    /// Opens the database of a node, running or not, read-only: it is neither created nor migrated.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or a later version has changed its schema. An older schema shows when it
    /// is read.
    pub async fn open_to_read(database: impl Into<Database>) -> Result<Store, StoreError> {
        let database = database.into();
        let mut writer = connect(&database, true).await?;
        migrations::look(&mut writer, &database).await?;
        let readers = Pool::of(&database, true);
        Ok(Store { writer: Arc::new(Mutex::new(writer)), readers, database })
    }

    /// The database opened.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The writing connection, reconnected if needed; one task at a time. A user waits for the
    /// result, so it fails after [`LONGEST_WAIT`] if a server that stands still keeps another task.
    pub(crate) async fn writer(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        let Ok(writer) = timeout(LONGEST_WAIT, self.writer.lock()).await else {
            let words = format!(
                "it has been busy with another task for {} s; try again",
                LONGEST_WAIT.as_secs()
            );
            let busy = std::io::Error::new(std::io::ErrorKind::TimedOut, words);
            return Err(unreachable(&self.database)(busy.into()));
        };
        self.revived(writer).await
    }

    /// The same for records, for which no user waits: it waits without a limit.
    pub(crate) async fn patient_writer(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        let writer = self.writer.lock().await;
        self.revived(writer).await
    }

    async fn revived<'w>(
        &self,
        mut writer: MutexGuard<'w, Connection>,
    ) -> Result<MutexGuard<'w, Connection>, StoreError> {
        writer.revive().await.map_err(unreachable(&self.database))?;
        Ok(writer)
    }

    /// A reading connection.
    pub(crate) async fn reader(&self) -> Result<Connection, StoreError> {
        self.readers.acquire().await.map_err(unreachable(&self.database))
    }

    /// Makes everything committed so far survive a power failure.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        let mut writer = self.patient_writer().await?;
        if writer.settle().await.during("forcing the database to disk")? {
            return Ok(());
        }
        let why = "forcing the database to disk: a reader was in the way";
        Err(StoreError::Refused(why.to_owned()))
    }
}

async fn connect(database: &Database, read_only: bool) -> Result<Connection, StoreError> {
    Connection::open(database, read_only).await.map_err(unreachable(database))
}

fn unreachable(database: &Database) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |problem| StoreError::Unreachable { database: database.to_string(), problem }
}

/// Creates the file and its folder; only the owner may read it, because it holds vendor passwords.
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

/// Wall-clock time, UTC ms.
pub(crate) fn utc_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A time or duration in ms as a column value.
pub(crate) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
