//! The `[records]` table.

use super::values;
use serde::Deserialize;
use std::time::Duration;

/// How long records are kept, and the limits of those not yet in the database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordsConfig {
    /// Call records with everything that belongs to them: 1 h or more, default 9,600 h (400 days);
    /// 0 means for ever (CDR-26).
    #[serde(deserialize_with = "values::duration")]
    pub keep: Duration,
    /// Attempts as separate rows, used to find calls by vendor trunk: as above, default 2,160 h (90
    /// days).
    #[serde(deserialize_with = "values::duration")]
    pub keep_attempts: Duration,
    /// Records that may wait in memory while the journal cannot be written; beyond that new calls
    /// are refused. 10 to 1,000,000, default 100,000 (CDR-14).
    pub waiting: u32,
    /// Journal size beyond which new calls are refused, bytes, at least 64 MiB, default 50 GiB
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
