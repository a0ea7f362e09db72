//! The admin interface: JSON over HTTP for the command line, monitoring and scripts.

mod error;
mod guard;
mod money;
mod records;
mod routes;
mod trials;

pub(crate) use error::ApiError;

use crate::node::Node;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Largest plugin that can be uploaded.
const UPLOAD_BYTES: usize = 64 << 20;

/// Connections served at once; the next ones wait for a free place.
const CONNECTIONS: usize = 256;

/// How long a client may take to send the head of a request, and to keep quiet between two.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// Requests that are under way when the node stops get this long.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A pause after the system refused a connection: it is short of something that comes back.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` becomes true.
pub(crate) async fn serve(
    listener: TcpListener,
    node: Arc<Node>,
    token: Option<String>,
    mut stop: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router(node, token));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = GracefulShutdown::new();
    let accept = async {
        // The semaphore is never closed: the loop ends with the stop alone.
        while let Ok(place) = places.clone().acquire_owned().await {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "admin interface: a connection is not accepted");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                    continue;
                }
            };
            let connection = http.serve_connection(TokioIo::new(stream), service.clone());
            let connection = connections.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "admin interface: a connection breaks off");
                }
                drop(place);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        // A dropped sender is a stop, too.
        _ = stop.wait_for(|stop| *stop) => {}
    }
    drop(listener);
    // Whoever never ends his request does not hold the node up.
    if tokio::time::timeout(LAST_ANSWERS, connections.shutdown()).await.is_err() {
        tracing::info!("admin interface: a request that is not complete is broken off");
    }
}

fn router(node: Arc<Node>, token: Option<String>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(routes::metrics))
        .route("/v1/alarms", get(routes::alarms))
        .route("/v1/calls", get(routes::calls))
        .route("/v1/calls/{id}", delete(routes::hang_up))
        .route("/v1/records", get(records::records))
        .route("/v1/records/{id}", get(records::record))
        .route("/v1/accounts", get(routes::accounts))
        .route("/v1/accounts/{name}/payments", post(money::pay))
        .route("/v1/rerate", post(money::rerate))
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
