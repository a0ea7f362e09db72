//! Test calls (ROUTE-83).

use serde::{Deserialize, Serialize};

/// The longest test call, seconds from its answer on.
pub const LONGEST_TEST_CALL_S: u16 = 300;

/// Body of `POST /v1/test-calls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCallRequest {
    /// Name of the vendor trunk, the only one that is tried.
    pub trunk: String,
    /// The number that is called, before it is rewritten for the vendor.
    pub callee: String,
    /// The number that calls, likewise; empty: none is told, as of an anonymous caller.
    #[serde(default)]
    pub caller: String,
    /// The vendor hears 1004 Hz at -10 dBm0 from its answer on, else silence.
    #[serde(default)]
    pub tone: bool,
    /// Seconds from the answer until the switch hangs up, 1 to 300.
    #[serde(default = "usual_seconds")]
    pub seconds: u16,
}

/// A test call that was placed; `GET /v1/calls/{id}` tells how far it is, and
/// `GET /v1/records/{id}` what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCallPlaced {
    /// Call id.
    pub id: String,
}

fn usual_seconds() -> u16 {
    10
}
