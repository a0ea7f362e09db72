//! Our own requests inside the dialog: those of the leg's owner, and refreshes, probes and PRACKs
//! (RFC 4028, SIG-33, RFC 3262). A request that would cross another exchange waits.

use super::calling::at_home;
use super::requests::{SDP, allows_update};
use super::session_timer::{Due, Life};
use super::{Leg, LegEvent, Party, Phase, Wire};
use crate::sdp::body_of;
use crate::{Flow, Message, Method, TransactionId};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Identifies a request of ours to its owner; unique within a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId(u32);

/// The purpose of a request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Purpose {
    /// The owner wants the answer.
    Owner(RequestId),
    /// The session timer.
    Refresh,
    /// A check whether the peer is alive.
    Probe,
    /// A check whether a peer whose media are silent is alive.
    Life,
    /// Acknowledges a reliable response.
    Prack,
}

/// A request of ours inside the dialog.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ours {
    purpose: Purpose,
    /// Its transaction; `None` while it waits.
    pub(super) client: Option<TransactionId>,
    pub(super) method: Method,
    /// Tag of its early dialog; empty once the session is up.
    tag: CompactString,
    content_type: CompactString,
    body: Box<[u8]>,
    rack: String,
    pub(super) cseq: u32,
    /// An INVITE without offer that was answered: its ACK awaits our answer.
    pub(super) ack_due: bool,
}

impl Ours {
    fn offers(&self) -> bool {
        self.content_type == SDP && matches!(self.method, Method::Invite | Method::Update)
    }

    fn is_delayed(&self) -> bool {
        self.method == Method::Invite && !self.offers()
    }
}

impl<U: Copy> Leg<U> {
    /// Whether an INVITE or an offer of ours has no answer.
    pub(super) fn has_exchange_of_ours(&self) -> bool {
        self.ours.iter().any(|ours| ours.method == Method::Invite || ours.offers())
            || self.sdp.open() == Some(Party::Us)
    }

    /// Sends a request inside the dialog: a re-INVITE, UPDATE or INFO with this content. To a peer
    /// that does not support UPDATE, an UPDATE is sent as re-INVITE once the session is up. The
    /// request waits while another exchange is in progress. `None` means that there is no dialog
    /// for it.
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

    /// Whether an exchange of either side is in progress.
    pub(super) fn is_busy(&self) -> bool {
        self.sdp.open().is_some()
            || self.has_exchange_of_ours()
            || self
                .theirs
                .iter()
                .any(|theirs| *theirs.request.method() == Method::Invite && !theirs.answered)
    }

    /// Sends PRACK in the early dialog with this tag.
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

    pub(super) fn transmit(&mut self, wire: &mut Wire<'_, U>, mut ours: Ours) -> bool {
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
        let id = wire.request_of(self.owner, hop, builder.finish(), &self.manner);
        ours.client = Some(id);
        if ours.offers() {
            self.sdp.offer(Party::Us, &ours.body);
        }
        self.ours.push(ours);
        true
    }

    /// Sends the requests that waited for the end of another exchange.
    pub(super) fn send_next(&mut self, wire: &mut Wire<'_, U>) {
        while !self.is_busy()
            && let Some(ours) = self.waiting.pop_front()
        {
            self.transmit(wire, ours);
        }
    }

    /// Whether this is the transaction of a request of ours inside the dialog.
    pub(super) fn has_sent(&self, id: TransactionId) -> bool {
        self.ours.iter().any(|ours| ours.client == Some(id))
    }

    /// Handles a response to a request of ours inside the dialog.
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
            // The peer does not support UPDATE, whatever its Allow said (SIG-28).
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
            let offered = delayed && self.sdp.open() == Some(Party::Peer);
            if offered && matches!(purpose, Purpose::Owner(_)) {
                ours.ack_due = true;
                self.ours.push(ours);
            } else {
                // Nobody can answer an offer that came in response to a refresh.
                if offered {
                    self.sdp.refuse();
                }
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

    /// Gives a refresh that becomes a re-INVITE our last agreed description, if it has no body.
    pub(super) fn fill(&self, ours: &mut Ours) -> bool {
        if !ours.body.is_empty() {
            return true;
        }
        let Some(last) = self.sdp.local() else { return false };
        ours.content_type = SDP.into();
        ours.body = last.into();
        true
    }

    /// Handles the final refusal of a request of ours.
    pub(super) fn refused(
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

    pub(super) fn life(
        &mut self,
        wire: &mut Wire<'_, U>,
        response: &Message,
        probe: bool,
    ) -> Option<LegEvent> {
        let we_called = matches!(&self.phase, Phase::Up(up) if up.we_called);
        let life = self.timer.answered(wire.now, response, probe, we_called, wire.rng);
        self.go_on(wire, life, probe)
    }

    pub(super) fn go_on(
        &mut self,
        wire: &mut Wire<'_, U>,
        life: Life,
        probe: bool,
    ) -> Option<LegEvent> {
        match life {
            Life::Alive => None,
            Life::Again => {
                let due = if probe { Due::Probe } else { Due::Refresh };
                self.on_timer(wire, due)
            }
            Life::Gone => Some(LegEvent::Gone),
        }
    }

    /// Handles a due refresh or probe, or the expiry of the session.
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

    /// Checks at once whether the peer is there: OPTIONS, then a re-INVITE with the unchanged
    /// description, which every device must answer (SIG-33, MEDIA-18). [`LegEvent::NoLife`] reports
    /// that neither was answered.
    pub fn look_for_life(&mut self, wire: &mut Wire<'_, U>) {
        let asked = self.ours.iter().any(|ours| ours.purpose == Purpose::Life);
        if self.is_up() && !asked {
            self.dispatch(wire, Purpose::Life, Method::Options, ("", &[]));
        }
    }

    /// The peer did not answer a check: sends the stronger one, or reports that there is none left.
    pub(super) fn on_no_sign(
        &mut self,
        wire: &mut Wire<'_, U>,
        asked: &Method,
    ) -> Option<LegEvent> {
        let last: Option<Box<[u8]>> = self.sdp.local().map(Box::from);
        match last {
            Some(last) if *asked == Method::Options && self.is_up() => {
                self.dispatch(wire, Purpose::Life, Method::Invite, (SDP, &last));
                None
            }
            _ => Some(LegEvent::NoLife),
        }
    }

    /// Handles a request of ours that got no answer within W.
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

    /// Cancels a re-INVITE of ours, with a Reason value if one is given.
    pub fn cancel_request(&self, wire: &mut Wire<'_, U>, name: RequestId, reason: Option<&str>) {
        let ours = self.ours.iter().find(|ours| ours.purpose == Purpose::Owner(name));
        if let Some(id) = ours.and_then(|ours| ours.client) {
            wire.transactions.cancel(wire.now, id, reason);
        }
    }

    /// Sends the ACK for the 2xx to our re-INVITE without offer, with our answer to the peer's
    /// offer.
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

    pub(super) fn send_ack(
        &self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        cseq: u32,
        sdp: Option<&[u8]>,
    ) {
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
}
