//! The start and the end of the interface.

use crate::guard::Access;
use crate::token::AdminToken;
use config::Config;
use engine::Node;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Why the interface does not start.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The file of the token.
    #[error("{}", path.display())]
    Token {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The address.
    #[error("admin interface on {address}")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
}

/// An interface that has its address and its token, and serves nobody yet.
#[derive(Debug)]
pub struct BoundAdmin {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
    made_token: bool,
}

/// An interface that serves.
#[derive(Debug)]
pub struct Admin {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl BoundAdmin {
    /// Binds the address of the node file, and makes the token when there is none.
    ///
    /// # Errors
    /// The address is taken, or the file of the token cannot be read or made.
    pub async fn new(config: &Config) -> Result<BoundAdmin, AdminError> {
        let token = AdminToken::of_node(config)
            .map_err(|source| AdminError::Token { path: config.admin_token_file(), source })?;
        let address = config.admin.address;
        let failed = |source| AdminError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let access = Access {
            token: token.text,
            metrics_token: config.admin.metrics_token.clone(),
            hosts: config.admin.hosts.clone(),
            open_reading_on_loopback: config.admin.open_reading_on_loopback,
        };
        Ok(BoundAdmin { listener, address, access, made_token: token.is_new })
    }

    /// Where it is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token was made a moment ago.
    #[must_use]
    pub fn made_token(&self) -> bool {
        self.made_token
    }

    /// Serves a node from now on.
    #[must_use]
    pub fn serve(self, node: Arc<Node>) -> Admin {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(crate::serve(self.listener, node, self.access, stopped));
        Admin { stop, task }
    }
}

impl Admin {
    /// Answers what is under way, and ends.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "admin interface");
        }
    }
}

/// Whether the interface could be served there.
///
/// # Errors
/// The address cannot be used.
pub fn try_address(address: SocketAddr) -> Result<(), AdminError> {
    let bound = std::net::TcpListener::bind(address);
    bound.map(drop).map_err(|source| AdminError::Listen { address, source })
}
