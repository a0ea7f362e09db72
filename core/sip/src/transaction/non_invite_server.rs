//! Server side of every request but INVITE (RFC 3261 17.2.2).

use super::step::{LINGER, Step};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// The machine of RFC 3261 figure 8.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum NonInviteServer {
    /// Nothing sent yet.
    Trying,
    /// A provisional response was sent.
    Proceeding {
        /// The last one.
        last: Arc<[u8]>,
    },
    /// The final response was sent and answers every repetition of the request.
    Completed {
        /// The final response.
        response: Arc<[u8]>,
        /// End of timer J.
        #[serde(with = "crate::written::moment")]
        until: Instant,
    },
}

impl NonInviteServer {
    /// The request arrived again.
    pub(super) fn repeated(&mut self) -> Step {
        match self {
            NonInviteServer::Trying => Step::nothing(),
            NonInviteServer::Proceeding { last: response }
            | NonInviteServer::Completed { response, .. } => Step::resend(response),
        }
    }

    /// The transaction user answers. After a final response nothing more is sent.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        status: u16,
        response: Arc<[u8]>,
        reliable: bool,
    ) -> Step {
        match self {
            NonInviteServer::Completed { .. } => Step::nothing(),
            NonInviteServer::Trying | NonInviteServer::Proceeding { .. } if status < 200 => {
                *self = NonInviteServer::Proceeding { last: Arc::clone(&response) };
                Step::send(response)
            }
            // Timer J is zero over a transport without resends (17.2.2).
            NonInviteServer::Trying | NonInviteServer::Proceeding { .. } if reliable => {
                Step::send(response).and_end()
            }
            NonInviteServer::Trying | NonInviteServer::Proceeding { .. } => {
                let until = now + LINGER;
                *self = NonInviteServer::Completed { response: Arc::clone(&response), until };
                Step::send(response)
            }
        }
    }

    /// Handles the deadline.
    pub(super) fn timeout(&mut self, now: Instant) -> Step {
        match self {
            NonInviteServer::Completed { until, .. } if now >= *until => Step::end(),
            NonInviteServer::Trying
            | NonInviteServer::Proceeding { .. }
            | NonInviteServer::Completed { .. } => Step::nothing(),
        }
    }

    /// When [`NonInviteServer::timeout`] is due. An unanswered request waits for its user.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            NonInviteServer::Trying | NonInviteServer::Proceeding { .. } => None,
            NonInviteServer::Completed { until, .. } => Some(*until),
        }
    }
}
