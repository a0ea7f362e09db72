//! Requests inside the dialog, of both sides (RFC 3261 section 12.2, RFC 3311): which may be sent
//! and taken while another is under way (RFC 3261 section 14), and the refreshes and probes of
//! our own (RFC 4028, SIG-33).

use super::calling::at_home;
use super::session_timer::{Due, Life};
use super::{ALLOW, EXTENSIONS, Leg, LegEvent, Party, Phase, Wire};
use crate::sdp::body_of;
use crate::{Flow, Message, MessageBuilder, Method, TransactionId, reason_phrase};
use compact_str::CompactString;
use rand::Rng;

/// Names a request of ours for its owner; unique within a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u32);

/// Requests of one peer that are open at once, at most; more are refused with 503.
const MOST_OPEN: usize = 16;

/// A request of the peer that its owner has to answer.
#[derive(Debug)]
pub(super) struct Theirs {
    id: TransactionId,
    request: Message,
    /// It was answered with 2xx and waits for its ACK.
    answered: bool,
}

impl Theirs {
    pub(super) fn id(&self) -> TransactionId {
        self.id
    }

    /// A re-INVITE without offer: the ACK will carry the answer to ours.
    fn is_delayed(&self) -> bool {
        *self.request.method() == Method::Invite && body_of(&self.request).is_none()
    }
}

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Its owner wants the answer.
    Owner(RequestId),
    /// The session timer.
    Refresh,
    /// A sign of life.
    Probe,
    /// A sign of life of a peer whose media are silent.
    Life,
    /// A reliable response is acknowledged.
    Prack,
}

/// A request of ours inside the dialog.
#[derive(Debug)]
pub(super) struct Ours {
    purpose: Purpose,
    /// Its transaction; none while it waits.
    client: Option<TransactionId>,
    method: Method,
    /// Tag of its early dialog; empty once the session is up.
    tag: CompactString,
    content_type: CompactString,
    body: Box<[u8]>,
    rack: String,
    cseq: u32,
    /// INVITE without offer, answered: its ACK waits for our answer.
    ack_due: bool,
}

impl Ours {
    fn offers(&self) -> bool {
        self.content_type == SDP && matches!(self.method, Method::Invite | Method::Update)
    }

    fn is_delayed(&self) -> bool {
        self.method == Method::Invite && !self.offers()
    }
}

const SDP: &str = "application/sdp";

impl<U: Copy> Leg<U> {
    /// A request of the peer inside the dialog. What needs nobody else is answered here.
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
            // It refreshes this leg and asks nothing of anybody else (RFC 4028 section 10).
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

    /// A request of the peer that waits for [`Leg::reply`].
    #[must_use]
    pub fn request(&self, id: TransactionId) -> Option<&Message> {
        self.theirs.iter().find(|theirs| theirs.id == id).map(|theirs| &theirs.request)
    }

    fn on_bye(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        request: Message,
    ) -> Option<LegEvent> {
        if matches!(self.phase, Phase::Calling(_)) {
            // Who is called does not end an early dialog by BYE (RFC 3261 section 15).
            self.respond(wire, id, &request, 481, &[]);
            return None;
        }
        self.respond(wire, id, &request, 200, &[]);
        if self.is_up() {
            self.end(wire);
        }
        Some(LegEvent::Bye(Box::new(request)))
    }

    /// Whether a request comes while another waits for its answer, so that two offers would be
    /// open in one dialog: the status to refuse it with. One that crosses ours gets 491, a second
    /// one of the same side 500 (RFC 3261 section 14.2, RFC 3311 section 5.2).
    fn glare(&self, request: &Message, offers: bool) -> Option<u16> {
        let early = match &self.phase {
            Phase::Called(_) => Some(500),
            Phase::Calling(_) => Some(491),
            Phase::Up(_) | Phase::Over => None,
        };
        if let Some(status) = early {
            return match request.method() {
                // Nobody is there yet who could take it.
                Method::Info => Some(491),
                Method::Invite => Some(status),
                _ => (offers && (!self.may_offer() || self.is_busy())).then_some(status),
            };
        }
        if !offers {
            return None;
        }
        // After its 200 the peer knows the answer, unless its ACK is to carry it.
        let theirs = |theirs: &&Theirs| match theirs.request.method() {
            Method::Invite => !theirs.answered || theirs.is_delayed(),
            _ => body_of(&theirs.request).is_some() && *theirs.request.method() != Method::Info,
        };
        if self.theirs.iter().any(|request| theirs(&request)) {
            return Some(500);
        }
        self.has_exchange_of_ours().then_some(491)
    }

    /// Whether an INVITE or an offer of ours has no answer.
    fn has_exchange_of_ours(&self) -> bool {
        self.ours.iter().any(|ours| ours.method == Method::Invite || ours.offers())
            || self.sdp.open() == Some(Party::Us)
    }

    /// 491, or 500 with the moment to try again, 0 to 10 s (RFC 3261 section 14.2).
    pub fn refuse_offer(
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

    /// 200 to an UPDATE without offer, or to an offer that changes nothing: with what we said
    /// last.
    fn answer_refresh(
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

    /// 100 to a re-INVITE that goes on to somebody else.
    pub fn trying(&self, wire: &mut Wire<'_, U>, id: TransactionId) {
        if let Some(request) = self.request(id).filter(|r| *r.method() == Method::Invite) {
            self.respond(wire, id, request, 100, &[]);
        }
    }

    /// Answers a request that [`LegEvent::Request`] told; a description in a 2xx is our answer, or
    /// our offer where the peer made none.
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

    /// The ACK for our 2xx to a re-INVITE came, or will not come (none).
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

    /// Sends a request inside the dialog: a re-INVITE, UPDATE or INFO with this content. UPDATE to
    /// a peer that does not know it is sent as re-INVITE. It waits while another exchange is under
    /// way. None: there is no dialog for it.
    pub fn send(
        &mut self,
        wire: &mut Wire<'_, U>,
        method: Method,
        content: Option<(&str, &[u8])>,
    ) -> Option<RequestId> {
        self.last_request = self.last_request.wrapping_add(1);
        let name = RequestId(self.last_request);
        let (content_type, body) = content.unwrap_or_default();
        self.dispatch(wire, Purpose::Owner(name), method, (content_type, body)).then_some(name)
    }

    fn dispatch(
        &mut self,
        wire: &mut Wire<'_, U>,
        purpose: Purpose,
        method: Method,
        (content_type, body): (&str, &[u8]),
    ) -> bool {
        let tag = match &self.phase {
            Phase::Up(_) | Phase::Called(_) => CompactString::default(),
            Phase::Calling(calling) => match calling.newest() {
                Some(dialog) => dialog.remote_tag().into(),
                None => return false,
            },
            Phase::Over => return false,
        };
        let method = match method {
            Method::Update if self.updates == Some(false) && self.is_up() => Method::Invite,
            Method::Update if self.updates == Some(false) => return false,
            method => method,
        };
        let ours = Ours {
            purpose,
            client: None,
            method,
            tag,
            content_type: content_type.into(),
            body: body.into(),
            rack: String::new(),
            cseq: 0,
            ack_due: false,
        };
        let exchange = ours.method == Method::Invite || ours.offers();
        if exchange && self.is_busy() {
            self.waiting.push_back(ours);
            return true;
        }
        self.transmit(wire, ours)
    }

    /// Whether an exchange of either side is under way.
    fn is_busy(&self) -> bool {
        self.sdp.open().is_some()
            || self.has_exchange_of_ours()
            || self
                .theirs
                .iter()
                .any(|theirs| *theirs.request.method() == Method::Invite && !theirs.answered)
    }

    /// PRACK in the early dialog with this tag.
    pub(super) fn send_in_dialog(
        &mut self,
        wire: &mut Wire<'_, U>,
        tag: &str,
        rack: String,
        sdp: Option<&[u8]>,
    ) {
        let ours = Ours {
            purpose: Purpose::Prack,
            client: None,
            method: Method::Prack,
            tag: tag.into(),
            content_type: if sdp.is_some() { SDP.into() } else { CompactString::default() },
            body: sdp.unwrap_or_default().into(),
            rack,
            cseq: 0,
            ack_due: false,
        };
        self.transmit(wire, ours);
    }

    fn transmit(&mut self, wire: &mut Wire<'_, U>, mut ours: Ours) -> bool {
        let (natted, flow) = (self.natted, self.flow);
        let Some(dialog) = self.dialog_mut(&ours.tag) else { return false };
        let hop = if natted { flow } else { wire.hop(dialog, flow) };
        let builder = dialog.request(&ours.method);
        ours.cseq = dialog.local_cseq();
        let uri = CompactString::from(dialog.remote_target());
        let mut builder = wire.with_via(builder, hop.listener);
        if let Some(login) = &mut self.login {
            builder = login.sign(builder, &ours.method, &uri, wire.rng);
        }
        match ours.method {
            Method::Invite | Method::Update => {
                builder = wire.with_contact(builder, hop.listener, &self.contact_user);
                builder = builder.header_of("Supported", &[self.supported()]);
                builder = self.timer.request_lines(builder);
            }
            Method::Prack => builder = builder.header_of("RAck", &[&ours.rack]),
            _ => {}
        }
        if !ours.body.is_empty() {
            builder = builder.body(&ours.content_type, &ours.body);
        }
        let id = wire.request_of(self.owner, hop, builder.finish(), &self.settings);
        ours.client = Some(id);
        if ours.offers() {
            self.sdp.offer(Party::Us, &ours.body);
        }
        self.ours.push(ours);
        true
    }

    /// Sends what waited for the end of another exchange.
    fn send_next(&mut self, wire: &mut Wire<'_, U>) {
        while !self.is_busy()
            && let Some(ours) = self.waiting.pop_front()
        {
            self.transmit(wire, ours);
        }
    }

    /// Whether this is a transaction of a request of ours inside the dialog.
    pub(super) fn has_sent(&self, id: TransactionId) -> bool {
        self.ours.iter().any(|ours| ours.client == Some(id))
    }

    /// A response to a request of ours inside the dialog.
    pub(super) fn on_own_response(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        flow: Flow,
        response: &Message,
    ) -> Option<LegEvent> {
        let at = self.ours.iter().position(|ours| ours.client == Some(id) && !ours.ack_due)?;
        let status = response.status();
        if status < 200 {
            return None;
        }
        let mut ours = self.ours.remove(at);
        let again = match status {
            401 | 407 => self.login.as_mut().is_some_and(|login| login.take(response)),
            // It does not know UPDATE, whatever it said (SIG-28).
            405 | 501 if ours.method == Method::Update => {
                self.updates = Some(false);
                ours.method = Method::Invite;
                self.is_up() && self.fill(&mut ours)
            }
            422 if ours.purpose != Purpose::Refresh && ours.offers() => self.timer.raise(response),
            _ => false,
        };
        if again {
            if ours.offers() {
                self.sdp.refuse();
            }
            self.transmit(wire, ours);
            return None;
        }
        if status >= 300 {
            if ours.offers() {
                self.sdp.refuse();
            }
            let event = self.refused(wire, &ours, response);
            self.send_next(wire);
            return event;
        }
        if matches!(ours.method, Method::Invite | Method::Update) {
            if let Some(dialog) = self.dialog_mut(&ours.tag) {
                dialog.refresh_target(response);
            }
            self.flow = at_home(flow, self.flow);
            self.updates = allows_update(response).or(self.updates);
            if self.is_up() {
                self.timer.agreed(wire.now, response);
            }
        }
        match body_of(response) {
            Some(sdp) if ours.offers() => self.sdp.answer(sdp),
            Some(sdp) if ours.is_delayed() => self.sdp.offer(Party::Peer, sdp),
            None if ours.offers() => self.sdp.refuse(),
            _ => {}
        }
        let delayed = ours.is_delayed();
        let purpose = ours.purpose;
        if ours.method == Method::Invite {
            if delayed && self.sdp.open() == Some(Party::Peer) {
                ours.ack_due = true;
                self.ours.push(ours);
            } else {
                self.send_ack(wire, id, ours.cseq, None);
            }
        }
        let event = match purpose {
            Purpose::Owner(name) => Some(LegEvent::Response(name)),
            Purpose::Probe => self.life(wire, response, true),
            Purpose::Refresh | Purpose::Life | Purpose::Prack => None,
        };
        self.send_next(wire);
        event
    }

    /// A refresh without description that becomes a re-INVITE carries what was said last.
    fn fill(&self, ours: &mut Ours) -> bool {
        if !ours.body.is_empty() {
            return true;
        }
        let Some(last) = self.sdp.local() else { return false };
        ours.content_type = SDP.into();
        ours.body = last.into();
        true
    }

    /// A request of ours was refused for good.
    fn refused(
        &mut self,
        wire: &mut Wire<'_, U>,
        ours: &Ours,
        response: &Message,
    ) -> Option<LegEvent> {
        match ours.purpose {
            Purpose::Owner(name) => Some(LegEvent::Response(name)),
            Purpose::Refresh => self.life(wire, response, false),
            Purpose::Probe => self.life(wire, response, true),
            Purpose::Life if response.status() == 408 => self.on_no_sign(wire, &ours.method),
            Purpose::Life if response.status() == 481 => Some(LegEvent::Gone),
            Purpose::Life | Purpose::Prack => None,
        }
    }

    fn life(
        &mut self,
        wire: &mut Wire<'_, U>,
        response: &Message,
        probe: bool,
    ) -> Option<LegEvent> {
        let we_called = matches!(&self.phase, Phase::Up(up) if up.we_called);
        let life = self.timer.answered(wire.now, response, probe, we_called, wire.rng);
        self.go_on(wire, life, probe)
    }

    fn go_on(&mut self, wire: &mut Wire<'_, U>, life: Life, probe: bool) -> Option<LegEvent> {
        match life {
            Life::Alive => None,
            Life::Again => {
                let due = if probe { Due::Probe } else { Due::Refresh };
                self.on_timer(wire, due)
            }
            Life::Gone => Some(LegEvent::Gone),
        }
    }

    /// A refresh or probe is due, or the session has expired.
    pub(super) fn on_timer(&mut self, wire: &mut Wire<'_, U>, due: Due) -> Option<LegEvent> {
        if !self.is_up() {
            return None;
        }
        match due {
            Due::Expired => return Some(LegEvent::Gone),
            Due::Probe => {
                self.dispatch(wire, Purpose::Probe, Method::Options, ("", &[]));
            }
            Due::Refresh if self.is_busy() => self.timer.postpone(wire.now),
            Due::Refresh if self.updates == Some(true) => {
                self.dispatch(wire, Purpose::Refresh, Method::Update, ("", &[]));
            }
            Due::Refresh => {
                let last: Option<Box<[u8]>> = self.sdp.local().map(Box::from);
                let content = last.as_deref().map_or(("", &[][..]), |last| (SDP, last));
                self.dispatch(wire, Purpose::Refresh, Method::Invite, content);
            }
        }
        None
    }

    /// Asks at once whether the peer is there: OPTIONS, then a re-INVITE with the unchanged
    /// description, which every device must answer (SIG-33, MEDIA-18). [`LegEvent::NoLife`] tells
    /// that neither was answered.
    pub fn look_for_life(&mut self, wire: &mut Wire<'_, U>) {
        let asked = self.ours.iter().any(|ours| ours.purpose == Purpose::Life);
        if self.is_up() && !asked {
            self.dispatch(wire, Purpose::Life, Method::Options, ("", &[]));
        }
    }

    /// The peer has not answered a sign of life: the stronger one follows, or there is none.
    fn on_no_sign(&mut self, wire: &mut Wire<'_, U>, asked: &Method) -> Option<LegEvent> {
        let last: Option<Box<[u8]>> = self.sdp.local().map(Box::from);
        match last {
            Some(last) if *asked == Method::Options && self.is_up() => {
                self.dispatch(wire, Purpose::Life, Method::Invite, (SDP, &last));
                None
            }
            _ => Some(LegEvent::NoLife),
        }
    }

    /// A request of ours got no answer within W.
    pub(super) fn on_request_over(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
    ) -> Option<LegEvent> {
        let at = self.ours.iter().position(|ours| ours.client == Some(id) && !ours.ack_due)?;
        let ours = self.ours.remove(at);
        if ours.offers() {
            self.sdp.refuse();
        }
        let event = match ours.purpose {
            Purpose::Owner(name) => Some(LegEvent::NoResponse(name)),
            Purpose::Refresh | Purpose::Probe => {
                let probe = ours.purpose == Purpose::Probe;
                let life = self.timer.missed(wire.now, probe);
                self.go_on(wire, life, probe)
            }
            Purpose::Life => self.on_no_sign(wire, &ours.method),
            Purpose::Prack => None,
        };
        self.send_next(wire);
        event
    }

    /// Cancels a re-INVITE of ours, with a Reason value if there is one.
    pub fn cancel_request(&self, wire: &mut Wire<'_, U>, name: RequestId, reason: Option<&str>) {
        let ours = self.ours.iter().find(|ours| ours.purpose == Purpose::Owner(name));
        if let Some(id) = ours.and_then(|ours| ours.client) {
            wire.transactions.cancel(wire.now, id, reason);
        }
    }

    /// The ACK for the 2xx to a re-INVITE of ours without offer, with our answer to the peer's.
    pub fn acknowledge_request(
        &mut self,
        wire: &mut Wire<'_, U>,
        name: RequestId,
        sdp: Option<&[u8]>,
    ) {
        let due = |ours: &Ours| ours.purpose == Purpose::Owner(name) && ours.ack_due;
        let Some(at) = self.ours.iter().position(due) else { return };
        let ours = self.ours.remove(at);
        match sdp {
            Some(sdp) => self.sdp.answer(sdp),
            None => self.sdp.refuse(),
        }
        if let Some(id) = ours.client {
            self.send_ack(wire, id, ours.cseq, sdp);
        }
        self.send_next(wire);
    }

    fn send_ack(&self, wire: &mut Wire<'_, U>, id: TransactionId, cseq: u32, sdp: Option<&[u8]>) {
        let hop = self.hop(wire);
        let Some(dialog) = self.dialog() else { return };
        let mut ack = wire.with_via(dialog.ack(cseq), hop.listener);
        if let Some(login) = &self.login {
            ack = login.sign_ack(ack);
        }
        if let Some(sdp) = sdp {
            ack = ack.body(SDP, sdp);
        }
        wire.transactions.ack(wire.now, id, hop, ack.finish());
    }

    /// The dialog ends: nothing of ours is resent into it, requests of the peer get 487.
    pub(super) fn stop(&mut self, wire: &mut Wire<'_, U>) {
        self.timer.stop();
        self.waiting.clear();
        for ours in std::mem::take(&mut self.ours) {
            let Some(id) = ours.client else { continue };
            if ours.ack_due {
                self.send_ack(wire, id, ours.cseq, None);
            } else {
                wire.transactions.abandon(wire.now, id);
            }
            wire.transactions.set_owner(id, None);
        }
        for theirs in std::mem::take(&mut self.theirs) {
            if !theirs.answered {
                self.respond(wire, theirs.id, &theirs.request, 487, &[]);
            }
            wire.transactions.set_owner(theirs.id, None);
        }
    }

    /// A response that carries nothing of the session.
    pub(super) fn respond(
        &self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        request: &Message,
        status: u16,
        headers: &[(&str, &str)],
    ) {
        let mut builder = MessageBuilder::response_to(request, status, reason_phrase(status));
        for (name, value) in headers {
            builder = builder.header_of(name, &[value]);
        }
        wire.transactions.respond(wire.now, id, status, builder.finish());
    }

    /// 200 to OPTIONS inside the dialog (RFC 3261 section 11.2).
    fn tell_abilities(&self, wire: &mut Wire<'_, U>, id: TransactionId, request: &Message) {
        let supported = EXTENSIONS.join(", ");
        let headers = [
            ("Allow", ALLOW),
            ("Accept", SDP),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", &supported),
        ];
        self.respond(wire, id, request, 200, &headers);
    }
}

/// Whether the sender of a message takes UPDATE; none where its Allow does not say.
pub(super) fn allows_update(message: &Message) -> Option<bool> {
    let mut methods = message.headers("Allow").peekable();
    methods.peek()?;
    Some(methods.any(|method| method.eq_ignore_ascii_case("UPDATE")))
}
