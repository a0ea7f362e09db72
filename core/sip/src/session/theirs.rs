//! Requests of the peer inside the dialog (RFC 3261 section 12.2, RFC 3311): which of them are
//! accepted during another exchange (RFC 3261 section 14), and which are answered here.

use super::requests::{SDP, allows_update};
use super::{ALLOW, Leg, LegEvent, Party, Phase, Wire};
use crate::sdp::body_of;
use crate::{Flow, Message, MessageBuilder, Method, TransactionId, reason_phrase};
use compact_str::CompactString;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// Most open requests of one peer; further ones are refused with 503.
const MOST_OPEN: usize = 16;

/// A request of the peer that the owner must answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Theirs {
    pub(super) id: TransactionId,
    pub(super) request: Message,
    /// It was answered with 2xx and awaits its ACK.
    pub(super) answered: bool,
}

impl Theirs {
    pub(super) fn id(&self) -> TransactionId {
        self.id
    }

    /// A re-INVITE without offer: its ACK will carry the answer to our offer.
    fn is_delayed(&self) -> bool {
        *self.request.method() == Method::Invite && body_of(&self.request).is_none()
    }
}

impl<U: Copy> Leg<U> {
    /// Handles a request of the peer inside the dialog. Answers it here if the owner is not needed.
    pub fn on_request(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        flow: Flow,
        request: Message,
    ) -> Option<LegEvent> {
        let tag = CompactString::from(request.from_tag().unwrap_or_default());
        let accepted = match self.dialog_mut(&tag) {
            Some(dialog) => dialog.accept(&request),
            None => Err(481),
        };
        if let Err(status) = accepted {
            self.respond(wire, id, &request, status, &[]);
            return None;
        }
        self.timer.is_alive(wire.now);
        match request.method() {
            Method::Bye => return self.on_bye(wire, id, request),
            Method::Prack => return self.on_prack(wire, id, request),
            Method::Invite | Method::Update | Method::Info => {}
            Method::Options => {
                self.tell_abilities(wire, id, &request);
                return None;
            }
            _ => {
                self.respond(wire, id, &request, 405, &[("Allow", ALLOW)]);
                return None;
            }
        }
        let offer = body_of(&request);
        let offers = *request.method() == Method::Invite
            || *request.method() == Method::Update && offer.is_some();
        if let Some(status) = self.glare(&request, offers) {
            self.refuse_offer(wire, id, &request, status);
            return None;
        }
        if *request.method() != Method::Info {
            if let Some(least) = self.timer.refuses(&request) {
                let mut seconds = itoa::Buffer::new();
                self.respond(wire, id, &request, 422, &[("Min-SE", seconds.format(least))]);
                return None;
            }
            if let Some(dialog) = self.dialog_mut(&tag) {
                dialog.refresh_target(&request);
            }
            self.flow = flow;
            self.updates = allows_update(&request).or(self.updates);
        }
        let unchanged =
            offers && self.sdp.is_settled() && offer.is_some() && offer == self.sdp.remote();
        if unchanged || *request.method() == Method::Update && !offers {
            // It refreshes this leg only, so no other leg is involved (RFC 4028 section 10).
            self.answer_refresh(wire, id, request, unchanged);
            return None;
        }
        if self.theirs.len() >= MOST_OPEN {
            self.respond(wire, id, &request, 503, &[]);
            return None;
        }
        if offers && let Some(offer) = offer {
            self.sdp.offer(Party::Peer, offer);
        }
        Some(self.take_request(id, request))
    }

    /// Keeps a request until its owner answers it.
    pub(super) fn take_request(&mut self, id: TransactionId, request: Message) -> LegEvent {
        self.theirs.push(Theirs { id, request, answered: false });
        LegEvent::Request(id)
    }

    /// A request of the peer that awaits [`Leg::reply`].
    #[must_use]
    pub fn request(&self, id: TransactionId) -> Option<&Message> {
        self.theirs.iter().find(|theirs| theirs.id == id).map(|theirs| &theirs.request)
    }

    pub(super) fn on_bye(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        request: Message,
    ) -> Option<LegEvent> {
        if matches!(self.phase, Phase::Calling(_)) {
            // The called side must not end an early dialog by BYE (RFC 3261 section 15).
            self.respond(wire, id, &request, 481, &[]);
            return None;
        }
        self.respond(wire, id, &request, 200, &[]);
        if self.is_up() {
            self.end(wire);
        }
        Some(LegEvent::Bye(Box::new(request)))
    }

    /// If a request would open a second offer in the dialog, the status to refuse it with: 491 if
    /// it crosses our exchange, 500 if it follows another offer of the same side (RFC 3261
    /// section 14.2, RFC 3311 section 5.2).
    pub(super) fn glare(&self, request: &Message, offers: bool) -> Option<u16> {
        let early = match &self.phase {
            Phase::Called(_) => Some(500),
            Phase::Calling(_) => Some(491),
            Phase::Up(_) | Phase::Over => None,
        };
        if let Some(status) = early {
            return match request.method() {
                // Nobody can take it yet.
                Method::Info => Some(491),
                Method::Invite => Some(status),
                _ => (offers && (!self.may_offer() || self.is_busy())).then_some(status),
            };
        }
        if !offers {
            return None;
        }
        // After our 200 the exchange is over, unless the peer's ACK is to carry the answer.
        let theirs = |theirs: &&Theirs| match theirs.request.method() {
            Method::Invite => !theirs.answered || theirs.is_delayed(),
            _ => body_of(&theirs.request).is_some() && *theirs.request.method() != Method::Info,
        };
        if self.theirs.iter().any(|request| theirs(&request)) {
            return Some(500);
        }
        self.has_exchange_of_ours().then_some(491)
    }

    /// Sends 491, or 500 with a random Retry-After of 0 to 10 s (RFC 3261 section 14.2).
    pub(crate) fn refuse_offer(
        &self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        request: &Message,
        status: u16,
    ) {
        let mut seconds = itoa::Buffer::new();
        let wait = seconds.format(wire.rng.random_range(0..=10_u8));
        let headers = [("Retry-After", wait)];
        self.respond(wire, id, request, status, if status == 500 { &headers } else { &[] });
    }

    /// Sends 200 to an UPDATE without offer, or to an unchanged offer, with our last agreed
    /// description.
    pub(super) fn answer_refresh(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        request: Message,
        unchanged: bool,
    ) {
        let body: Option<Box<[u8]>> = self.sdp.local().filter(|_| unchanged).map(Box::from);
        if unchanged && let Some(offer) = body_of(&request) {
            self.sdp.offer(Party::Peer, offer);
        }
        self.theirs.push(Theirs { id, request, answered: false });
        self.reply(wire, id, 200, body.as_deref(), &[]);
    }

    /// Sends 100 to a re-INVITE that is passed on to another leg.
    pub fn trying(&self, wire: &mut Wire<'_, U>, id: TransactionId) {
        if let Some(request) = self.request(id).filter(|r| *r.method() == Method::Invite) {
            self.respond(wire, id, request, 100, &[]);
        }
    }

    /// Answers a request reported by [`LegEvent::Request`]; a description in a 2xx is our answer,
    /// or our offer if the peer made none.
    pub fn reply(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        status: u16,
        sdp: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) {
        let Some(at) = self.theirs.iter().position(|theirs| theirs.id == id && !theirs.answered)
        else {
            return;
        };
        let mut theirs = self.theirs.remove(at);
        let request = &theirs.request;
        let (invite, info) =
            (*request.method() == Method::Invite, *request.method() == Method::Info);
        let mut builder = MessageBuilder::response_to(request, status, reason_phrase(status));
        if status < 300 && !info {
            let listener = self.flow.listener;
            builder = wire.with_contact(builder, listener, &self.contact_user);
            if *request.method() != Method::Prack {
                builder = self.timer.answer(wire.now, request, builder);
            }
        }
        for (name, value) in headers {
            builder = builder.header_of(name, &[value]);
        }
        if let Some(sdp) = sdp {
            builder = builder.body(SDP, sdp);
        }
        wire.transactions.respond(wire.now, id, status, builder.finish());
        let offered = !info && body_of(request).is_some();
        match sdp {
            Some(sdp) if status < 300 && offered => self.sdp.answer(sdp),
            Some(sdp) if status < 300 && theirs.is_delayed() => self.sdp.offer(Party::Us, sdp),
            _ if offered && self.sdp.open() == Some(Party::Peer) => self.sdp.refuse(),
            _ => {}
        }
        if invite && status < 300 {
            theirs.answered = true;
            wire.transactions.set_owner(id, Some(self.owner));
            self.theirs.push(theirs);
        } else {
            self.send_next(wire);
        }
    }

    /// Handles the ACK for our 2xx to a re-INVITE; `None` means that it will not come.
    pub(super) fn on_request_ack(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        ack: Option<&Message>,
    ) -> Option<LegEvent> {
        let at = self.theirs.iter().position(|theirs| theirs.id == id && theirs.answered)?;
        let theirs = self.theirs.remove(at);
        if theirs.is_delayed() {
            match ack.and_then(body_of) {
                Some(sdp) => self.sdp.answer(sdp),
                None => self.sdp.refuse(),
            }
        }
        self.send_next(wire);
        Some(LegEvent::RequestAcknowledged(id, ack.is_some()))
    }
}
