//! Requests to external servers. The operator grants each host individually. Import `host-http`.
//!
//! [`Request::send`] waits for the response: a plugin that calls it runs on a separate fibre, its
//! call waits, others continue. [`Request::send_later`] leaves the request to the switch, and
//! nothing waits: a plugin that calls only this one runs as fast as one without requests.
//!
//! ```
//! use plugin_sdk::{FakeHost, host::http};
//! let switch = FakeHost::install();
//! switch.http_answer("http://lrn.example.com/1202", 200, r#"{"lrn": "12025550100"}"#);
//! let response = http::get("http://lrn.example.com/1202").timeout_ms(500).cache_s(86_400).send();
//! assert_eq!(response.unwrap().text(), Some(r#"{"lrn": "12025550100"}"#));
//!
//! http::post("http://hooks.example.com/calls", r#"{"call": 1}"#).send_later().unwrap();
//! assert_eq!(switch.http_left()[0].url, "http://hooks.example.com/calls");
//! ```

#[cfg(not(target_arch = "wasm32"))]
use crate::bindings::host::strowger::policy::types;
#[cfg(target_arch = "wasm32")]
use crate::bindings::host::strowger::policy::{host_http as import, types};
#[cfg(not(target_arch = "wasm32"))]
use crate::fake::host_http as import;
use std::fmt;

/// Default timeout of a request, ms; the grant may set a lower one.
const TIMEOUT_MS: u32 = 1_000;

/// A request for the content of a URL, `http://` or `https://`, at most 2,048 bytes.
pub fn get(url: impl Into<String>) -> Request {
    Request::new(import::Method::Get, url.into(), Vec::new())
}

/// A request with a body of at most 64 KiB.
pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Request {
    Request::new(import::Method::Post, url.into(), body.into())
}

/// See [`get`] and [`post`].
#[derive(Clone, Debug)]
#[must_use = "it is sent by `send` or `send_later`"]
pub struct Request {
    asked: import::Request,
}

impl Request {
    fn new(method: import::Method, url: String, body: Vec<u8>) -> Request {
        let (headers, timeout_ms, cache_s) = (Vec::new(), TIMEOUT_MS, 0);
        Request { asked: import::Request { method, url, headers, body, timeout_ms, cache_s } }
    }

    /// Adds a header line.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.asked.headers.push(types::Header { name: name.into(), value: value.into() });
        self
    }

    /// Sets the timeout, 1 to 5,000 ms, or less if the grant is lower; the default is 1,000.
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Request {
        self.asked.timeout_ms = timeout_ms;
        self
    }

    /// Reuses a good answer (200 to 299, 404) to an equal request that is not older than this, from
    /// any instance; equal requests in progress are joined.
    pub fn cache_s(mut self, cache_s: u32) -> Request {
        self.asked.cache_s = cache_s;
        self
    }

    /// Sends the request and waits for the response, whatever its status; redirects are responses
    /// too.
    ///
    /// # Errors
    /// Why there is no response.
    pub fn send(self) -> Result<Response, HttpError> {
        let response = import::fetch(&self.asked).map_err(HttpError::from)?;
        Ok(Response {
            status: response.status,
            headers: response.headers.into_iter().map(|line| (line.name, line.value)).collect(),
            body: response.body,
            cached: response.cached,
        })
    }

    /// Leaves the request to the switch, which sends it later; nothing waits, and nobody sees the
    /// response. The switch tries up to 5 times in about three minutes, until a server answers 200
    /// to 299 or refuses it for good: a status below 500 other than 408, 425 and 429. It obeys
    /// `Retry-After`. The request may arrive more than once and out of order, so its content should
    /// tell. It waits in the memory of the switch: a swap of the plugin loses none, a crash of the
    /// switch loses all. `cache_s` is ignored. A shadow and a replay send nothing.
    ///
    /// # Errors
    /// [`HttpError::Refused`] if the host is not granted or the request is not valid;
    /// [`HttpError::Busy`] if 10,000 requests or 16 MiB of this plugin wait.
    pub fn send_later(self) -> Result<(), HttpError> {
        import::send(&self.asked).map_err(HttpError::from)
    }
}

/// The answer of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 100 to 599.
    pub status: u16,
    /// Name and value of each line; names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most 256 KiB.
    pub body: Vec<u8>,
    /// Answered from the cache.
    pub cached: bool,
}

impl Response {
    /// Status 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// First value of a header; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The body, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// The body, parsed as JSON.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| error.to_string())
    }
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The host is not granted, or the request is not valid; contains the reason.
    Refused(String),
    /// No response in time.
    Timeout,
    /// Name resolution, connection, TLS or the response failed; contains the cause.
    Failed(String),
    /// Too many requests of this plugin are in progress.
    Busy,
}

impl From<import::Error> for HttpError {
    fn from(error: import::Error) -> HttpError {
        match error {
            import::Error::Refused(why) => HttpError::Refused(why),
            import::Error::Timeout => HttpError::Timeout,
            import::Error::Failed(how) => HttpError::Failed(how),
            import::Error::Busy => HttpError::Busy,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Refused(why) => write!(f, "refused: {why}"),
            HttpError::Timeout => f.write_str("no response in time"),
            HttpError::Failed(how) => write!(f, "failed: {how}"),
            HttpError::Busy => f.write_str("too many requests are under way"),
        }
    }
}

impl std::error::Error for HttpError {}
