//! The servers that the grant `http` opens for a plugin.

use super::check::{Found, is_host_port, range};
use super::{PluginConfig, milliseconds, values};
use host::{Grant, HttpSettings};
use serde::Deserialize;
use std::time::Duration;

/// External servers that a plugin may query.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// `host` for ports 80 and 443, or `host:port`; no wildcards.
    pub hosts: Vec<String>,
    /// Maximum time for one request, 1 ms to 5 s, default 1 s.
    #[serde(default = "default_timeout", deserialize_with = "values::duration")]
    pub timeout: Duration,
    /// Maximum wall time of one question with all its requests, 1 ms to 30 s, default 2 s.
    #[serde(default = "default_total", deserialize_with = "values::duration")]
    pub total: Duration,
    /// Questions of each hook that may wait at the same time, 1 to 512, default 64.
    #[serde(default = "HttpSettings::default_in_flight")]
    pub in_flight: u32,
}

impl HttpConfig {
    pub(super) fn host_settings(&self) -> HttpSettings {
        HttpSettings {
            hosts: self.hosts.clone(),
            timeout_ms: milliseconds(self.timeout),
            total_ms: milliseconds(self.total),
            in_flight: self.in_flight,
        }
    }
}

fn default_timeout() -> Duration {
    Duration::from_millis(HttpSettings::default_timeout_ms().into())
}

fn default_total() -> Duration {
    Duration::from_millis(HttpSettings::default_total_ms().into())
}

/// Checks that the grant and its settings come together, and that each is in its range.
pub(super) fn problems(found: &mut Found, plugin: &PluginConfig, field: &dyn Fn(&str) -> String) {
    let granted = plugin.grants.contains(&Grant::Http);
    let Some(http) = &plugin.http else {
        if granted {
            let detail = "`http` opens only what is named: set `http = { hosts = [...] }`";
            found.push((field("grants"), detail.to_owned()));
        }
        return;
    };
    if !granted {
        found.push((field("http"), "it needs the grant: add \"http\" to `grants`".to_owned()));
    }
    if http.hosts.is_empty() {
        found.push((field("http.hosts"), "at least one host is needed".to_owned()));
    }
    for host in http.hosts.iter().filter(|host| !is_host_port(host)) {
        let detail = format!("`{host}` is not `host` or `host:port`, such as \"lrn.example.com\"");
        found.push((field("http.hosts"), detail));
    }
    range(found, field("http.timeout"), http.timeout, "1ms", "5s");
    range(found, field("http.total"), http.total, "1ms", "30s");
    if !(1..=512).contains(&http.in_flight) {
        found.push((field("http.in_flight"), "out of range: allowed are 1 to 512".to_owned()));
    }
}
