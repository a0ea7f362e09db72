//! Prefers vendors by the time of the week: bands of weekdays and hours, in a time zone with
//! daylight saving time.
//!
//! The moment is the arrival of the INVITE, which the question contains. The plugin therefore needs
//! no grant, and the replay of a recorded decision gives the same result a month later.
#![forbid(unsafe_code)]

mod band;

pub use band::{Band, Weekday};

use band::Moment;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use plugin_sdk::{
    Call, Decision, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin,
};
use serde::Deserialize;

/// Settings; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Time zone as a POSIX rule, such as `CET-1CEST,M3.5.0,M10.5.0/3` (central Europe),
    /// `EST5EDT,M3.2.0,M11.1.0` (New York) or `IST-5:30` (India). Default `UTC0`.
    pub time_zone: String,
    /// The first band that contains the moment decides; outside all bands the order is unchanged.
    pub bands: Vec<Band>,
}

impl Default for Config {
    fn default() -> Self {
        Config { time_zone: "UTC0".to_owned(), bands: Vec::new() }
    }
}

/// The plugin.
#[derive(Debug)]
pub struct TimeOfDay {
    zone: TimeZone,
    bands: Vec<Band>,
}

impl Plugin for TimeOfDay {
    const NAME: &'static str = "time-of-day";
    const SUMMARY: &'static str = "Prefers vendors by the time of the week.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let zone = TimeZone::posix(&config.time_zone).map_err(|error| {
            let text = &config.time_zone;
            format!("field `time_zone`: `{text}` is not a POSIX time zone such as UTC0: {error}")
        })?;
        for (at, band) in config.bands.iter().enumerate() {
            band.check().map_err(|error| format!("field `bands[{at}]`: {error}"))?;
        }
        Ok(TimeOfDay { zone, bands: config.bands })
    }
}

impl TimeOfDay {
    /// The band that contains a moment, UTC milliseconds (ROUTE-73).
    fn band(&self, utc_ms: u64) -> Option<&Band> {
        let timestamp = Timestamp::from_millisecond(i64::try_from(utc_ms).ok()?).ok()?;
        let local = timestamp.to_zoned(self.zone.clone());
        let moment = Moment::of(&local);
        self.bands.iter().find(|band| band.holds(moment))
    }
}

impl Routing for TimeOfDay {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let mut order: Vec<TrunkId> = question.candidates.iter().map(|one| one.trunk).collect();
        if let Some(band) = self.band(question.call.received_ms) {
            // A stable sort: the other vendors keep the order that the plugin before set.
            order.sort_by_key(|trunk| band.rank(*trunk));
        }
        Ok(order)
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

export_plugin!(TimeOfDay: routing);

#[cfg(test)]
mod tests;
