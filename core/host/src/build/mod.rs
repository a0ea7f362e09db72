//! One build of a plugin: its probation, its instances, its figures, and what they say about it.

pub(crate) mod breaker;
pub(crate) mod history;
pub(crate) mod judge;
pub(crate) mod probation;
mod reasons;
pub(crate) mod tally;
pub(crate) mod version;
