use crate::error::LoadError;
use crate::settings::{Grant, PluginSettings};

/// Checks that grant and settings occur together, and the range of each setting.
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

/// A host that may be contacted.
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
        // The parser accepts more than a host: user names, and a colon without a port.
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
