//! One running node: everything that `strowger run` starts, as one value.

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
use crate::media_plane::MediaPlane;
use crate::refusals::Refusals;
use crate::shard::{Mailbox, Shard};
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
    /// What the admin interface refused.
    refusals: Arc<Refusals>,
    desk: Arc<WorldDesk>,
    registry: Registry,
    /// Keeps the addresses of vendors' names up to date.
    resolver: Resolver,
    nonce_secret: [u8; 32],
    store: Store,
    recorder: Recorder,
    decisions: Option<DecisionLog>,
    plane: MediaPlane,
    mailboxes: Vec<Mailbox>,
    /// Budgets and lockouts of strangers.
    strangers: Arc<Strangers>,
    /// Connections of SIP, if there is a listener of TCP.
    streams: Option<Streams>,
    /// Held during a reload, so that of two the second sees what the first did.
    reloading: tokio::sync::Mutex<()>,
    /// The customer trunks, to find those that calls of another could be taken for.
    sources: Sources,
    /// Decks and lists that are being built again.
    folds: Folds,
    /// A business was stored that new calls have not been given.
    unpublished: AtomicBool,
    /// Why files were not taken after they had changed, by table.
    refused_tables: Mutex<BTreeMap<String, String>>,
    table_watch: Mutex<Option<FolderWatch>>,
    draining: AtomicBool,
    /// A stop waits for no call any more.
    hurried: watch::Sender<bool>,
    /// What an upgrade runs; none where the node is a part of another program.
    program: OnceLock<Program>,
    /// The next program is to take over.
    upgrade: watch::Sender<bool>,
    /// Held while the next program looks at what it would start with.
    looking: tokio::sync::Mutex<()>,
    /// Accounts whose balance was not the sum of their postings when it was looked at last.
    wrong_balances: AtomicU64,
    /// Unanswered calls without a record, when it was looked last.
    records_lost: AtomicU64,
    started: Instant,
    /// The same moment, UTC ms.
    started_ms: u64,
}

/// A node and the threads and tasks that end with it.
pub struct RunningNode {
    /// The node, for the admin interface.
    pub node: Arc<Node>,
    /// The thread of the connections.
    streams: Option<StreamThread>,
    shards: Mutex<Vec<Shard>>,
    /// Copies of the listeners' sockets, for the next program.
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

    /// The shards, for tests that have them fail.
    #[cfg(test)]
    pub(crate) fn mailboxes(&self) -> &[Mailbox] {
        &self.mailboxes
    }

    /// The folder that a reload reads unless it is told another one.
    fn business_folder(&self) -> Option<PathBuf> {
        self.config.business.clone()
    }
}
