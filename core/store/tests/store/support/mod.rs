//! What the tests share.

pub(crate) mod configuration;
pub(crate) mod documents;
pub(crate) mod folder;
pub(crate) mod recorder;
