//! The commands around a plugin file, driven as their users do: by the program, on real
//! plugins of `make plugins`.
// Helpers of tests may unwrap like the tests themselves.
#![allow(clippy::unwrap_used)]

mod checking;
mod shelves;
mod signing;
mod support;
