//! SQLite: one file in WAL mode, one connection that writes.

use super::insertion::Insertion;
use super::row::{FromRow, Row};
use super::{Dialect, Statement, Value};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Steps of the database's machine between two looks at the clock.
const STEPS: i32 = 10_000;

/// How a file is opened.
pub(super) fn options(path: &Path, read_only: bool) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(10))
        .disable_statement_logging();
    if read_only {
        return options.read_only(true);
    }
    options
        .journal_mode(SqliteJournalMode::Wal)
        // Records are durable by the journal; `apply` and payments raise this.
        .synchronous(SqliteSynchronous::Normal)
        .pragma("cache_size", "-16000")
        .pragma("wal_autocheckpoint", "8000")
        .pragma("temp_store", "MEMORY")
}

/// A connection of its own, or one of the pool's.
pub(crate) enum Link {
    Own(SqliteConnection),
    Pooled(PoolConnection<Sqlite>),
}

impl Link {
    pub(super) async fn open(path: &Path, read_only: bool) -> Result<Link, sqlx::Error> {
        let options = options(path, read_only);
        Ok(Link::Own(SqliteConnection::connect_with(&options).await?))
    }

    /// The driver's connection.
    pub(crate) fn driver(&mut self) -> &mut SqliteConnection {
        match self {
            Link::Own(connection) => connection,
            Link::Pooled(connection) => connection,
        }
    }

    pub(super) async fn execute(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<u64, sqlx::Error> {
        let done = query(statement, values).execute(self.driver()).await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn rows<T: FromRow>(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, sqlx::Error> {
        let read = |row: SqliteRow| T::of(Row::Sqlite(&row));
        query(statement, values).try_map(read).fetch_all(self.driver()).await
    }

    pub(super) async fn insert_rows<'r, T, const N: usize>(
        &mut self,
        into: &Insertion,
        rows: &'r [T],
        fields: impl Fn(&'r T) -> [Value<'r>; N],
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows;
        for (size, statement) in into.chunks() {
            let chunks = rows.chunks_exact(size);
            rows = chunks.remainder();
            for chunk in chunks {
                let values = chunk.iter().flat_map(&fields);
                let query = sqlx::query(statement.text(Dialect::Sqlite));
                values.fold(query, bind).execute(self.driver()).await?;
            }
        }
        Ok(())
    }

    /// Copies the write-ahead log into the database file and forces both to disk; false when a
    /// reader was in the way.
    pub(super) async fn settle(&mut self) -> Result<bool, sqlx::Error> {
        static CHECKPOINT: Statement = Statement::both("PRAGMA wal_checkpoint(FULL)");
        let rows: Vec<(i64, i64, i64)> = self.rows(&CHECKPOINT, &[]).await?;
        Ok(rows.first().is_some_and(|(busy, log, done)| *busy == 0 && log == done))
    }

    /// Whether a commit waits for the disk itself.
    pub(super) async fn wait_for_disk(&mut self, wait: bool) -> Result<(), sqlx::Error> {
        static WAIT: Statement = Statement::both("PRAGMA synchronous = FULL");
        static DO_NOT: Statement = Statement::both("PRAGMA synchronous = NORMAL");
        self.execute(if wait { &WAIT } else { &DO_NOT }, &[]).await.map(|_| ())
    }

    /// Ends statements at this moment, until the connection goes back to the pool.
    pub(super) async fn give_up_at(&mut self, end: Instant) -> Result<(), sqlx::Error> {
        let mut handle = self.driver().lock_handle().await?;
        handle.set_progress_handler(STEPS, move || Instant::now() < end);
        Ok(())
    }
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

fn query(statement: &Statement, values: &[Value<'_>]) -> Query {
    values.iter().cloned().fold(sqlx::query(statement.text(Dialect::Sqlite)), bind)
}

fn bind(query: Query, value: Value<'_>) -> Query {
    match value {
        Value::Integer(value) => query.bind(value),
        Value::Text(value) => query.bind(value.map(String::from)),
        Value::Bytes(value) => query.bind(Vec::from(value)),
        Value::Bool(value) => query.bind(value),
    }
}
