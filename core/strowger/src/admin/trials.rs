//! Canaries, shadows and rollbacks: one function for each path.

use super::ApiError;
use super::routes::{Reply, source};
use crate::api::{DifferenceLine, SwapDone, TrialParameters};
use crate::node::{Node, Trial, Turn};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
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
    let Query(parameters) =
        parameters.map_err(|rejection| ApiError::invalid("query", rejection.body_text()))?;
    let source = source(&headers, &body)?;
    // Compiling takes hundreds of milliseconds and must not delay other requests.
    let started =
        tokio::task::spawn_blocking(move || node.trial(&name, trial, source, &parameters));
    started.await.map_err(|error| ApiError::internal(error.to_string()))?.map(Json)
}

pub(super) async fn promote(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<SwapDone> {
    node.turn(&name, Turn::Promote).map(Json)
}

pub(super) async fn rollback(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<SwapDone> {
    node.turn(&name, Turn::Rollback).map(Json)
}

pub(super) async fn end(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<SwapDone> {
    node.turn(&name, Turn::End).map(Json)
}

pub(super) async fn differences(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
) -> Reply<Vec<DifferenceLine>> {
    node.differences(&name).map(Json)
}
