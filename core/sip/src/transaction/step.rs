//! The actions that a transaction's machine requests after an input.

use super::Transmit;
use crate::ResendSchedule;
use std::sync::Arc;
use std::time::Duration;

/// 64*T1 (RFC 3261 17): how long a finished transaction keeps absorbing resends over UDP (timers D,
/// J, L and M).
pub(super) const LINGER: Duration = Duration::from_secs(32);

/// T4 (RFC 3261 17.1.2.2): how long a message stays in the network (timers I and K).
pub(super) const NETWORK: Duration = Duration::from_secs(5);

/// The actions that follow one input of a machine; none by default.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// To be sent now.
    pub(super) send: Option<Outgoing>,
    /// `send` repeats something sent before.
    pub(super) again: bool,
    /// To be reported to the transaction user.
    pub(super) report: Option<Report>,
    /// A CANCEL to be started as a separate transaction.
    pub(super) cancel: Option<CancelRequest>,
    /// The transaction is over.
    pub(super) done: bool,
}

/// Something to send.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// To the transaction's own peer.
    Peer(Arc<[u8]>),
    /// To another address: the ACK for a 2xx follows the dialog's route.
    Elsewhere(Transmit),
}

/// A report to the transaction user; responses and requests come with their message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The response at hand.
    Response,
    /// The ACK at hand, for our 2xx.
    Acknowledged,
    /// The CANCEL at hand.
    Cancelled,
    /// Given up.
    TimedOut,
    /// The peer cannot be reached.
    TransportFailed,
}

/// A CANCEL ready to be sent.
#[derive(Debug)]
pub(super) struct CancelRequest {
    /// The request.
    pub(super) bytes: Vec<u8>,
    /// The INVITE's schedule.
    pub(super) schedule: Arc<ResendSchedule>,
}

impl Step {
    /// Nothing to do.
    pub(super) fn nothing() -> Step {
        Step::default()
    }

    /// Send for the first time.
    pub(super) fn send(bytes: Arc<[u8]>) -> Step {
        Step { send: Some(Outgoing::Peer(bytes)), ..Step::default() }
    }

    /// Send again.
    pub(super) fn resend(bytes: &Arc<[u8]>) -> Step {
        Step { again: true, ..Step::send(Arc::clone(bytes)) }
    }

    /// Report to the transaction user.
    pub(super) fn report(report: Report) -> Step {
        Step { report: Some(report), ..Step::default() }
    }

    /// The transaction ends without a report.
    pub(super) fn end() -> Step {
        Step { done: true, ..Step::default() }
    }

    /// The transaction ends after this step.
    pub(super) fn and_end(self) -> Step {
        Step { done: true, ..self }
    }
    /// The same step without a report.
    pub(super) fn in_silence(self) -> Step {
        Step { report: None, ..self }
    }
}
