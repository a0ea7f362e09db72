//! The host against real guests: answers, refusals, hostility, swaps.

mod common;
mod events;
mod examples;
#[path = "../shared/guests.rs"]
mod guests;
mod handmade;
mod hostile;
mod judged;
mod lifecycle;
mod loading;
mod outside;
mod questions;
mod reasons;
mod sends;
mod server;
mod swapping;
