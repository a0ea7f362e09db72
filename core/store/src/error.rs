use crate::db;
use sqlx::migrate::MigrateError;
use std::path::PathBuf;
use thiserror::Error;

/// Why the store could not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database refused or failed.
    #[error("{task}: {source}")]
    Database {
        /// What was being done.
        task: &'static str,
        /// What the database says.
        source: sqlx::Error,
    },
    /// The database cannot be reached, or does not let us in.
    #[error("the database {database}: {problem}")]
    Unreachable {
        /// Which one; without its password.
        database: String,
        /// What the driver says.
        problem: sqlx::Error,
    },
    /// The database could not be brought to this version's schema.
    #[error("migrating {database}: {source}")]
    Migrate {
        /// Which one; without its password.
        database: String,
        /// What went wrong.
        source: MigrateError,
    },
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something stored does not read back.
    #[error("{what} does not read back: {problem}")]
    Unreadable {
        /// Which row or file.
        what: String,
        /// Why.
        problem: String,
    },
    /// An object has changed since whoever changes it has seen it, or is there already.
    #[error("{}", stale(kind, name, *seen, *now))]
    Stale {
        /// Kind of object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The revision that was seen; none: it was not there.
        seen: Option<u64>,
        /// The revision now; none: it is not there any more.
        now: Option<u64>,
    },
    /// A change that would break what is there already.
    #[error("{0}")]
    Refused(String),
}

fn stale(kind: &str, name: &str, seen: Option<u64>, now: Option<u64>) -> String {
    match (seen, now) {
        (None, Some(now)) => {
            format!("there is a {kind} `{name}` already, of revision {now}; change that one")
        }
        (Some(seen), Some(now)) => format!(
            "{kind} `{name}` has changed meanwhile: revision {seen} was seen, it has {now}; look \
             at it again"
        ),
        (_, None) => format!("there is no {kind} `{name}`"),
    }
}

impl StoreError {
    /// Whether the database is away at this moment and may soon be there: a server that does not
    /// answer, is starting up or has no room, and none that refuses a password.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            StoreError::Database { source: error, .. }
            | StoreError::Unreachable { problem: error, .. } => db::is_away(error),
            StoreError::Migrate { source: MigrateError::Execute(source), .. } => {
                db::is_away(source)
            }
            _ => false,
        }
    }

    /// Whether the database refuses what it was given, and would take something else.
    pub(crate) fn is_about_rows(&self) -> bool {
        matches!(self, StoreError::Database { source, .. } if db::is_about_rows(source))
    }

    pub(crate) fn unreadable(what: impl Into<String>, problem: impl ToString) -> Self {
        StoreError::Unreadable { what: what.into(), problem: problem.to_string() }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| StoreError::Io { path, source }
    }
}

/// Names the task of a database error.
pub(crate) trait Task<T> {
    fn during(self, task: &'static str) -> Result<T, StoreError>;
}

impl<T> Task<T> for Result<T, sqlx::Error> {
    fn during(self, task: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Database { task, source })
    }
}
