//! Figures of builds of plugins in the admin API.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
