//! Live plugins, figures of their builds, and swaps in the admin API.

use crate::trials::{CanaryLine, ShadowLine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A live plugin, `GET /v1/plugins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginLine {
    /// Name.
    pub name: String,
    /// Declared version.
    pub version: String,
    /// First digits of its SHA-256.
    pub digest: String,
    /// Id of the key that signed it; empty if it is unsigned.
    #[serde(default)]
    pub signer: String,
    /// Whether the node trusts that key and the signature is valid.
    #[serde(default)]
    pub trusted: bool,
    /// Hooks that it implements.
    pub hooks: Vec<String>,
    /// Generation in which it went live.
    pub since_generation: u64,
    /// Its builds still used by running calls, the live one last.
    pub builds: Vec<String>,
    /// Its description of itself.
    pub summary: String,
    /// JSON Schema of its configuration; null if it ships none.
    #[serde(default)]
    pub config_schema: Option<serde_json::Value>,
    /// File that it was loaded from; empty for an upload.
    pub file: String,
    /// Questions answered since start, by all its builds: the counts survive swaps.
    pub answered: u64,
    /// Questions not answered since start, by all its builds.
    pub faults: u64,
    /// The newest fault since start, of any of its builds.
    #[serde(default)]
    pub last_fault: Option<FaultLine>,
    /// Median answer time, nanoseconds.
    pub p50_nanos: u64,
    /// 99th percentile of the answer time, nanoseconds.
    pub p99_nanos: u64,
    /// The build that a rollback restores; empty if there is none.
    pub previous: String,
    /// The build that decides a share of the calls.
    pub canary: Option<CanaryLine>,
    /// The build that is asked for comparison only.
    pub shadow: Option<ShadowLine>,
    /// Figures of the live build.
    #[serde(default)]
    pub build: BuildFigures,
    /// How many faults in a row made the breaker leave it out; null while it is asked.
    #[serde(default)]
    pub left_out: Option<u32>,
    /// Builds that the switch took back by itself since its start.
    #[serde(default)]
    pub taken_back: u64,
    /// The latest of these.
    #[serde(default)]
    pub last_taken_back: Option<TakenBackLine>,
    /// Requests that it left to the switch; null if it may make none.
    #[serde(default)]
    pub sends: Option<SendsLine>,
}

/// Requests that a plugin left to the switch, since start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendsLine {
    /// Accepted by a server.
    pub sent: u64,
    /// Given up: refused for good, or the last attempt failed.
    pub failed: u64,
    /// Not taken, because too many waited.
    pub dropped: u64,
    /// Given up because the node stopped.
    pub lost: u64,
    /// Waiting now.
    pub waiting: u64,
    /// The latest failed attempt: host and reason; empty if there was none.
    pub last_failure: String,
}

/// A question that a plugin did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultLine {
    /// When, UTC milliseconds.
    pub at_ms: u64,
    /// The build that failed.
    pub build: String,
    /// The hook that was asked.
    pub hook: String,
    /// How it failed, on one line: the plugin's last words, the functions that it was in.
    pub fault: String,
}

/// `GET /v1/plugins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginList {
    /// Generation that new calls get.
    pub generation: u64,
    /// Live plugins.
    pub plugins: Vec<PluginLine>,
}

/// Body of `POST /v1/plugins/{name}/swap` unless it is the WASM file itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapRequest {
    /// A `.wasm` file on the node's disk.
    pub path: String,
}

/// The result of a swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapDone {
    /// Plugin.
    pub name: String,
    /// The build before.
    pub before: String,
    /// The build for new calls.
    pub after: String,
    /// Generation before.
    pub generation_before: u64,
    /// Generation for new calls.
    pub generation: u64,
    /// Its own examples that it passed before going live.
    pub self_tests: u32,
    /// Compile time, milliseconds.
    pub compile_ms: u64,
}

/// Counts of one build since it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildFigures {
    /// Questions asked.
    pub asked: u64,
    /// Questions without a usable answer.
    pub faults: u64,
    /// Questions answered with a rejection or an end.
    pub rejects: u64,
    /// Those of `rejects` that leave a call without a usable vendor trunk.
    pub no_candidate: u64,
    /// Questions answered with a challenge.
    pub challenges: u64,
    /// Failed attempts after which it was asked what to do.
    pub failures: u64,
    /// Those of `failures` after which it ended the call.
    pub stops: u64,
    /// Calls that asked it before their answer.
    pub calls: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that ended without an answer.
    pub failed: u64,
    /// Those that the caller gave up before an answer.
    pub given_up: u64,
    /// Those that ended with a challenge.
    pub challenged: u64,
    /// Margin of the charged calls, in thousandths of their sales; null without sales.
    pub margin_permille: Option<i64>,
    /// Failed calls by end reason.
    pub reasons: BTreeMap<String, u64>,
    /// Median answer time, nanoseconds.
    pub p50_nanos: u64,
    /// 99th percentile of the answer time, nanoseconds.
    pub p99_nanos: u64,
}

/// A build that the switch took back by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBackLine {
    /// UTC milliseconds.
    pub at_ms: u64,
    /// Name, version and digest of the build.
    pub build: String,
    /// It was a canary; the live build did not change.
    pub was_canary: bool,
    /// The reason.
    pub why: String,
}
