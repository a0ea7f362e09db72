use crate::{Grant, LoadError, PluginSettings};
use serde::{Deserialize, Serialize};

/// What a plugin with the grant `http` may reach, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// At least one: `host` for the port of the scheme (80, 443), or `host:port` for that
    /// port alone. No wildcards.
    pub hosts: Vec<String>,
    /// Most time for one request, 1 to 5,000 ms, default 1,000; a request may ask for less.
    #[serde(default = "HttpSettings::default_timeout_ms")]
    pub timeout_ms: u32,
    /// Most wall time of one question with all its requests, 1 to 30,000 ms, default 2,000.
    #[serde(default = "HttpSettings::default_total_ms")]
    pub total_ms: u32,
    /// Questions that may wait at one time, and requests under way, 1 to 512, default 64.
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

/// The grant and its settings belong together, and each is in its range.
pub(crate) fn check(settings: &PluginSettings) -> Result<(), LoadError> {
    let wrong = |field, value: String, allowed| {
        Err(LoadError::Setting { plugin: settings.name.clone(), field, value, allowed })
    };
    let granted = settings.grants.contains(&Grant::Http);
    let Some(http) = settings.http.as_ref().filter(|http| !http.hosts.is_empty()) else {
        if granted {
            let allowed = "a list of at least one host, such as [\"lrn.example.com\"]: \
                           the grant \"http\" opens only what is named";
            return wrong("http.hosts", "empty".to_owned(), allowed);
        }
        return Ok(());
    };
    if !granted {
        return wrong("http", "set".to_owned(), "only beside the grant \"http\"");
    }
    if let Some(host) = http.hosts.iter().find(|host| GrantedHost::parse(host).is_none()) {
        return wrong("http.hosts", format!("{host:?}"), "`host` or `host:port`, no wildcards");
    }
    if !(1..=5_000).contains(&http.timeout_ms) {
        return wrong("http.timeout", format!("{} ms", http.timeout_ms), "1 ms to 5 s");
    }
    if !(1..=30_000).contains(&http.total_ms) {
        return wrong("http.total", format!("{} ms", http.total_ms), "1 ms to 30 s");
    }
    if !(1..=512).contains(&http.in_flight) {
        return wrong("http.in_flight", http.in_flight.to_string(), "1 to 512");
    }
    Ok(())
}

/// A host that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrantedHost {
    /// Lower case; IPv6 in brackets.
    host: String,
    /// None: the port of the scheme.
    port: Option<u16>,
}

impl GrantedHost {
    pub(crate) fn parse(text: &str) -> Option<GrantedHost> {
        let authority: hyper::http::uri::Authority = text.parse().ok()?;
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        // The parser takes more than a host: user names, and a colon without a port.
        if text.ends_with(':') || !text.bytes().all(named) || authority.host().is_empty() {
            return None;
        }
        let port = authority.port_u16();
        if port.is_none() && authority.as_str() != authority.host() {
            return None;
        }
        Some(GrantedHost { host: authority.host().to_ascii_lowercase(), port })
    }

    pub(crate) fn opens(&self, host: &str, port: Option<u16>, scheme_port: u16) -> bool {
        let asked = port.unwrap_or(scheme_port);
        self.port.unwrap_or(scheme_port) == asked && self.host.eq_ignore_ascii_case(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_opens_one_host_and_one_port() {
        let named = GrantedHost::parse("LRN.example.com").unwrap();
        assert!(named.opens("lrn.example.com", None, 443));
        assert!(named.opens("lrn.example.com", Some(80), 80));
        assert!(!named.opens("lrn.example.com", Some(8080), 80));
        assert!(!named.opens("evil.lrn.example.com", None, 80));
        let with_port = GrantedHost::parse("[::1]:8080").unwrap();
        assert!(with_port.opens("[::1]", Some(8080), 80));
        assert!(!with_port.opens("[::1]", None, 80));
    }

    #[test]
    fn what_is_no_host_is_no_grant() {
        for wrong in
            ["", "*.example.com", "user@host", "http://host", "host/path", "host:", "host:99999"]
        {
            assert_eq!(GrantedHost::parse(wrong), None, "{wrong}");
        }
    }
}
