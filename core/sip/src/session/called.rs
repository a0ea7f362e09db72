//! A call from the peer: its INVITE until our final response, including reliable provisional
//! responses (RFC 3262 section 3).

use super::session_timer::names;
use super::{Leg, LegEvent, LegSettings, Negotiation, Party, Phase, Reliability, Up, Wire};
use crate::header_name::Known;
use crate::sdp::body_of;
use crate::{Dialog, Flow, Message, MessageBuilder, Method, TransactionId, reason_phrase};
use compact_str::CompactString;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most provisional responses that may wait for the PRACK of an earlier one.
const MOST_WAITING: usize = 8;

/// The peer's INVITE, before our final response.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Called {
    pub(super) id: TransactionId,
    pub(super) invite: Arc<Message>,
    pub(super) dialog: Dialog,
    tag: CompactString,
    /// The peer requires reliable responses (`demands`), or supports them (`knows`).
    demands: bool,
    knows: bool,
    rseq: u32,
    /// A reliable response waits for its PRACK.
    unacknowledged: bool,
    /// Responses to be sent after that PRACK.
    waiting: VecDeque<Response>,
}

/// A waiting response.
#[derive(Debug, Serialize, Deserialize)]
struct Response {
    status: u16,
    sdp: Option<Box<[u8]>>,
}

impl Called {
    /// No PRACK came for a reliable response; returns whether one was awaited.
    pub(super) fn provisional_lost(&mut self) -> bool {
        self.waiting.clear();
        std::mem::take(&mut self.unacknowledged)
    }
}

/// A requirement of the leg's settings that an INVITE does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// 421 or 422.
    pub status: u16,
    /// The header that the response carries.
    pub header: (&'static str, CompactString),
}

impl<U: Copy> Leg<U> {
    /// A leg for an INVITE outside any dialog; `tag` is ours.
    pub fn called(
        owner: U,
        flow: Flow,
        id: TransactionId,
        invite: Arc<Message>,
        tag: &str,
        settings: LegSettings,
    ) -> Leg<U> {
        let mut sdp = Negotiation::default();
        if let Some(offer) = body_of(&invite) {
            sdp.offer(Party::Peer, offer);
        }
        let (manner, login, timer) = settings.apart();
        let off = manner.reliability == Reliability::Off;
        let demands = names(&invite, Known::Require, "100rel");
        let called = Called {
            id,
            dialog: Dialog::uas(&invite, tag),
            tag: tag.into(),
            demands,
            knows: demands || !off && names(&invite, Known::Supported, "100rel"),
            rseq: 0,
            unacknowledged: false,
            waiting: VecDeque::new(),
            invite,
        };
        Leg {
            owner,
            flow,
            natted: super::route::is_natted(&called.invite, flow.remote),
            contact_user: CompactString::default(),
            manner,
            login,
            timer,
            updates: super::requests::allows_update(&called.invite),
            phase: Phase::Called(Box::new(called)),
            sdp,
            theirs: Vec::new(),
            ours: Vec::new(),
            waiting: VecDeque::new(),
            last_request: 0,
        }
    }

    /// Why the INVITE must be refused, whatever its call is about: 421 if PRACK is required and the
    /// peer does not support it (SIG-06), 422 if its session interval is too short (SIG-31).
    #[must_use]
    pub fn demand(&self) -> Option<Demand> {
        let Phase::Called(called) = &self.phase else { return None };
        if self.manner.reliability == Reliability::Required && !called.knows {
            return Some(Demand { status: 421, header: ("Require", "100rel".into()) });
        }
        let least = self.timer.refuses(&called.invite)?;
        let mut text = itoa::Buffer::new();
        Some(Demand { status: 422, header: ("Min-SE", text.format(least).into()) })
    }

    /// Whether a provisional response may carry an offer: the peer can answer it in a PRACK.
    #[must_use]
    pub fn takes_early_offers(&self) -> bool {
        matches!(&self.phase, Phase::Called(called) if called.knows)
    }

    /// Sends a 101 to 199, with or without a description. A response with a description, or any
    /// response if reliability is required, is repeated until its PRACK; meanwhile others wait.
    pub fn progress(&mut self, wire: &mut Wire<'_, U>, status: u16, sdp: Option<&[u8]>) {
        let reliability = self.manner.reliability;
        let Phase::Called(called) = &mut self.phase else { return };
        let every = called.demands || reliability == Reliability::Required;
        let reliable = called.knows && (every || sdp.is_some());
        if !reliable {
            return self.send_progress(wire, status, sdp, None);
        }
        if called.unacknowledged {
            let same =
                |waiting: &Response| waiting.status == status && waiting.sdp.as_deref() == sdp;
            if called.waiting.len() < MOST_WAITING && !called.waiting.iter().any(same) {
                called.waiting.push_back(Response { status, sdp: sdp.map(Box::from) });
            }
            return;
        }
        called.unacknowledged = true;
        called.rseq = match called.rseq {
            0 => wire.rng.random_range(1..i32::MAX as u32 / 2),
            last => last + 1,
        };
        let rseq = called.rseq;
        self.send_progress(wire, status, sdp, Some(rseq));
    }

    fn send_progress(
        &mut self,
        wire: &mut Wire<'_, U>,
        status: u16,
        sdp: Option<&[u8]>,
        rseq: Option<u32>,
    ) {
        let Phase::Called(called) = &self.phase else { return };
        let (id, mut builder) = (called.id, self.response(wire, called, status));
        if let Some(rseq) = rseq {
            let mut number = itoa::Buffer::new();
            builder =
                builder.header_of("Require", &["100rel"]).header_of("RSeq", &[number.format(rseq)]);
        }
        if let Some(sdp) = sdp {
            builder = builder.body("application/sdp", sdp);
        }
        let bytes = builder.finish();
        match rseq {
            Some(_) => {
                // A description in a reliable response is binding (RFC 6337 section 3.1).
                if let Some(sdp) = sdp {
                    self.say(sdp);
                }
                wire.transactions.respond_reliably(wire.now, id, bytes);
            }
            None => wire.transactions.respond(wire.now, id, status, bytes),
        }
    }

    /// Records a description of ours sent in a response to the INVITE.
    fn say(&mut self, sdp: &[u8]) {
        match self.sdp.open() {
            Some(Party::Peer) => self.sdp.answer(sdp),
            _ if self.sdp.local().is_none() => self.sdp.offer(Party::Us, sdp),
            _ => {}
        }
    }

    /// A response from 101 on, with our tag, and with our Contact if it creates a dialog.
    fn response(&self, wire: &Wire<'_, U>, called: &Called, status: u16) -> MessageBuilder {
        let builder = MessageBuilder::response_to(&called.invite, status, reason_phrase(status))
            .to_tag(&called.tag);
        if status < 300 {
            return wire.with_contact(builder, self.flow.listener, &self.contact_user);
        }
        builder
    }

    /// Sends 200, once the PRACK of an earlier response has come.
    pub fn answer(&mut self, wire: &mut Wire<'_, U>, sdp: Option<&[u8]>) {
        let Phase::Called(called) = &mut self.phase else { return };
        if called.unacknowledged {
            called.waiting.push_back(Response { status: 200, sdp: sdp.map(Box::from) });
            return;
        }
        if let Some(sdp) = sdp {
            self.say(sdp);
        }
        let Phase::Called(called) = std::mem::replace(&mut self.phase, Phase::Over) else { return };
        let builder = self.response(wire, &called, 200);
        let mut builder = self.timer.answer(wire.now, &called.invite, builder);
        if self.manner.reliability != Reliability::Off || self.manner.timed {
            builder = builder.header_of("Supported", &[self.supported()]);
        }
        if let Some(sdp) = sdp {
            builder = builder.body("application/sdp", sdp);
        }
        let Called { id, dialog, .. } = *called;
        wire.transactions.respond(wire.now, id, 200, builder.finish());
        self.phase = Phase::Up(Up {
            dialog,
            we_called: false,
            invite: id,
            unacknowledged: true,
            cseq: 0,
            bye: None,
        });
    }

    /// Extensions for Supported.
    pub(super) fn supported(&self) -> &'static str {
        match (self.manner.reliability, self.manner.timed) {
            (Reliability::Off, _) => "timer",
            (_, false) => "100rel",
            (_, true) => "100rel, timer",
        }
    }

    /// Sends a final refusal with further header lines; the leg is over.
    pub fn refuse(&mut self, wire: &mut Wire<'_, U>, status: u16, headers: &[(&str, &str)]) {
        let Phase::Called(called) = std::mem::replace(&mut self.phase, Phase::Over) else { return };
        let mut builder = self.response(wire, &called, status);
        for (name, value) in headers {
            builder = builder.header_of(name, &[value]);
        }
        wire.transactions.respond(wire.now, called.id, status, builder.finish());
        wire.transactions.set_owner(called.id, None);
        self.stop(wire);
    }

    /// The peer gave up (SIG-08); the transaction layer has answered the CANCEL.
    pub fn on_cancel(&mut self, id: TransactionId) -> Option<LegEvent> {
        match &self.phase {
            Phase::Called(called) if called.id == id => Some(LegEvent::Cancelled),
            _ => {
                let known = self.theirs.iter().any(|theirs| theirs.id() == id);
                known.then_some(LegEvent::RequestCancelled(id))
            }
        }
    }

    /// Handles PRACK (RFC 3262 section 3): 481 unless it acknowledges the response awaiting it.
    pub(super) fn on_prack(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        prack: Message,
    ) -> Option<LegEvent> {
        let Phase::Called(called) = &mut self.phase else {
            self.respond(wire, id, &prack, 481, &[]);
            return None;
        };
        let (cseq, _) = called.invite.cseq();
        let named = rack(&prack) == Some((called.rseq, cseq));
        if !called.unacknowledged || !named {
            self.respond(wire, id, &prack, 481, &[]);
            return None;
        }
        called.unacknowledged = false;
        let invite = called.id;
        wire.transactions.provisional_arrived(wire.now, invite);
        let event = match (body_of(&prack), self.sdp.open()) {
            (Some(answer), Some(Party::Us)) => {
                self.sdp.answer(answer);
                self.respond(wire, id, &prack, 200, &[]);
                Some(LegEvent::ProvisionalAnswered(Box::new(prack)))
            }
            (Some(offer), None) => {
                self.sdp.offer(Party::Peer, offer);
                Some(self.take_request(id, prack))
            }
            _ => {
                self.respond(wire, id, &prack, 200, &[]);
                None
            }
        };
        self.send_waiting_response(wire);
        event
    }

    /// Sends the next response that waited for a PRACK.
    fn send_waiting_response(&mut self, wire: &mut Wire<'_, U>) {
        let Phase::Called(called) = &mut self.phase else { return };
        match called.waiting.pop_front() {
            Some(Response { status: 200, sdp }) => self.answer(wire, sdp.as_deref()),
            Some(Response { status, sdp }) => self.progress(wire, status, sdp.as_deref()),
            None => {}
        }
    }
}

/// RSeq and CSeq number that a PRACK names, if it is for an INVITE.
fn rack(prack: &Message) -> Option<(u32, u32)> {
    let mut words = prack.value(Known::RAck)?.split_ascii_whitespace();
    let (rseq, cseq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next()? == Method::Invite.as_str()).then_some((rseq, cseq))
}
