//! Lockouts as JSON.

use serde::{Deserialize, Serialize};

/// Something that is locked out, `GET /v1/lockouts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockoutLine {
    /// The source address; of IPv6 the first of its /64.
    pub source: String,
    /// Only this user name from there; empty: everything.
    pub user: String,
    /// `passwords` or `flood`.
    pub cause: String,
    /// Seconds until it ends by itself.
    pub left_s: u64,
    /// How often it was locked out, this time included; 0 for a flood.
    pub times: u32,
}

/// `DELETE /v1/lockouts/{source}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockDone {
    /// The source address.
    pub source: String,
    /// Lockouts that were ended.
    pub ended: usize,
}
