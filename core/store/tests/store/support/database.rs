//! The database of a test, in the dialect that this program is built for, and what tests do to it
//! behind the back of the store.

use crate::POSTGRES;
use postgres_server::Server;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use std::path::Path;
use std::str::FromStr as _;
use strowger_store::Database;

/// The database that belongs to a folder: a file in it, or one of the server whose URL is noted
/// in it, so that a process that is started on the same folder finds the same one.
pub(crate) fn database(folder: &Path) -> Database {
    if !POSTGRES {
        return folder.join("strowger.db").into();
    }
    let note = folder.join("database-url");
    let url = std::fs::read_to_string(&note).unwrap_or_else(|_| {
        let url = Server::shared().database();
        std::fs::write(&note, &url).expect("the folder is ours");
        url
    });
    Database::from_url(&url).expect("a URL")
}

/// A connection beside those of the store.
pub(crate) enum Other {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Other {
    pub(crate) async fn connect(folder: &Path) -> Other {
        match database(folder) {
            Database::Sqlite(path) => {
                let connection = SqliteConnectOptions::new().filename(path).connect().await;
                Other::Sqlite(connection.expect("the file is there"))
            }
            Database::Postgres(_) => {
                let url = std::fs::read_to_string(folder.join("database-url")).expect("noted");
                let options = PgConnectOptions::from_str(&url).expect("a URL");
                Other::Postgres(options.connect().await.expect("the server is there"))
            }
        }
    }

    /// A text for each dialect; nothing that came from outside.
    pub(crate) async fn execute(&mut self, sqlite: &str, postgres: &str) {
        let done = match self {
            Other::Sqlite(connection) => {
                let done = sqlx::raw_sql(AssertSqlSafe(sqlite)).execute(connection).await;
                done.map(|_| ())
            }
            Other::Postgres(connection) => {
                let done = sqlx::raw_sql(AssertSqlSafe(postgres)).execute(connection).await;
                done.map(|_| ())
            }
        };
        done.expect("the database takes it");
    }

    /// Keeps everybody else from writing records.
    pub(crate) async fn lock(&mut self) {
        let postgres = "BEGIN; LOCK TABLE call_record IN EXCLUSIVE MODE";
        self.execute("BEGIN IMMEDIATE", postgres).await;
    }

    /// Ends what it holds.
    pub(crate) async fn release(&mut self) {
        self.execute("COMMIT", "COMMIT").await;
    }

    /// The ids of calls in the order of writing.
    pub(crate) async fn ids(&mut self) -> Vec<Vec<u8>> {
        let text = "SELECT id FROM call_record ORDER BY seq";
        let ids = match self {
            Other::Sqlite(connection) => sqlx::query_scalar(text).fetch_all(connection).await,
            Other::Postgres(connection) => sqlx::query_scalar(text).fetch_all(connection).await,
        };
        ids.expect("the database reads")
    }
}

/// The settings of all objects as the database has them, with everything else of an SQLite file.
pub(crate) fn contents(folder: &Path) -> Vec<u8> {
    match database(folder) {
        Database::Sqlite(path) => {
            let log = std::fs::read(path.with_extension("db-wal")).unwrap_or_default();
            [std::fs::read(path).expect("the file is there"), log].concat()
        }
        Database::Postgres(_) => {
            let url = std::fs::read_to_string(folder.join("database-url")).expect("noted");
            let name = url.rsplit('/').next().expect("a name");
            let bodies = "SELECT body FROM account UNION ALL SELECT body FROM customer_trunk \
                          UNION ALL SELECT body FROM vendor_trunk";
            Server::shared().sql(name, bodies).into_bytes()
        }
    }
}
