//! An operator's settings for plugins.

mod http;
mod kept_log;

pub use http::HttpSettings;
pub use kept_log::{KeptLog, LogLevel, LogLine, LogLines};

use platform::ProcessorSet;
use policy::Hook;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// Settings of the host at its start.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// The plugins that are loaded at start, in the order in which calls ask them.
    pub plugins: Vec<PluginSettings>,
    /// Folder that keeps compiled code between starts; none keeps nothing.
    pub cache_dir: Option<PathBuf>,
    /// Signalling threads, at least 1: each gets its own instance of each plugin.
    pub shards: usize,
    /// Seed of `host-random`; none takes one from the operating system. Tests and replay set it.
    pub random_seed: Option<u64>,
    /// The processors that compile builds while calls run, ask shadows, and make and drop
    /// instances; none: any processor.
    pub housekeeping: Option<ProcessorSet>,
}

/// One plugin of the node's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginSettings {
    /// Must equal the name that the plugin returns in `describe`.
    pub name: String,
    /// The file: a component, or a core module that carries its component type.
    pub path: PathBuf,
    /// Passed to `configure` as JSON; an empty object if nothing is set.
    #[serde(default = "empty_object")]
    pub config: serde_json::Value,
    /// Host interfaces that it may import.
    #[serde(default)]
    pub grants: BTreeSet<Grant>,
    /// Processor time of a question, 2 to 1,000 ms. Above 5 a fallback can come later than 10 ms
    /// after the question.
    #[serde(default = "default_deadline_ms")]
    pub deadline_ms: u32,
    /// Linear memory of an instance, 64 KiB to 1 GiB.
    #[serde(default = "default_memory_bytes")]
    pub memory_bytes: u64,
    /// Use only these of its hooks; none uses all that it exports.
    #[serde(default)]
    pub hooks: Option<BTreeSet<Hook>>,
    /// Settings of the grant `http`; required with it, and only allowed with it.
    #[serde(default)]
    pub http: Option<HttpSettings>,
    /// What happens to a call if screening or supervision gives no answer.
    #[serde(default)]
    pub fallback: Fallback,
    /// Every call asks it at each of its hooks; otherwise only if a chain names it.
    #[serde(default = "yes")]
    pub by_default: bool,
    /// Whether an instance answers one question or many.
    #[serde(default)]
    pub isolation: Isolation,
    /// When a new build is taken back automatically.
    #[serde(default)]
    pub rollback: RollbackSettings,
    /// When a build that keeps failing is not asked for a while.
    #[serde(default)]
    pub breaker: BreakerSettings,
    /// Its log lines go here instead of to the log, for commands that show them.
    #[serde(skip)]
    pub kept_log: Option<KeptLog>,
}

/// How long an instance lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Many questions of one shard, until a fault or a swap.
    #[default]
    Reused,
    /// One question: no state in its memory reaches another call.
    PerCall,
}

/// When a build that went live recently, or a canary, is taken back automatically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackSettings {
    /// Share of questions without a usable answer, in thousandths, above which the build is taken
    /// back; 0 disables this. Default 20.
    pub faults_permille: u32,
    /// How much larger, in thousandths of all questions, its share of rejections may be than that
    /// of the previous build; the same for challenges, and for ends after failed attempts in
    /// thousandths of these; 0 disables this. Default 200.
    pub rejects_permille: u32,
    /// How much larger, in thousandths of all calls, the share of calls that fail may be than with
    /// the previous build; 0 disables this. Default 200.
    pub failed_permille: u32,
    /// How much smaller, in thousandths of that of the previous build, the share of answered calls
    /// may be; 0 disables this. Default 300.
    pub answered_permille: u32,
    /// How much smaller, in thousandths of the sales, the margin may be than with the previous
    /// build; 0 disables this. Default 200.
    pub margin_permille: u32,
    /// How many times the time of the previous build a question may take, compared at the 90th
    /// percentile; 0 disables this. Default 10.
    pub slower_times: u32,
    /// Microseconds of a question that are never too slow. Default 500.
    pub slow_us: u64,
    /// Without a build to compare with: share of rejections, of challenges or of failed calls, in
    /// thousandths, above which a build does badly; 0 disables this. Default 900.
    pub alone_permille: u32,
    /// Number of questions or calls on both sides before it is judged, at least 1. A build that
    /// loses at least half of the calls more than the previous one needs a quarter of them.
    /// Default 100.
    pub least: u64,
    /// Seconds after going live in which it is judged. Default 600.
    pub within_s: u64,
}

impl Default for RollbackSettings {
    fn default() -> Self {
        RollbackSettings {
            faults_permille: 20,
            rejects_permille: 200,
            failed_permille: 200,
            answered_permille: 300,
            margin_permille: 200,
            slower_times: 10,
            slow_us: 500,
            alone_permille: 900,
            least: 100,
            within_s: 600,
        }
    }
}

/// When a build that has no usable answer is not asked for a while: the fallback of the hook
/// applies at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerSettings {
    /// Questions in a row without a usable answer, over all threads; 0 disables the breaker.
    /// Default 20.
    pub faults: u32,
    /// Milliseconds until one question tries it again. Default 5,000.
    pub pause_ms: u32,
}

impl BreakerSettings {
    /// Never leaves a build out, such as for tests of a build.
    pub const OFF: BreakerSettings = BreakerSettings { faults: 0, pause_ms: 5_000 };
}

impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings { faults: 20, ..BreakerSettings::OFF }
    }
}

fn yes() -> bool {
    true
}

impl PluginSettings {
    /// For a build that is only asked for its description: every grant, and enough memory for any
    /// language.
    pub(crate) fn of_stranger(name: &str, path: &std::path::Path) -> PluginSettings {
        PluginSettings {
            grants: Grant::ALL.into_iter().collect(),
            memory_bytes: 1 << 30,
            ..PluginSettings::new(name, path)
        }
    }

    /// Settings with the defaults of the configuration file and no grant.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> PluginSettings {
        PluginSettings {
            name: name.into(),
            path: path.into(),
            config: empty_object(),
            grants: BTreeSet::new(),
            deadline_ms: default_deadline_ms(),
            memory_bytes: default_memory_bytes(),
            hooks: None,
            http: None,
            fallback: Fallback::default(),
            by_default: true,
            isolation: Isolation::default(),
            rollback: RollbackSettings::default(),
            breaker: BreakerSettings::default(),
            kept_log: None,
        }
    }
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

fn default_deadline_ms() -> u32 {
    5
}

fn default_memory_bytes() -> u64 {
    16 << 20
}

/// What happens to a call without an answer to its screening or supervision question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// It goes on.
    #[default]
    Allow,
    /// It is refused with 503, or ends.
    Reject,
}

/// Permission to import one `host-*` interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// Lines in the switch's log.
    Log,
    /// Texts of the configuration snapshot.
    Config,
    /// Headers, numbers, attempts and attributes of the call.
    Call,
    /// Names, money and prices of accounts and trunks.
    Accounts,
    /// Values kept for the later questions of a call, and explanations.
    Notes,
    /// Prefix tables and sets.
    Tables,
    /// Sliding-window counters and places held by calls.
    Counters,
    /// Live figures of vendor trunks.
    Trunks,
    /// The time of day.
    Clock,
    /// Random bits.
    Random,
    /// The plugin's own figures in the switch's metrics.
    Metrics,
    /// Requests to the servers named in [`PluginSettings::http`].
    Http,
}

impl Grant {
    /// Every grant.
    pub const ALL: [Grant; 12] = [
        Grant::Log,
        Grant::Config,
        Grant::Call,
        Grant::Accounts,
        Grant::Notes,
        Grant::Tables,
        Grant::Counters,
        Grant::Trunks,
        Grant::Clock,
        Grant::Random,
        Grant::Metrics,
        Grant::Http,
    ];

    /// Its name in configuration and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Grant::Log => "log",
            Grant::Config => "config",
            Grant::Call => "call",
            Grant::Accounts => "accounts",
            Grant::Notes => "notes",
            Grant::Tables => "tables",
            Grant::Counters => "counters",
            Grant::Trunks => "trunks",
            Grant::Clock => "clock",
            Grant::Random => "random",
            Grant::Metrics => "metrics",
            Grant::Http => "http",
        }
    }

    /// The interface of the WIT package that it opens, such as `host-log`.
    #[must_use]
    pub fn interface(self) -> &'static str {
        match self {
            Grant::Log => "host-log",
            Grant::Config => "host-config",
            Grant::Call => "host-call",
            Grant::Accounts => "host-accounts",
            Grant::Notes => "host-notes",
            Grant::Tables => "host-tables",
            Grant::Counters => "host-counters",
            Grant::Trunks => "host-trunks",
            Grant::Clock => "host-clock",
            Grant::Random => "host-random",
            Grant::Metrics => "host-metrics",
            Grant::Http => "host-http",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
