//! The host against real guests: answers, refusals, hostility, swaps.

mod common;
mod hostile;
mod lifecycle;
mod loading;
mod questions;
mod swapping;
