//! Durable facts, money and records: SQLite through sqlx, migrations, the journal.
#![forbid(unsafe_code)]

pub mod business;

pub use business::{Business, ConfigError, ConfigErrors};
