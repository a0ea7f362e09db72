//! One build of a plugin: its probation, its instances, and its success counts.

pub(crate) mod probation;
pub(crate) mod tally;
pub(crate) mod version;
