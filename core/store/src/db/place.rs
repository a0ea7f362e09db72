//! Where a database is.

use sqlx::postgres::PgConnectOptions;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use thiserror::Error;

/// A database: an SQLite file or a database of a PostgreSQL server. Shown without its password.
#[derive(Clone)]
pub enum Database {
    /// The file.
    Sqlite(PathBuf),
    /// The server, and how to be let in.
    Postgres(Box<PgConnectOptions>),
}

/// What is wrong with the URL of a database; it never tells the password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, special characters as %XX")]
pub struct DatabaseUrlError(String);

/// What may stand behind the question mark of a URL.
const PARAMETERS: [&str; 9] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "user",
    "application_name",
    "options",
];

impl Database {
    /// Whether a setting means a server and not a file.
    #[must_use]
    pub fn is_url(text: &str) -> bool {
        text.starts_with("postgres:") || text.starts_with("postgresql:")
    }

    /// Reads `postgres://user:password@host:port/database`. What it leaves out comes from the
    /// environment (`PGPASSWORD`, `PGHOST` ...) and from `~/.pgpass`, as for PostgreSQL's own
    /// programs.
    ///
    /// # Errors
    ///
    /// When it is not such a URL, names no database or has a parameter that is not known.
    pub fn from_url(text: &str) -> Result<Database, DatabaseUrlError> {
        let wrong = |what: String| Err(DatabaseUrlError(what));
        let rest = ["postgres://", "postgresql://"].iter().find_map(|s| text.strip_prefix(s));
        let Some(rest) = rest else {
            return wrong("it does not begin with postgres://".to_owned());
        };
        if rest.contains('#') {
            return wrong("it has a # in it".to_owned());
        }
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let name = parameter.split('=').next().unwrap_or_default();
            if name == "password" {
                return wrong("the password stands behind the user".to_owned());
            }
            if !PARAMETERS.contains(&name) {
                return wrong(format!(
                    "the parameter `{}` is not known, there are {}",
                    name.escape_debug(),
                    PARAMETERS.join(", ")
                ));
            }
        }
        if place.split_once('/').is_none_or(|(_, database)| database.is_empty()) {
            return wrong("it names no database".to_owned());
        }
        match PgConnectOptions::from_str(text) {
            Ok(options) => {
                // The driver looks for a host with the brackets of IPv6 in its name.
                let host = options.get_host().trim_matches(['[', ']']).to_owned();
                Ok(Database::Postgres(Box::new(options.host(&host))))
            }
            Err(sqlx::Error::Configuration(why)) => wrong(why.to_string()),
            // Its words could repeat a part of the URL.
            Err(_) => wrong("it is not a URL".to_owned()),
        }
    }

    /// The SQLite file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Database::Sqlite(path) => Some(path),
            Database::Postgres(_) => None,
        }
    }
}

impl<P: AsRef<Path>> From<P> for Database {
    fn from(path: P) -> Self {
        Database::Sqlite(path.as_ref().to_owned())
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "{}", path.display()),
            Database::Postgres(options) => {
                let user = options.get_username();
                let name = options.get_database().unwrap_or(user);
                match options.get_socket() {
                    Some(folder) => {
                        write!(f, "postgres:///{name}?host={}&user={user}", folder.display())
                    }
                    None => {
                        let (host, port) = (options.get_host(), options.get_port());
                        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                        write!(f, "postgres://{user}@{open}{host}{close}:{port}/{name}")
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Database {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        Database::from_url(url).expect_err("it is wrong").to_string()
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        let url = "postgresql://switch:se%2Fcret@db.example.com:5433/calls?sslmode=verify-full";
        let database = Database::from_url(url).expect("it is right");
        let shown = "postgres://switch@db.example.com:5433/calls";
        assert_eq!(database.to_string(), shown);
        assert_eq!(format!("{database:?}"), format!("Database({shown})"));
        let shown = "postgres://switch@[::1]:5432/calls";
        let database = Database::from_url("postgres://switch:x@[::1]:5432/calls");
        assert_eq!(database.expect("it is right").to_string(), shown);
        let socket = Database::from_url("postgres:///calls?host=/run/postgresql&user=switch");
        let shown = "postgres:///calls?host=/run/postgresql&user=switch";
        assert_eq!(socket.expect("it is right").to_string(), shown);
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_and_the_password_is_not() {
        for (url, words) in [
            ("postgres://u:hidden@host", "names no database"),
            ("postgres://u:hidden@host/", "names no database"),
            ("postgres:u:hidden@host/db", "does not begin with postgres://"),
            ("postgres://u:hid#den@host/db", "a # in it"),
            ("postgres://u:hid/den@host/db", "invalid port"),
            ("postgres://u:hidden@host:99999/db", "invalid port"),
            ("postgres://u:hidden@host/db?sslmode=always", "ssl"),
            ("postgres://u:hidden@host/db?connect_timeout=5", "`connect_timeout` is not known"),
            ("postgres://u@host/db?password=hidden", "stands behind the user"),
        ] {
            let refusal = refusal(url);
            assert!(refusal.contains(words), "{url}: {refusal}");
            assert!(!refusal.contains("hid"), "{url}: {refusal}");
        }
    }
}
