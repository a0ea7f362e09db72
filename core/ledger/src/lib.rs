//! Money and records as pure code: amounts, prefix tables, rate decks, balances, and
//! the model of call and attempt records. No I/O, no clock.
#![forbid(unsafe_code)]

mod money;
mod record;

pub use money::{Money, MoneyError};
pub use record::{
    AttemptRecord, CallDocument, CallId, CallRecord, ChargeRecord, EndedBy, MediaRecord, Posting,
    PostingKind, RecordState, TrailEntry,
};
