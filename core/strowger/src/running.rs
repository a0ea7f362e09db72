//! A node with its admin interface.

use admin::{Admin, BoundAdmin};
use anyhow::Result;
use config::Config;
use engine::{Handover, Node, PreparedNode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A running node and its admin interface.
pub(crate) struct RunningNode {
    /// What the admin interface serves.
    pub(crate) node: Arc<Node>,
    /// Where it is served.
    pub(crate) admin: SocketAddr,
    /// The token of the admin interface was made at this start.
    pub(crate) made_token: bool,
    running: engine::RunningNode,
    service: Admin,
}

impl RunningNode {
    /// Starts everything; calls are taken when it returns.
    pub(crate) async fn start(config: Config) -> Result<RunningNode> {
        RunningNode::start_after(config, Handover::default()).await
    }

    /// The same with the handover of the previous program, whose calls continue.
    pub(crate) async fn start_after(config: Config, handover: Handover) -> Result<RunningNode> {
        let prepared = PreparedNode::new(config)?;
        // Its address may be taken: then nothing of the node is changed.
        let bound = BoundAdmin::new(prepared.config()).await?;
        let (admin, made_token) = (bound.address(), bound.made_token());
        let running = prepared.start(handover).await?;
        let node = Arc::clone(&running.node);
        let service = bound.serve(Arc::clone(&node));
        Ok(RunningNode { node, admin, made_token, running, service })
    }

    /// Writes the running calls down for the next program; the admin interface ends last.
    pub(crate) async fn hand_over(self) -> Handover {
        let handover = self.running.hand_over().await;
        self.service.stop().await;
        handover
    }

    /// Takes no new calls, waits `drain` for the running ones and ends what is left; the admin
    /// interface ends last.
    pub(crate) async fn stop(self, drain: Duration) {
        self.running.stop(drain).await;
        self.service.stop().await;
    }
}
