use super::answer::Header;
use std::sync::Arc;
use wasmtime::component::{ComponentType, Lift, Lower};

/// `host-http.method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ComponentType, Lift)]
#[expect(dead_code, reason = "made only by lifting what a guest passes")]
#[component(enum)]
#[repr(u8)]
pub(crate) enum HttpMethod {
    #[component(name = "get")]
    Get,
    #[component(name = "post")]
    Post,
}

/// `host-http.request`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct HttpRequest {
    #[component(name = "method")]
    pub(crate) method: HttpMethod,
    #[component(name = "url")]
    pub(crate) url: String,
    #[component(name = "headers")]
    pub(crate) headers: Vec<Header>,
    #[component(name = "body")]
    pub(crate) body: Vec<u8>,
    #[component(name = "timeout-ms")]
    pub(crate) timeout_ms: u32,
    #[component(name = "cache-s")]
    pub(crate) cache_s: u32,
}

/// `host-http.response`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct HttpResponse {
    #[component(name = "status")]
    pub(crate) status: u16,
    #[component(name = "headers")]
    pub(crate) headers: Arc<[Header]>,
    #[component(name = "body")]
    pub(crate) body: Arc<[u8]>,
    #[component(name = "cached")]
    pub(crate) cached: bool,
}

/// `host-http.error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum HttpError {
    #[component(name = "refused")]
    Refused(String),
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "failed")]
    Failed(String),
    #[component(name = "busy")]
    Busy,
}
