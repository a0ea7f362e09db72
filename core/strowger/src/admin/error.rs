//! Error responses of the admin API: `{error, detail, field}`.

use crate::api::ErrorBody;
use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// An error response.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
}

impl ApiError {
    fn new(status: StatusCode, error: &str, detail: impl Into<String>) -> ApiError {
        let body = ErrorBody { error: error.to_owned(), detail: detail.into(), field: None };
        ApiError { status, body }
    }

    /// The named object does not exist.
    pub(crate) fn not_found(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// The path exists, the method does not.
    pub(super) fn wrong_method(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
    }

    /// A parameter or body field is wrong.
    pub(crate) fn invalid(field: &str, detail: impl Into<String>) -> ApiError {
        let mut error = ApiError::new(StatusCode::BAD_REQUEST, "invalid", detail);
        error.body.field = Some(field.to_owned());
        error
    }

    /// Understood, but refused: the plugin or configuration is wrong.
    pub(crate) fn refused(error: &str, detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, detail)
    }

    /// The object has changed since it was read.
    pub(crate) fn stale(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
    }

    /// A change without the revision that it changes.
    pub(super) fn without_revision() -> ApiError {
        let detail = "say which revision is changed: `If-Match: \"3\"`, or `If-None-Match: *` for a \
                      new one";
        ApiError::new(StatusCode::PRECONDITION_REQUIRED, "revision_needed", detail)
    }

    /// Missing or wrong token.
    pub(super) fn unauthorised() -> ApiError {
        let detail = "send `Authorization: Bearer TOKEN` with the token of [admin] or, if it has \
                      none, the one in the file `admin-token` of data_dir";
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorised", detail)
    }

    /// The request names another host.
    pub(super) fn wrong_host(detail: &str) -> ApiError {
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail)
    }

    /// The request comes from a web page of another origin.
    pub(super) fn foreign_origin() -> ApiError {
        let detail = "web pages of other origins may not ask here";
        ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", detail)
    }

    /// A change with a content type that a web page can send without a preflight.
    pub(super) fn wrong_type() -> ApiError {
        let detail = "say `Content-Type: application/json`, or application/wasm for an upload";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_type", detail)
    }

    /// The body did not arrive in time.
    pub(super) fn too_slow() -> ApiError {
        let detail = "the body did not come in time";
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail)
    }

    /// The body is larger than `most` bytes, or incomplete.
    pub(super) fn unreadable(most: usize, error: &axum::Error) -> ApiError {
        let detail = format!("the body cannot be read; it may have {most} bytes: {error}");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "unreadable", detail)
    }

    /// The node takes no new calls at the moment.
    pub(crate) fn no_calls_now(why: &str) -> ApiError {
        let detail = format!("no new calls are taken now: {why}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_calls_now", detail)
    }

    /// All slots are taken.
    pub(super) fn busy() -> ApiError {
        let detail = "too many requests are being served; try again";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }

    /// Something on the node failed.
    pub(crate) fn internal(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.body.field {
            Some(field) => write!(f, "{field}: {}", self.body.detail),
            None => f.write_str(&self.body.detail),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            // RFC 9110 section 11.6.1.
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
