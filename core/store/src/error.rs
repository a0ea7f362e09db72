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
    /// The database file could not be brought to this version's schema.
    #[error("migrating {path}: {source}")]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// What went wrong.
        source: sqlx::migrate::MigrateError,
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
    /// A change that would break what is there already.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
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
