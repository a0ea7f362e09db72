//! What the tests share.

#[path = "../../../../business/tests/business/support/configuration.rs"]
pub(crate) mod configuration;
pub(crate) mod database;
pub(crate) mod documents;
#[path = "../../../../business/tests/business/support/folder.rs"]
pub(crate) mod folder;
pub(crate) mod recorder;
