//! The bearer token of the admin interface.

use super::ApiError;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What a request must show; nothing when no token is configured.
#[derive(Clone)]
pub(super) struct Token(Option<Arc<[u8]>>);

impl Token {
    pub(super) fn new(token: Option<String>) -> Token {
        Token(token.map(|token| Arc::from(token.into_bytes())))
    }

    fn opens(&self, request: &Request) -> bool {
        let Some(wanted) = &self.0 else { return true };
        let shown = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
        let shown = shown.and_then(|value| value.strip_prefix(b"Bearer "));
        shown.is_some_and(|shown| equal_in_constant_time(shown, wanted))
    }
}

/// Takes the same time wherever the first difference lies, so that a token cannot be
/// guessed byte by byte. The length of the configured token is not a secret.
fn equal_in_constant_time(shown: &[u8], wanted: &[u8]) -> bool {
    let mut difference = u8::from(shown.len() != wanted.len());
    for (index, wanted) in wanted.iter().enumerate() {
        difference |= shown.get(index).unwrap_or(&0) ^ wanted;
    }
    std::hint::black_box(difference) == 0
}

pub(super) async fn check(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.opens(&request) {
        next.run(request).await
    } else {
        ApiError::unauthorised().into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_compared_as_a_whole() {
        assert!(equal_in_constant_time(b"secret", b"secret"));
        for shown in [&b""[..], b"secre", b"secrets", b"Secret", b"secre\0"] {
            assert!(!equal_in_constant_time(shown, b"secret"));
        }
    }
}
