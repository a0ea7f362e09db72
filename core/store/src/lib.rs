//! Durable facts, money and records: SQLite through sqlx, migrations, the journal.
#![forbid(unsafe_code)]

mod amount;
mod apply;
pub mod business;
mod change;
mod deck_changes;
mod document;
mod error;
mod journal;
mod load;
mod migrations;
mod payment;
mod query;
mod recorder;
mod records;
mod recovery;
mod store;

pub use business::{Business, ConfigError, ConfigErrors, NodeNames};
pub use change::{Action, Change, Changes};
pub use error::StoreError;
pub use load::{Loaded, LoadedAccount, LoadedDeck, LoadedTrunk};
pub use payment::{Paid, Payment};
pub use query::{CallFilter, CallSummary, Mismatch};
pub use recorder::{Gauges, OnDurable, Overflow, Recorder, RecorderSettings};
pub use recovery::Recovery;
pub use store::Store;
