//! Reports calls to a server outside as they happen: one POST with JSON for each event.
//!
//! This example shows how to:
//!
//! * **Report without waiting.** `send_later` leaves the request to the switch, which sends it,
//!   tries again while the server is away, and obeys its `Retry-After`. The plugin never waits, so
//!   a slow server delays neither a call nor the next event.
//! * **Make a report that may arrive twice.** Each report has the call and the time of the event:
//!   a receiver recognises one that it has, and sorts those that overtook each other.
//! * **Lose reports knowingly.** While thousands wait, the switch takes no more. The plugin counts
//!   them; the switch raises an alarm.
//!
//! ```toml
//! [[plugins.list]]
//! name = "call-report"
//! file = "call_report.wasm"
//! grants = ["metrics", "http"]
//! http = { hosts = ["hooks.example.com"] }
//! config = { url = "https://hooks.example.com/calls", events = ["answered", "ended"] }
//! ```
#![forbid(unsafe_code)]

use plugin_sdk::host::{self, http};
use plugin_sdk::{Event, EventKind, Events, Plugin, export_plugin};
use serde::{Deserialize, Serialize};

/// Settings; `schema.json` in this directory describes the same to the switch.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where events are posted to.
    pub url: String,
    /// `Authorization` header of each request; empty: no header.
    pub authorization: String,
    /// Only these are reported.
    pub events: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: String::new(),
            authorization: String::new(),
            events: vec!["answered".to_owned(), "ended".to_owned()],
        }
    }
}

/// The body of a request.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The call's id, 32 hex digits, as in records.
    pub call: String,
    /// What happened, such as `answered`.
    pub event: String,
    /// When, milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// The account that pays.
    pub account: u32,
    /// The customer trunk.
    pub customer: u32,
    /// The vendor trunk; 0 if none.
    pub vendor: u32,
    /// Caller after the ingress rewrite.
    pub caller: String,
    /// Callee after the ingress rewrite.
    pub callee: String,
    /// Response code; 0 if none.
    pub code: u16,
    /// Answered milliseconds; 0 before the answer.
    pub duration_ms: u64,
}

/// Posts events.
#[derive(Debug)]
pub struct CallReport {
    config: Config,
}

impl Plugin for CallReport {
    const NAME: &'static str = "call-report";
    const SUMMARY: &'static str = "Reports calls to a server as they happen.";
    const CONFIG_SCHEMA: &'static str = include_str!("schema.json");
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if config.url.is_empty() {
            return Err("field `url`: it needs the address of a server".to_owned());
        }
        Ok(CallReport { config })
    }
}

impl Events for CallReport {
    fn notify(&mut self, event: &Event) {
        let name = name(event.kind);
        if !self.config.events.iter().any(|one| one == name) {
            return;
        }
        let report = Report {
            call: format!("{:032x}", event.call.id),
            event: name.to_owned(),
            at_ms: event.at_ms,
            account: event.call.account.0,
            customer: event.call.trunk.0,
            vendor: event.trunk.map_or(0, |trunk| trunk.0),
            caller: event.caller.clone(),
            callee: event.callee.clone(),
            code: event.code,
            duration_ms: event.duration_ms,
        };
        let Ok(body) = serde_json::to_vec(&report) else { return };
        let mut request = http::post(&self.config.url, body);
        request = request.header("Content-Type", "application/json").timeout_ms(5_000);
        if !self.config.authorization.is_empty() {
            request = request.header("Authorization", &self.config.authorization);
        }
        host::count(if request.send_later().is_ok() { "reported" } else { "not_reported" }, 1);
    }
}

fn name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Incoming => "incoming",
        EventKind::Routed => "routed",
        EventKind::Attempt => "attempt",
        EventKind::Ringing => "ringing",
        EventKind::Answered => "answered",
        EventKind::Held => "held",
        EventKind::Resumed => "resumed",
        EventKind::Failed => "failed",
        EventKind::Ended => "ended",
    }
}

export_plugin!(CallReport: events);

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::host::http::HttpError;
    use plugin_sdk::{Call, FakeHost, TrunkId, configured};

    const URL: &str = "https://hooks.example.com/calls";

    fn reporter(more: &str) -> CallReport {
        configured(&format!("{{\"url\": \"{URL}\"{more}}}")).expect("it is configured")
    }

    fn answered() -> Event {
        Event {
            call: Call { id: 0xABC, trunk: TrunkId(12), ..Call::default() },
            kind: EventKind::Answered,
            at_ms: 1_767_225_600_000,
            trunk: Some(TrunkId(5)),
            code: 200,
            callee: "442071230001".to_owned(),
            ..Event::default()
        }
    }

    #[test]
    fn an_event_is_left_to_the_switch_as_json() {
        let switch = FakeHost::install();
        reporter("").notify(&answered());
        let left = switch.http_left();
        assert_eq!((left.len(), left[0].method, left[0].url.as_str()), (1, "POST", URL));
        let report: Report = serde_json::from_slice(&left[0].body).expect("it is JSON");
        assert_eq!(report.call, "00000000000000000000000000000abc");
        assert_eq!((report.event.as_str(), report.vendor, report.code), ("answered", 5, 200));
        assert_eq!(switch.metric("reported"), 1);
    }

    #[test]
    fn only_the_events_of_the_settings_are_reported() {
        let switch = FakeHost::install();
        let mut reporter = reporter(r#", "events": ["ended"], "authorization": "Bearer x""#);
        reporter.notify(&answered());
        assert!(switch.http_left().is_empty());
        reporter.notify(&Event { kind: EventKind::Ended, ..answered() });
        let named = ("Authorization".to_owned(), "Bearer x".to_owned());
        assert!(switch.http_left()[0].headers.contains(&named));
    }

    #[test]
    fn a_report_without_room_is_counted() {
        let switch = FakeHost::install();
        switch.http_left_error(Some(HttpError::Busy));
        reporter("").notify(&answered());
        assert_eq!((switch.metric("reported"), switch.metric("not_reported")), (0, 1));
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        assert!(configured::<CallReport>("{}").unwrap_err().contains("url"));
        assert!(configured::<CallReport>(r#"{"ulr": ""}"#).unwrap_err().contains("ulr"));
    }
}
