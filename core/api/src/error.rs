//! Error responses of the admin API: `{error, detail, field}`.

use crate::ErrorBody;
use std::fmt::Display;
use ureq::http::StatusCode;

/// An error response.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
}

impl ApiError {
    fn new(status: StatusCode, error: &str, detail: impl Into<String>) -> ApiError {
        let body = ErrorBody { error: error.to_owned(), detail: detail.into(), field: None };
        ApiError { status, body }
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What the answer says.
    #[must_use]
    pub fn into_body(self) -> ErrorBody {
        self.body
    }

    /// What was named does not exist.
    pub fn not_found(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// The path exists, the method does not.
    pub fn wrong_method(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
    }

    /// A parameter or body field is wrong.
    pub fn invalid(field: &str, detail: impl Into<String>) -> ApiError {
        let mut error = ApiError::new(StatusCode::BAD_REQUEST, "invalid", detail);
        error.body.field = Some(field.to_owned());
        error
    }

    /// Understood, but refused: the plugin or configuration is wrong.
    pub fn refused(error: &str, detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, detail)
    }

    /// The object has changed since it was read.
    pub fn stale(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
    }

    /// A change without the revision that it changes.
    pub fn without_revision() -> ApiError {
        let detail = "name the revision to change: `If-Match: \"3\"`, or `If-None-Match: *` for a \
                      new one";
        ApiError::new(StatusCode::PRECONDITION_REQUIRED, "revision_needed", detail)
    }

    /// Missing or wrong token.
    pub fn unauthorised() -> ApiError {
        let detail = "send `Authorization: Bearer TOKEN` with the token of [admin] or, if it has \
                      none, the one in the file `admin-token` of data_dir";
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorised", detail)
    }

    /// The request names another host.
    pub fn wrong_host(detail: &str) -> ApiError {
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail)
    }

    /// The request comes from a web page of another origin.
    pub fn foreign_origin() -> ApiError {
        let detail = "requests from web pages of other origins are refused";
        ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", detail)
    }

    /// A change with a content type that a web page can send without a preflight.
    pub fn wrong_type() -> ApiError {
        let detail = "say `Content-Type: application/json`, or application/wasm for an upload";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_type", detail)
    }

    /// The body did not arrive in time.
    pub fn too_slow() -> ApiError {
        let detail = "the request body did not arrive in time";
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail)
    }

    /// The body is larger than `most` bytes, or incomplete.
    pub fn unreadable(most: usize, error: impl Display) -> ApiError {
        let detail = format!("the body cannot be read; it may have {most} bytes: {error}");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "unreadable", detail)
    }

    /// The node takes no new calls at the moment.
    pub fn no_calls_now(why: &str) -> ApiError {
        let detail = format!("new calls are refused at the moment: {why}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_calls_now", detail)
    }

    /// All slots are taken.
    pub fn busy() -> ApiError {
        let detail = "too many requests are being served; try again";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }

    /// Something on the node failed.
    pub fn internal(detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.body.field {
            Some(field) => write!(f, "{field}: {}", self.body.detail),
            None => f.write_str(&self.body.detail),
        }
    }
}
