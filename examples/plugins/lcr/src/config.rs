//! Settings of the plugin.

use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Least difference of sell price and buy price, both per minute, such as `0.001`. Default 0.
    pub min_margin: String,
    /// Least margin in per cent of the sell price, 0 to 99. Default 0.
    pub min_margin_percent: u8,
    /// Least answer-seizure ratio, 0 to 100 per cent; 0 is no floor. Default 20.
    pub min_asr_percent: u16,
    /// Least network effectiveness ratio, 0 to 100 per cent; 0 is no floor. Default 60.
    pub min_ner_percent: u16,
    /// Least mean duration of answered calls, seconds; 0 is no floor. Default 0.
    pub min_acd_s: u32,
    /// Longest mean post-dial delay, milliseconds; 0 is no limit. Default 8,000.
    pub max_pdd_ms: u32,
    /// Attempts of the last ten minutes from which on the figures count. Default 50.
    pub min_attempts: u32,
    /// Callees for whom price and quality do not count. Default 112 and 911.
    pub emergency: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            min_margin: "0".to_owned(),
            min_margin_percent: 0,
            min_asr_percent: 20,
            min_ner_percent: 60,
            min_acd_s: 0,
            max_pdd_ms: 8_000,
            min_attempts: 50,
            emergency: vec!["112".to_owned(), "911".to_owned()],
        }
    }
}
