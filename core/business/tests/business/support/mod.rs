//! Folders with configurations.

pub(crate) mod configuration;
pub(crate) mod folder;
