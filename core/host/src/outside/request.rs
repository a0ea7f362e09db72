//! A plugin's request, checked before anything is sent.

use super::settings::GrantedHost;
use crate::wire::{HttpMethod, HttpRequest};
use hyper::Uri;
use hyper::http::uri::Scheme;
use hyper::http::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

const URL_BYTES: usize = 2048;
const BODY_BYTES: usize = 64 << 10;
const HEADERS: usize = 64;
const HEADER_NAME_BYTES: usize = 64;
const HEADER_VALUE_BYTES: usize = 2048;
const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 1..=5_000;

/// Headers about the transport of a message; the client writes them.
const OWN_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The fields that make two requests equal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) method: HttpMethod,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Does not print the contents, which may be secret.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// The key, and the seconds that a cached response may be old.
    pub(crate) fn of(asked: HttpRequest) -> (Key, u32) {
        let headers = asked.headers.into_iter().map(|header| (header.name, header.value));
        let key = Key {
            method: asked.method,
            url: asked.url,
            headers: headers.collect(),
            body: asked.body,
        };
        (key, asked.cache_s)
    }

    /// Approximate memory size.
    pub(crate) fn bytes(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        self.url.len() + headers + self.body.len() + size_of::<Key>()
    }
}

/// A request that may be sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) key: Arc<Key>,
    pub(crate) uri: Uri,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) limit: Duration,
    /// The response goes into the cache.
    pub(crate) cached: bool,
}

/// Checks the limits, before the cache is used.
pub(crate) fn in_range(asked: &HttpRequest) -> Result<(), String> {
    if !TIMEOUT_MS.contains(&asked.timeout_ms) {
        return Err(format!("timeout-ms is {}, allowed is 1 to 5000", asked.timeout_ms));
    }
    if asked.url.len() > URL_BYTES {
        return Err(format!("the URL has {} bytes, at most {URL_BYTES}", asked.url.len()));
    }
    if asked.body.len() > BODY_BYTES {
        return Err(format!("the body has {} bytes, at most {BODY_BYTES}", asked.body.len()));
    }
    if asked.headers.len() > HEADERS {
        return Err(format!("{} headers, at most {HEADERS}", asked.headers.len()));
    }
    Ok(())
}

impl Prepared {
    /// The error text does not repeat the URL, which may contain a secret.
    pub(crate) fn new(
        key: Key,
        hosts: &[GrantedHost],
        limit: Duration,
        cached: bool,
    ) -> Result<Prepared, String> {
        let uri: Uri = key.url.parse().map_err(|cause| format!("the URL is not valid: {cause}"))?;
        let scheme_port = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => 80,
            Some(scheme) if *scheme == Scheme::HTTPS => 443,
            _ => return Err("the URL does not begin with http:// or https://".to_owned()),
        };
        let Some(authority) = uri.authority() else {
            return Err("the URL names no host".to_owned());
        };
        if authority.as_str().contains('@') {
            return Err("the URL holds a user name; send an Authorization header".to_owned());
        }
        let (host, port) = (authority.host(), authority.port_u16());
        if !hosts.iter().any(|granted| granted.opens(host, port, scheme_port)) {
            let port = port.unwrap_or(scheme_port);
            return Err(format!(
                "host `{host}`, port {port}, is not granted; the operator grants it in `http.hosts`"
            ));
        }
        let headers = key.headers.iter().map(header).collect::<Result<_, String>>()?;
        Ok(Prepared { key: Arc::new(key), uri, headers, limit, cached })
    }

    /// The host, for error texts.
    pub(crate) fn host(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }
}

fn header((name, value): &(String, String)) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = |what: &str| format!("header `{}`: {what}", name.escape_debug());
    if name.is_empty() || name.len() > HEADER_NAME_BYTES {
        return Err(format!("a header name has {} bytes, allowed is 1 to 64", name.len()));
    }
    if value.len() > HEADER_VALUE_BYTES {
        return Err(wrong(&format!("{} bytes, at most {HEADER_VALUE_BYTES}", value.len())));
    }
    if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(wrong("it is written by the switch"));
    }
    let name = name.parse::<HeaderName>().map_err(|_| wrong("its name is not a token"))?;
    let value = HeaderValue::from_str(value).map_err(|_| wrong("a control character inside"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, headers: &[(&str, &str)]) -> String {
        let hosts = [GrantedHost::parse("lrn.example.com").unwrap()];
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let key = Key { method: HttpMethod::Get, url: url.to_owned(), headers, body: Vec::new() };
        match Prepared::new(key, &hosts, Duration::from_secs(1), false) {
            Ok(_) => String::new(),
            Err(words) => words,
        }
    }

    #[test]
    fn only_granted_hosts_are_asked() {
        assert_eq!(refused("http://lrn.example.com/1?key=secret", &[]), "");
        assert_eq!(refused("https://LRN.example.com:443/", &[]), "");
        let words = refused("http://lrn.example.com:8080/?key=secret", &[]);
        assert!(words.contains("port 8080, is not granted"), "{words}");
        assert!(!words.contains("secret"), "{words}");
        for url in ["http://169.254.169.254/latest", "http://lrn.example.com.evil/"] {
            assert!(refused(url, &[]).contains("is not granted"), "{url}");
        }
        assert!(refused("ftp://lrn.example.com/", &[]).contains("http:// or https://"));
        assert!(refused("/only/a/path", &[]).contains("http:// or https://"));
        assert!(refused("http://user:pw@lrn.example.com/", &[]).contains("user name"));
        assert!(refused("http://lrn.example.com/a b", &[]).contains("not valid"));
    }

    #[test]
    fn headers_cannot_change_how_the_message_is_carried() {
        let url = "http://lrn.example.com/";
        assert_eq!(refused(url, &[("Authorization", "Bearer x")]), "");
        assert!(refused(url, &[("Host", "evil")]).contains("written by the switch"));
        assert!(
            refused(url, &[("Transfer-Encoding", "chunked")]).contains("written by the switch")
        );
        assert!(refused(url, &[("X-A", "1\r\nHost: evil")]).contains("control character"));
        assert!(refused(url, &[("X A", "1")]).contains("not a token"));
        assert!(refused(url, &[("X-A", &"1".repeat(2049))]).contains("at most 2048"));
    }
}
