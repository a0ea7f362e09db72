//! The tests of `tests/store` on a PostgreSQL server of their own, and what only it can do.

/// The dialect of every database here.
const POSTGRES: bool = true;

#[path = "store/apply.rs"]
mod apply;
#[path = "store/deck.rs"]
mod deck;
#[path = "store/edit.rs"]
mod edit;
#[path = "store/journal.rs"]
mod journal;
#[path = "store/money.rs"]
mod money;
#[path = "store/recorder.rs"]
mod recorder;
#[path = "store/scale.rs"]
mod scale;
#[path = "store/server.rs"]
mod server;
#[path = "store/support/mod.rs"]
mod support;
#[path = "store/upgrade.rs"]
mod upgrade;
