//! Test calls (ROUTE-83).

use serde::{Deserialize, Serialize};

/// Maximum duration of a test call, seconds from its answer.
pub const LONGEST_TEST_CALL_S: u16 = 300;

/// Body of `POST /v1/test-calls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCallRequest {
    /// Name of the vendor trunk, the only one attempted.
    pub trunk: String,
    /// Callee number, before the rewrite for the vendor.
    pub callee: String,
    /// Caller number, before the rewrite for the vendor; empty for an anonymous caller.
    #[serde(default)]
    pub caller: String,
    /// Sends the vendor 1004 Hz at -10 dBm0 from the answer on, otherwise silence.
    #[serde(default)]
    pub tone: bool,
    /// Seconds from the answer until the switch hangs up, 1 to 300.
    #[serde(default = "usual_seconds")]
    pub seconds: u16,
}

/// A placed test call; `GET /v1/calls/{id}` shows its progress, `GET /v1/records/{id}` its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCallPlaced {
    /// Call id.
    pub id: String,
}

fn usual_seconds() -> u16 {
    10
}
