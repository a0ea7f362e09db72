//! Money and records as pure code: amounts, prefix tables, rate decks, balances, and
//! the model of call and attempt records. No I/O, no clock.
#![forbid(unsafe_code)]

mod deck;
#[cfg(test)]
mod dice;
mod money;
mod number_table;
mod prefix;
mod purse;
mod record;

pub use deck::{DurationRounding, PriceRounding, PriceRow, RateDeck, RateLookup, RateRow};
pub use money::{Money, MoneyError};
pub use number_table::{NumberTable, NumberTableBuilder, NumberTableError};
pub use prefix::PrefixTable;
pub use purse::Purse;
pub use record::{
    AttemptRecord, CallDocument, CallId, CallRecord, ChargeRecord, EndedBy, MediaRecord, Posting,
    PostingKind, RecordState, Text, TrailEntry, cost_and_profit,
};
