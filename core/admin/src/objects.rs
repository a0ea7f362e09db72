//! Handlers for single objects.

use super::refusal::Refusal;
use super::routes::{Reply, json, query};
use api::{ApiError, HistoryLine, ObjectChanged, ObjectPage, ObjectView, RowPage, RowsRequest};
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use engine::Change;
use engine::Node;
use serde::Deserialize;
use std::sync::Arc;
use store::ObjectKind;

/// Kinds of objects with their path segments.
const KINDS: [(&str, ObjectKind); 7] = [
    ("accounts", ObjectKind::Account),
    ("customer-trunks", ObjectKind::CustomerTrunk),
    ("vendor-trunks", ObjectKind::VendorTrunk),
    ("rule-sets", ObjectKind::RuleSet),
    ("decks", ObjectKind::Deck),
    ("number-lists", ObjectKind::NumberList),
    ("plugin-settings", ObjectKind::PluginSettings),
];

/// Query parameters of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Page {
    after: Option<String>,
    limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Page { after: None, limit: 100 }
    }
}

/// Query parameters of a list of rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rows {
    after: Option<String>,
    prefix: String,
    limit: usize,
}

impl Default for Rows {
    fn default() -> Self {
        Rows { after: None, prefix: String::new(), limit: 100 }
    }
}

/// The routes of all kinds.
pub(super) fn routes() -> Router<Arc<Node>> {
    let mut router = Router::new()
        .route("/v1/decks/{name}/rows", get(deck_rows).patch(change_rows))
        .route("/v1/number-lists/{name}/rows", get(list_rows).patch(change_list));
    for (place, kind) in KINDS {
        // The list of accounts shows their balances.
        if kind != ObjectKind::Account {
            router = router
                .route(&format!("/v1/{place}"), get(move |node, page| list(kind, node, page)));
        }
        router = router
            .route(
                &format!("/v1/{place}/{{name}}"),
                get(move |node, name| show(kind, node, name))
                    .put(move |node, name, headers, body| put(kind, node, name, headers, body))
                    .patch(move |node, name, headers, body| change(kind, node, name, headers, body))
                    .delete(move |node, name, headers| remove(kind, node, name, headers)),
            )
            .route(
                &format!("/v1/{place}/{{name}}/history"),
                get(move |node, name| history(kind, node, name)),
            );
    }
    router
}

async fn list(
    kind: ObjectKind,
    State(node): State<Arc<Node>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Reply<ObjectPage> {
    let page = query(page)?;
    Ok(Json(node.objects(kind, page.after.as_deref(), page.limit).await?))
}

async fn show(
    kind: ObjectKind,
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let object: ObjectView = node.object(kind, &name).await?;
    let mut response = Json(&object).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", object.revision)) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

async fn history(
    kind: ObjectKind,
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<Vec<HistoryLine>> {
    Ok(Json(node.object_history(kind, &name).await?))
}

async fn put(
    kind: ObjectKind,
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<ObjectChanged> {
    let (revision, change) = (revision(&headers)?, Change::Put(json(&body)?));
    on_a_task(async move { node.change_object(kind, &name, revision, change).await }).await
}

async fn change(
    kind: ObjectKind,
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<ObjectChanged> {
    let revision = Some(revision(&headers)?.ok_or_else(ApiError::without_revision)?);
    let change = Change::Merge(json(&body)?);
    on_a_task(async move { node.change_object(kind, &name, revision, change).await }).await
}

async fn remove(
    kind: ObjectKind,
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Reply<ObjectChanged> {
    let revision = Some(revision(&headers)?.ok_or_else(ApiError::without_revision)?);
    on_a_task(async move { node.change_object(kind, &name, revision, Change::Remove).await }).await
}

async fn deck_rows(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    rows: Result<Query<Rows>, QueryRejection>,
) -> Reply<RowPage> {
    let Rows { after, prefix, limit } = query(rows)?;
    Ok(Json(node.deck_rows(&name, after.as_deref(), &prefix, limit).await?))
}

async fn list_rows(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Reply<RowPage> {
    let page = query(page)?;
    Ok(Json(node.list_rows(&name, page.after.as_deref(), page.limit).await?))
}

async fn change_rows(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<ObjectChanged> {
    let revision = revision(&headers)?.ok_or_else(ApiError::without_revision)?;
    let request: RowsRequest = json(&body)?;
    on_a_task(async move { node.change_rows(&name, revision, request).await }).await
}

async fn change_list(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<ObjectChanged> {
    let revision = revision(&headers)?.ok_or_else(ApiError::without_revision)?;
    let request: RowsRequest = json(&body)?;
    on_a_task(async move { node.change_list(&name, revision, request).await }).await
}

/// A change continues when its client disconnects: what is stored must come into force.
async fn on_a_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Reply<T> {
    let done = tokio::spawn(work).await;
    Ok(Json(done.map_err(|error| ApiError::internal(error.to_string()))??))
}

/// The revision being changed; `None` for a new object.
fn revision(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(IF_MATCH), text(IF_NONE_MATCH)) {
        (None, Some("*")) => Ok(None),
        (Some(tag), None) => {
            let number = tag.trim().trim_matches('"').parse();
            number.map(Some).map_err(|_| {
                ApiError::invalid("If-Match", format!("`{tag}` is not a revision, such as \"3\""))
            })
        }
        _ => Err(ApiError::without_revision()),
    }
}
