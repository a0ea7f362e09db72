//! Canaries, shadows and rollbacks in the admin API.

use crate::BuildFigures;
use serde::{Deserialize, Serialize};

/// Parameters of `POST /v1/plugins/{name}/canary` and `.../shadow`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrialParameters {
    /// Share of the calls, such as `5%` or `0.25%`; if omitted, all.
    pub share: Option<String>,
    /// The key of the selection.
    pub by: SelectBy,
    /// Names of customer trunks, separated by commas; empty for all.
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
    /// The calls that it decides, for display.
    pub selection: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: BuildFigures,
}

/// A shadow in `GET /v1/plugins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowLine {
    /// Name, version and digest of the build.
    pub build: String,
    /// The calls that it is compared on, for display.
    pub selection: String,
    /// Questions asked.
    pub asked: u64,
    /// Questions with a different answer.
    pub different: u64,
    /// Those of `different` by which a call would be lost that goes on.
    #[serde(default)]
    pub lost: u64,
    /// Questions without a usable answer.
    pub faults: u64,
    /// Questions skipped because too many waited.
    pub left_out: u64,
}

/// A decision on which live build and shadow differ, `GET /v1/plugins/{name}/differences`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceLine {
    /// UTC milliseconds.
    pub at_ms: u64,
    /// Call id, 32 hex digits.
    pub call: String,
    /// The hook.
    pub hook: String,
    /// Summary of the question.
    pub question: String,
    /// The live build's answer, which was used.
    pub live: String,
    /// The shadow's answer.
    pub shadow: String,
    /// How a call would be lost by it that goes on; empty if none would.
    #[serde(default)]
    pub loss: String,
}
