//! A call of ours: our INVITE until its final response, with an early dialog for each peer that a
//! fork on the way reached (SIG-07), and the PRACKs for their reliable responses (RFC 3262
//! section 4).

use super::session_timer::names;
use super::{Leg, LegEvent, LegSettings, Negotiation, Party, Phase, Reliability, Up, Wire};
use crate::header_name::Known;
use crate::sdp::body_of;
use crate::{Dialog, Flow, Message, Method, TransactionId};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Most unanswered PRACKs, over all early dialogs; the peer repeats a response that we ignore.
const MOST_PRACKS: usize = 8;

/// Most early dialogs kept per INVITE; responses of further peers count, but get no dialog.
const MOST_EARLY: usize = 16;

/// The content of an INVITE; kept until the final response in case it must be sent again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invitation {
    /// Request-URI, which is also the URI of To.
    pub uri: String,
    /// From value, with our tag.
    pub from: String,
    /// Our Call-ID of the leg.
    pub call_id: CompactString,
    /// Remaining hops.
    pub max_forwards: u32,
    /// Further header lines.
    pub headers: Vec<(CompactString, CompactString)>,
    /// Our offer; empty if the peer is to make it.
    pub sdp: Vec<u8>,
    /// The peer may put an offer into a reliable 18x, because someone can answer it.
    pub early_offers: bool,
}

/// Our INVITE without a final response.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Calling {
    pub(super) id: TransactionId,
    /// Where the INVITE went.
    to: Flow,
    invitation: Invitation,
    cseq: u32,
    early: Vec<Early>,
    /// The INVITE was given up: any final response ends it.
    given_up: bool,
}

/// One peer that has answered provisionally.
#[derive(Debug, Serialize, Deserialize)]
struct Early {
    dialog: Dialog,
    /// Its last reliable response; 0 before the first.
    rseq: u32,
    /// It has answered our offer in a reliable response.
    settled: bool,
    /// Its offer in a reliable response awaits our answer, which goes into the PRACK.
    prack_due: bool,
    /// The last description that it sent.
    sdp: Option<Box<[u8]>>,
}

/// How to give up an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMore {
    /// CANCEL; its final response is still awaited (SIG-08).
    Cancel,
    /// The peer never responded: no more resends; a late response gets CANCEL or BYE within the
    /// window (SIG-103).
    Abandon,
}

/// The flow of a dialog: the source of a response, unless the request used another transport than
/// the dialog only because of its size.
pub(super) fn at_home(from: Flow, to: Flow) -> Flow {
    if from.link == to.link { from } else { to }
}

impl Calling {
    /// The newest early dialog.
    pub(super) fn newest(&self) -> Option<&Dialog> {
        self.early.last().map(|early| &early.dialog)
    }

    pub(super) fn owns(&self, message: &Message) -> bool {
        self.early.iter().any(|early| early.dialog.matches(message))
    }

    fn of(&mut self, tag: &str) -> Option<&mut Early> {
        self.early.iter_mut().find(|early| early.dialog.remote_tag() == tag)
    }
}

impl<U: Copy> Leg<U> {
    /// Sends an INVITE on `flow`.
    pub fn calling(
        owner: U,
        wire: &mut Wire<'_, U>,
        flow: Flow,
        invitation: Invitation,
        contact_user: &str,
        settings: LegSettings,
    ) -> Leg<U> {
        let (manner, login, timer) = settings.apart();
        let mut leg = Leg {
            owner,
            flow,
            natted: false,
            contact_user: contact_user.into(),
            manner,
            login,
            timer,
            updates: None,
            phase: Phase::Over,
            sdp: Negotiation::default(),
            theirs: Vec::new(),
            ours: Vec::new(),
            waiting: VecDeque::new(),
            last_request: 0,
        };
        if !invitation.sdp.is_empty() {
            leg.sdp.offer(Party::Us, &invitation.sdp);
        }
        leg.invite(wire, flow, invitation, 1);
        leg
    }

    fn invite(&mut self, wire: &mut Wire<'_, U>, to: Flow, invitation: Invitation, cseq: u32) {
        let (uri, mut number) = (&invitation.uri, itoa::Buffer::new());
        let mut hops = itoa::Buffer::new();
        let mut invite = wire
            .request_to(&Method::Invite, uri, to.listener)
            .header_of("Max-Forwards", &[hops.format(invitation.max_forwards)])
            .header_of("From", &[&invitation.from])
            .header_of("To", &["<", uri, ">"])
            .header_of("Call-ID", &[&invitation.call_id])
            .header_of("CSeq", &[number.format(cseq), " INVITE"]);
        invite = wire.with_contact(invite, to.listener, &self.contact_user);
        let reliability = self.manner.reliability;
        // If nobody can answer an offer in an 18x, do not invite one.
        let known = !invitation.sdp.is_empty() || invitation.early_offers;
        match reliability {
            Reliability::Required => {
                invite =
                    invite.header_of("Require", &["100rel"]).header_of("Supported", &["timer"]);
            }
            Reliability::Supported if known => {
                invite = invite.header_of("Supported", &["100rel, timer"]);
            }
            _ => invite = invite.header_of("Supported", &["timer"]),
        }
        invite = self.timer.request_lines(invite);
        for (name, value) in &invitation.headers {
            invite = invite.header_of(name, &[value]);
        }
        if let Some(login) = &mut self.login {
            invite = login.sign(invite, &Method::Invite, uri, wire.rng);
        }
        if !invitation.sdp.is_empty() {
            invite = invite.body("application/sdp", &invitation.sdp);
        }
        let id = wire.request_of(self.owner, to, invite.finish(), &self.manner);
        let calling = Calling { id, to, invitation, cseq, early: Vec::new(), given_up: false };
        self.phase = Phase::Calling(Box::new(calling));
    }

    /// The transaction of the INVITE, while it has no final response or its 2xx may be repeated.
    #[must_use]
    pub fn invite_transaction(&self) -> Option<TransactionId> {
        match &self.phase {
            Phase::Called(called) => Some(called.id),
            Phase::Calling(calling) => Some(calling.id),
            Phase::Up(up) => Some(up.invite),
            Phase::Over => None,
        }
    }

    /// Handles a response to the INVITE or to a request of ours inside the dialog.
    pub fn on_response(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        flow: Flow,
        response: &Message,
    ) -> Option<LegEvent> {
        match &self.phase {
            Phase::Calling(calling) if calling.id == id => {
                self.on_invite_response(wire, flow, response)
            }
            Phase::Up(up) if up.invite == id && up.we_called => None,
            _ => self.on_own_response(wire, id, flow, response),
        }
    }

    /// Whether this is a 2xx to our INVITE from a peer other than the one in the session, or after
    /// the end; [`super::decline_answer`] then handles it (SIG-07, SIG-08).
    #[must_use]
    pub fn is_stray_answer(&self, id: TransactionId, response: &Message) -> bool {
        let invite =
            *response.method() == Method::Invite && (200..300).contains(&response.status());
        invite
            && match &self.phase {
                Phase::Calling(_) => false,
                Phase::Up(up) => up.invite == id,
                Phase::Called(_) | Phase::Over => !self.has_sent(id),
            }
    }

    fn on_invite_response(
        &mut self,
        wire: &mut Wire<'_, U>,
        flow: Flow,
        response: &Message,
    ) -> Option<LegEvent> {
        let given_up = matches!(&self.phase, Phase::Calling(calling) if calling.given_up);
        match response.status() {
            100 => Some(LegEvent::Trying),
            101..=199 => self.on_provisional(wire, flow, response),
            200..=299 => Some(self.on_answer(wire, flow, response)),
            401 | 407
                if !given_up && self.login.as_mut().is_some_and(|login| login.take(response)) =>
            {
                self.send_again(wire);
                Some(LegEvent::SentAgain)
            }
            422 if !given_up && self.timer.raise(response) => {
                self.send_again(wire);
                Some(LegEvent::SentAgain)
            }
            _ => {
                self.phase = Phase::Over;
                Some(LegEvent::Refused)
            }
        }
    }

    /// Sends the INVITE again, with the next CSeq number.
    fn send_again(&mut self, wire: &mut Wire<'_, U>) {
        let Phase::Calling(calling) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return;
        };
        wire.transactions.set_owner(calling.id, None);
        let Calling { to, invitation, cseq, .. } = *calling;
        self.invite(wire, to, invitation, cseq + 1);
    }

    fn on_provisional(
        &mut self,
        wire: &mut Wire<'_, U>,
        flow: Flow,
        response: &Message,
    ) -> Option<LegEvent> {
        let pracks = self.ours.iter().filter(|ours| ours.method == Method::Prack).count();
        let Phase::Calling(calling) = &mut self.phase else { return None };
        let tag = response.to_tag().unwrap_or_default();
        if response.status() == 199 {
            // A 199 only ends its early dialog (SIG-20, RFC 6228).
            calling.early.retain(|early| early.dialog.remote_tag() != tag);
            return None;
        }
        if tag.is_empty() {
            return Some(LegEvent::Progress);
        }
        self.flow = at_home(flow, calling.to);
        self.updates = super::requests::allows_update(response).or(self.updates);
        // The last dialog in the list is the newest one with a description.
        let at = calling.early.iter().position(|early| early.dialog.remote_tag() == tag);
        let mut early = match at {
            Some(at) => calling.early.remove(at),
            None => Early {
                dialog: Dialog::uac(response, response),
                rseq: 0,
                settled: false,
                prack_due: false,
                sdp: None,
            },
        };
        let offered = calling.invitation.sdp.is_empty();
        let sdp = body_of(response);
        let number = response.value(Known::RSeq).and_then(|value| value.trim().parse::<u32>().ok());
        let reliable = names(response, Known::Require, "100rel");
        let counts = match number.filter(|_| reliable) {
            // The peer sends one at a time until its PRACK has arrived (RFC 3262 section 3): this
            // many unanswered PRACKs are a flood.
            Some(_) if pracks >= MOST_PRACKS => false,
            // A repeated response, or one that overtook another (RFC 3262 section 4).
            Some(number) if early.rseq > 0 && number != early.rseq.wrapping_add(1) => false,
            Some(number) => {
                early.rseq = number;
                if let Some(answer) = sdp.filter(|_| !offered && !early.settled) {
                    // The answer is binding from now on (RFC 3262 section 5).
                    early.settled = true;
                    self.sdp.offer(Party::Us, &calling.invitation.sdp);
                    self.sdp.answer(answer);
                }
                early.prack_due = sdp.is_some() && offered && !early.settled;
                true
            }
            None => true,
        };
        if counts && let Some(sdp) = sdp {
            early.sdp = Some(sdp.into());
        }
        let acknowledge = counts && reliable && number.is_some() && !early.prack_due;
        if calling.early.len() < MOST_EARLY {
            // A response that does not count or has no description keeps its place.
            let place = at.filter(|_| !counts || sdp.is_none()).unwrap_or(calling.early.len());
            calling.early.insert(place, early);
        } else {
            return counts.then_some(LegEvent::Progress);
        }
        if acknowledge {
            self.send_prack(wire, tag, None);
        }
        counts.then_some(LegEvent::Progress)
    }

    /// Whether the offer of a reliable 18x awaits [`Leg::answer_provisional`].
    #[must_use]
    pub fn owes_provisional_answer(&self) -> bool {
        matches!(&self.phase, Phase::Calling(calling) if calling.early.iter().any(|early| early.prack_due))
    }

    /// Sends the PRACK for the offer in a reliable 18x, with our answer; without one it only
    /// acknowledges the 18x.
    pub fn answer_provisional(&mut self, wire: &mut Wire<'_, U>, sdp: Option<&[u8]>) {
        let Phase::Calling(calling) = &mut self.phase else { return };
        let Some(early) = calling.early.iter_mut().rfind(|early| early.prack_due) else { return };
        early.prack_due = false;
        early.settled = sdp.is_some();
        let tag = CompactString::from(early.dialog.remote_tag());
        if let (Some(offer), Some(answer)) = (early.sdp.take(), sdp) {
            self.sdp.offer(Party::Peer, &offer);
            self.sdp.answer(answer);
        }
        self.send_prack(wire, &tag, sdp);
    }

    fn send_prack(&mut self, wire: &mut Wire<'_, U>, tag: &str, sdp: Option<&[u8]>) {
        let Phase::Calling(calling) = &self.phase else { return };
        let Some(early) = calling.early.iter().find(|early| early.dialog.remote_tag() == tag)
        else {
            return;
        };
        let (mut rseq, mut cseq) = (itoa::Buffer::new(), itoa::Buffer::new());
        let rack = [rseq.format(early.rseq), " ", cseq.format(calling.cseq), " INVITE"].concat();
        self.send_in_dialog(wire, tag, rack, sdp);
    }

    /// The dialog for a request of ours: the session's, or the early one with this tag.
    pub(super) fn dialog_mut(&mut self, tag: &str) -> Option<&mut Dialog> {
        match &mut self.phase {
            Phase::Called(called) => Some(&mut called.dialog),
            Phase::Calling(calling) => calling.of(tag).map(|early| &mut early.dialog),
            Phase::Up(up) => Some(&mut up.dialog),
            Phase::Over => None,
        }
    }

    /// Whether an UPDATE may carry an offer now: an exchange is complete and none is open. Before
    /// the final answer, that requires a reliable response (RFC 3311 section 5.1).
    #[must_use]
    pub fn may_offer(&self) -> bool {
        match &self.phase {
            Phase::Calling(calling) => calling.early.last().is_some_and(|early| early.settled),
            Phase::Called(_) | Phase::Up(_) => self.sdp.is_settled(),
            Phase::Over => false,
        }
    }

    /// The first 2xx: the session is up. An early dialog becomes its dialog (RFC 3261
    /// section 13.2.2.4).
    fn on_answer(&mut self, wire: &Wire<'_, U>, flow: Flow, response: &Message) -> LegEvent {
        let Phase::Calling(calling) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return LegEvent::Refused;
        };
        let Calling { id, to, cseq, mut early, invitation, .. } = *calling;
        let tag = response.to_tag().unwrap_or_default();
        let at = early.iter().position(|early| early.dialog.remote_tag() == tag);
        let (mut said, mut settled) = (None, false);
        let dialog = match at.map(|at| early.swap_remove(at)) {
            Some(mut early) => {
                early.dialog.confirm(response);
                (said, settled) = (early.sdp, early.settled);
                early.dialog
            }
            None => Dialog::uac(response, response),
        };
        self.flow = at_home(flow, to);
        self.updates = super::requests::allows_update(response).or(self.updates);
        // An answer that came in an 18x stands (RFC 6337 section 3.1.1).
        match body_of(response).or(said.as_deref()) {
            _ if settled => {}
            Some(answer) if !invitation.sdp.is_empty() => {
                self.sdp.offer(Party::Us, &invitation.sdp);
                self.sdp.answer(answer);
            }
            Some(offer) => self.sdp.offer(Party::Peer, offer),
            None => {}
        }
        self.timer.agreed(wire.now, response);
        self.phase = Phase::Up(Up {
            dialog,
            we_called: true,
            invite: id,
            unacknowledged: true,
            cseq,
            bye: None,
        });
        LegEvent::Answered
    }

    /// Sends the ACK for the 2xx to our INVITE, with our answer if the 2xx made the offer.
    pub fn acknowledge(&mut self, wire: &mut Wire<'_, U>, sdp: Option<&[u8]>) {
        let hop = self.hop(wire);
        let Phase::Up(up) = &mut self.phase else { return };
        if !up.we_called || !std::mem::take(&mut up.unacknowledged) {
            return;
        }
        let (id, mut ack) = (up.invite, wire.with_via(up.dialog.ack(up.cseq), hop.listener));
        if let Some(login) = &self.login {
            ack = login.sign_ack(ack);
        }
        match sdp {
            Some(sdp) => {
                self.sdp.answer(sdp);
                ack = ack.body("application/sdp", sdp);
            }
            None if self.sdp.open() == Some(Party::Peer) => self.sdp.refuse(),
            None => {}
        }
        wire.transactions.ack(wire.now, id, hop, ack.finish());
    }

    /// Gives up our INVITE, with a Reason value for its CANCEL. A final response that still comes
    /// is reported.
    pub fn give_up(&mut self, wire: &mut Wire<'_, U>, how: NoMore, reason: &str) {
        let Phase::Calling(calling) = &mut self.phase else { return };
        calling.given_up = true;
        wire.transactions.cancel(wire.now, calling.id, Some(reason));
        if how == NoMore::Abandon {
            wire.transactions.abandon(wire.now, calling.id);
        }
    }

    /// Detaches the leg from its INVITE: nobody awaits the final response any more.
    pub fn forget(&mut self, wire: &mut Wire<'_, U>) {
        if let Some(id) = self.invite_transaction() {
            wire.transactions.set_owner(id, None);
        }
        self.stop(wire);
    }
}
