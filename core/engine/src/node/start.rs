//! Starts a node, in an order that loses nothing.

use super::objects::{Folds, Sources, bring_plugin_settings};
use super::{Node, RunningNode, keeping, monitor};
use crate::alarms::{AlarmKind, Alarms};
use crate::handover::{self, Handover, KeptListener, Terms, WrittenShard};
use crate::mailbox::{Mailbox, mailbox};
use crate::media_plane::{MediaAddress, MediaPlane, MediaSettings, PlaneControl, Sounds};
use crate::review::{self, ReviewError};
use crate::shard::{Shard, ShardParts, WAKER};
use crate::snapshot::{Registry, Snapshot, SnapshotError};
use crate::tables::{TableError, Tables};
use crate::transport::resolve::Resolver;
use crate::transport::sockets::{self, BindError};
use crate::transport::streams::{Accepting, StreamRoom, StreamThread};
use crate::watch::FolderWatch;
use crate::world::WorldDesk;
use crate::{chains, database, open_files, plugin_place, recovery};
use business::{Business, ConfigErrors, NodeListener, NodeNames};
use config::Config;
use host::decisions::{DecisionLog, DecisionSettings};
use host::{Host, HostSettings, LoadError};
use live::Live;
use mio::{Poll, Waker};
use platform::{LatencyLimit, files};
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use store::{Database, Loaded, Recorder, RecorderSettings, StoreError};
use switch::{Classifier, Strangers, Switch, SwitchSettings, World};
use thiserror::Error;
use tokio::sync::watch;

/// How long a start or reload waits for the addresses of host names.
pub(super) const FIRST_ANSWERS: Duration = Duration::from_secs(5);

/// Used nonces remembered, each for up to five minutes (SIG-54).
const NONCES_KEPT: usize = 16_384;

/// Why a node does not start. Each message names the cause.
#[derive(Debug, Error)]
pub enum StartError {
    /// A folder or file of the node.
    #[error("{}", path.display())]
    File {
        /// Path.
        path: PathBuf,
        /// System error.
        source: io::Error,
    },
    /// Settings of the node file that do not match the plugins.
    #[error(transparent)]
    Settings(#[from] config::ConfigErrors),
    /// Errors in business files.
    #[error(transparent)]
    Business(#[from] ConfigErrors),
    /// Business objects that do not match the node file.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Mismatch between business, node file and plugins.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A number list.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Plugins.
    #[error(transparent)]
    Plugin(#[from] LoadError),
    /// A listener.
    #[error(transparent)]
    Listener(#[from] BindError),
    /// A sound file.
    #[error("{0}")]
    Sound(String),
    /// The relay.
    #[error("media")]
    Media(#[source] io::Error),
    /// Threads, polls or random numbers.
    #[error("operating system")]
    System(#[from] io::Error),
}

/// A node that can start: what it reads is good. Only its folders and its secret were made, and
/// nothing is bound.
pub struct PreparedNode {
    config: Config,
    nonce_secret: [u8; 32],
    database: Database,
    business: Option<Business>,
    host: Host,
}

/// What failed at a file.
fn file(path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::File { path, source }
}

impl PreparedNode {
    /// Reads everything and says what is wrong before anything is changed or bound.
    ///
    /// # Errors
    /// What is wrong.
    pub fn new(config: Config) -> Result<PreparedNode, StartError> {
        prepare_files(&config).map_err(file(&config.data_dir))?;
        let secret_file = config.data_dir.join("nonce-secret");
        let nonce_secret = nonce_secret(&secret_file).map_err(file(&secret_file))?;

        let database = database::of(&config)?;
        let business = match &config.business {
            Some(folder) => Some(read_business(&config, folder)?),
            None => None,
        };
        let host = load_plugins(&config, host_settings(&config))?;
        if let Some(business) = &business {
            review::chains(&config, business)?;
            review::review(&config, &host, business, &[])?;
        }
        Ok(PreparedNode { config, nonce_secret, database, business, host })
    }

    /// The node file.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Starts everything, with the handover of the previous program; calls are accepted and continue when it
    /// returns.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn start(self, handover: Handover) -> Result<RunningNode, StartError> {
        let PreparedNode { config, nonce_secret, database, business, host } = self;
        let alarms = Alarms::default();
        if let Some(database) = database.file() {
            make_database(database).map_err(file(database))?;
        }
        let store = database::open(&database).await?;
        let mut filled = Tables::default();
        if let Some(business) = &business {
            filled = Tables::of(&business.number_lists, &filled);
            let changes = store.apply(business).await?;
            for line in changes.log_lines() {
                tracing::info!("business: {line}");
            }
        }
        let journal = config.data_dir.join("journal");
        let settings = RecorderSettings {
            capacity: config.records.waiting as usize,
            journal_bytes: config.records.journal_size as u64,
            ..RecorderSettings::default()
        };
        let (recorder, recovery) = Recorder::start(&store, &journal, settings).await?;
        if recovery.replayed > 0 || recovery.torn_bytes > 0 {
            tracing::info!(
                records = recovery.replayed,
                torn_bytes = recovery.torn_bytes,
                "records of the previous run were moved from the journal to the database"
            );
        }
        let live = Live::in_process(NONCES_KEPT, crate::clock::utc_ms());
        let registry = Registry::new(live.clone());
        let resolver = Resolver::start(&config, registry.directory(), alarms.clone());
        let loaded = store.load().await?;
        let tables = Tables::read(&store, &loaded.number_lists, &filled).await?;
        bring_plugin_settings(&config, &store, &host, &alarms).await?;
        let snapshot = Snapshot::build(&config, &loaded, tables, &registry, nonce_secret)?;
        // The first calls should find addresses, but an unresponsive name server does not prevent
        // the start.
        resolver.prepare(&snapshot.facts, FIRST_ANSWERS).await;
        let chains = config.plugins.chain.clone();
        let desk = Arc::new(WorldDesk::new(host, chains, Arc::new(snapshot))?);

        let pairs = |ports: &config::PortRange| usize::from(ports.last - ports.first).div_ceil(2);
        let pairs = config.media.addresses.iter().map(|address| pairs(&address.ports)).sum();
        let spare_files = open_files::raise_limit(pairs, &alarms);
        let plane = MediaPlane::start(media_settings(&config, spare_files)?);
        let plane = plane.map_err(StartError::Media)?;
        let folder = config.decision_folder();
        let decisions = decisions(&config, desk.host(), nonce_secret).map_err(file(&folder))?;
        let strangers = Arc::new(Strangers::default());
        let Started { shards, streams, kept, taken } = {
            let around = Around {
                desk: &desk,
                plane: &plane,
                recorder: &recorder,
                decisions: decisions.as_ref(),
                strangers: &strangers,
                live: &live,
            };
            start_shards(&config, &around, handover)?
        };
        let mut unfinished = recovery.unfinished;
        unfinished.retain(|document| !taken.contains(&document.call.id));
        let lost = recovery::settle_lost(&desk, &live, unfinished);
        if !lost.is_empty() {
            tracing::warn!(calls = lost.len(), "calls of the run before were lost and are closed");
        }
        for document in lost {
            recorder.submit(Box::new(document));
        }

        let mailboxes: Vec<Mailbox> = shards.iter().map(|shard| shard.mailbox.clone()).collect();
        desk.attach(mailboxes.clone());
        let housekeeping = config.processors().housekeeping();
        let watch = if config.plugins.watch && !config.plugins.list.is_empty() {
            let started = FolderWatch::plugins(
                &config.plugins.folder,
                desk.clone(),
                alarms.clone(),
                housekeeping.clone(),
            );
            let path = config.plugins.folder.clone();
            Some(
                started
                    .map_err(|error| StartError::File { path, source: io::Error::other(error) })?,
            )
        } else {
            None
        };

        look_at_rights(&config, &alarms);
        let node = Arc::new(Node {
            config,
            alarms,
            refusals: Arc::default(),
            desk,
            registry,
            resolver,
            nonce_secret,
            store,
            recorder,
            decisions,
            plane,
            mailboxes,
            strangers,
            streams: streams.as_ref().map(|thread| thread.streams.clone()),
            reloading: tokio::sync::Mutex::default(),
            sources: Sources::of(&loaded.customer_trunks),
            folds: Folds::default(),
            unpublished: AtomicBool::new(false),
            refused_tables: Mutex::default(),
            table_watch: Mutex::default(),
            draining: AtomicBool::new(false),
            hurried: watch::Sender::new(false),
            program: OnceLock::new(),
            upgrade: watch::Sender::new(false),
            looking: tokio::sync::Mutex::default(),
            wrong_balances: AtomicU64::new(0),
            records_lost: AtomicU64::new(0),
            started: Instant::now(),
            started_ms: crate::clock::utc_ms(),
        });
        if node.config.tables.watch {
            let owner = Arc::downgrade(&node);
            let read = move |being_written: &BTreeSet<PathBuf>| {
                if let Some(node) = owner.upgrade() {
                    node.read_outdated_tables(being_written);
                }
            };
            let watch = FolderWatch::tables(housekeeping, read).map_err(io::Error::other)?;
            *node.table_watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch);
            node.watch_tables().map_err(io::Error::other)?;
        }
        let monitor = tokio::spawn(monitor::watch(node.clone()));
        let housekeeper = tokio::spawn(keeping::keep_house(node.clone()));
        // The limit is in force before the node reports that it is up.
        let latency = node.config.processor_latency.and_then(LatencyLimit::hold);
        let shards = Mutex::new(shards);
        Ok(RunningNode {
            node,
            shards,
            streams,
            kept,
            _watch: watch,
            _latency: latency,
            monitor,
            housekeeper,
        })
    }
}

impl Node {
    /// Builds the snapshot of a business on this node.
    pub(super) fn snapshot_of(
        &self,
        business: &Loaded,
        tables: Tables,
    ) -> Result<Snapshot, SnapshotError> {
        Snapshot::build(&self.config, business, tables, &self.registry, self.nonce_secret)
    }
}

/// Reads everything that a start would read, without changing anything. Returns a summary.
///
/// # Errors
/// The errors of a start.
pub fn check(config: &Config) -> Result<String, StartError> {
    let mut summary = String::new();
    database::of(config)?;
    sounds(config)?;
    let business = match &config.business {
        Some(folder) => Some(read_business(config, folder)?),
        None => None,
    };
    if let Some(business) = &business {
        summary = format!(
            "{} accounts, {} customer trunks, {} vendor trunks, {} decks, {} rule sets, {} number lists\n",
            business.accounts.len(),
            business.customer_trunks.len(),
            business.vendor_trunks.len(),
            business.decks.len(),
            business.rule_sets.len(),
            business.number_lists.len(),
        );
        for warning in business.warnings() {
            summary += &format!("warning: {warning}\n");
        }
    }
    let settings = HostSettings { cache_dir: None, ..host_settings(config) };
    let host = load_plugins(config, settings)?;
    if let Some(business) = &business {
        review::chains(config, business)?;
        review::review(config, &host, business, &[])?;
    }
    let plugins = host.list();
    for plugin in &plugins {
        let hooks: Vec<&str> = plugin.hooks.iter().map(|hook| hook.name()).collect();
        summary += &format!(
            "plugin {} answers {}: {} self-tests passed\n",
            plugin.stamp,
            hooks.join(", "),
            plugin.self_test_cases
        );
    }
    for line in review::notes(config, &plugins) {
        summary += &format!("note: {line}\n");
    }
    Ok(summary.trim_end().to_owned())
}

/// Whether a node could go on with the calls of one that has these terms: everything is read that a
/// start would read, and what a start would use is tried.
///
/// # Errors
/// What a start would say.
pub async fn rehearse(config: &Config, terms: &Terms) -> Result<(), StartError> {
    check(config)?;
    try_addresses(config, |address| terms.have(address))?;
    Ok(database::try_to_read(&database::of(config)?).await?)
}

/// Whether this node could bind its addresses, except those already `taken` by the running one.
///
/// # Errors
/// The first address that cannot be used.
fn try_addresses(
    config: &Config,
    taken: impl Fn(std::net::SocketAddr) -> bool,
) -> Result<(), StartError> {
    for listener in config.listeners.iter().filter(|listener| !taken(listener.address)) {
        match sockets::link(listener) {
            sip::Link::Datagram => drop(sockets::bind(listener, 1)?),
            sip::Link::Stream => drop(sockets::listen(listener)?),
        }
    }
    for media in &config.media.addresses {
        std::net::UdpSocket::bind((media.bind, 0)).map_err(StartError::Media)?;
    }
    Ok(())
}

/// Reads the business of a folder for this node.
///
/// # Errors
/// All errors, also what the node file lacks, with file, line and field.
pub(crate) fn read_business(config: &Config, folder: &Path) -> Result<Business, ConfigErrors> {
    Business::for_node(folder, &node_names(config))
}

/// The names of the node that business objects may refer to.
pub(super) fn node_names(config: &Config) -> NodeNames {
    NodeNames {
        // Realm of digest hashes for trunks that set none (SIG-51).
        realm: config.listeners.first().map(config::ListenerConfig::domain).unwrap_or_default(),
        listeners: config.listeners.iter().map(node_listener).collect(),
        media_addresses: config.media.addresses.iter().map(|a| a.name.clone()).collect(),
        free_seconds: config.calls.free_seconds,
    }
}

fn node_listener(listener: &config::ListenerConfig) -> NodeListener {
    NodeListener {
        name: listener.name.clone(),
        address: listener.address,
        transport: match listener.transport {
            config::Transport::Udp => business::Transport::Udp,
            config::Transport::Tcp => business::Transport::Tcp,
        },
    }
}

/// Loads the plugins of the node file, each with the hooks required by chains.
fn load_plugins(config: &Config, settings: HostSettings) -> Result<Host, config::ConfigErrors> {
    let host = Host::signed(settings, config.plugins.signing.policy())
        .map_err(|error| plugin_place::placed(config, &error))?;
    chains::check(config, &host.list())?;
    Ok(host)
}

/// Settings of the plugin host.
pub(crate) fn host_settings(config: &Config) -> HostSettings {
    let folder = &config.plugins.folder;
    HostSettings {
        plugins: config.plugins.list.iter().map(|plugin| plugin.host_settings(folder)).collect(),
        cache_dir: Some(plugin_cache(config)),
        // One more for calls left by an earlier run.
        shards: usize::from(config.shards()) + 1,
        random_seed: None,
        housekeeping: config.processors().housekeeping(),
    }
}

/// Loads the sounds of the node file.
fn sounds(config: &Config) -> Result<Sounds, StartError> {
    Sounds::load(&config.media.sounds).map_err(StartError::Sound)
}

fn media_settings(config: &Config, spare_files: usize) -> Result<MediaSettings, StartError> {
    let address = |address: &config::MediaAddressConfig| MediaAddress {
        name: address.name.clone(),
        bind: address.bind,
        advertised: address.advertised.unwrap_or(address.bind),
        ports: address.ports.first..=address.ports.last,
    };
    Ok(MediaSettings {
        addresses: config.media.addresses.iter().map(address).collect(),
        threads: usize::from(config.media_threads()),
        dscp: config.media.dscp.code(),
        seed: random_bytes()?,
        processors: config.processors().calls(),
        spare_files,
        sounds: sounds(config)?,
    })
}

/// The shards and their surroundings.
struct Started {
    shards: Vec<Shard>,
    streams: Option<StreamThread>,
    /// Duplicates of the listeners' sockets.
    kept: Vec<KeptListener>,
    /// Calls taken over from the previous program.
    taken: HashSet<u128>,
}

/// State shared by the shards.
struct Around<'a> {
    desk: &'a WorldDesk,
    plane: &'a MediaPlane,
    recorder: &'a Recorder,
    decisions: Option<&'a DecisionLog>,
    strangers: &'a Arc<Strangers>,
    live: &'a Live,
}

fn start_shards(
    config: &Config,
    around: &Around<'_>,
    mut handover: Handover,
) -> Result<Started, StartError> {
    let Around { desk, plane, recorder, decisions, strangers, live } = around;
    let count = config.shards();
    let mut sockets: Vec<Vec<Option<std::net::UdpSocket>>> =
        (0..count).map(|_| Vec::new()).collect();
    let (mut accepting, mut kept) = (Vec::new(), Vec::new());
    for (index, listener) in (0..).zip(&config.listeners) {
        let left = handover.take_sockets(&listener.name, listener.address);
        let copies = if sockets::link(listener) == sip::Link::Stream {
            let socket = match handover::accepting(left) {
                Some(socket) => socket,
                None => sockets::listen(listener)?,
            };
            let copies = handover::keep([&socket])?;
            accepting.push(Accepting { index, socket, reset: listener.close_with_reset });
            sockets.iter_mut().for_each(|shard| shard.push(None));
            copies
        } else {
            let bound = match handover::datagrams(left) {
                left if left.len() == usize::from(count) => left,
                _ => sockets::bind(listener, count)?,
            };
            let copies = handover::keep(&bound)?;
            for (shard, socket) in sockets.iter_mut().zip(bound) {
                shard.push(Some(socket));
            }
            copies
        };
        let (name, address) = (listener.name.clone(), listener.address);
        kept.push(KeptListener { name, address, sockets: copies });
    }
    let room = match accepting.is_empty() {
        true => None,
        false => Some(StreamRoom::new(accepting)?),
    };
    let mut ends = Vec::new();
    for _ in 0..count {
        let poll = Poll::new()?;
        let (mailbox, inbox) = mailbox(Waker::new(poll.registry(), WAKER)?);
        ends.push((poll, mailbox, inbox));
    }
    let mailboxes: Vec<Mailbox> = ends.iter().map(|(_, mailbox, _)| mailbox.clone()).collect();
    let processors = config.processors().calls();
    let foreign = Arc::new(switch::Foreign::default());
    let (mut shards, mut taken) = (Vec::new(), HashSet::new());
    let mut written = std::mem::take(&mut handover.shards).into_iter();
    for (number, ((poll, _, inbox), sockets)) in (0..count).zip(ends.into_iter().zip(sockets)) {
        let own = mailboxes[usize::from(number)].clone();
        let settings = SwitchSettings {
            shard: number,
            shards: count,
            seed: random_bytes()?,
            live: (*live).clone(),
            strangers: Arc::clone(strangers),
            foreign: Arc::clone(&foreign),
        };
        let mut media = plane.control(move |call, report| own.tell_media(call, report));
        let world = desk.published();
        let switch = written.next().flatten().and_then(|left| {
            let calls = left.calls.len();
            let switch = take_over(settings.clone(), world.load_full(), &left, &mut media)?;
            tracing::info!(shard = number, calls, "calls of the previous program continue");
            taken.extend(left.calls);
            Some(switch)
        });
        let parts = ShardParts {
            settings,
            poll,
            sockets,
            streams: room.as_ref().map(StreamRoom::streams),
            inbox,
            mailboxes: mailboxes.clone(),
            world,
            host: desk.host().shard(),
            media,
            recorder: (*recorder).clone(),
            decisions: decisions.map(|decisions| decisions.tap(number)),
            switch,
            longest_wait: config.calls.longest_wait,
        };
        shards.push(Shard::start(parts, processors.clone())?);
    }
    let streams = match room {
        None => None,
        Some(room) => {
            let streams = room.streams();
            let published = desk.published();
            let facts = Arc::clone(&published.load().facts);
            let classifier = Classifier::new(facts, Arc::clone(strangers), foreign);
            let thread = room.start(mailboxes, published, classifier, handover.connections)?;
            Some(StreamThread { streams, thread })
        }
    };
    Ok(Started { shards, streams, kept, taken })
}

/// Takes over the calls of a shard; `None` if they are unreadable, which loses them.
fn take_over(
    settings: SwitchSettings,
    world: Arc<World>,
    left: &WrittenShard,
    media: &mut PlaneControl,
) -> Option<Switch> {
    let (shard, now) = (settings.shard, crate::clock::now());
    match Switch::read(settings, world, &left.written, left.at, now, media) {
        Ok(switch) => Some(switch),
        Err(error) => {
            let calls = left.calls.len();
            tracing::error!(shard, calls, %error, "ALARM internal_error: calls are lost");
            None
        }
    }
}

/// Starts the decision log, if enabled.
fn decisions(
    config: &Config,
    host: &Host,
    nonce_secret: [u8; 32],
) -> io::Result<Option<DecisionLog>> {
    if !config.decisions.enabled {
        return Ok(None);
    }
    let settings = DecisionSettings {
        folder: config.decision_folder(),
        node: config.name.clone(),
        keep: config.decisions.keep,
        max_bytes: config.decisions.max_size as u64,
        mask_digits: config.decisions.mask_numbers,
        // Equal numbers are masked equally for the lifetime of the folder.
        mask_key: nonce_secret,
        random_seed: host.random_seed(),
    };
    DecisionLog::start(settings).map(Some)
}

fn random_bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// The secret for digest nonces (SIG-54), created at the first start; readable by its owner only.
fn nonce_secret(path: &Path) -> io::Result<[u8; 32]> {
    if files::is_secret(path)? {
        return std::fs::read(path)?.try_into().map_err(|bytes: Vec<u8>| {
            io::Error::other(format!("has {} bytes instead of 32; delete it", bytes.len()))
        });
    }
    let secret = random_bytes()?;
    files::write_secret(path, &secret)?;
    Ok(secret)
}

/// Creates the files that the node writes, for its user only, and removes other users' permissions
/// from existing ones. The folder of compiled plugins is an exception: a plugin that others can
/// write is not run, and its permissions stay for the operator to see.
fn prepare_files(config: &Config) -> io::Result<()> {
    let (database, journal) = (config.database(), config.data_dir.join("journal"));
    files::make_folder(&config.data_dir)?;
    files::make_folder(&journal)?;
    if let Some(database) = database.file() {
        if let Some(folder) = database.parent() {
            files::make_folder(folder)?;
        }
        for end in ["", "-wal", "-shm"] {
            let mut path = database.as_os_str().to_owned();
            path.push(end);
            files::keep_to_user(&PathBuf::from(path))?;
        }
    }
    for path in [journal, config.decision_folder()] {
        files::keep_to_user(&path)?;
    }
    Ok(())
}

/// Creates a missing database file before SQLite does: SQLite copies its permissions to the files
/// beside it.
fn make_database(database: &Path) -> io::Result<()> {
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(database)?;
    Ok(())
}

/// Raises the alarm about files that other users can write.
fn look_at_rights(config: &Config, alarms: &Alarms) {
    if let Err(error) = files::check_place(&config.data_dir) {
        alarms.raise(AlarmKind::UnsafeFiles, "data_dir", error.to_string());
    }
    let cache = plugin_cache(config);
    if cache.exists()
        && let Err(error) = files::check_folder(&cache)
    {
        alarms.raise(AlarmKind::UnsafeFiles, "plugin-cache", error.to_string());
    }
}

fn plugin_cache(config: &Config) -> PathBuf {
    config.data_dir.join("plugin-cache")
}
