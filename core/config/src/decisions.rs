//! The `[decisions]` table.

use super::values;
use serde::Deserialize;
use std::time::Duration;

/// The decision log for `strowger plugin replay`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionsConfig {
    /// Keeps decisions with their inputs, in `decisions` in `data_dir`.
    pub enabled: bool,
    /// How long they are kept, 1 minute to 8,760 h, default 24 h.
    #[serde(deserialize_with = "values::duration")]
    pub keep: Duration,
    /// Maximum size on disk, bytes, at least 1 MiB, default 2 GiB.
    #[serde(deserialize_with = "values::size")]
    pub max_size: usize,
    /// How many last digits of every number are replaced by others, 0 to 18; 0 keeps all digits.
    pub mask_numbers: u8,
}

impl Default for DecisionsConfig {
    fn default() -> Self {
        DecisionsConfig {
            enabled: true,
            keep: Duration::from_secs(24 * 3600),
            max_size: 2 << 30,
            mask_numbers: 0,
        }
    }
}
