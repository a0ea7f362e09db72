//! The node file: listeners, media addresses, plugins, paths. Business objects are elsewhere: in
//! the business folder and the database.

#![forbid(unsafe_code)]

mod check;
mod database;
mod decisions;
mod dns;
mod http;
mod place;
mod processors;
mod records;
mod silence;
mod source;
pub mod values;

pub use database::DatabaseConfig;
pub use decisions::DecisionsConfig;
pub use dns::{DnsConfig, NameServer};
pub use http::HttpConfig;
pub use processors::Processors;
pub use records::RecordsConfig;
pub use silence::SilenceConfig;
pub use source::Source;
pub use values::{Dscp, Housekeeping, PortRange};

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Everything that a node must know before it starts. Paths are resolved against the folder of the
/// file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Node name, written to every record. Letters, digits, `-`, `_`, `.`; at most 63.
    #[serde(default = "default_name")]
    pub name: String,
    /// Folder of the journal and the database; created if missing.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// SQLite file, or `postgres://...`; by default `strowger.db` in `data_dir`.
    pub database: Option<DatabaseConfig>,
    /// Folder of the business files, applied at start and by `strowger apply`.
    pub business: Option<PathBuf>,
    /// Signalling threads, 1 to 64; by default half the processors that carry calls.
    pub shards: Option<u16>,
    /// Processors without calls: they compile plugins, read tables and serve the admin interface.
    /// By default one processor in eight, from four processors on.
    pub housekeeping_processors: Option<Housekeeping>,
    /// Longest wake-up time of a sleeping processor, 0 us to 1 s; at 0 none sleeps. By default the
    /// system's setting.
    #[serde(default, deserialize_with = "values::optional_duration")]
    pub processor_latency: Option<Duration>,
    /// Addresses for SIP, at least one.
    pub listeners: Vec<ListenerConfig>,
    /// The relay.
    pub media: MediaConfig,
    /// How host names are resolved.
    #[serde(default)]
    pub dns: DnsConfig,
    /// The admin interface.
    #[serde(default)]
    pub admin: AdminConfig,
    /// The plugins that make the decisions.
    #[serde(default)]
    pub plugins: PluginsConfig,
    /// Number tables.
    #[serde(default)]
    pub tables: TablesConfig,
    /// The decision log.
    #[serde(default)]
    pub decisions: DecisionsConfig,
    /// How long records are kept.
    #[serde(default)]
    pub records: RecordsConfig,
    /// Limits of every call.
    #[serde(default)]
    pub calls: CallsConfig,
    /// The log's level and format.
    #[serde(default)]
    pub log: LogConfig,
    /// The file and text of these settings.
    #[serde(skip)]
    pub source: Source,
}

/// An address for SIP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Unique name; vendor trunks refer to it.
    pub name: String,
    /// Bound address and port.
    pub address: SocketAddr,
    /// Transport of the messages, default UDP (SIG-02).
    #[serde(default)]
    pub transport: Transport,
    /// `host:port` that peers see in Via and Contact (SIG-64); by default `address`.
    pub advertised: Option<String>,
    /// Host of From and identity headers and digest realm; by default the advertised host.
    pub domain: Option<String>,
    /// DSCP of signalling (SIG-94), default CS5.
    #[serde(default = "default_signal_dscp")]
    pub dscp: Dscp,
    /// Whether a TCP listener closes connections with RST instead of FIN (SIG-03), default no.
    #[serde(default)]
    pub close_with_reset: bool,
    /// Digest hashes offered and accepted here, the preferred one first, unless a trunk sets its
    /// own (SIG-54). By default MD5, then SHA-256: old clients take only the first challenge.
    #[serde(default = "default_digest_algorithms")]
    pub digest_algorithms: Vec<DigestAlgorithm>,
    /// Whether customers with a password may call from any address (SIG-92), default yes: an
    /// unknown peer gets one 401 within its budget. If not, it gets no answer here.
    #[serde(default = "yes")]
    pub digest_from_anywhere: bool,
}

/// Transport of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A datagram is a message.
    #[default]
    Udp,
    /// Messages follow each other in a connection.
    Tcp,
}

/// A hash that digest may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum DigestAlgorithm {
    /// For clients that support no other.
    #[serde(rename = "MD5")]
    Md5,
    /// RFC 8760.
    #[serde(rename = "SHA-256")]
    Sha256,
}

impl ListenerConfig {
    /// `host:port` for Via and Contact.
    #[must_use]
    pub fn advertised(&self) -> String {
        self.advertised.clone().unwrap_or_else(|| self.address.to_string())
    }

    /// Host for From, identity headers and the digest realm.
    #[must_use]
    pub fn domain(&self) -> String {
        self.domain.clone().unwrap_or_else(|| {
            let advertised = self.advertised();
            match advertised.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host.to_owned(),
                _ => advertised,
            }
        })
    }
}

/// The relay's addresses and threads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaConfig {
    /// At least one; trunks refer to it by name.
    pub addresses: Vec<MediaAddressConfig>,
    /// Relay threads, 1 to 64; by default half the processors that carry calls.
    pub threads: Option<u16>,
    /// DSCP of RTP and RTCP (MEDIA-46), default EF.
    #[serde(default = "default_media_dscp")]
    pub dscp: Dscp,
    /// WAV files that callers may hear, by the names used in trunks (MEDIA-13): 8 kHz, mono, linear
    /// samples of 16 bits or G.711.
    #[serde(default)]
    pub sounds: BTreeMap<String, PathBuf>,
    /// How long an answered call may be silent.
    #[serde(default)]
    pub silence: SilenceConfig,
}

/// An address that media pass through.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaAddressConfig {
    /// Unique name.
    pub name: String,
    /// Bound address, without port.
    pub bind: IpAddr,
    /// Address written into SDP; by default `bind`.
    pub advertised: Option<IpAddr>,
    /// Port range (MEDIA-08), default `10000-39999`.
    #[serde(default = "default_ports")]
    pub ports: PortRange,
}

/// The address of the admin interface and its access rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// HTTP address; anything but loopback needs a token.
    pub address: SocketAddr,
    /// Bearer token, at least 16 characters; if missing, the node creates one at its first start
    /// and keeps it in [`Config::admin_token_file`].
    pub token: Option<String>,
    /// Another token, which opens only `/metrics`.
    pub metrics_token: Option<String>,
    /// Host names of the interface, in addition to its IP addresses and `localhost`. Requests for
    /// other names are refused: a foreign name server may have sent a browser here.
    pub hosts: Vec<String>,
    /// Allows every user of the machine to read all records and calls over the loopback address
    /// without a token.
    pub open_reading_on_loopback: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            token: None,
            metrics_token: None,
            hosts: Vec::new(),
            open_reading_on_loopback: false,
        }
    }
}

/// The plugins and their rights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// Folder of the `.wasm` files.
    pub folder: PathBuf,
    /// Swap a plugin in when its file in the folder is replaced.
    pub watch: bool,
    /// The plugins, in the order in which calls ask those with the same hook.
    pub list: Vec<PluginConfig>,
    /// Other orders, for all calls, an account or a customer trunk.
    pub chain: Vec<ChainConfig>,
    /// The signatures required of plugins.
    pub signing: SigningConfig,
}

/// The signatures required of plugins.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigningConfig {
    /// Refuse plugins that none of the keys signed.
    pub required: bool,
    /// Trusted public keys, as `strowger plugin keygen` prints them.
    pub keys: Vec<String>,
}

impl SigningConfig {
    /// The settings for the plugin host. Texts that are not keys are skipped: reading a
    /// configuration with one fails.
    #[must_use]
    pub fn policy(&self) -> host::SigningPolicy {
        let keys = self.keys.iter().filter_map(|key| key.parse().ok()).collect();
        host::SigningPolicy { required: self.required, keys }
    }
}

impl Default for PluginsConfig {
    fn default() -> Self {
        PluginsConfig {
            folder: PathBuf::from("plugins"),
            watch: true,
            list: Vec::new(),
            chain: Vec::new(),
            signing: SigningConfig::default(),
        }
    }
}

/// How number tables are kept current.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TablesConfig {
    /// Read a number file again when it changes.
    pub watch: bool,
}

impl Default for TablesConfig {
    fn default() -> Self {
        TablesConfig { watch: true }
    }
}

/// The plugins that a hook asks, in order.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// The hook.
    pub hook: policy::Hook,
    /// Names from the list; if empty, no plugin is asked.
    pub plugins: Vec<String>,
    /// Only for calls of the customer trunk with this name.
    pub customer_trunk: Option<String>,
    /// Only for calls of the account with this name, unless a chain exists for the trunk.
    pub account: Option<String>,
}

/// One plugin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// Name for commands, metrics and records.
    pub name: String,
    /// File in the folder; by default `NAME.wasm`.
    pub file: Option<PathBuf>,
    /// Host interfaces that it may import: `log`, `config`, `call`, `tables`, `counters`, `trunks`,
    /// `clock`, `random`, `metrics`, `http`. An import without a grant refuses the load.
    #[serde(default)]
    pub grants: BTreeSet<host::Grant>,
    /// The servers for the grant `http`.
    pub http: Option<HttpConfig>,
    /// Passed to it as JSON when it starts.
    #[serde(default)]
    pub config: BTreeMap<String, toml::Value>,
    /// Use only these of its hooks; by default all that it exports.
    pub hooks: Option<BTreeSet<policy::Hook>>,
    /// Processor time for one answer, 2 ms to 1 s, default 5 ms.
    #[serde(default = "default_deadline", deserialize_with = "values::duration")]
    pub deadline: Duration,
    /// Maximum memory of one instance, 64 KiB to 1 GiB, default 16 MiB.
    #[serde(default = "default_memory", deserialize_with = "values::size")]
    pub memory: usize,
    /// The effect of this plugin's failure at screening or supervision; the other hooks have only
    /// one fallback.
    #[serde(default)]
    pub fallback: host::Fallback,
    /// Every call asks it at each of its hooks; if false, only where a chain names it.
    #[serde(default = "yes")]
    pub by_default: bool,
    /// Whether an instance answers many questions or only one.
    #[serde(default)]
    pub isolation: host::Isolation,
    /// When a new build is rolled back automatically.
    #[serde(default)]
    pub rollback: host::RollbackSettings,
    /// When a build that keeps failing is left out for a while.
    #[serde(default)]
    pub breaker: host::BreakerSettings,
}

/// Limits for every call of the node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallsConfig {
    /// Longest call (SIG-35), default 12 h; `"0s"` means no limit.
    #[serde(deserialize_with = "values::duration")]
    pub max_duration: Duration,
    /// Longest call set-up including ringing (ROUTE-54), default 180 s.
    #[serde(deserialize_with = "values::duration")]
    pub setup_limit: Duration,
    /// Concurrent calls; 0 means no limit.
    pub channels: u32,
    /// Calls per second (SEC-11), at most 100,000; 0 means no limit.
    pub cps: u32,
    /// Talk time for which money is reserved at once (BILL-40), 10 s to 900 s, default 60 s.
    #[serde(deserialize_with = "values::duration")]
    pub slice: Duration,
    /// Free seconds of deck rows that set none (BILL-14), 0 to 3600, default 0.
    pub free_seconds: u32,
    /// Time between interim records of an answered call (CDR-06), 1 s to 1 h, default 60 s.
    #[serde(deserialize_with = "values::duration")]
    pub interim: Duration,
    /// Time between two supervision questions about an answered call, 1 s to 24 h, default 60 s;
    /// with `"0s"`, supervision is asked on answer and when its plugin requests it.
    #[serde(deserialize_with = "values::duration")]
    pub supervision: Duration,
    /// Longest time that a new call may wait for its shard; after that it is refused with 503
    /// (SIG-91). At most 10 s, default 400 ms; `"0s"` means no limit.
    #[serde(deserialize_with = "values::duration")]
    pub longest_wait: Duration,
    /// How long a stopping node waits for calls to end by themselves, at most 24 h, default 5 s;
    /// then it ends them.
    #[serde(deserialize_with = "values::duration")]
    pub drain: Duration,
    /// How the node checks that answered calls are alive.
    pub session: SessionConfig,
}

/// Session timers (RFC 4028) and probes of answered calls, separately on each leg.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Interval that the switch requests (SIG-26): `"0s"` or 90 s to 24 h, default 600 s; `"0s"`
    /// requests none and honours the interval of the peer.
    #[serde(deserialize_with = "values::duration")]
    pub expires: Duration,
    /// Shortest interval that the switch accepts (SIG-31), 90 s to 1 h, default 90 s.
    #[serde(deserialize_with = "values::duration")]
    pub min_se: Duration,
    /// A session is refreshed every `expires / segment` (SIG-27), 2 to 10, default 2.
    pub segment: u32,
    /// Consecutive unanswered refreshes or probes that end a call (SIG-29), 1 to 5, default 2.
    pub misses: u8,
    /// Time before expiry at which an unrefreshed call ends (SIG-30), at most 1 h; `"0s"` applies
    /// the rule of RFC 4028: 32 s, or a third of a shorter interval.
    #[serde(deserialize_with = "values::duration")]
    pub early_hangup: Duration,
    /// Probes peers without session timers with OPTIONS (SIG-33), default true.
    pub probe: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig {
            expires: Duration::from_secs(600),
            min_se: Duration::from_secs(90),
            segment: 2,
            misses: 2,
            early_hangup: Duration::ZERO,
            probe: true,
        }
    }
}

impl Default for CallsConfig {
    fn default() -> Self {
        CallsConfig {
            max_duration: Duration::from_secs(43_200),
            setup_limit: Duration::from_secs(180),
            channels: 0,
            cps: 0,
            slice: Duration::from_secs(60),
            free_seconds: 0,
            interim: Duration::from_secs(60),
            supervision: Duration::from_secs(60),
            longest_wait: Duration::from_millis(400),
            drain: Duration::from_secs(5),
            session: SessionConfig::default(),
        }
    }
}

/// Logging.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,switch=debug`.
    pub level: String,
    /// The format of log lines, for people or for machines.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// Format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Reads, resolves and checks a node file.
    ///
    /// # Errors
    /// The file cannot be read, or one or more settings are wrong; each is reported with file,
    /// line, field and what would be right.
    pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigErrors(vec![Problem {
                file: file.clone(),
                line: 0,
                field: String::new(),
                detail: format!("cannot be read: {error}"),
            }])
        })?;
        let mut config = Config::parse(&file, &text)?;
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        config.resolve(whole.parent().unwrap_or(Path::new("/")));
        Ok(config)
    }

    /// Reads and checks the text of a node file; `file` is used only in errors.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &str, text: &str) -> Result<Config, ConfigErrors> {
        let mut config: Config = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            ConfigErrors(vec![Problem {
                file: file.to_owned(),
                line: place::line_of(text, span.start),
                field: place::field_at(text, &span),
                detail: error.message().to_owned(),
            }])
        })?;
        config.source = Source::new(file, text);
        let problems: Vec<Problem> = check::problems(&config)
            .into_iter()
            .map(|(field, detail)| config.source.problem(&field, detail))
            .collect();
        if problems.is_empty() { Ok(config) } else { Err(ConfigErrors(problems)) }
    }

    fn resolve(&mut self, folder: &Path) {
        for path in [&mut self.data_dir, &mut self.plugins.folder]
            .into_iter()
            .chain(&mut self.business)
            .chain(self.media.sounds.values_mut())
        {
            *path = folder.join(&*path);
        }
        if let Some(database) = &mut self.database {
            database.resolve(folder);
        }
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> DatabaseConfig {
        let file = || DatabaseConfig::File(self.data_dir.join("strowger.db"));
        self.database.clone().unwrap_or_else(file)
    }

    /// The file with the token of the admin interface, unless the node file sets one.
    #[must_use]
    pub fn admin_token_file(&self) -> PathBuf {
        self.data_dir.join("admin-token")
    }

    /// The folder of the decision log.
    #[must_use]
    pub fn decision_folder(&self) -> PathBuf {
        self.data_dir.join("decisions")
    }

    /// Signalling threads.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.shards.unwrap_or_else(|| thread_count(self.processors().for_calls().div_ceil(2)))
    }

    /// Relay threads.
    #[must_use]
    pub fn media_threads(&self) -> u16 {
        self.media.threads.unwrap_or_else(|| thread_count(self.processors().for_calls() / 2))
    }

    /// The division of processors between calls and housekeeping.
    #[must_use]
    pub fn processors(&self) -> Processors {
        Processors::of(self)
    }
}

impl PluginConfig {
    /// Its file inside `folder`.
    #[must_use]
    pub fn path(&self, folder: &Path) -> PathBuf {
        match &self.file {
            Some(file) => folder.join(file),
            None => folder.join(format!("{}.wasm", self.name)),
        }
    }

    /// Its configuration as a JSON object, empty when none is set.
    #[must_use]
    pub fn config_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.config).unwrap_or_default()
    }

    /// The settings for the plugin host.
    #[must_use]
    pub fn host_settings(&self, folder: &Path) -> host::PluginSettings {
        host::PluginSettings {
            name: self.name.clone(),
            path: self.path(folder),
            config: self.config_json(),
            grants: self.grants.clone(),
            deadline_ms: milliseconds(self.deadline),
            memory_bytes: self.memory as u64,
            hooks: self.hooks.clone(),
            http: self.http.as_ref().map(HttpConfig::host_settings),
            fallback: self.fallback,
            by_default: self.by_default,
            isolation: self.isolation,
            rollback: self.rollback,
            breaker: self.breaker,
            kept_log: None,
        }
    }
}

fn thread_count(wanted: usize) -> u16 {
    u16::try_from(wanted).unwrap_or(64).clamp(1, 64)
}

fn yes() -> bool {
    true
}

fn default_name() -> String {
    "strowger".to_owned()
}

fn default_data_dir() -> PathBuf {
    PathBuf::from("data")
}

fn default_signal_dscp() -> Dscp {
    Dscp::CS5
}

fn default_digest_algorithms() -> Vec<DigestAlgorithm> {
    vec![DigestAlgorithm::Md5, DigestAlgorithm::Sha256]
}

fn default_media_dscp() -> Dscp {
    Dscp::EF
}

fn default_ports() -> PortRange {
    PortRange { first: 10_000, last: 39_999 }
}

fn default_deadline() -> Duration {
    Duration::from_millis(5)
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn default_memory() -> usize {
    16 << 20
}

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as given.
    pub file: String,
    /// Line from 1; 0 means the file as a whole.
    pub line: usize,
    /// Dotted name, such as `listeners[0].address`; may be empty.
    pub field: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.detail.trim_end())
    }
}

/// All problems of a node file, one line each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
