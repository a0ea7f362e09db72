//! Lockouts as JSON.

use serde::{Deserialize, Serialize};

/// A lockout, `GET /v1/lockouts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockoutLine {
    /// Source address; for IPv6 the first of its /64.
    pub source: String,
    /// The user name locked out; empty for all traffic of the source.
    pub user: String,
    /// `passwords` or `flood`.
    pub cause: String,
    /// Seconds until it expires.
    pub left_s: u64,
    /// How often the source was locked out, including now; 0 for a flood.
    pub times: u32,
}

/// `DELETE /v1/lockouts/{source}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockDone {
    /// The source address.
    pub source: String,
    /// Number of lockouts ended.
    pub ended: usize,
}
