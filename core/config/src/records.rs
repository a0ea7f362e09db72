//! The `[records]` table.

use super::values;
use serde::Deserialize;
use std::time::Duration;

/// How long records are kept, and how much of the disk those take that are on their way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordsConfig {
    /// Call records, with all that belongs to them: 1 h and more, default 9,600 h (400 days);
    /// 0 is for ever (CDR-26).
    #[serde(deserialize_with = "values::duration")]
    pub keep: Duration,
    /// Attempts as lines of their own, by which calls are found by vendor trunk: as above,
    /// default 2,160 h (90 days).
    #[serde(deserialize_with = "values::duration")]
    pub keep_attempts: Duration,
    /// Records that may wait in memory while the journal cannot be written; past it new calls
    /// are refused. 10 to 1,000,000, default 100,000 (CDR-14).
    pub waiting: u32,
    /// Bytes of the journal past which new calls are refused, at least 64 MiB, default 50 GiB
    /// (CDR-14).
    #[serde(deserialize_with = "values::size")]
    pub journal_size: usize,
}

impl Default for RecordsConfig {
    fn default() -> Self {
        RecordsConfig {
            keep: Duration::from_secs(400 * 86_400),
            keep_attempts: Duration::from_secs(90 * 86_400),
            waiting: 100_000,
            journal_size: 50 << 30,
        }
    }
}
