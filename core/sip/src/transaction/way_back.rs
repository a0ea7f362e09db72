//! A request that goes over TCP because of its size falls back to UDP if the connection fails
//! (RFC 3261 section 18.1.1).

use super::invite_client::InviteClient;
use super::machine::Machine;
use super::non_invite_client::NonInviteClient;
use super::step::Step;
use super::{Flow, Link, TransactionEvent, TransactionId, Transactions};
use crate::ResendSchedule;
use crate::schedule::Resends;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// The request as it is sent over the other flow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WayBack {
    flow: Flow,
    bytes: Arc<[u8]>,
}

impl<U: Copy> Transactions<U> {
    /// As [`Transactions::request_of`], with a fallback: if the first flow breaks before any
    /// response came, the transaction continues on the second one and
    /// [`TransactionEvent::WentBack`] reports it. The two requests differ only in their top Via,
    /// and have the same branch.
    pub fn request_with_way_back(
        &mut self,
        owner: Option<U>,
        now: Instant,
        ways: [(Flow, Vec<u8>); 2],
        schedule: &Arc<ResendSchedule>,
    ) -> TransactionId {
        let [(flow, bytes), (back, second)] = ways;
        let id = self.request_of(owner, now, flow, bytes, schedule);
        let slot = self.slots.slot(id);
        if let Some(entry) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            entry.way_back = Some(Box::new(WayBack { flow: back, bytes: second.into() }));
        }
        id
    }

    /// The flow that a transaction sends on now; `None` if it is over.
    #[must_use]
    pub fn flow(&self, id: TransactionId) -> Option<Flow> {
        let slot = self.slots.slot(id)?;
        Some(self.slots.get(slot)?.flow)
    }

    /// Switches a transaction whose flow broke to its fallback; returns false if it has none.
    pub(super) fn go_back(&mut self, now: Instant, slot: u32) -> bool {
        let id = self.slots.id(slot);
        let Some(entry) = self.slots.get_mut(slot) else { return false };
        let Some(WayBack { flow, bytes }) = entry.way_back.take().map(|way| *way) else {
            return false;
        };
        let request = Arc::clone(&bytes);
        match &mut entry.machine {
            Machine::InviteClient(machine) => {
                let Some(schedule) = machine.schedule_before_response() else { return false };
                let resends = Resends::new(schedule, now, flow.link.is_reliable());
                *machine = InviteClient::new(request, resends);
            }
            Machine::NonInviteClient(machine) => {
                let Some(schedule) = machine.schedule_before_response() else { return false };
                let resends = Resends::new(schedule, now, flow.link.is_reliable());
                *machine = NonInviteClient::new(request, resends);
            }
            Machine::CancelClient(_) | Machine::InviteServer(_) | Machine::NonInviteServer(_) => {
                return false;
            }
        }
        let from = std::mem::replace(&mut entry.flow, flow);
        let owner = entry.owner;
        entry.sent = false;
        self.flows.leave(from, slot);
        self.events.push_back(TransactionEvent::WentBack { id, owner, from, flow });
        self.carry_out(now, slot, Step::send(bytes), None);
        true
    }
}

/// A request of ours with the transport and sent-by of its top Via replaced; `None` if it is not a
/// request of ours.
#[must_use]
pub fn with_sent_by(request: &[u8], link: Link, sent_by: &str) -> Option<Vec<u8>> {
    const START: &[u8] = b"\r\nVia: SIP/2.0/";
    let start = memchr::memmem::find(request, START)? + START.len();
    let end = start + memchr::memchr(b';', &request[start..])?;
    // The value must not extend beyond its line.
    if memchr::memchr(b'\r', &request[start..end]).is_some() {
        return None;
    }
    let parts = [&request[..start], link.via().as_bytes(), b" ", sent_by.as_bytes()];
    let mut changed = parts.concat();
    changed.extend_from_slice(&request[end..]);
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_top_via_changes() {
        let request = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=x\r\n\
                       Via: SIP/2.0/UDP 192.0.2.9;branch=y\r\nCSeq: 1 INVITE\r\n\r\n";
        let changed = with_sent_by(request.as_bytes(), Link::Stream, "192.0.2.1:5061").unwrap();
        let expected = request.replacen("UDP 192.0.2.1:5060", "TCP 192.0.2.1:5061", 1);
        assert_eq!(String::from_utf8(changed).unwrap(), expected);
        for wrong in ["INVITE sip:a@b SIP/2.0\r\n\r\n", "X\r\nVia: SIP/2.0/UDP host\r\nY: ;\r\n"] {
            assert_eq!(with_sent_by(wrong.as_bytes(), Link::Stream, "h"), None);
        }
    }
}
