//! The transaction layer: RFC 3261 section 17 with the Accepted states of RFC 6026.
//!
//! Mutate, then drain: after any input call [`Transactions::poll_transmit`] and
//! [`Transactions::poll_event`] until they are empty, then sleep until
//! [`Transactions::poll_timeout`].

mod compose;
mod event;
mod flows;
mod invite_client;
mod invite_server;
mod key;
mod machine;
mod non_invite_client;
mod non_invite_server;
mod own;
mod receive;
mod slots;
mod step;
mod timers;
mod way_back;
mod written;

pub use event::{TransactionEvent, TransactionId, Transmit};
pub use way_back::with_sent_by;

use crate::schedule::Resends;
use crate::{Flow, Link, Message, Method, ResendSchedule};
use flows::Flows;
use invite_client::InviteClient;
use key::{Key, KeyMap, Keys};
use machine::{Entry, Machine};
use non_invite_client::NonInviteClient;
use slots::Slots;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use step::{CancelRequest, Outgoing, Report, Step};
use timers::Timers;

/// All client and server transactions of a shard, with their timers. `U` is the type by which the
/// user of the layer names the owner of a transaction.
#[derive(Debug)]
pub struct Transactions<U = ()> {
    slots: Slots<Entry<U>>,
    /// Keys of the transactions, and of the ACK that an Accepted server INVITE waits for.
    index: KeyMap<u32>,
    keys: Keys,
    timers: Timers,
    flows: Flows,
    /// For the responses of server INVITEs that have no other schedule.
    standard: Arc<ResendSchedule>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<TransactionEvent<U>>,
    retransmissions: u64,
    strays: Strays,
}

/// Capacity kept when no transaction is left: enough for about 16 calls/s.
const ROOM_KEPT: usize = 2048;

/// Messages that belonged to no transaction and were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// Responses.
    pub responses: u64,
    /// ACKs.
    pub acks: u64,
}

impl<U: Copy> Default for Transactions<U> {
    fn default() -> Self {
        Self::new()
    }
}

impl<U: Copy> Transactions<U> {
    /// An empty layer; the secret behind its keys comes from the operating system.
    #[must_use]
    pub fn new() -> Self {
        Self::with_keys(Keys::random())
    }

    /// An empty layer that behaves the same in every run, for simulations. The secret must
    /// be unknown to peers: it keeps them from making keys collide.
    #[must_use]
    pub fn with_secret(secret: [u8; 16]) -> Self {
        Self::with_keys(Keys::from_secret(secret))
    }

    fn with_keys(keys: Keys) -> Self {
        Transactions {
            slots: Slots::default(),
            index: KeyMap::default(),
            keys,
            timers: Timers::default(),
            flows: Flows::default(),
            standard: Arc::new(ResendSchedule::standard()),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            retransmissions: 0,
            strays: Strays::default(),
        }
    }

    /// T1 and T2 of RFC 3261, for requests that have no other schedule.
    #[must_use]
    pub fn standard_schedule(&self) -> Arc<ResendSchedule> {
        Arc::clone(&self.standard)
    }

    /// Handles a message that arrived on `flow`. Responses to a request go where RFC 3261 18.2.2
    /// and RFC 3581 direct them: to the source address, on the source port if the request has
    /// `rport`, else on the port of the top Via.
    pub fn receive(&mut self, now: Instant, flow: Flow, message: Message) {
        match (message.is_request(), message.method()) {
            (false, _) => self.receive_response(now, flow, message),
            (true, Method::Ack) => self.receive_ack(now, flow, message),
            (true, _) => self.receive_request(now, flow, message),
        }
    }

    /// Whether this response answers a request of ours, this CANCEL is for an INVITE held here, or
    /// this request is a repetition: such messages are accepted even from an address that is not
    /// configured.
    #[must_use]
    pub fn awaits(&self, message: &Message) -> bool {
        let method = message.method();
        let key = match message.is_request() {
            false => self.keys.client(message.top_via().branch().unwrap_or_default(), method),
            true if *method == Method::Cancel => self.keys.cancelled_invite(message),
            true => self.keys.server(message),
        };
        self.find(key).is_some()
    }

    /// Sends a request that already has its Via, with a branch of its own. The resends stop at any
    /// response (INVITE) or at the final one (others); see SIG-21 and SIG-23.
    ///
    /// Bytes that are not such a request, or an ACK, end at once with
    /// [`TransactionEvent::TransportFailed`], because nothing could answer them.
    pub fn request(
        &mut self,
        now: Instant,
        flow: Flow,
        bytes: Vec<u8>,
        schedule: &Arc<ResendSchedule>,
    ) -> TransactionId {
        self.request_of(None, now, flow, bytes, schedule)
    }

    /// As [`Transactions::request`], for an owner that the events name.
    pub(crate) fn request_of(
        &mut self,
        owner: Option<U>,
        now: Instant,
        flow: Flow,
        bytes: Vec<u8>,
        schedule: &Arc<ResendSchedule>,
    ) -> TransactionId {
        let kind = |method: &Method, bytes, resends| match method {
            Method::Invite => Machine::InviteClient(InviteClient::new(bytes, resends)),
            _ => Machine::NonInviteClient(NonInviteClient::new(bytes, resends)),
        };
        self.open_client(owner, now, flow, bytes, schedule, kind).unwrap_or_else(|| {
            let id = self.slots.dead_id();
            self.events.push_back(TransactionEvent::TransportFailed { id, owner, sends: 0 });
            id
        })
    }

    /// Sets or clears the owner of a transaction; later events carry it.
    pub fn set_owner(&mut self, id: TransactionId, owner: Option<U>) {
        if let Some(entry) = self.slots.slot(id).and_then(|slot| self.slots.get_mut(slot)) {
            entry.owner = owner;
        }
    }

    /// Cancels an INVITE, with a Reason header if `reason` is given (RFC 3326), such as
    /// `Q.850;cause=16`. Before the first provisional response the CANCEL waits for one (RFC 3261
    /// 9.1); after a final response it is dropped. The INVITE times out if no final response
    /// follows within 32 s.
    pub fn cancel(&mut self, now: Instant, invite: TransactionId, reason: Option<&str>) {
        let Some(slot) = self.slots.slot(invite) else { return };
        if let Some(Entry { machine: Machine::InviteClient(machine), .. }) =
            self.slots.get_mut(slot)
        {
            let step = machine.cancel(now, reason);
            self.carry_out(now, slot, step, None);
        }
    }

    /// Sends the ACK for a 2xx, now and for each repetition of the 2xx with the same To tag. If the
    /// transaction is already over, the ACK is sent once.
    pub fn ack(&mut self, now: Instant, invite: TransactionId, flow: Flow, bytes: Vec<u8>) {
        let bytes: Arc<[u8]> = bytes.into();
        let ack = Transmit { flow, bytes: Arc::clone(&bytes) };
        let Some(slot) = self.slots.slot(invite) else {
            self.transmits.push_back(ack);
            return;
        };
        if let Some(Entry { machine: Machine::InviteClient(machine), .. }) =
            self.slots.get_mut(slot)
        {
            let step = machine.ack(own::to_tag(&bytes).unwrap_or_default(), ack);
            self.carry_out(now, slot, step, None);
        }
    }

    /// Answers a request, provisionally or finally, with the bytes of a whole response of
    /// status `status`. After a final response nothing more is sent.
    ///
    /// A final response to an INVITE is repeated until its ACK; a 2xx without an ACK within W
    /// causes [`TransactionEvent::TimedOut`].
    pub fn respond(&mut self, now: Instant, server: TransactionId, status: u16, bytes: Vec<u8>) {
        let Some(slot) = self.slots.slot(server) else { return };
        let Some(entry) = self.slots.get_mut(slot) else { return };
        let bytes: Arc<[u8]> = bytes.into();
        let step = entry.respond(now, status, Arc::clone(&bytes));
        let waits_for_ack =
            matches!(&entry.machine, Machine::InviteServer(machine) if machine.is_accepted());
        if step.send.is_some()
            && waits_for_ack
            && let Some(key) = own::acknowledgement(&self.keys, &bytes)
        {
            entry.ack_key = Some(key);
            self.index.insert(key, slot);
        }
        self.carry_out(now, slot, step, None);
    }

    /// Answers an INVITE provisionally, with the bytes of a whole response that has its own RSeq
    /// (RFC 3262 section 3). It is repeated until [`Transactions::provisional_arrived`]; if that is
    /// not called within W, [`TransactionEvent::TimedOut`] reports it once.
    pub(crate) fn respond_reliably(&mut self, now: Instant, server: TransactionId, bytes: Vec<u8>) {
        let Some(slot) = self.slots.slot(server) else { return };
        let Some(entry) = self.slots.get_mut(slot) else { return };
        let step = entry.respond_reliably(now, bytes.into());
        self.carry_out(now, slot, step, None);
    }

    /// The PRACK for the last reliable provisional response came: its resends stop.
    pub(crate) fn provisional_arrived(&mut self, now: Instant, server: TransactionId) {
        let Some(slot) = self.slots.slot(server) else { return };
        if let Some(Entry { machine: Machine::InviteServer(machine), .. }) =
            self.slots.get_mut(slot)
        {
            machine.provisional_arrived();
            self.carry_out(now, slot, Step::nothing(), None);
        }
    }

    /// Sets the schedule for the responses of a server INVITE still to come (SIG-21 is set per
    /// trunk); by default it is the standard schedule.
    pub fn set_schedule(&mut self, server: TransactionId, schedule: &Arc<ResendSchedule>) {
        let Some(slot) = self.slots.slot(server) else { return };
        if let Some(Entry { machine: Machine::InviteServer(machine), .. }) =
            self.slots.get_mut(slot)
        {
            machine.set_schedule(Arc::clone(schedule));
        }
    }

    /// How often a transaction has sent its message; `None` if it is over.
    #[must_use]
    pub fn sends(&self, id: TransactionId) -> Option<u16> {
        let slot = self.slots.slot(id)?;
        Some(self.slots.get(slot)?.sends)
    }

    /// Gives up a client transaction: no more resends and no more events. An INVITE stays until its
    /// window is over (32 s if it had a provisional response) to send a pending CANCEL, to
    /// acknowledge a late failure and to report a late final response; if none comes,
    /// [`TransactionEvent::TimedOut`] reports its end (SIG-103).
    pub fn abandon(&mut self, now: Instant, client: TransactionId) {
        let Some(slot) = self.slots.slot(client) else { return };
        if let Some(entry) = self.slots.get_mut(slot) {
            let step = entry.abandon(now);
            self.carry_out(now, slot, step, None);
        }
    }

    /// A datagram to `flow` could not be delivered (ICMP unreachable), or its connection
    /// broke. Each transaction that sent something on the flow since the last error counts
    /// it; the second one in a row, or the first on a connection, ends it (SIG-24).
    pub fn transport_error(&mut self, now: Instant, flow: Flow) {
        for slot in self.flows.members(flow) {
            if self.go_back(now, slot) {
                continue;
            }
            if let Some(entry) = self.slots.get_mut(slot) {
                let step = entry.transport_error();
                self.carry_out(now, slot, step, None);
            }
        }
    }

    /// Handles elapsed time: call it at [`Transactions::poll_timeout`], or any time.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(slot) = self.timers.pop_due(now) {
            if let Some(entry) = self.slots.get_mut(slot) {
                let step = entry.timeout(now);
                self.carry_out(now, slot, step, None);
            }
        }
        if self.slots.len() == 0 && self.slots.capacity() > ROOM_KEPT {
            self.shrink();
        }
    }

    /// Frees the memory that the busiest time took. No transaction is alive, so every timer and
    /// every list by slot is stale.
    fn shrink(&mut self) {
        self.slots.shrink();
        self.index = KeyMap::default();
        self.timers = Timers::default();
        self.flows = Flows::default();
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event for the transaction user.
    pub fn poll_event(&mut self) -> Option<TransactionEvent<U>> {
        self.events.pop_front()
    }

    /// When [`Transactions::handle_timeout`] is due; O(1).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Live transactions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no transaction is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages sent again, since start.
    #[must_use]
    pub fn retransmissions(&self) -> u64 {
        self.retransmissions
    }

    /// Messages without a transaction, since start.
    #[must_use]
    pub fn strays(&self) -> Strays {
        self.strays
    }

    /// Starts a client transaction and sends its request. `None` if the bytes are not a request
    /// with a branch, or are an ACK, which nothing would answer.
    fn open_client(
        &mut self,
        owner: Option<U>,
        now: Instant,
        flow: Flow,
        bytes: Vec<u8>,
        schedule: &Arc<ResendSchedule>,
        machine: impl FnOnce(&Method, Arc<[u8]>, Resends) -> Machine,
    ) -> Option<TransactionId> {
        let (method, via) = own::outgoing(&bytes).filter(|(method, _)| *method != Method::Ack)?;
        let key = self.keys.client(via.branch()?, &method);
        let bytes: Arc<[u8]> = bytes.into();
        let resends = Resends::new(Arc::clone(schedule), now, flow.link.is_reliable());
        let machine = machine(&method, Arc::clone(&bytes), resends);
        let slot = self.open(Entry::new(key, flow, machine, owner));
        self.carry_out(now, slot, Step::send(bytes), None);
        Some(self.slots.id(slot))
    }

    fn open(&mut self, entry: Entry<U>) -> u32 {
        let key = entry.key;
        let slot = self.slots.insert(entry);
        self.index.insert(key, slot);
        slot
    }

    /// Performs the actions of a step; `incoming` is the message that caused it.
    fn carry_out(
        &mut self,
        now: Instant,
        slot: u32,
        step: Step,
        incoming: Option<(Flow, Message)>,
    ) {
        let id = self.slots.id(slot);
        let Some(entry) = self.slots.get_mut(slot) else { return };
        let flow = entry.flow;
        if let Some(outgoing) = step.send {
            entry.sent = true;
            // The ACK of a refusal does not count as a send of its INVITE.
            let counts = step.again || entry.sends == 0;
            entry.sends = entry.sends.saturating_add(u16::from(counts));
            self.retransmissions += u64::from(step.again);
            self.transmits.push_back(match outgoing {
                Outgoing::Peer(bytes) => Transmit { flow, bytes },
                Outgoing::Elsewhere(transmit) => transmit,
            });
        }
        if let Some(report) = step.report {
            self.events.extend(event_of(id, entry.owner, report, entry.sends, incoming));
        }
        if step.done {
            self.close(slot);
        } else {
            self.arm(slot);
        }
        if let Some(CancelRequest { bytes, schedule }) = step.cancel {
            self.open_client(None, now, flow, bytes, &schedule, |_, bytes, resends| {
                Machine::CancelClient(NonInviteClient::new(bytes, resends))
            });
        }
    }

    /// Sets the timer of a transaction, and whether errors of its flow affect it.
    fn arm(&mut self, slot: u32) {
        let Some(entry) = self.slots.get(slot) else { return };
        let (flow, deadline) = (entry.flow, entry.deadline());
        match deadline {
            Some(at) if entry.is_resting() => self.timers.set_about(slot, at),
            deadline => self.timers.set(slot, deadline),
        }
        if entry.is_sending() {
            self.flows.join(flow, slot);
        } else {
            self.flows.leave(flow, slot);
        }
    }

    /// Forgets a transaction.
    fn close(&mut self, slot: u32) {
        let Some(entry) = self.slots.remove(slot) else { return };
        for key in [Some(entry.key), entry.ack_key].into_iter().flatten() {
            // A peer that reuses a branch may have moved the key to a newer transaction.
            if self.index.get(&key) == Some(&slot) {
                self.index.remove(&key);
            }
        }
        self.timers.set(slot, None);
        self.flows.leave(entry.flow, slot);
    }

    fn find(&self, key: Key) -> Option<u32> {
        self.index.get(&key).copied()
    }
}

/// The event for a report; `None` if the message that it needs is missing.
fn event_of<U>(
    id: TransactionId,
    owner: Option<U>,
    report: Report,
    sends: u16,
    incoming: Option<(Flow, Message)>,
) -> Option<TransactionEvent<U>> {
    Some(match (report, incoming) {
        (Report::Response, Some((flow, message))) => {
            TransactionEvent::Response { id, owner, flow, message, sends }
        }
        (Report::Acknowledged, Some((_, message))) => {
            TransactionEvent::Acknowledged { invite: id, owner, message }
        }
        (Report::Cancelled, Some((_, message))) => {
            TransactionEvent::Cancelled { invite: id, owner, message }
        }
        (Report::TimedOut, _) => TransactionEvent::TimedOut { id, owner, sends },
        (Report::TransportFailed, _) => TransactionEvent::TransportFailed { id, owner, sends },
        (Report::Response | Report::Acknowledged | Report::Cancelled, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn message(line: &str, method: &str, branch: &str, to: &str) -> Vec<u8> {
        format!(
            "{line}\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK{branch}\r\nCall-ID: c\r\n\
             From: <sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>{to}\r\n\
             CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        .into()
    }

    /// Every index is empty again, not only the table that `len` counts.
    #[test]
    fn an_ended_call_leaves_nothing_behind() {
        let flow = Flow::datagram(0, ([192, 0, 2, 9], 5060).into());
        let schedule = Arc::new(ResendSchedule::standard());
        let start = Instant::now();
        let mut now = start;
        let mut layer = Transactions::<()>::with_secret([0; 16]);
        let receive = |layer: &mut Transactions, bytes: &[u8]| {
            layer.receive(start, flow, Message::parse(bytes).unwrap());
        };

        let invite = message("INVITE sip:b@example.com SIP/2.0", "INVITE", "1", "");
        receive(&mut layer, &invite);
        let Some(TransactionEvent::Request { id: server, .. }) = layer.poll_event() else {
            panic!("no request");
        };
        layer.respond(now, server, 200, message("SIP/2.0 200 OK", "INVITE", "1", ";tag=b"));
        receive(&mut layer, &message("ACK sip:b@example.com SIP/2.0", "ACK", "2", ";tag=b"));
        let invite = message("INVITE sip:b@example.com SIP/2.0", "INVITE", "3", "");
        let client = layer.request(now, flow, invite, &schedule);
        layer.cancel(now, client, None);
        receive(&mut layer, &message("SIP/2.0 180 Ringing", "INVITE", "3", ";tag=b"));
        assert_eq!((layer.len(), layer.index.len()), (3, 4));

        // Ends after 32 s fire in pages of a tenth of a second.
        let end = now + Duration::from_millis(32_100);
        while let Some(next) = layer.poll_timeout().filter(|next| *next <= end) {
            now = next;
            layer.handle_timeout(now);
        }
        assert_eq!((layer.len(), layer.index.len()), (0, 0));
        assert_eq!(layer.poll_timeout(), None);
        assert_eq!(layer.flows.members(flow).len(), 0);
    }

    /// A busy hour does not show in the size of an idle layer, and the layer still works.
    #[test]
    fn room_is_given_back_when_the_last_transaction_has_ended() {
        let flow = Flow::datagram(0, ([192, 0, 2, 9], 5060).into());
        let start = Instant::now();
        let mut layer = Transactions::<()>::with_secret([0; 16]);
        let mut ids = std::collections::HashSet::new();
        for round in 0..3_u64 {
            let mut now = start + Duration::from_secs(100 * round);
            for number in 0..2 * ROOM_KEPT {
                let branch = format!("{round}.{number}");
                let options = message("OPTIONS sip:b@example.com SIP/2.0", "OPTIONS", &branch, "");
                layer.receive(now, flow, Message::parse(&options).unwrap());
                let Some(TransactionEvent::Request { id, .. }) = layer.poll_event() else {
                    panic!("no request");
                };
                assert!(ids.insert(id), "an id is not used again");
                let answer = message("SIP/2.0 200 OK", "OPTIONS", &branch, ";tag=b");
                layer.respond(now, id, 200, answer);
                while layer.poll_transmit().is_some() {}
            }
            assert_eq!(layer.len(), 2 * ROOM_KEPT);
            while let Some(next) = layer.poll_timeout() {
                assert!(next >= now + Duration::from_secs(32), "timer J lasts 32 s");
                layer.handle_timeout(next);
                now = now.max(next - Duration::from_secs(32));
            }
            assert_eq!((layer.len(), layer.slots.capacity(), layer.index.capacity()), (0, 0, 0));
        }
    }
}
