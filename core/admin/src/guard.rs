//! Checks of a request before it is served, the cheapest first.
//!
//! Programs and browsers on the same machine reach the interface. A web page can make its reader's
//! browser send requests here: under a name that resolves to this address (DNS rebinding), which
//! `Host` shows; from another origin, which `Origin` and `Sec-Fetch-Site` show (Fetch standard
//! 2.2.4, Fetch Metadata); or as a form or plain text, which a browser sends without a preflight,
//! so that changes must be JSON or WebAssembly. A page does not know the token either.

use super::connections::Peer;
use super::places::Places;
use super::refusal::Refusal;
use api::ApiError;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, FORWARDED, HOST, HeaderName, ORIGIN,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::{AlarmKind, Alarms, Refusals};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;

/// Wrong tokens within [`GUESS_WINDOW`] that raise the alarm.
const GUESSES: u32 = 20;

/// Period over which wrong tokens are counted.
const GUESS_WINDOW: Duration = Duration::from_secs(60);

/// Set by browsers: the relation between the requesting page and this interface.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Set by proxies: the connection's address is not the client's.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Access rules.
#[derive(Debug)]
pub(crate) struct Access {
    /// The bearer token that grants full access.
    pub(crate) token: String,
    /// A token that grants `/metrics` only.
    pub(crate) metrics_token: Option<String>,
    /// Host names of this interface besides IP addresses and `localhost`, in lower case.
    pub(crate) hosts: Vec<String>,
    /// Programs on this machine may read without a token (GET and HEAD).
    pub(crate) open_reading_on_loopback: bool,
}

/// The guard of all paths except `/health`.
#[derive(Debug)]
pub(super) struct Guard {
    access: Access,
    refusals: Arc<Refusals>,
    places: Places,
    alarms: Alarms,
    guesses: Mutex<Guesses>,
}

#[derive(Debug)]
struct Guesses {
    since: Instant,
    count: u32,
}

/// The access granted to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// It has the token.
    Everything,
    /// It needs no token.
    Reading,
}

impl Guard {
    pub(super) fn new(access: Access, refusals: Arc<Refusals>, alarms: Alarms) -> Guard {
        let guesses = Mutex::new(Guesses { since: Instant::now(), count: 0 });
        Guard { access, refusals, places: Places::default(), alarms, guesses }
    }

    /// Whether host, origin and token are those of the operator, who gets details at `/health`.
    pub(super) fn knows(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let token = self.shows(headers, &self.access.token);
        token && self.name(headers, uri).is_ok_and(|host| own_origin(headers, &host))
    }

    fn pass(&self, request: &Request, peer: &Peer) -> Result<Pass, ApiError> {
        let (headers, uri) = (request.headers(), request.uri());
        let host = self.name(headers, uri).inspect_err(|_| count(&self.refusals.host))?;
        if !own_origin(headers, &host) {
            count(&self.refusals.origin);
            return Err(ApiError::foreign_origin());
        }
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        let pass = if self.shows(headers, &self.access.token) {
            Pass::Everything
        } else if !changes && self.may_read(headers, uri, peer) {
            Pass::Reading
        } else {
            count(&self.refusals.token);
            if headers.contains_key(AUTHORIZATION) {
                self.note_guess(peer);
            }
            return Err(ApiError::unauthorised());
        };
        let has_body = !matches!(*request.method(), Method::DELETE | Method::OPTIONS);
        if changes && has_body && !declares_type(headers) {
            count(&self.refusals.content_type);
            return Err(ApiError::wrong_type());
        }
        Ok(pass)
    }

    /// The host that the request names, if it is this one. DNS rebinding needs a name, so any IP
    /// address is accepted.
    fn name(&self, headers: &HeaderMap, uri: &Uri) -> Result<String, ApiError> {
        let mut named = headers.get_all(HOST).iter();
        let authority = named.next().and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        let (Some(authority), None) = (authority, named.next()) else {
            return Err(ApiError::wrong_host("a request names one Host"));
        };
        // RFC 9112 section 3.2.2: a request target in absolute form overrides the header.
        for authority in [Some(&authority), uri.authority()].into_iter().flatten() {
            let host = authority.host();
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let is_own = bare.unwrap_or(host).parse::<IpAddr>().is_ok()
                || host.eq_ignore_ascii_case("localhost")
                || self.access.hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
            if !is_own || authority.as_str().contains('@') {
                let detail = format!(
                    "`{}` is not a name of this interface: use its IP address, or add the name \
                     to `hosts` of [admin]",
                    host.escape_default()
                );
                return Err(ApiError::wrong_host(&detail));
            }
        }
        Ok(authority.as_str().to_owned())
    }

    fn shows(&self, headers: &HeaderMap, wanted: &str) -> bool {
        let shown = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let shown = shown.and_then(|value| value.strip_prefix(b"Bearer "));
        shown.is_some_and(|shown| equal_in_constant_time(shown, wanted.as_bytes()))
    }

    fn may_read(&self, headers: &HeaderMap, uri: &Uri, peer: &Peer) -> bool {
        if uri.path() == "/metrics"
            && self.access.metrics_token.as_ref().is_some_and(|token| self.shows(headers, token))
        {
            return true;
        }
        let forwarded = headers.contains_key(FORWARDED) || headers.contains_key(X_FORWARDED_FOR);
        self.access.open_reading_on_loopback
            && peer.address.ip().to_canonical().is_loopback()
            && !forwarded
            && !headers.contains_key(AUTHORIZATION)
    }

    /// One wrong token may be a mistake, many are an attack.
    fn note_guess(&self, peer: &Peer) {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        if guesses.since.elapsed() > GUESS_WINDOW {
            *guesses = Guesses { since: Instant::now(), count: 0 };
        }
        guesses.count += 1;
        if guesses.count.is_multiple_of(GUESSES) {
            let detail = format!(
                "{} requests with a wrong token within a minute, the last from {}",
                guesses.count,
                peer.address.ip()
            );
            self.alarms.notice(AlarmKind::BruteForce, "admin interface", detail);
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Whether the request was not sent by a web page, or by one of `host` itself.
fn own_origin(headers: &HeaderMap, host: &str) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().map(HeaderValue::as_bytes);
    let own_site = sites.all(|site| matches!(site, b"none" | b"same-origin"));
    let own = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        named.is_some_and(|named| named.eq_ignore_ascii_case(host))
    };
    own_site && headers.get_all(ORIGIN).iter().all(own)
}

/// Whether a browser would send a preflight before this content type to another origin.
fn declares_type(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(declared), None) = (types.next(), types.next()) else { return false };
    let declared = declared.to_str().unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/wasm"].iter().any(|known| essence.eq_ignore_ascii_case(known))
}

/// Takes the same time wherever the first difference is, so that a token cannot be guessed byte by
/// byte. The length of the token is no secret.
fn equal_in_constant_time(shown: &[u8], wanted: &[u8]) -> bool {
    shown.ct_eq(wanted).into()
}

/// Middleware: serves permitted requests and refuses the others before reading their body.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let served = serve(&guard, &peer, request, next).await;
    let mut response = served.unwrap_or_else(|error| Refusal::from(error).into_response());
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn serve(
    guard: &Guard,
    peer: &Peer,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let pass = guard.pass(&request, peer)?;
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    // Reads need no body, so that nobody without a token can send one.
    let request = match changes {
        true => super::body::whole(request).await?,
        false => request.map(|_| Body::empty()),
    };
    let place = guard.places.take(pass == Pass::Everything, peer).await;
    let place = place.inspect_err(|_| count(&guard.refusals.busy))?;
    let response = if changes {
        // In a separate task: a client that disconnects must not leave half a change.
        let served = tokio::spawn(next.run(request)).await;
        served.map_err(|error| ApiError::internal(error.to_string()))?
    } else {
        next.run(request).await
    };
    let (parts, body) = response.into_parts();
    Ok(Response::from_parts(parts, place.hold_until_sent(body).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_compared_as_a_whole() {
        assert!(equal_in_constant_time(b"secret", b"secret"));
        for shown in [&b""[..], b"secre", b"secrets", b"Secret", b"secre\0"] {
            assert!(!equal_in_constant_time(shown, b"secret"));
        }
    }
}
