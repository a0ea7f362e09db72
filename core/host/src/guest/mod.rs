//! One running component: its imports, its exports, its limits, and the checks of its answers.

mod accounts;
pub(crate) mod code;
pub(crate) mod engine;
pub(crate) mod exports;
pub(crate) mod fault;
pub(crate) mod http;
pub(crate) mod imports;
pub(crate) mod instance;
pub(crate) mod interface;
mod notes;
pub(crate) mod sandbox;
pub(crate) mod verify;
