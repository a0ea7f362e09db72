//! Caps what an account may do to a country: calls at a time, calls within an hour, minutes within
//! a day (SEC-31). A stolen password then costs a known sum at most.
//!
//! A call is checked in `screening`; its minutes are counted in `events` when it ends, so calls
//! that are up may pass the limit of minutes. `concurrent` bounds by how much.
#![forbid(unsafe_code)]

mod config;

pub use config::{Cap, Config, Per};

use plugin_sdk::{
    Call, Event, EventKind, Events, Plugin, Reason, Rejection, ScreenQuestion, Screening, Verdict,
    export_plugin, host,
};

const HOUR_S: u32 = 3_600;
const DAY_S: u32 = 86_400;

/// The plugin. The switch counts for all its instances.
#[derive(Debug)]
pub struct CountryCap {
    config: Config,
}

impl Plugin for CountryCap {
    const NAME: &'static str = "country-cap";
    const SUMMARY: &'static str = "Caps an account's calls and minutes by country.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(CountryCap { config })
    }
}

impl CountryCap {
    fn cap(&self, callee: &str) -> Option<&Cap> {
        let callee = callee.trim_start_matches('+');
        if self.config.emergency.iter().any(|number| number == callee) {
            return None;
        }
        let length = |cap: &Cap| {
            let fits = cap.prefixes.iter().filter(|prefix| callee.starts_with(prefix.as_str()));
            fits.map(String::len).max()
        };
        self.config.caps.iter().filter(|cap| length(cap).is_some()).max_by_key(|cap| length(cap))
    }

    fn key(&self, cap: &Cap, call: &Call) -> String {
        match self.config.per {
            Per::Account => format!("{} a{}", cap.name, call.account),
            Per::Trunk => format!("{} t{}", cap.name, call.trunk),
            Per::Node => cap.name.clone(),
        }
    }

    /// The limit that is reached. A refused call uses none of them.
    fn reached(&self, cap: &Cap, call: &Call) -> Option<String> {
        let key = self.key(cap, call);
        let minutes = cap.minutes_per_day;
        if minutes > 0 && host::counter(&key, DAY_S).sum() >= minutes.saturating_mul(60) {
            return Some(format!("{minutes} minutes a day"));
        }
        if cap.concurrent > 0 && !host::places(&key).hold(cap.concurrent) {
            return Some(format!("{} calls at a time", cap.concurrent));
        }
        let calls = cap.calls_per_hour;
        if calls > 0 && host::counter(&key, HOUR_S).add_within(1, calls).is_err() {
            host::places(&key).release();
            return Some(format!("{calls} calls an hour"));
        }
        None
    }
}

impl Screening for CountryCap {
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict {
        let Some(cap) = self.cap(&question.callee) else { return Verdict::Allow };
        match self.reached(cap, &question.call) {
            None => Verdict::Allow,
            Some(limit) => {
                let detail = format!("cap `{}`: {limit}", cap.name);
                Verdict::Reject(Rejection::new(403, Reason::DynamicBlock, detail))
            }
        }
    }
}

impl Events for CountryCap {
    fn notify(&mut self, event: &Event) {
        if event.kind == EventKind::Ended
            && event.duration_ms > 0
            && let Some(cap) = self.cap(&event.callee)
        {
            let seconds = u32::try_from(event.duration_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
            host::counter(&self.key(cap, &event.call), DAY_S).add(seconds);
        }
    }
}

export_plugin!(CountryCap: screening, events);

#[cfg(test)]
mod tests;
