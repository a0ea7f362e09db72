//! Canaries, shadows and rollbacks in the admin interface.

use serde::{Deserialize, Serialize};

/// Parameters of `POST /v1/plugins/{name}/canary` and `.../shadow`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrialParameters {
    /// Share of the calls, such as `5%` or `0.25%`; left out: all of them.
    pub share: Option<String>,
    /// What the share is chosen by.
    pub by: SelectBy,
    /// Names of customer trunks, separated by commas; empty is all.
    pub trunks: String,
}

/// The basis for choosing a share of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectBy {
    /// Each call separately.
    #[default]
    Call,
    /// The called number: calls to one number all go the same way.
    Number,
}

/// A canary in `GET /v1/plugins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryLine {
    /// Name, version and digest of the build.
    pub build: String,
    /// Which calls it decides, in words.
    pub selection: String,
    /// Questions put to it.
    pub asked: u64,
    /// Those without a usable answer.
    pub faults: u64,
    /// Those that it rejected.
    pub rejects: u64,
}

/// A shadow in `GET /v1/plugins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowLine {
    /// Name, version and digest of the build.
    pub build: String,
    /// Which calls it is compared on, in words.
    pub selection: String,
    /// Questions put to it.
    pub asked: u64,
    /// Those that it would have answered otherwise.
    pub different: u64,
    /// Those without a usable answer.
    pub faults: u64,
    /// Questions that were left out because too many waited.
    pub left_out: u64,
}

/// A decision that a shadow would have made otherwise,
/// `GET /v1/plugins/{name}/differences`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceLine {
    /// UTC milliseconds.
    pub at_ms: u64,
    /// Call id, 32 hex digits.
    pub call: String,
    /// The hook.
    pub hook: String,
    /// What was asked, in short.
    pub question: String,
    /// What was obeyed.
    pub live: String,
    /// What the shadow says.
    pub shadow: String,
}
