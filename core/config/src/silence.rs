//! How long an answered call may be silent.

use super::check::range;
use super::values;
use serde::Deserialize;
use std::time::Duration;

/// Limits of silence; `"0s"` disables one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SilenceConfig {
    /// No RTP from either side after the answer (MEDIA-16), 5 s to 1 h, default 30 s; then the call
    /// ends.
    #[serde(deserialize_with = "values::duration")]
    pub no_media: Duration,
    /// No packet from either side (MEDIA-17), 5 s to 1 h, default 60 s; then the call ends.
    #[serde(deserialize_with = "values::duration")]
    pub both: Duration,
    /// No packet from one side while the other speaks (MEDIA-18), 5 s to 1 h, default 20 s; then
    /// the call is flagged.
    #[serde(deserialize_with = "values::duration")]
    pub one: Duration,
    /// As `one`, default 60 s; then the silent side is probed (MEDIA-18).
    #[serde(deserialize_with = "values::duration")]
    pub probe: Duration,
    /// Time between two probes of a side that stays silent (MEDIA-18), default 300 s.
    #[serde(deserialize_with = "values::duration")]
    pub probe_again: Duration,
    /// Longest hold (MEDIA-19), 1 min to 24 h, default 3600 s; then the call ends.
    #[serde(deserialize_with = "values::duration")]
    pub hold: Duration,
}

impl Default for SilenceConfig {
    fn default() -> Self {
        SilenceConfig {
            no_media: Duration::from_secs(30),
            both: Duration::from_secs(60),
            one: Duration::from_secs(20),
            probe: Duration::from_secs(60),
            probe_again: Duration::from_secs(300),
            hold: Duration::from_secs(3_600),
        }
    }
}

impl SilenceConfig {
    pub(super) fn check(&self, found: &mut Vec<(String, String)>) {
        let limits = [
            ("no_media", self.no_media, "5s", "1h"),
            ("both", self.both, "5s", "1h"),
            ("one", self.one, "5s", "1h"),
            ("probe", self.probe, "5s", "1h"),
            ("probe_again", self.probe_again, "5s", "1h"),
            ("hold", self.hold, "1m", "24h"),
        ];
        for (name, value, low, high) in limits.into_iter().filter(|limit| !limit.1.is_zero()) {
            range(found, format!("media.silence.{name}"), value, low, high);
        }
    }
}
