//! The host against real guests: answers, refusals, hostility, swaps.

mod common;
mod hostile;
mod loading;
mod questions;
mod swapping;
