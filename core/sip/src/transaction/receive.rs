//! Assigns incoming messages to transactions.

use super::invite_server::InviteServer;
use super::machine::{Entry, Machine};
use super::non_invite_server::NonInviteServer;
use super::{Flow, TransactionEvent, TransactionId, Transactions, Transmit};
use crate::{Message, MessageBuilder, Method, Tag};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl<U: Copy> Transactions<U> {
    /// RFC 3261 17.1.3.
    pub(super) fn receive_response(&mut self, now: Instant, flow: Flow, response: Message) {
        let branch = response.top_via().branch().unwrap_or_default();
        let found = self.find(self.keys.client(branch, response.method()));
        let Some((slot, entry)) = found.and_then(|slot| Some((slot, self.slots.get_mut(slot)?)))
        else {
            self.strays.responses += 1;
            return;
        };
        let step = entry.response(now, &response);
        self.carry_out(now, slot, step, Some((flow, response)));
    }

    /// RFC 3261 17.2.3: a repeated request or a new one.
    pub(super) fn receive_request(&mut self, now: Instant, flow: Flow, request: Message) {
        let key = self.keys.server(&request);
        if let Some(slot) = self.find(key) {
            if let Some(entry) = self.slots.get_mut(slot) {
                let step = entry.repeated();
                self.carry_out(now, slot, step, None);
            }
            return;
        }
        let machine = match request.method() {
            Method::Invite => Machine::InviteServer(InviteServer::new(Arc::clone(&self.standard))),
            _ => Machine::NonInviteServer(NonInviteServer::Trying),
        };
        let responses = response_flow(flow, &request);
        let slot = self.open(Entry::new(key, responses, machine, None));
        if *request.method() == Method::Cancel {
            self.answer_cancel(now, slot, flow, request);
        } else {
            let id = self.slots.id(slot);
            self.events.push_back(TransactionEvent::Request { id, flow, message: request });
        }
    }

    /// The To tag for a response sent without a transaction: a repeated request gets the same tag
    /// (RFC 3261 8.2.7).
    #[must_use]
    pub fn stateless_tag(&self, request: &Message) -> Tag {
        self.keys.local_tag(self.keys.server(request))
    }

    /// Sends a final response to a request without a transaction (RFC 3261 26.3.2.4): once, and
    /// nothing is stored.
    pub fn respond_statelessly(&mut self, flow: Flow, request: &Message, response: Vec<u8>) {
        let flow = response_flow(flow, request);
        self.transmits.push_back(Transmit { flow, bytes: response.into() });
    }

    /// Forgets a request that must not be answered.
    pub fn forget(&mut self, server: TransactionId) {
        if let Some(slot) = self.slots.slot(server) {
            self.close(slot);
        }
    }

    /// RFC 3261 9.2: 200 if there is such an INVITE, even if it is already answered.
    fn answer_cancel(&mut self, now: Instant, slot: u32, flow: Flow, cancel: Message) {
        let invite = self.find(self.keys.cancelled_invite(&cancel));
        let invite = invite.and_then(|slot| match self.slots.get_mut(slot)?.machine {
            Machine::InviteServer(ref mut machine) => Some((slot, machine)),
            _ => None,
        });
        let (status, reason) = match invite {
            Some(_) => (200, "OK"),
            None => (481, "Call/Transaction Does Not Exist"),
        };
        let mut response = MessageBuilder::response_to(&cancel, status, reason);
        if cancel.to_tag().is_none() {
            // The tag should match the INVITE's responses.
            let last = invite.as_ref().and_then(|(_, machine)| machine.last_response());
            let last = last.and_then(|bytes| Message::parse(bytes).ok());
            response = match last.as_ref().and_then(Message::to_tag) {
                Some(tag) => response.to_tag(tag),
                None => {
                    response.to_tag(&self.keys.local_tag(self.keys.server(&cancel)).to_string())
                }
            };
        }
        let invite = invite.map(|(slot, machine)| (slot, machine.cancel()));
        if let Some(entry) = self.slots.get_mut(slot) {
            let step = entry.respond(now, status, response.finish().into());
            self.carry_out(now, slot, step, None);
        }
        if let Some((invite, step)) = invite {
            self.carry_out(now, invite, step, Some((flow, cancel)));
        }
    }

    /// The ACK for a 300-699 has the INVITE's branch (RFC 3261 17.1.1.3); the ACK for a 2xx has its
    /// own branch and is matched by Call-ID, CSeq number and tags (13.3.1.4). Peers that put the
    /// INVITE's branch into the ACK for a 2xx are understood too.
    pub(super) fn receive_ack(&mut self, now: Instant, flow: Flow, ack: Message) {
        let by_branch = self.find(self.keys.server(&ack));
        let slot = by_branch.or_else(|| self.find(self.keys.acknowledgement(&ack)));
        if let Some(slot) = slot
            && let Some(Entry { machine: Machine::InviteServer(machine), flow: responses, .. }) =
                self.slots.get_mut(slot)
        {
            let step = machine.ack(now, responses.link.is_reliable());
            self.carry_out(now, slot, step, Some((flow, ack)));
        } else {
            self.strays.acks += 1;
        }
    }
}

/// The flow for responses. The address is always the source's, never one that the request claims,
/// so that nobody can aim our responses at a third party. Over a stream they return on the
/// connection (RFC 3261 18.2.2).
fn response_flow(flow: Flow, request: &Message) -> Flow {
    let via = request.top_via();
    if flow.link.is_reliable() || via.wants_rport() {
        return flow;
    }
    let port = via.port().unwrap_or(5060);
    Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..flow }
}
