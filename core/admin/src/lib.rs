//! The admin API: JSON over HTTP for the command line, monitoring and scripts.
//!
//! `/health` is open to everyone and reveals nothing; all other paths are behind the guard, and
//! each request there takes one of a limited number of slots. Every wait for a client has a time
//! limit.

#![forbid(unsafe_code)]

mod body;
mod connections;
mod guard;
mod money;
mod objects;
mod places;
mod records;
mod refusal;
mod routes;
mod start;
mod stream;
mod token;
mod trials;

pub use start::{Admin, AdminError, BoundAdmin, try_address};
pub use token::AdminToken;

use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use connections::{Connections, Peer};
use engine::Node;
use guard::{Access, Guard};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use stream::Impatient;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a client may take to send a request head, and idle between two requests.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// How long a response may wait for a client that does not read.
const UNREAD_LIMIT: Duration = Duration::from_secs(20);

/// Maximum lifetime of a connection: it ends clients that trickle bytes.
const LIFE: Duration = Duration::from_secs(600);

/// Maximum size of a request head, bytes.
const HEAD_BYTES: usize = 16 << 10;

/// Time for requests in progress when the node stops.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A pause after a failed accept: the system is short of a resource that will return.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` becomes true.
async fn serve(
    listener: TcpListener,
    node: Arc<Node>,
    access: Access,
    mut stop: watch::Receiver<bool>,
) {
    let router = router(node, access);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(HEAD_BYTES);
    let table = Arc::new(Connections::default());
    let graceful = GracefulShutdown::new();
    let accept = async {
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "admin interface: a connection is not accepted");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                    continue;
                }
            };
            let peer = Peer { address, serving: Arc::default() };
            let Some(entry) = table.admit(&peer) else { continue };
            let number = entry.number();
            let service = TowerToHyperService::new(router.clone().layer(Extension(peer)));
            let stream = TokioIo::new(Impatient::new(stream, UNREAD_LIMIT));
            let connection = graceful.watch(http.serve_connection(stream, service));
            let task = tokio::spawn(async move {
                match timeout(LIFE, connection).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "admin interface: a connection breaks off");
                    }
                    Err(_) => tracing::debug!("admin interface: a connection lasts too long"),
                }
                drop(entry);
            });
            table.runs_as(number, task.abort_handle());
        }
    };
    tokio::select! {
        () = accept => {}
        // A dropped sender stops it, too.
        _ = stop.wait_for(|stop| *stop) => {}
    }
    drop(listener);
    // A client that never completes its request does not delay the stop.
    if timeout(LAST_ANSWERS, graceful.shutdown()).await.is_err() {
        tracing::info!("admin interface: an incomplete request is closed");
    }
}

fn router(node: Arc<Node>, access: Access) -> Router {
    let refusals = Arc::clone(node.admin_refusals());
    let guard = Arc::new(Guard::new(access, refusals, node.alarms().clone()));
    let knows = Arc::clone(&guard);
    let guarded = Router::new()
        .route("/metrics", get(routes::metrics))
        .route("/v1/alarms", get(routes::alarms))
        .route("/v1/calls", get(routes::calls))
        .route("/v1/calls/{id}", get(routes::call).delete(routes::hang_up))
        .route("/v1/test-calls", post(routes::place_test_call))
        .route("/v1/upgrade", post(routes::upgrade))
        .route("/v1/lockouts", get(routes::lockouts))
        .route("/v1/lockouts/{source}", delete(routes::unlock))
        .route("/v1/records", get(records::records))
        .route("/v1/records/{id}", get(records::record))
        .route("/v1/accounts", get(routes::accounts))
        .route("/v1/accounts/{name}/payments", post(money::pay))
        .route("/v1/rerate", post(money::rerate))
        .route("/v1/ledger/proof", get(money::prove))
        .merge(objects::routes())
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
        .layer(axum::middleware::from_fn_with_state(guard, guard::check));
    Router::new()
        // Load balancers ask without a token, under any host name, and are told up or down.
        .route("/health", get(move |state, request| routes::health(state, knows, request)))
        .merge(guarded)
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::wrong_method)
        // The guard limits bodies by their kind.
        .layer(DefaultBodyLimit::disable())
        .with_state(node)
}

#[cfg(test)]
mod tests;
