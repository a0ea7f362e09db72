//! A running node: everything that `strowger run` starts.

mod books;
mod keeping;
mod lockouts;
mod monitor;
mod objects;
mod payments;
mod records;
mod reload;
mod rerate;
mod service;
mod start;
mod stop;
mod tables;
mod test_calls;
mod trials;
mod upgrade;
mod vendors;

pub use objects::Change;
pub use start::{PreparedNode, StartError, check, rehearse};
pub use trials::{Trial, Turn};
pub use upgrade::Program;

use crate::alarms::Alarms;
use crate::handover::KeptListener;
use crate::mailbox::Mailbox;
use crate::media_plane::MediaPlane;
use crate::refusals::Refusals;
use crate::shard::Shard;
use crate::snapshot::Registry;
use crate::transport::resolve::Resolver;
use crate::transport::streams::{StreamThread, Streams};
use crate::watch::FolderWatch;
use crate::world::WorldDesk;
use config::Config;
use host::decisions::DecisionLog;
use objects::{Folds, Sources};
use platform::LatencyLimit;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;
use store::{Recorder, Store};
use switch::Strangers;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running node.
pub struct Node {
    config: Config,
    alarms: Alarms,
    /// Requests refused by the admin API.
    refusals: Arc<Refusals>,
    desk: Arc<WorldDesk>,
    registry: Registry,
    /// Keeps the addresses of vendors' host names up to date.
    resolver: Resolver,
    nonce_secret: [u8; 32],
    store: Store,
    recorder: Recorder,
    decisions: Option<DecisionLog>,
    plane: MediaPlane,
    mailboxes: Vec<Mailbox>,
    /// Budgets and lockouts of strangers.
    strangers: Arc<Strangers>,
    /// TCP connections, if there is a TCP listener.
    streams: Option<Streams>,
    /// Serializes reloads, so that the second one sees the result of the first.
    reloading: tokio::sync::Mutex<()>,
    /// Customer trunks, to find ambiguous ones.
    sources: Sources,
    /// Decks and lists being rebuilt.
    folds: Folds,
    /// Objects were stored but not published to new calls.
    unpublished: AtomicBool,
    /// Why a changed file was rejected, by table.
    refused_tables: Mutex<BTreeMap<String, String>>,
    table_watch: Mutex<Option<FolderWatch>>,
    draining: AtomicBool,
    /// Set when a stop no longer waits for calls.
    hurried: watch::Sender<bool>,
    /// The program of an upgrade; unset if the node is embedded in another program.
    program: OnceLock<Program>,
    /// Set when the next program is to take over.
    upgrade: watch::Sender<bool>,
    /// Locked while the next program checks its start.
    looking: tokio::sync::Mutex<()>,
    /// Accounts whose balance was not the sum of its postings at the last check.
    wrong_balances: AtomicU64,
    /// Unanswered calls without a record at the last check.
    records_lost: AtomicU64,
    started: Instant,
    /// The same time, UTC ms.
    started_ms: u64,
}

/// A node and the threads and tasks that end with it.
pub struct RunningNode {
    /// The node, for the admin interface.
    pub node: Arc<Node>,
    /// The thread of the TCP connections.
    streams: Option<StreamThread>,
    shards: Mutex<Vec<Shard>>,
    /// Duplicates of the listeners' sockets, for the next program.
    kept: Vec<KeptListener>,
    _watch: Option<FolderWatch>,
    _latency: Option<LatencyLimit>,
    monitor: JoinHandle<()>,
    housekeeper: JoinHandle<()>,
}

impl Node {
    fn desk(&self) -> &WorldDesk {
        &self.desk
    }

    /// The shards, for tests that make them fail.
    #[cfg(test)]
    pub(crate) fn mailboxes(&self) -> &[Mailbox] {
        &self.mailboxes
    }

    /// The default folder of a reload.
    fn business_folder(&self) -> Option<PathBuf> {
        self.config.business.clone()
    }
}
