//! The questions a call asks and the answers it accepts: the contract between the call machine and
//! the code that decides for it.
//!
//! The machine emits a [`Question`] and later receives a [`Reply`]. It does not know that replies
//! come from WebAssembly plugins; the plugin host does not know what a call is. The types match
//! `wit/v0.1/policy.wit` one to one; units are stated there and here.
#![forbid(unsafe_code)]

mod accounts;
mod call;
mod details;
mod hook;
mod identity;
mod notes;
mod numbering;
mod outcome;
mod pin;
mod question;
mod rating;
mod routing;
mod screening;
mod supervision;

pub use accounts::{Price, Standing};
pub use call::{CallFacts, Rejection};
pub use details::{
    CallDetails, CallNumbers, CallOrigin, Invite, Owner, PastAttempt, TrunkStatistics,
};
pub use hook::{Hook, PluginStamp};
pub use identity::{
    DISPLAY_BYTES, DisplayMode, HeaderMode, IdentityAnswer, IdentityQuestion, PrivacyMode,
    TrunkIdentity,
};
pub use notes::{CallNotes, KEPT_BYTES, KEPT_VALUES, KeptValue, NotesMark};
pub use numbering::{NumberAnswer, NumberQuestion, Stage, is_number};
pub use outcome::CallOutcome;
pub use pin::{Context, HookSet, Lookup, Pin, PrefixHit};
pub use question::{
    Answer, EarlierStep, EventKind, EventNotice, FailedBuild, Fault, Question, Reply,
};
pub use rating::{Charge, DeckRow, RateQuestion, RateSubject, Rounding, RoundingMode, Side};
pub use routing::{
    Advance, AdvanceQuestion, AttemptFailure, Candidate, FailoverSwitches, RouteQuestion,
    StopAfterMedia,
};
pub use screening::{ScreenQuestion, Verdict};
pub use supervision::{
    Asking, Course, Ending, MARKS, Supervised, Supervision, SupervisionAnswer, SupervisionQuestion,
    Supervisor, SupervisorMoments, add_marks,
};

/// Text of questions and answers, the type of `ledger::Text`: stored inline up to 24 bytes, which
/// fits most numbers and addresses, so that copying one allocates nothing.
pub type Text = compact_str::CompactString;

/// Money in 10^-10 of the currency unit, as passed across the plugin boundary: about ±922 million
/// units. Balances are wider (`ledger::Money`).
pub type PolicyMoney = i64;
