//! The host against real guests: answers, refusals, hostility, swaps.

mod common;
mod examples;
#[path = "../shared/guests.rs"]
mod guests;
mod handmade;
mod hostile;
mod lifecycle;
mod loading;
mod outside;
mod questions;
mod reasons;
mod server;
mod swapping;
