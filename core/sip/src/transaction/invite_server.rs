//! Server side of INVITE (RFC 3261 17.2.1 with the Accepted state of RFC 6026).

use super::step::{LINGER, NETWORK, Report, Step};
use crate::ResendSchedule;
use crate::schedule::{Resends, Wake};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// One received INVITE.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct InviteServer {
    state: State,
    /// For the resends of responses.
    schedule: Arc<ResendSchedule>,
}

/// The machine of RFC 6026 figure 7.
#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// No final response yet.
    Proceeding {
        /// The last provisional response.
        last: Option<Arc<[u8]>>,
        /// Resends of it until its PRACK, if it was sent reliably (RFC 3262 section 3).
        resends: Option<Resends>,
        /// A CANCEL came.
        cancelled: bool,
    },
    /// 300-699 is repeated until its ACK (timers G and H).
    Completed {
        /// The response.
        response: Arc<[u8]>,
        /// Its resends.
        resends: Resends,
    },
    /// The ACK came; its repetitions are absorbed.
    Confirmed {
        /// End of timer I.
        #[serde(with = "crate::written::moment")]
        until: Instant,
    },
    /// 2xx is repeated until its ACK; repetitions of the INVITE are absorbed.
    Accepted {
        /// The response and its resends, until it is acknowledged or given up.
        pending: Option<(Arc<[u8]>, Resends)>,
        /// End of timer L.
        #[serde(with = "crate::written::moment")]
        until: Instant,
    },
}

impl InviteServer {
    /// A new INVITE arrived.
    pub(super) fn new(schedule: Arc<ResendSchedule>) -> Self {
        InviteServer {
            state: State::Proceeding { last: None, resends: None, cancelled: false },
            schedule,
        }
    }

    /// Sets the schedule for responses still to come.
    pub(super) fn set_schedule(&mut self, schedule: Arc<ResendSchedule>) {
        self.schedule = schedule;
    }

    /// The INVITE arrived again: the last response answers it.
    pub(super) fn repeated(&mut self) -> Step {
        match &self.state {
            State::Proceeding { last: Some(response), .. }
            | State::Completed { response, .. }
            | State::Accepted { pending: Some((response, _)), .. } => Step::resend(response),
            State::Proceeding { last: None, .. }
            | State::Confirmed { .. }
            | State::Accepted { pending: None, .. } => Step::nothing(),
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
        let State::Proceeding { last, resends, .. } = &mut self.state else {
            return Step::nothing();
        };
        if status < 200 {
            // A reliable response that awaits its PRACK remains the one to repeat.
            if resends.is_none() {
                *last = Some(Arc::clone(&response));
            }
            return Step::send(response);
        }
        // A later hop may lose a 2xx even if ours is reliable (RFC 3261 13.3.1.4, SIG-23).
        let reliable = reliable && status >= 300;
        let resends = Resends::new(Arc::clone(&self.schedule), now, reliable);
        self.state = if status < 300 {
            let pending = Some((Arc::clone(&response), resends));
            State::Accepted { pending, until: now + LINGER }
        } else {
            State::Completed { response: Arc::clone(&response), resends }
        };
        Step::send(response)
    }

    /// The transaction user sends a provisional response that must arrive (RFC 3262).
    pub(super) fn respond_reliably(&mut self, now: Instant, response: Arc<[u8]>) -> Step {
        let State::Proceeding { last, resends, .. } = &mut self.state else {
            return Step::nothing();
        };
        *last = Some(Arc::clone(&response));
        *resends = Some(Resends::new(Arc::clone(&self.schedule), now, false));
        Step::send(response)
    }

    /// The PRACK came.
    pub(super) fn provisional_arrived(&mut self) {
        if let State::Proceeding { resends, .. } = &mut self.state {
            *resends = None;
        }
    }

    /// A CANCEL matched. Only the first one before a final response matters (9.2).
    pub(super) fn cancel(&mut self) -> Step {
        match &mut self.state {
            State::Proceeding { cancelled, .. } if !*cancelled => {
                *cancelled = true;
                Step::report(Report::Cancelled)
            }
            State::Proceeding { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. } => Step::nothing(),
        }
    }

    /// An ACK matched: the ACK of a 300-699 is absorbed, the first one of a 2xx is reported.
    pub(super) fn ack(&mut self, now: Instant, reliable: bool) -> Step {
        match &mut self.state {
            // Timer I is zero over a transport without resends (17.2.1).
            State::Completed { .. } if reliable => Step::end(),
            State::Completed { .. } => {
                self.state = State::Confirmed { until: now + NETWORK };
                Step::nothing()
            }
            State::Accepted { pending, .. } => match pending.take() {
                Some(_) => Step::report(Report::Acknowledged),
                None => Step::nothing(),
            },
            State::Proceeding { .. } | State::Confirmed { .. } => Step::nothing(),
        }
    }

    /// Handles the deadline.
    pub(super) fn timeout(&mut self, now: Instant) -> Step {
        match &mut self.state {
            State::Proceeding { last: Some(response), resends: Some(waits), .. } => {
                match waits.wake(now) {
                    Wake::WindowOver => {
                        self.provisional_arrived();
                        Step::report(Report::TimedOut)
                    }
                    Wake::Resend => Step::resend(response),
                    Wake::TooEarly => Step::nothing(),
                }
            }
            State::Completed { response, resends } => match resends.wake(now) {
                // Timer H. The call is already over for the transaction user.
                Wake::WindowOver => Step::end(),
                Wake::Resend => Step::resend(response),
                Wake::TooEarly => Step::nothing(),
            },
            State::Accepted { pending: Some((response, resends)), until } => {
                match resends.wake(now) {
                    // A window longer than timer L keeps the transaction until it is over.
                    Wake::WindowOver if now >= *until => Step::report(Report::TimedOut).and_end(),
                    Wake::WindowOver => {
                        self.state = State::Accepted { pending: None, until: *until };
                        Step::report(Report::TimedOut)
                    }
                    Wake::Resend => Step::resend(response),
                    Wake::TooEarly => Step::nothing(),
                }
            }
            State::Confirmed { until } | State::Accepted { pending: None, until }
                if now >= *until =>
            {
                Step::end()
            }
            State::Proceeding { .. } | State::Confirmed { .. } | State::Accepted { .. } => {
                Step::nothing()
            }
        }
    }

    /// When [`InviteServer::timeout`] is due. An unanswered INVITE waits for its user, unless one
    /// of its reliable responses awaits its PRACK.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Proceeding { resends, .. } => resends.as_ref().map(Resends::deadline),
            State::Completed { resends, .. }
            | State::Accepted { pending: Some((_, resends)), .. } => Some(resends.deadline()),
            State::Confirmed { until } | State::Accepted { pending: None, until } => Some(*until),
        }
    }

    /// The last response sent, if it is still kept.
    pub(super) fn last_response(&self) -> Option<&[u8]> {
        match &self.state {
            State::Proceeding { last, .. } => last.as_deref(),
            State::Completed { response, .. } => Some(response),
            State::Accepted { pending, .. } => pending.as_ref().map(|(response, _)| &**response),
            State::Confirmed { .. } => None,
        }
    }

    /// Whether a 2xx was sent.
    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted { .. })
    }

    /// Whether an unreachable peer ends it.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Accepted { pending: Some(_), .. })
    }

    /// Whether it is over and only absorbs repetitions (timers I and L).
    pub(super) fn is_resting(&self) -> bool {
        matches!(self.state, State::Confirmed { .. } | State::Accepted { pending: None, .. })
    }
}
