//! The database of the node file, including waiting for an unreachable server.

use config::{Config, ConfigErrors, DatabaseConfig};
use std::time::{Duration, Instant};
use store::{Database, Store, StoreError};

/// How long a start waits for an unreachable server.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Interval between attempts.
const AGAIN: Duration = Duration::from_secs(1);
/// Interval between log lines about it.
const TOLD: Duration = Duration::from_secs(30);

/// The database of a node file.
///
/// # Errors
/// The URL is invalid; the setting is named with its line.
pub(crate) fn of(config: &Config) -> Result<Database, ConfigErrors> {
    match config.database() {
        DatabaseConfig::File(path) => Ok(Database::from(path)),
        DatabaseConfig::Url(url) => Database::from_url(&url).map_err(|error| {
            ConfigErrors(vec![config.source.problem("database", error.to_string())])
        }),
    }
}

/// Opens the database. An unreachable server is retried, with a log line now and then; a server
/// that refuses access, or a foreign database, is an error at once.
///
/// # Errors
/// As [`Store::open`]; after ten minutes also an unreachable server.
pub(crate) async fn open(database: &Database) -> Result<Store, StoreError> {
    let start = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        match Store::open(database.clone()).await {
            Err(error) if error.is_away() && start.elapsed() < LONGEST_WAIT => {
                if told.is_none_or(|last| last.elapsed() >= TOLD) {
                    told = Some(Instant::now());
                    let left = LONGEST_WAIT.saturating_sub(start.elapsed()).as_secs();
                    tracing::warn!(
                        %error, seconds_left = left,
                        "the database is away: the node takes no calls before it is there; \
                         trying again each second"
                    );
                }
                tokio::time::sleep(AGAIN).await;
            }
            Ok(store) => {
                if told.is_some() {
                    tracing::info!(waited = ?start.elapsed(), %database, "the database is there");
                }
                return Ok(store);
            }
            refused => return refused,
        }
    }
}

/// Whether the database can be opened now, for a program that takes over a running one: its calls
/// must not wait for a server, nor end with a program that is older than the database.
///
/// # Errors
/// As [`Store::open_to_read`].
pub(crate) async fn try_to_read(database: &Database) -> Result<(), StoreError> {
    Store::open_to_read(database.clone()).await.map(|_| ())
}
