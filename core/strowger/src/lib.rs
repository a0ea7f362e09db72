//! The program: sockets, shards, configuration and APIs around the call machine.
#![deny(unsafe_code)]

mod admin;
pub mod agents;
mod alarms;
mod allocator;
pub mod api;
mod chains;
pub mod cli;
mod clock;
mod database;
mod demo;
mod handover;
mod log;
pub mod media_plane;
mod metrics;
mod nearest;
mod node;
mod open_files;
mod plugin_place;
mod rating;
mod recovery;
mod retired;
mod review;
mod run;
mod seldom;
mod shard;
mod signals;
#[cfg(test)]
#[path = "../../../tests/src/skip.rs"]
#[allow(unreachable_pub)]
mod skip;
mod snapshot;
mod tables;
mod transport;
mod watch;
mod world;
