//! Handlers that move money. Each runs in a separate task: a client that disconnects must not leave
//! database and purses inconsistent.

use super::routes::{Reply, json};
use api::{ApiError, LedgerProof, PaymentDone, PaymentRequest, RerateDone, RerateRequest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use engine::Node;
use std::sync::Arc;

/// The header equivalent to the field `key` of a payment.
const KEY: &str = "Idempotency-Key";

pub(super) async fn pay(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<PaymentDone> {
    let mut request: PaymentRequest = json(&body)?;
    if let Some(key) = headers.get(KEY) {
        let key = key.to_str().map_err(|_| ApiError::invalid(KEY, "expected visible ASCII"))?;
        if request.key.as_ref().is_some_and(|field| field != key) {
            let detail = "the body has another `key`; one payment has one";
            return Err(ApiError::invalid(KEY, detail).into());
        }
        request.key = Some(key.to_owned());
    }
    let paid = tokio::spawn(async move { node.pay(&name, request).await }).await;
    Ok(Json(paid.map_err(|error| ApiError::internal(error.to_string()))??))
}

pub(super) async fn rerate(State(node): State<Arc<Node>>, body: Bytes) -> Reply<RerateDone> {
    let request: RerateRequest =
        if body.is_empty() { RerateRequest::default() } else { json(&body)? };
    let done = tokio::spawn(async move { node.rerate(request).await }).await;
    Ok(Json(done.map_err(|error| ApiError::internal(error.to_string()))??))
}

pub(super) async fn prove(State(node): State<Arc<Node>>) -> Reply<LedgerProof> {
    Ok(Json(node.prove_ledger().await?))
}
