//! Client side of every request but INVITE (RFC 3261 17.1.2).

use super::step::{NETWORK, Report, Step};
use crate::ResendSchedule;
use crate::schedule::{Resends, Wake};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// The machine of RFC 3261 figure 6. Trying and Proceeding are one state, because SIG-21
/// keeps its schedule until the final response.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum NonInviteClient {
    /// No final response yet (timers E and F).
    Trying {
        /// The request as sent.
        request: Arc<[u8]>,
        /// Its resends.
        resends: Resends,
    },
    /// A final response came; its repetitions are absorbed.
    Completed {
        /// End of timer K.
        #[serde(with = "crate::written::moment")]
        until: Instant,
    },
}

impl NonInviteClient {
    /// The request is sent now.
    pub(super) fn new(request: Arc<[u8]>, resends: Resends) -> Self {
        NonInviteClient::Trying { request, resends }
    }

    /// The schedule of the resends, until a final response comes.
    pub(super) fn schedule_before_response(&self) -> Option<Arc<ResendSchedule>> {
        match self {
            NonInviteClient::Trying { resends, .. } => Some(Arc::clone(resends.schedule())),
            NonInviteClient::Completed { .. } => None,
        }
    }

    /// Handles a provisional or final response.
    pub(super) fn response(&mut self, now: Instant, status: u16, reliable: bool) -> Step {
        match self {
            NonInviteClient::Trying { .. } if status < 200 => Step::report(Report::Response),
            // Timer K is zero over a transport without resends (17.1.2.2).
            NonInviteClient::Trying { .. } if reliable => Step::report(Report::Response).and_end(),
            NonInviteClient::Trying { .. } => {
                *self = NonInviteClient::Completed { until: now + NETWORK };
                Step::report(Report::Response)
            }
            NonInviteClient::Completed { .. } => Step::nothing(),
        }
    }

    /// Handles the deadline.
    pub(super) fn timeout(&mut self, now: Instant) -> Step {
        match self {
            NonInviteClient::Trying { request, resends } => match resends.wake(now) {
                Wake::WindowOver => Step::report(Report::TimedOut).and_end(),
                Wake::Resend => Step::resend(request),
                Wake::TooEarly => Step::nothing(),
            },
            NonInviteClient::Completed { until } if now >= *until => Step::end(),
            NonInviteClient::Completed { .. } => Step::nothing(),
        }
    }

    /// When [`NonInviteClient::timeout`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            NonInviteClient::Trying { resends, .. } => Some(resends.deadline()),
            NonInviteClient::Completed { until } => Some(*until),
        }
    }

    /// Whether an unreachable peer ends it.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self, NonInviteClient::Trying { .. })
    }

    /// Whether it is over and only absorbs repetitions (timer K).
    pub(super) fn is_resting(&self) -> bool {
        matches!(self, NonInviteClient::Completed { .. })
    }
}
