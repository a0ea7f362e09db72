//! A connection to a database of either dialect.

use super::insertion::Insertion;
use super::row::FromRow;
use super::{Database, Dialect, Statement, Value, postgres, sqlite, values};
use crate::error::{StoreError, Task};
use std::time::{Duration, Instant};

static BEGIN: Statement =
    Statement::each("BEGIN IMMEDIATE", "BEGIN ISOLATION LEVEL READ COMMITTED");
static BEGIN_READING: Statement =
    Statement::each("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
static COMMIT: Statement = Statement::both("COMMIT");
static ROLL_BACK: Statement = Statement::both("ROLLBACK");

/// Adds units and fraction (0 to 10^10 - 1) to a balance.
pub(crate) static BOOK: Statement = Statement::both(
    "UPDATE account SET \
     balance_units = balance_units + ? + (balance_fraction + ?) / 10000000000, \
     balance_fraction = (balance_fraction + ?) % 10000000000 WHERE id = ?",
);

/// The number of the newest call record; only SQLite gives the next one from it.
pub(crate) static NEWEST: Statement = Statement::both("SELECT MAX(seq) FROM call_record");

/// A connection: one statement at a time.
pub(crate) struct Connection {
    link: Link,
    /// A transaction was begun and not ended.
    open: bool,
}

enum Link {
    Sqlite(sqlite::Link),
    Postgres(Box<postgres::Link>),
}

impl Connection {
    pub(super) fn sqlite(link: sqlite::Link) -> Connection {
        Connection { link: Link::Sqlite(link), open: false }
    }

    pub(super) fn postgres(link: postgres::Link) -> Connection {
        Connection { link: Link::Postgres(Box::new(link)), open: false }
    }

    /// A connection of its own.
    pub(crate) async fn open(
        database: &Database,
        read_only: bool,
    ) -> Result<Connection, sqlx::Error> {
        Ok(match database {
            Database::Sqlite(path) => {
                Connection::sqlite(sqlite::Link::open(path, read_only).await?)
            }
            Database::Postgres(options) => {
                Connection::postgres(postgres::Link::open(options, read_only).await?)
            }
        })
    }

    /// The drivers' own connections, for the steps that make the tables.
    pub(crate) fn drivers(&mut self) -> Result<Driver<'_>, sqlx::Error> {
        Ok(match &mut self.link {
            Link::Sqlite(link) => Driver::Sqlite(link.driver()),
            Link::Postgres(link) => Driver::Postgres(link.driver()?),
        })
    }

    /// Makes it fit for the next task: what the task before left open when nobody waited for
    /// its end is undone, and a connection to a server that died is replaced.
    pub(crate) async fn revive(&mut self) -> Result<(), sqlx::Error> {
        let left_open = std::mem::take(&mut self.open);
        match &mut self.link {
            Link::Sqlite(link) if left_open => {
                // Refused when the transaction has ended by itself: as good.
                let _ = link.execute(&ROLL_BACK, &[]).await;
                Ok(())
            }
            Link::Sqlite(_) => Ok(()),
            Link::Postgres(link) => link.revive(left_open).await,
        }
    }

    /// Executes a statement and gives the number of rows that it changed.
    pub(crate) async fn execute(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<u64, sqlx::Error> {
        match &mut self.link {
            Link::Sqlite(link) => link.execute(statement, values).await,
            Link::Postgres(link) => link.execute(statement, values).await,
        }
    }

    /// The rows of an answer.
    pub(crate) async fn rows<T: FromRow>(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, sqlx::Error> {
        match &mut self.link {
            Link::Sqlite(link) => link.rows(statement, values).await,
            Link::Postgres(link) => link.rows(statement, values).await,
        }
    }

    /// The first row of an answer; none when there is no row.
    pub(crate) async fn row<T: FromRow>(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<T>, sqlx::Error> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// The one row of an answer that always has one.
    pub(crate) async fn one<T: FromRow>(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<T, sqlx::Error> {
        self.row(statement, values).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Begins a transaction that may write.
    pub(crate) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.open = true;
        self.execute(&BEGIN, &[]).await.map(|_| ())
    }

    /// Begins a transaction whose statements all see the same moment.
    pub(crate) async fn begin_reading(&mut self) -> Result<(), sqlx::Error> {
        self.open = true;
        self.execute(&BEGIN_READING, &[]).await.map(|_| ())
    }

    /// Commits after success, rolls back after an error and gives that error.
    pub(crate) async fn finish<T>(
        &mut self,
        outcome: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let committed = match outcome {
            Ok(value) => self.execute(&COMMIT, &[]).await.during("committing").map(|_| value),
            refused => refused,
        };
        match committed {
            Ok(_) => self.open = false,
            Err(_) => self.roll_back().await,
        }
        committed
    }

    /// Ends a transaction without a trace. Some errors have ended it already; then there is
    /// nothing to roll back and the refusal says nothing new.
    pub(crate) async fn roll_back(&mut self) {
        let undone = self.execute(&ROLL_BACK, &[]).await;
        // A server whose answer is not known may still be in the transaction.
        self.open = undone.is_err() && self.dialect() == Dialect::Postgres;
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.link {
            Link::Sqlite(_) => Dialect::Sqlite,
            Link::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Writes new rows: several to a statement on SQLite, by COPY on PostgreSQL.
    pub(crate) async fn insert_rows<'r, T, const N: usize>(
        &mut self,
        into: &Insertion,
        rows: &'r [T],
        fields: impl Fn(&'r T) -> [Value<'r>; N],
    ) -> Result<(), sqlx::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        match &mut self.link {
            Link::Sqlite(link) => link.insert_rows(into, rows, fields).await,
            Link::Postgres(link) => link.insert_rows(into, rows, fields).await,
        }
    }

    /// Adds units and fractions to the balances of accounts, in the order of their ids. Gives
    /// back those that do not exist.
    pub(crate) async fn book(&mut self, sums: &[(u32, i64, i64)]) -> Result<Vec<u32>, sqlx::Error> {
        match &mut self.link {
            Link::Postgres(link) if sums.len() > 1 => link.book(sums).await,
            _ => {
                let mut missing = Vec::new();
                for &(account, units, fraction) in sums {
                    let values = values![units, fraction, fraction, account];
                    if self.execute(&BOOK, values).await? == 0 {
                        missing.push(account);
                    }
                }
                Ok(missing)
            }
        }
    }

    /// Numbers for so many new call records, rising.
    pub(crate) async fn next_seqs(&mut self, count: usize) -> Result<Vec<i64>, sqlx::Error> {
        match &mut self.link {
            Link::Sqlite(link) => {
                let newest: Vec<(Option<i64>,)> = link.rows(&NEWEST, &[]).await?;
                let newest = newest.first().and_then(|row| row.0).unwrap_or(0);
                Ok((newest + 1..).take(count).collect())
            }
            Link::Postgres(link) => link.next_seqs(count).await,
        }
    }

    /// Makes what was committed survive a power failure; false when a reader was in the way.
    /// What PostgreSQL has committed does already.
    pub(crate) async fn settle(&mut self) -> Result<bool, sqlx::Error> {
        match &mut self.link {
            Link::Sqlite(link) => link.settle().await,
            Link::Postgres(_) => Ok(true),
        }
    }

    /// Whether a commit waits for the disk itself; that of PostgreSQL always does.
    pub(crate) async fn wait_for_disk(&mut self, wait: bool) -> Result<(), sqlx::Error> {
        match &mut self.link {
            Link::Sqlite(link) => link.wait_for_disk(wait).await,
            Link::Postgres(_) => Ok(()),
        }
    }

    /// One node at a time brings its business into the database: the others wait for it, up to
    /// the time that a statement waits for a lock. SQLite has one writer anyway.
    pub(crate) async fn lock_business(&mut self) -> Result<(), sqlx::Error> {
        match &mut self.link {
            Link::Sqlite(_) => Ok(()),
            Link::Postgres(link) => link.lock_business().await,
        }
    }

    /// Ends the statements of a search after so long. PostgreSQL ends every statement by
    /// itself; a longer time than its own holds until the end of the transaction.
    pub(crate) async fn give_up_after(&mut self, limit: Duration) -> Result<(), sqlx::Error> {
        match &mut self.link {
            Link::Sqlite(link) => link.give_up_at(Instant::now() + limit).await,
            Link::Postgres(link) => link.give_up_after(limit).await,
        }
    }
}

impl Drop for Connection {
    /// A connection of the pool in the middle of a transaction is of no use to the next reader.
    fn drop(&mut self) {
        match &mut self.link {
            Link::Sqlite(sqlite::Link::Pooled(link)) if self.open => link.close_on_drop(),
            Link::Postgres(link) => link.let_go(self.open),
            Link::Sqlite(_) => {}
        }
    }
}

/// A driver's own connection.
pub(crate) enum Driver<'c> {
    Sqlite(&'c mut sqlx::sqlite::SqliteConnection),
    Postgres(&'c mut sqlx::postgres::PgConnection),
}
