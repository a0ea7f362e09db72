//! Lockouts as JSON.

use serde::{Deserialize, Serialize};
use switch::Lockout;

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

impl From<&Lockout> for LockoutLine {
    fn from(lockout: &Lockout) -> Self {
        LockoutLine {
            source: lockout.source.to_string(),
            user: lockout.user.as_deref().unwrap_or_default().to_owned(),
            cause: lockout.cause.to_owned(),
            left_s: lockout.left.as_secs(),
            times: lockout.repeats,
        }
    }
}

/// `DELETE /v1/lockouts/{source}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockDone {
    /// The source address.
    pub source: String,
    /// Number of lockouts ended.
    pub ended: usize,
}
