//! Durable storage: business objects, money and call records in SQLite or PostgreSQL, with
//! migrations and the journal.
#![forbid(unsafe_code)]

mod amount;
mod apply;
mod balance;
mod change;
mod correction;
mod currency;
mod db;
mod deck_changes;
mod deck_page;
mod deck_rows;
mod document;
mod edit;
mod error;
mod journal;
mod list_rows;
mod load;
mod migrations;
mod objects;
mod payment;
mod proof;
mod purge;
mod query;
mod recorder;
mod records;
mod recovery;
mod references;
mod spent;
mod store;

pub use change::{Action, Change, Changes};
pub use correction::{Correction, Rerating};
pub use db::{Database, DatabaseUrlError};
pub use edit::{Edit, Edited};
pub use error::StoreError;
pub use load::{Loaded, LoadedAccount, LoadedDeck, LoadedList, LoadedTrunk};
pub use objects::{
    HistoryEntry, Object, ObjectKind, Ownership, SECRET, is_secret, without_secrets,
};
pub use payment::{Paid, Payment};
pub use proof::{Fault, Proof};
pub use purge::{Kept, Purged};
pub use query::{CallFilter, LARGEST_PAGE, RecordedCall};
pub use recorder::{Alarm, Gauges, OnDurable, Recorder, RecorderSettings};
pub use recovery::Recovery;
pub use store::Store;
