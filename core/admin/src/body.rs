//! Bodies of requests: read whole, within a size and a time.

use api::ApiError;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Largest plugin that can be uploaded.
const UPLOAD_BYTES: usize = 64 << 20;

/// How long an upload may take.
const UPLOAD_LIMIT: Duration = Duration::from_secs(120);

/// Uploads that are read at a time; the next ones wait within their time.
static UPLOADS: Semaphore = Semaphore::const_new(4);

/// Largest body of any other request.
const BODY_BYTES: usize = 1 << 20;

/// How long it may take.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// The request with its body in memory.
pub(super) async fn whole(request: Request) -> Result<Request, ApiError> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_upload = kind.is_some_and(|kind| kind.starts_with("application/wasm"));
    let (parts, body) = request.into_parts();
    let read = if is_upload {
        timeout(UPLOAD_LIMIT, async {
            // Never closed.
            let _turn = UPLOADS.acquire().await;
            to_bytes(body, UPLOAD_BYTES).await
        })
        .await
    } else {
        timeout(BODY_LIMIT, to_bytes(body, BODY_BYTES)).await
    };
    let most = if is_upload { UPLOAD_BYTES } else { BODY_BYTES };
    let bytes = read
        .map_err(|_| ApiError::too_slow())?
        .map_err(|error| ApiError::unreadable(most, error))?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}
