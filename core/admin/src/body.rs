//! Request bodies, read whole within a size and a time limit.

use api::ApiError;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Maximum size of a plugin upload.
const UPLOAD_BYTES: usize = 64 << 20;

/// Time limit of an upload.
const UPLOAD_LIMIT: Duration = Duration::from_secs(120);

/// Concurrent uploads; more wait within their time limit.
static UPLOADS: Semaphore = Semaphore::const_new(4);

/// Maximum size of any other body.
const BODY_BYTES: usize = 1 << 20;

/// Time limit of any other body.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// Reads the body of a request into memory.
pub(super) async fn whole(request: Request) -> Result<Request, ApiError> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_upload = kind.is_some_and(|kind| kind.starts_with("application/wasm"));
    let (parts, body) = request.into_parts();
    let read = if is_upload {
        timeout(UPLOAD_LIMIT, async {
            // The semaphore is never closed.
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
