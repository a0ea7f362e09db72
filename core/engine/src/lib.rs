//! A running node as a library: shards with their transports, the media plane, snapshots of the
//! configuration, and what starts, watches, changes and stops them.
#![deny(unsafe_code)]

mod alarms;
mod allocator;
mod chains;
mod clock;
mod database;
#[cfg(test)]
mod faults;
mod handover;
mod lines;
pub mod log;
mod mailbox;
pub mod media_plane;
mod metrics;
mod nearest;
mod node;
mod open_files;
mod panic_text;
mod plugin_place;
mod rating;
mod recovery;
mod refusals;
mod retired;
mod review;
mod seldom;
mod shard;
#[cfg(test)]
#[path = "../../../tests/src/skip.rs"]
#[allow(unreachable_pub)]
mod skip;
mod snapshot;
mod surroundings;
mod tables;
mod transport;
mod watch;
mod world;

pub use alarms::{AlarmKind, Alarms};
pub use handover::{Handover, TAKES_OVER, Terms};
pub use nearest::nearest;
pub use node::{
    Change, Node, PreparedNode, Program, RunningNode, StartError, Trial, Turn, check, rehearse,
};
pub use refusals::Refusals;
pub use surroundings::Surroundings;
pub use transport::sockets::link;
