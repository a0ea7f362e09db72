//! Durable facts, money and records: SQLite through sqlx, migrations, the journal.
#![forbid(unsafe_code)]

mod amount;
mod apply;
mod balance;
pub mod business;
mod change;
mod correction;
mod currency;
mod deck_changes;
mod document;
mod error;
mod journal;
mod load;
mod migrations;
mod payment;
mod purge;
mod query;
mod recorder;
mod records;
mod recovery;
mod store;

pub use balance::Mismatch;
pub use business::{Business, ConfigError, ConfigErrors, NodeListener, NodeNames};
pub use change::{Action, Change, Changes};
pub use correction::{Correction, Rerating};
pub use error::StoreError;
pub use load::{Loaded, LoadedAccount, LoadedDeck, LoadedTrunk};
pub use payment::{Paid, Payment};
pub use purge::{Kept, Purged};
pub use query::{CallFilter, LARGEST_PAGE, RecordedCall};
pub use recorder::{Alarm, Gauges, OnDurable, Recorder, RecorderSettings};
pub use recovery::Recovery;
pub use store::Store;
