//! The store against real files: configuration, database, journal. `tests/store_postgres.rs` is
//! the same on PostgreSQL.

/// The dialect of every database here.
const POSTGRES: bool = false;

mod apply;
mod deck;
mod edit;
mod journal;
mod money;
mod outage;
mod recorder;
mod scale;
mod support;
mod upgrade;
