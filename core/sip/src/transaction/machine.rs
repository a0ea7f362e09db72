//! One transaction as the layer sees it, of any kind.

use super::Flow;
use super::invite_client::InviteClient;
use super::invite_server::InviteServer;
use super::key::Key;
use super::non_invite_client::NonInviteClient;
use super::non_invite_server::NonInviteServer;
use super::step::{Report, Step};
use super::way_back::WayBack;
use crate::Message;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// A transaction with the state that all kinds share.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry<U> {
    pub(super) key: Key,
    /// The owner set by the transaction user.
    pub(super) owner: Option<U>,
    /// Key of the ACK for our 2xx.
    pub(super) ack_key: Option<Key>,
    /// The flow that it sends on.
    pub(super) flow: Flow,
    /// Something was sent since the last transport error.
    pub(super) sent: bool,
    /// Transport errors since the last message from the peer.
    pub(super) errors: u8,
    /// How often its message was sent.
    pub(super) sends: u16,
    /// Where it continues if its flow breaks before any response came.
    pub(super) way_back: Option<Box<WayBack>>,
    pub(super) machine: Machine,
}

/// The machine of a transaction.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Machine {
    InviteClient(InviteClient),
    NonInviteClient(NonInviteClient),
    /// A CANCEL of this layer, whose outcome is not reported.
    CancelClient(NonInviteClient),
    InviteServer(InviteServer),
    NonInviteServer(NonInviteServer),
}

impl<U> Entry<U> {
    /// Transport errors in a row that end a transaction over UDP (SIG-24).
    const MOST_ERRORS: u8 = 2;

    /// A new transaction that has sent nothing.
    pub(super) fn new(key: Key, flow: Flow, machine: Machine, owner: Option<U>) -> Entry<U> {
        Entry {
            key,
            owner,
            ack_key: None,
            flow,
            sent: false,
            errors: 0,
            sends: 0,
            way_back: None,
            machine,
        }
    }

    /// Handles a response.
    pub(super) fn response(&mut self, now: Instant, response: &Message) -> Step {
        self.errors = 0;
        let reliable = self.flow.link.is_reliable();
        match &mut self.machine {
            Machine::InviteClient(machine) => machine.response(now, response, reliable),
            Machine::NonInviteClient(machine) => machine.response(now, response.status(), reliable),
            Machine::CancelClient(machine) => {
                machine.response(now, response.status(), reliable).in_silence()
            }
            Machine::InviteServer(_) | Machine::NonInviteServer(_) => Step::nothing(),
        }
    }

    /// Handles a repeated request.
    pub(super) fn repeated(&mut self) -> Step {
        match &mut self.machine {
            Machine::InviteServer(machine) => machine.repeated(),
            Machine::NonInviteServer(machine) => machine.repeated(),
            Machine::InviteClient(_) | Machine::NonInviteClient(_) | Machine::CancelClient(_) => {
                Step::nothing()
            }
        }
    }

    /// The transaction user answers.
    pub(super) fn respond(&mut self, now: Instant, status: u16, response: Arc<[u8]>) -> Step {
        let reliable = self.flow.link.is_reliable();
        match &mut self.machine {
            Machine::InviteServer(machine) => machine.respond(now, status, response, reliable),
            Machine::NonInviteServer(machine) => machine.respond(now, status, response, reliable),
            Machine::InviteClient(_) | Machine::NonInviteClient(_) | Machine::CancelClient(_) => {
                Step::nothing()
            }
        }
    }

    /// The transaction user sends a provisional response that must arrive (RFC 3262).
    pub(super) fn respond_reliably(&mut self, now: Instant, response: Arc<[u8]>) -> Step {
        match &mut self.machine {
            Machine::InviteServer(machine) => machine.respond_reliably(now, response),
            _ => Step::nothing(),
        }
    }

    /// The transaction user gives up a request.
    pub(super) fn abandon(&mut self, now: Instant) -> Step {
        match &mut self.machine {
            Machine::InviteClient(machine) => {
                machine.abandon(now);
                Step::nothing()
            }
            Machine::NonInviteClient(_) => Step::end(),
            Machine::CancelClient(_) | Machine::InviteServer(_) | Machine::NonInviteServer(_) => {
                Step::nothing()
            }
        }
    }

    /// Handles a delivery failure of a message it sent.
    pub(super) fn transport_error(&mut self) -> Step {
        if !std::mem::take(&mut self.sent) {
            return Step::nothing();
        }
        self.errors = self.errors.saturating_add(1);
        if self.errors < Self::MOST_ERRORS && !self.flow.link.is_reliable() {
            return Step::nothing();
        }
        let failed = Step::report(Report::TransportFailed).and_end();
        match &self.machine {
            Machine::CancelClient(_) => failed.in_silence(),
            Machine::InviteClient(_)
            | Machine::NonInviteClient(_)
            | Machine::InviteServer(_)
            | Machine::NonInviteServer(_) => failed,
        }
    }

    /// Handles the deadline.
    pub(super) fn timeout(&mut self, now: Instant) -> Step {
        match &mut self.machine {
            Machine::InviteClient(machine) => machine.timeout(now),
            Machine::NonInviteClient(machine) => machine.timeout(now),
            Machine::CancelClient(machine) => machine.timeout(now).in_silence(),
            Machine::InviteServer(machine) => machine.timeout(now),
            Machine::NonInviteServer(machine) => machine.timeout(now),
        }
    }

    /// When [`Entry::timeout`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::InviteClient(machine) => machine.deadline(),
            Machine::NonInviteClient(machine) | Machine::CancelClient(machine) => {
                machine.deadline()
            }
            Machine::InviteServer(machine) => machine.deadline(),
            Machine::NonInviteServer(machine) => machine.deadline(),
        }
    }

    /// Whether it awaits an answer to a message it sent, so that an unreachable peer ends it.
    pub(super) fn is_sending(&self) -> bool {
        match &self.machine {
            Machine::InviteClient(machine) => machine.is_sending(),
            Machine::NonInviteClient(machine) | Machine::CancelClient(machine) => {
                machine.is_sending()
            }
            Machine::InviteServer(machine) => machine.is_sending(),
            Machine::NonInviteServer(_) => false,
        }
    }

    /// Whether it is over and only answers repetitions: its end may be slightly late.
    pub(super) fn is_resting(&self) -> bool {
        match &self.machine {
            Machine::InviteClient(machine) => machine.is_resting(),
            Machine::NonInviteClient(machine) | Machine::CancelClient(machine) => {
                machine.is_resting()
            }
            Machine::InviteServer(machine) => machine.is_resting(),
            // Its only timer is J.
            Machine::NonInviteServer(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred thousand entries should stay within 20 MB, besides the messages that they keep.
    #[test]
    fn a_transaction_is_small() {
        assert!(size_of::<Entry<(u64, u16)>>() <= 224, "{} bytes", size_of::<Entry<(u64, u16)>>());
    }
}
