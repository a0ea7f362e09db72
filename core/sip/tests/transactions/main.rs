//! The transaction layer as its user sees it, with a manual clock.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

mod cancel;
mod dialog;
mod invite_client;
mod invite_server;
mod many;
mod non_invite;
mod stage;
mod transport;
mod two_parties;
