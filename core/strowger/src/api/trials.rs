//! Canaries, shadows and rollbacks in the admin interface.

use serde::{Deserialize, Serialize};

/// Parameters of `POST /v1/plugins/{name}/canary` and `.../shadow`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrialParameters {
    /// Share of the calls, such as `5%` or `0.25%`; left out: all of them.
    pub share: Option<String>,
    /// What the share is chosen by.
    pub by: host::SelectBy,
    /// Names of customer trunks, separated by commas; empty is all.
    pub trunks: String,
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

impl From<&host::CanaryState> for CanaryLine {
    fn from(state: &host::CanaryState) -> Self {
        CanaryLine {
            build: state.stamp.to_string(),
            selection: state.selection.to_string(),
            asked: state.tally.asked,
            faults: state.tally.faults,
            rejects: state.tally.rejects,
        }
    }
}

impl From<&host::ShadowState> for ShadowLine {
    fn from(state: &host::ShadowState) -> Self {
        ShadowLine {
            build: state.stamp.to_string(),
            selection: state.selection.to_string(),
            asked: state.asked,
            different: state.different,
            faults: state.faults,
            left_out: state.left_out,
        }
    }
}
