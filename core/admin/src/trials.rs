//! Handlers for canaries, shadows and rollbacks.

use super::routes::{Reply, aside, query, source};
use api::{DifferenceLine, SwapDone, TrialParameters};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use engine::{Node, Trial, Turn};
use std::sync::Arc;

type Parameters = Result<Query<TrialParameters>, QueryRejection>;

pub(super) async fn canary(
    node: State<Arc<Node>>,
    name: Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<SwapDone> {
    trial(Trial::Canary, node, name, parameters, headers, body).await
}

pub(super) async fn shadow(
    node: State<Arc<Node>>,
    name: Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<SwapDone> {
    trial(Trial::Shadow, node, name, parameters, headers, body).await
}

async fn trial(
    trial: Trial,
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<SwapDone> {
    let parameters = query(parameters)?;
    let source = source(&headers, &body)?;
    aside(move || node.trial(&name, trial, source, &parameters)).await
}

pub(super) async fn promote(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<SwapDone> {
    aside(move || node.turn(&name, Turn::Promote)).await
}

pub(super) async fn rollback(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<SwapDone> {
    let (rolled, plugin) = (Arc::clone(&node), name.clone());
    let done = aside(move || rolled.turn(&plugin, Turn::Rollback)).await?;
    node.keep_settings_in_force(&name).await;
    Ok(done)
}

pub(super) async fn end(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<SwapDone> {
    aside(move || node.turn(&name, Turn::End)).await
}

pub(super) async fn differences(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<Vec<DifferenceLine>> {
    Ok(Json(node.differences(&name)?))
}
