//! Connections that only read.

use super::connection::Connection;
use super::{Database, postgres, sqlite};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use std::time::Duration;

/// Connections for queries; they never wait for the writer.
const READERS: u32 = 4;
/// How long a reader waits for a connection to a server.
const WAIT: Duration = Duration::from_secs(10);

/// A few connections, made when they are first needed.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    /// Of a database; `read_only` when nothing of it may be changed or made.
    pub(crate) fn of(database: &Database, read_only: bool) -> Pool {
        match database {
            Database::Sqlite(path) => {
                // A limit of time that a search was given ends with it, also when nobody waited
                // for its end.
                let unlimited = SqlitePoolOptions::new().max_connections(READERS).before_acquire(
                    |connection, _| {
                        Box::pin(async move {
                            connection.lock_handle().await?.remove_progress_handler();
                            Ok(true)
                        })
                    },
                );
                Pool::Sqlite(unlimited.connect_lazy_with(sqlite::options(path, read_only)))
            }
            Database::Postgres(options) => {
                let pool = PgPoolOptions::new().max_connections(READERS).acquire_timeout(WAIT);
                Pool::Postgres(pool.connect_lazy_with(postgres::options(options, read_only)))
            }
        }
    }

    pub(crate) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Pool::Sqlite(pool) => Connection::sqlite(sqlite::Link::Pooled(pool.acquire().await?)),
            Pool::Postgres(pool) => {
                Connection::postgres(postgres::Link::pooled(pool.acquire().await?))
            }
        })
    }
}
