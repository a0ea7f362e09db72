use serde::{Deserialize, Serialize};

/// The servers that a plugin with the grant `http` may reach, and its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// At least one: `host` for the port of the scheme (80, 443), or `host:port` for that
    /// port alone. No wildcards.
    pub hosts: Vec<String>,
    /// Longest time of one request, 1 to 5,000 ms, default 1,000; a request may ask for less.
    #[serde(default = "HttpSettings::default_timeout_ms")]
    pub timeout_ms: u32,
    /// Longest wall time of one question with all its requests, 1 to 30,000 ms, default 2,000.
    #[serde(default = "HttpSettings::default_total_ms")]
    pub total_ms: u32,
    /// For each hook: questions that may wait at one time, and open requests, 1 to 512, default 64.
    #[serde(default = "HttpSettings::default_in_flight")]
    pub in_flight: u32,
}

impl HttpSettings {
    /// These hosts, and the defaults for the rest.
    pub fn new<H: Into<String>>(hosts: impl IntoIterator<Item = H>) -> HttpSettings {
        HttpSettings {
            hosts: hosts.into_iter().map(Into::into).collect(),
            timeout_ms: Self::default_timeout_ms(),
            total_ms: Self::default_total_ms(),
            in_flight: Self::default_in_flight(),
        }
    }

    /// 1,000 ms.
    #[must_use]
    pub const fn default_timeout_ms() -> u32 {
        1_000
    }

    /// 2,000 ms.
    #[must_use]
    pub const fn default_total_ms() -> u32 {
        2_000
    }

    /// 64.
    #[must_use]
    pub const fn default_in_flight() -> u32 {
        64
    }
}
