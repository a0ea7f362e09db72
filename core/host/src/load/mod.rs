//! From the bytes of a file to a component that may be compiled: its signer and its parts.

pub(crate) mod anatomy;
pub(crate) mod artifact;
pub(crate) mod components;
mod sections;
pub mod signature;
