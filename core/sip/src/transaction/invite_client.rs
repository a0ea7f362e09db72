//! Client side of INVITE (RFC 3261 17.1.1 with the Accepted state of RFC 6026).

use super::step::{CancelRequest, LINGER, Outgoing, Report, Step};
use super::{Transmit, compose};
use crate::schedule::{Resends, Wake};
use crate::{Message, ResendSchedule};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// One sent INVITE.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct InviteClient {
    state: State,
    /// The transaction user gave up: provisional responses are no longer reported.
    abandoned: bool,
}

/// The machine of RFC 6026 figure 5.
#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// No response yet (timers A and B).
    Calling {
        /// The INVITE as sent.
        request: Arc<[u8]>,
        /// Its resends.
        resends: Resends,
        /// A CANCEL to be sent after the first provisional response (9.1).
        cancel: Option<WantedCancel>,
    },
    /// A provisional response came. Until a CANCEL, the call's own timers supervise it (SIG-16 to
    /// SIG-19).
    Proceeding {
        /// The INVITE, for its ACK and CANCEL.
        request: Arc<[u8]>,
        /// For the CANCEL.
        schedule: Arc<ResendSchedule>,
        /// CANCEL was sent.
        cancelled: bool,
        /// The moment at which waiting for a final response ends.
        #[serde(with = "crate::written::moment_if_any")]
        give_up: Option<Instant>,
    },
    /// 300-699 came and was acknowledged; its repetitions are acknowledged again.
    Completed {
        /// The ACK.
        ack: Arc<[u8]>,
        /// End of timer D.
        #[serde(with = "crate::written::moment")]
        until: Instant,
    },
    /// 2xx came; each To tag is one answer (SIG-07).
    Accepted {
        /// The answers so far.
        answers: Vec<Answer>,
        /// End of timer M.
        #[serde(with = "crate::written::moment")]
        until: Instant,
    },
}

/// A CANCEL that awaits a provisional response.
#[derive(Debug, Serialize, Deserialize)]
struct WantedCancel {
    /// Value of its Reason header.
    reason: Option<Box<str>>,
}

/// One 2xx.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    to_tag: Box<str>,
    /// Its ACK, once the transaction user has made it.
    ack: Option<Transmit>,
}

impl InviteClient {
    /// Most answers kept apart per INVITE; further ones are ignored.
    const MOST_ANSWERS: usize = 16;

    /// The INVITE is sent now.
    pub(super) fn new(request: Arc<[u8]>, resends: Resends) -> Self {
        let state = State::Calling { request, resends, cancel: None };
        InviteClient { state, abandoned: false }
    }

    /// The schedule of the resends, while no response came and nobody wants to cancel.
    pub(super) fn schedule_before_response(&self) -> Option<Arc<ResendSchedule>> {
        match &self.state {
            State::Calling { resends, cancel: None, .. } if !self.abandoned => {
                Some(Arc::clone(resends.schedule()))
            }
            _ => None,
        }
    }

    /// Handles a response.
    pub(super) fn response(&mut self, now: Instant, response: &Message, reliable: bool) -> Step {
        match response.status() {
            0..200 => self.provisional(now),
            200..300 => self.accepted(now, response),
            _ => self.refused(now, response, reliable),
        }
    }

    fn provisional(&mut self, now: Instant) -> Step {
        let mut step = Step::nothing();
        if let State::Calling { request, resends, cancel } = &mut self.state {
            let (request, schedule) = (Arc::clone(request), Arc::clone(resends.schedule()));
            let cancel = cancel.take();
            let give_up = self.abandoned.then(|| now + LINGER);
            self.state = State::Proceeding { request, schedule, cancelled: false, give_up };
            if let Some(wanted) = cancel {
                step = self.cancel(now, wanted.reason.as_deref());
            }
        }
        if matches!(self.state, State::Proceeding { .. }) && !self.abandoned {
            step.report = Some(Report::Response);
        }
        step
    }

    /// RFC 6026 7.2: the first 2xx, a repeated one, or one from another branch of a fork.
    fn accepted(&mut self, now: Instant, response: &Message) -> Step {
        let to_tag = response.to_tag().unwrap_or_default();
        match &mut self.state {
            State::Calling { .. } | State::Proceeding { .. } => {
                let answers = vec![Answer { to_tag: to_tag.into(), ack: None }];
                self.state = State::Accepted { answers, until: now + LINGER };
                Step::report(Report::Response)
            }
            State::Accepted { answers, .. } => {
                if let Some(answer) = answers.iter().find(|answer| *answer.to_tag == *to_tag) {
                    let send = answer.ack.clone().map(Outgoing::Elsewhere);
                    return Step { again: send.is_some(), send, ..Step::default() };
                }
                if answers.len() == Self::MOST_ANSWERS {
                    return Step::nothing();
                }
                answers.push(Answer { to_tag: to_tag.into(), ack: None });
                Step::report(Report::Response)
            }
            State::Completed { .. } => Step::nothing(),
        }
    }

    /// A 300-699: this layer acknowledges it.
    fn refused(&mut self, now: Instant, response: &Message, reliable: bool) -> Step {
        match &self.state {
            State::Calling { request, .. } | State::Proceeding { request, .. } => {
                let mut step = Step::report(Report::Response);
                let ack: Option<Arc<[u8]>> = compose::ack(request, response).map(Arc::from);
                step.send = ack.clone().map(Outgoing::Peer);
                match ack {
                    Some(ack) if !reliable => {
                        self.state = State::Completed { ack, until: now + LINGER };
                    }
                    // Timer D is zero over a transport without resends (17.1.1.2).
                    Some(_) | None => step.done = true,
                }
                step
            }
            State::Completed { ack, .. } => Step::resend(ack),
            State::Accepted { .. } => Step::nothing(),
        }
    }

    /// The transaction user cancels the INVITE. After a final response this does nothing.
    pub(super) fn cancel(&mut self, now: Instant, reason: Option<&str>) -> Step {
        match &mut self.state {
            State::Calling { cancel, .. } => {
                cancel.get_or_insert_with(|| WantedCancel { reason: reason.map(Box::from) });
                Step::nothing()
            }
            State::Proceeding { request, schedule, cancelled, give_up } if !*cancelled => {
                *cancelled = true;
                *give_up = Some(now + LINGER);
                let schedule = Arc::clone(schedule);
                let cancel = compose::cancel(request, reason);
                let cancel = cancel.map(|bytes| CancelRequest { bytes, schedule });
                Step { cancel, ..Step::default() }
            }
            State::Proceeding { .. } | State::Completed { .. } | State::Accepted { .. } => {
                Step::nothing()
            }
        }
    }

    /// The transaction user acknowledges the 2xx with this To tag. The ACK is sent in any state,
    /// and kept for repetitions while the transaction lasts.
    pub(super) fn ack(&mut self, to_tag: &str, ack: Transmit) -> Step {
        if let State::Accepted { answers, .. } = &mut self.state
            && let Some(answer) = answers.iter_mut().find(|answer| *answer.to_tag == *to_tag)
        {
            answer.ack = Some(ack.clone());
        }
        Step { send: Some(Outgoing::Elsewhere(ack)), ..Step::default() }
    }

    /// No more resends, and no more reports of provisional responses.
    pub(super) fn abandon(&mut self, now: Instant) {
        self.abandoned = true;
        match &mut self.state {
            State::Calling { resends, .. } => resends.linger(now),
            State::Proceeding { give_up, .. } => {
                give_up.get_or_insert(now + LINGER);
            }
            State::Completed { .. } | State::Accepted { .. } => {}
        }
    }

    /// Handles the deadline.
    pub(super) fn timeout(&mut self, now: Instant) -> Step {
        let given_up = match &mut self.state {
            State::Calling { request, resends, .. } => match resends.wake(now) {
                Wake::Resend => return Step::resend(request),
                wake => wake == Wake::WindowOver,
            },
            State::Proceeding { give_up, .. } => give_up.is_some_and(|moment| now >= moment),
            State::Completed { until, .. } | State::Accepted { until, .. } if now >= *until => {
                return Step::end();
            }
            State::Completed { .. } | State::Accepted { .. } => false,
        };
        if given_up { Step::report(Report::TimedOut).and_end() } else { Step::nothing() }
    }

    /// When [`InviteClient::timeout`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { resends, .. } => Some(resends.deadline()),
            State::Proceeding { give_up, .. } => *give_up,
            State::Completed { until, .. } | State::Accepted { until, .. } => Some(*until),
        }
    }

    /// Whether an unreachable peer ends it.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// Whether it is over and only absorbs repetitions (timers D and M).
    pub(super) fn is_resting(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Accepted { .. })
    }
}
