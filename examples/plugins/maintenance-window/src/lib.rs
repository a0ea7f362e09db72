//! Keeps calls away from vendors during announced maintenance.
//!
//! A vendor is left in peace from some minutes before its window, so that long calls have ended,
//! until its end. The moment is the arrival of the INVITE, so no grant is needed and a replayed
//! decision is the same. For hours that come back every week use the plugin `time-of-day`.
#![forbid(unsafe_code)]

mod config;

pub use config::{Action, Config, Window};

use jiff::Timestamp;
use plugin_sdk::{
    Call, Decision, Outcome, Plugin, Rejection, RouteQuestion, Routing, TrunkId, export_plugin,
};

/// A window in UTC milliseconds, with its lead.
#[derive(Debug)]
struct Closed {
    trunks: Vec<u32>,
    ms: std::ops::Range<i64>,
}

/// The plugin.
#[derive(Debug)]
pub struct MaintenanceWindow {
    closed: Vec<Closed>,
    action: Action,
    emergency: Vec<String>,
}

impl Plugin for MaintenanceWindow {
    const NAME: &'static str = "maintenance-window";
    const SUMMARY: &'static str = "Keeps calls away from vendors during announced maintenance.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if config.lead_minutes > 1_440 {
            let minutes = config.lead_minutes;
            return Err(format!("field `lead_minutes`: {minutes}, allowed is 0 to 1440"));
        }
        let lead_ms = i64::from(config.lead_minutes) * 60_000;
        let mut closed = Vec::with_capacity(config.windows.len());
        for (at, Window { trunks, from, to }) in config.windows.into_iter().enumerate() {
            let moment = |name: &str, text: &str| {
                let parsed = text.parse::<Timestamp>().map(Timestamp::as_millisecond);
                parsed.map_err(|error| format!("field `windows[{at}].{name}`: `{text}`: {error}"))
            };
            let (begin, end) = (moment("from", &from)?, moment("to", &to)?);
            if end <= begin {
                return Err(format!("field `windows[{at}].to`: {to} is not after {from}"));
            }
            if trunks.is_empty() {
                return Err(format!("field `windows[{at}].trunks`: name a vendor trunk"));
            }
            closed.push(Closed { trunks, ms: begin - lead_ms..end });
        }
        Ok(MaintenanceWindow { closed, action: config.action, emergency: config.emergency })
    }
}

impl Routing for MaintenanceWindow {
    fn select(&mut self, question: &RouteQuestion) -> Result<Vec<TrunkId>, Rejection> {
        let now = i64::try_from(question.call.received_ms).unwrap_or(i64::MAX);
        let is_closed = |trunk: &TrunkId| {
            self.closed.iter().any(|it| it.ms.contains(&now) && it.trunks.contains(&trunk.0))
        };
        let all = question.candidates.iter().map(|vendor| vendor.trunk);
        let (closed, mut order): (Vec<TrunkId>, Vec<TrunkId>) = all.partition(is_closed);
        if self.action == Action::Last || self.emergency.contains(&question.callee) {
            order.extend(closed);
        }
        Ok(order)
    }

    fn after_failure(&mut self, _: &Call, _: &Outcome) -> Decision {
        Decision::Pass
    }
}

export_plugin!(MaintenanceWindow: routing);

#[cfg(test)]
mod tests;
