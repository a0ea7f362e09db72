//! The database of the node.

use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// The setting `database`: an SQLite file, or the URL of a PostgreSQL database. The store checks
/// the URL.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum DatabaseConfig {
    /// A file.
    File(PathBuf),
    /// `postgres://...`, possibly with a password.
    Url(String),
}

impl From<String> for DatabaseConfig {
    fn from(text: String) -> Self {
        if text.starts_with("postgres:") || text.starts_with("postgresql:") {
            DatabaseConfig::Url(text)
        } else {
            DatabaseConfig::File(text.into())
        }
    }
}

impl DatabaseConfig {
    /// Resolves a file path against the folder of the node file.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        if let DatabaseConfig::File(path) = self {
            *path = folder.join(&*path);
        }
    }

    /// The path, if it is a file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            DatabaseConfig::File(path) => Some(path),
            DatabaseConfig::Url(_) => None,
        }
    }
}

impl fmt::Debug for DatabaseConfig {
    /// Omits the URL, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseConfig::File(path) => f.debug_tuple("File").field(path).finish(),
            DatabaseConfig::Url(_) => f.debug_tuple("Url").finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_from_a_url_whose_password_is_not_shown() {
        let url = DatabaseConfig::from("postgres://u:secret@host/db".to_owned());
        assert_eq!((format!("{url:?}").as_str(), url.file()), ("Url(..)", None));
        let mut file = DatabaseConfig::from("postgres/strowger.db".to_owned());
        file.resolve(Path::new("/etc/strowger"));
        assert_eq!(file.file(), Some(Path::new("/etc/strowger/postgres/strowger.db")));
    }
}
