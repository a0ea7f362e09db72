//! One exchange with a server. Connections are kept and reused per host.

use super::Failure;
use super::cache::{Outcome, Stored};
use super::request::Prepared;
use crate::wire::{Header, HttpMethod};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::http::response::Parts;
use hyper::{Method, Request};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of a response's body.
const BODY_BYTES: usize = 256 << 10;

/// Header lines of a response that a plugin sees; further ones are left out, and so are lines that
/// are too long.
const HEADERS: usize = 64;
const HEADER_NAME_BYTES: usize = 64;
const HEADER_VALUE_BYTES: usize = 2048;

/// How long a connection waits for another request. Servers often close after 60 s; closing earlier
/// avoids sending into a closing connection.
const IDLE: Duration = Duration::from_secs(15);

/// Idle connections to one host.
const IDLE_CONNECTIONS: usize = 32;

const USER_AGENT: &str = concat!("strowger/", env!("CARGO_PKG_VERSION"));

/// The node's connections to outside servers, shared by all plugins.
#[derive(Clone)]
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// Servers are authenticated by the operating system's certificate store. Without one, `https`
    /// fails with an explanation.
    pub(crate) fn new() -> Result<Client, rustls::Error> {
        let builder = || {
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
        };
        let config = match builder()?.with_native_roots() {
            Ok(builder) => builder.with_no_client_auth(),
            Err(error) => {
                tracing::warn!(%error, "no certificate store: https of plugins will fail");
                builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
            }
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Client { pool })
    }

    /// Sends the request and reads the whole response. A redirect is returned like any other
    /// response: a plugin that follows it sends another request, and needs the grant for that host.
    pub(crate) async fn exchange(&self, prepared: &Prepared) -> Outcome {
        let failed =
            |words: String| Failure::Failed(format!("{}: {words}", prepared.host()).into());
        let method = match prepared.key.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
        };
        let mut request = Request::builder().method(method).uri(prepared.uri.clone());
        if let Some(headers) = request.headers_mut() {
            headers
                .extend(prepared.headers.iter().cloned().map(|(name, value)| (Some(name), value)));
            headers
                .entry(hyper::header::USER_AGENT)
                .or_insert(hyper::header::HeaderValue::from_static(USER_AGENT));
        }
        let body = Full::new(Bytes::from(prepared.key.body.clone()));
        let request = request.body(body).map_err(|error| failed(error.to_string()))?;
        let response = self.pool.request(request).await.map_err(|error| {
            let what = if error.is_connect() { "cannot connect" } else { "no usable response" };
            failed(format!("{what}: {}", innermost(&error)))
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                failed(format!("the body has more than {BODY_BYTES} bytes"))
            } else {
                failed(format!("the body breaks off: {}", innermost(&*error)))
            }
        })?;
        Ok(Arc::new(Stored {
            status: parts.status.as_u16(),
            headers: seen(&parts),
            body: Arc::from(&*body.to_bytes()),
        }))
    }
}

/// Headers that fit the interface's type.
fn seen(parts: &Parts) -> Arc<[Header]> {
    let fits = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        let value = value.to_str().ok()?;
        let fits = name.as_str().len() <= HEADER_NAME_BYTES && value.len() <= HEADER_VALUE_BYTES;
        fits.then(|| Header { name: name.as_str().to_owned(), value: value.to_owned() })
    };
    parts.headers.iter().filter_map(fits).take(HEADERS).collect()
}

/// The root cause: the outer errors only say that something failed.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
