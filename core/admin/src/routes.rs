//! Handlers of the other paths.

use super::guard::Guard;
use super::refusal::Refusal;
use api::{
    AccountLine, AlarmLine, ApiError, CallLine, LockoutLine, PluginLine, PluginList, ReloadDone,
    ReloadRequest, SwapDone, SwapRequest, TableLine, TestCallPlaced, TestCallRequest, UnlockDone,
    UpgradeBegun, parse_call_id,
};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use engine::Node;
use host::Source;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) type Reply<T> = Result<Json<T>, Refusal>;

/// Details for requests with the token; the response to others waits for nothing.
pub(super) async fn health(
    State(node): State<Arc<Node>>,
    guard: Arc<Guard>,
    request: Request,
) -> Response {
    let status = if node.takes_calls() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if guard.knows(request.headers(), request.uri()) {
        return (status, Json(node.health().await)).into_response();
    }
    let word = if node.takes_calls() { "up" } else { "down" };
    (status, Json(serde_json::json!({ "status": word }))).into_response()
}

pub(super) async fn metrics(State(node): State<Arc<Node>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], node.metrics().await)
}

pub(super) async fn alarms(State(node): State<Arc<Node>>) -> Json<Vec<AlarmLine>> {
    Json(node.alarms().lines())
}

pub(super) async fn calls(State(node): State<Arc<Node>>) -> Json<Vec<CallLine>> {
    Json(node.calls().await)
}

pub(super) async fn call(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Reply<CallLine> {
    let found = node.call(call_id(&id)?).await;
    let found = found.ok_or_else(|| ApiError::not_found(format!("no call {id} is up")))?;
    Ok(Json(found))
}

pub(super) async fn place_test_call(
    State(node): State<Arc<Node>>,
    body: Bytes,
) -> Reply<TestCallPlaced> {
    let request: TestCallRequest = json(&body)?;
    Ok(Json(node.place_test_call(request).await?))
}

pub(super) async fn hang_up(State(node): State<Arc<Node>>, Path(id): Path<String>) -> Reply<()> {
    let number = call_id(&id)?;
    if node.hang_up(number).await {
        Ok(Json(()))
    } else {
        Err(ApiError::not_found(format!("no call {id} is up")).into())
    }
}

pub(super) async fn accounts(State(node): State<Arc<Node>>) -> Json<Vec<AccountLine>> {
    Json(node.accounts())
}

pub(super) async fn upgrade(State(node): State<Arc<Node>>) -> Reply<UpgradeBegun> {
    aside(move || node.upgrade()).await
}

pub(super) async fn lockouts(State(node): State<Arc<Node>>) -> Json<Vec<LockoutLine>> {
    Json(node.lockouts())
}

pub(super) async fn unlock(
    State(node): State<Arc<Node>>,
    Path(source): Path<String>,
) -> Reply<UnlockDone> {
    Ok(Json(node.unlock(&source)?))
}

pub(super) async fn plugins(State(node): State<Arc<Node>>) -> Json<PluginList> {
    Json(node.plugins())
}

pub(super) async fn plugin(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<PluginLine> {
    match node.plugins().plugins.into_iter().find(|plugin| plugin.name == name) {
        Some(plugin) => Ok(Json(plugin)),
        None => {
            let detail = format!("no plugin `{name}`; /v1/plugins lists them");
            Err(ApiError::not_found(detail).into())
        }
    }
}

/// The body is the WASM file itself, or JSON that names a file on the node's disk.
pub(super) async fn swap(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<SwapDone> {
    let source = source(&headers, &body)?;
    aside(move || node.swap(&name, source)).await
}

/// Runs work of hundreds of milliseconds and more, such as compiling, reading millions of rows or
/// waiting for a change in progress, where it does not delay other requests.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Reply<T> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(Json(done.map_err(|error| ApiError::internal(error.to_string()))??))
}

/// A plugin's bytes: the body, or the file that its JSON names.
pub(super) fn source(headers: &HeaderMap, body: &Bytes) -> Result<Source, ApiError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        let SwapRequest { path } = json(body)?;
        return Ok(Source::Path(PathBuf::from(path)));
    }
    Ok(Source::Bytes(body.to_vec()))
}

pub(super) async fn tables(State(node): State<Arc<Node>>) -> Json<Vec<TableLine>> {
    Json(node.tables())
}

pub(super) async fn reload_table(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<TableLine> {
    aside(move || node.read_table(&name)).await
}

/// The query parameters of a request; an unknown or unreadable one is named.
pub(super) fn query<T>(parameters: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    let Query(parameters) =
        parameters.map_err(|rejection| ApiError::invalid("query", rejection.body_text()))?;
    Ok(parameters)
}

pub(super) async fn reload(State(node): State<Arc<Node>>, body: Bytes) -> Reply<ReloadDone> {
    let request: ReloadRequest =
        if body.is_empty() { ReloadRequest::default() } else { json(&body)? };
    let folder = request.folder.map(PathBuf::from);
    Ok(Json(node.reload(folder, request.dry_run, request.overwrite).await?))
}

pub(super) async fn not_found(uri: Uri) -> Refusal {
    let detail = format!(
        "no path {}; there are /health, /metrics, /v1/alarms, /v1/calls, /v1/test-calls, /v1/lockouts, /v1/records, /v1/rerate, /v1/ledger/proof, /v1/accounts, /v1/customer-trunks, /v1/vendor-trunks, /v1/rule-sets, /v1/decks, /v1/plugins, /v1/tables, /v1/reload, /v1/upgrade",
        uri.path()
    );
    ApiError::not_found(detail).into()
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    ApiError::wrong_method(format!("{method} is not possible on {}", uri.path())).into()
}

pub(super) fn call_id(text: &str) -> Result<u128, ApiError> {
    parse_call_id(text).ok_or_else(|| {
        ApiError::invalid("id", format!("`{text}` is not a call id: 32 hexadecimal digits"))
    })
}

pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::invalid("body", error.to_string()))
}
