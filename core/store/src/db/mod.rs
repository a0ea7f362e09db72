//! The database, in two dialects: SQLite for a node by itself, PostgreSQL for those who want
//! several nodes, or readers of their own, on one database.
//!
//! The rest of the store speaks to a [`Connection`] and knows no driver.
//!
//! **A new statement** is a `static` beside its use, once for both dialects where they agree:
//!
//! ```text
//! pub(crate) static BALANCE: Statement = Statement::both("SELECT ... WHERE id = ?");
//! pub(crate) static LOCKED: Statement = Statement::each("SELECT ...", "SELECT ... FOR UPDATE");
//! let row: Option<(i64, i64)> = connection.row(&BALANCE, values![account]).await.during("...")?;
//! ```
//!
//! Parameters are `?` in both; PostgreSQL's numbers are put in when a statement is first used.
//! Its name goes into the list of `every_statement_prepares_on_the_schema` (`store/tests.rs`),
//! which asks both dialects. A statement whose conditions vary is put together by a [`Query`].
//! What both dialects take: every integer is 64 bits wide (a sum of them is wrapped as
//! `CAST(SUM(x) AS BIGINT)`, an integer argument of a function as `CAST(? AS INTEGER)`), texts
//! compare by their bytes, `TRUE`, `FALSE`, `ON CONFLICT` and `LIMIT` are the same.
//!
//! **A new table or column** is a step in each of `migrations/sqlite` and `migrations/postgres`,
//! listed in `migrations.rs`. On PostgreSQL columns are `BIGINT`, `BOOLEAN`, `TEXT COLLATE "C"`
//! or `BYTEA`: what a [`Value`] is sent as. Many rows at once go in by an [`Insertion`], which is
//! several rows to a statement, and `COPY` for those of a busy moment on PostgreSQL.
//!
//! **A change** is what stands between [`Connection::begin`] and [`Connection::finish`]; what
//! has to see one moment stands between [`Connection::begin_reading`] and the same.

mod connection;
mod insertion;
mod place;
mod pool;
mod postgres;
mod query;
mod row;
mod sqlite;
mod statement;
mod value;

pub use place::{Database, DatabaseUrlError};

#[cfg(test)]
pub(crate) use connection::{BOOK, NEWEST};
pub(crate) use connection::{Connection, Driver};
pub(crate) use insertion::Insertion;
pub(crate) use pool::Pool;
pub(crate) use postgres::is_away;
pub(crate) use query::Query;
pub(crate) use statement::Statement;
pub(crate) use value::{Value, values};

/// Which language a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// Whether rows were refused for what they are: a value that does not fit, a constraint, a trigger.
/// A database that is full, locked or only reads refuses every row.
pub(crate) fn is_about_rows(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| match code.parse::<i64>() {
                // SQLite's codes are small numbers, their low byte the kind: too big, constraint,
                // mismatch.
                Ok(number) if code.len() < 5 => matches!(number & 0xff, 18..=20),
                // Data exceptions, integrity constraints, triggers, limits of an index.
                _ => ["22", "23", "P0001", "54000"].iter().any(|class| code.starts_with(class)),
            })
        }
        _ => false,
    }
}

/// Whether a row was refused because there is one with its key.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Whether a statement was ended because it took longer than it may (PostgreSQL).
pub(crate) fn took_too_long(error: &sqlx::Error) -> bool {
    postgres::code(error).is_some_and(|code| code == "57014")
}

/// Whether a statement waited in vain for what another connection holds (PostgreSQL).
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    postgres::code(error).is_some_and(|code| code == "55P03")
}
