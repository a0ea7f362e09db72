//! The commands on plugin files, driven through the program as its users do, on real plugins built
//! by `make plugins`.
// Helpers of tests may unwrap, like tests.
#![allow(clippy::unwrap_used)]

mod checking;
mod shelves;
mod signing;
mod support;
