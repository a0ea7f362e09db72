//! The admin interface: JSON over HTTP for the command line, monitoring and scripts.

mod error;
mod guard;
mod routes;
mod trials;

pub(crate) use error::ApiError;

use crate::node::Node;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Largest plugin that can be uploaded.
const UPLOAD_BYTES: usize = 64 << 20;

/// Serves until `stop` becomes true.
///
/// # Errors
/// What the listening socket says.
pub(crate) async fn serve(
    listener: TcpListener,
    node: Arc<Node>,
    token: Option<String>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let stopped = async move {
        // A dropped sender is a stop, too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router(node, token)).with_graceful_shutdown(stopped).await
}

fn router(node: Arc<Node>, token: Option<String>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(routes::metrics))
        .route("/v1/calls", get(routes::calls))
        .route("/v1/calls/{id}", delete(routes::hang_up))
        .route("/v1/records", get(routes::records))
        .route("/v1/records/{id}", get(routes::record))
        .route("/v1/accounts", get(routes::accounts))
        .route("/v1/accounts/{name}/payments", post(routes::pay))
        .route("/v1/plugins", get(routes::plugins))
        .route("/v1/plugins/{name}", get(routes::plugin))
        .route("/v1/plugins/{name}/swap", post(routes::swap))
        .route("/v1/plugins/{name}/canary", post(trials::canary))
        .route("/v1/plugins/{name}/shadow", post(trials::shadow))
        .route("/v1/plugins/{name}/promote", post(trials::promote))
        .route("/v1/plugins/{name}/rollback", post(trials::rollback))
        .route("/v1/plugins/{name}/trial", delete(trials::end))
        .route("/v1/plugins/{name}/differences", get(trials::differences))
        .route("/v1/tables", get(routes::tables))
        .route("/v1/tables/{name}/reload", post(routes::reload_table))
        .route("/v1/reload", post(routes::reload))
        .layer(axum::middleware::from_fn_with_state(guard::Token::new(token), guard::check));
    Router::new()
        // Load balancers ask without a token; the answer tells nothing of the business.
        .route("/health", get(routes::health))
        .merge(guarded)
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::wrong_method)
        .layer(DefaultBodyLimit::max(UPLOAD_BYTES))
        .with_state(node)
}

#[cfg(test)]
mod tests;
