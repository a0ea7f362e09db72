//! Money and records as pure code: amounts, prefix tables, rate decks, balances, and
//! the model of call and attempt records. No I/O, no clock.
#![forbid(unsafe_code)]

mod deck;
#[cfg(test)]
mod dice;
mod entry;
mod layered;
mod money;
mod number_table;
mod prefix;
mod purse;
mod record;
mod rules;
mod tab;

pub use deck::{
    DeckError, DurationRounding, FoundRow, PriceRounding, PriceRow, RateDeck, RateDeckBuilder,
    RateLookup, RateRow, RowChange,
};
pub use entry::{Book, Posting, PostingKind};
pub use layered::LayeredTable;
pub use money::{Money, MoneyError};
pub use number_table::{
    LayeredNumbers, NumberChange, NumberTable, NumberTableBuilder, NumberTableError,
};
pub use prefix::PrefixTable;
pub use purse::{Purse, Spent, Terms, began};
pub use record::{
    AttemptRecord, CallDocument, CallId, CallRecord, ChargeRecord, EndedBy, MediaRecord,
    RecordState, ResellerCharge, Text, TrailEntry,
};
pub use rules::{Charges, Due, Whose};
pub use tab::{Claim, DEEPEST_TREE, Grown, Held, Payer, Step, Tab};
