//! Refusals of the admin interface: `{error, detail, field}`.

use crate::api::ErrorBody;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// A refusal.
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

    /// What was named does not exist.
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

    /// Understood, but refused: a plugin or a configuration that is wrong.
    pub(crate) fn refused(error: &str, detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, detail)
    }

    /// No or wrong token.
    pub(super) fn unauthorised() -> ApiError {
        let detail = "send `Authorization: Bearer TOKEN` with the token of [admin]";
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorised", detail)
    }

    /// Something here failed.
    pub(crate) fn internal(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
