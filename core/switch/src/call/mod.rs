//! One call: a back-to-back user agent with two independent legs (SIG-04) and the
//! questions asked on its way.
//!
//! `Deciding -> Attempting -> Connected -> Closing -> Over`; an attempt that fails leads
//! back to `Deciding` (what now?) and from there to the next attempt or to `Closing`.

mod admission;
mod attempt;
mod caller;
mod closing;
mod connected;
mod details;
mod media;
pub(crate) mod record;
mod relayed;
mod trail;

pub(crate) use attempt::Attempt;

use crate::authentication::Login;
use crate::facts::{Account, CustomerTrunk, Facts, VendorTrunk};
use crate::io::{Ask, CallKey, CallView, Now, Output};
use crate::media::{MediaControl, MediaSide};
use crate::reason::{Causes, Failed, name};
use crate::sdp::Origin;
use crate::shard::tag_text;
use crate::switch::{Core, Role};
use caller::Caller;
use closing::Charging;
use details::{InviteFacts, past_attempt, rated_number};
use ledger::{AttemptRecord, EndedBy, Text, TrailEntry};
use media::LegMedia;
use policy::{
    AttemptFailure, CallDetails, CallFacts, CallNumbers, EventKind, EventNotice, Pin, Question,
    Reply,
};
use relayed::allows_update;
use sip::{Dialog, Flow, Message, Method, TransactionId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What a call needs from outside for one step.
pub(crate) struct Cx<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) now: Now,
    pub(crate) media: &'a mut dyn MediaControl,
}

impl Cx<'_> {
    /// The first target of a trunk, from this place on, that does not rest (SIG-91).
    fn awake_target(&self, trunk: &VendorTrunk, from: usize) -> Option<usize> {
        let rests = &self.core.settings.rests;
        let awake = |at: &usize| !rests.has(self.now.instant, trunk.targets[*at]);
        (from..trunk.targets.len()).find(awake)
    }
}

/// Which answer a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Screen,
    IngressNumber,
    AdmissionRate,
    Route,
    EgressNumber,
    Identity,
    Advance,
    Charge,
}

#[derive(Debug)]
enum State {
    /// Waiting for the answer to a question; no INVITE is out.
    Deciding(Step),
    /// `Call::current` is out.
    Attempting,
    /// Answered; both legs are up.
    Connected,
    /// The caller's leg has ended: charges are asked for, stray legs awaited.
    Closing(Charging),
    /// The record is out.
    Over,
}

/// A vendor trunk to try, at one of its targets (SIG-65).
#[derive(Clone, Copy, Debug)]
struct Choice {
    trunk: u32,
    target: usize,
}

impl Choice {
    fn new(trunk: u32) -> Choice {
        Choice { trunk, target: 0 }
    }
}

/// One side of the call, once it has a dialog.
#[derive(Debug)]
struct Leg {
    dialog: Dialog,
    flow: Flow,
    /// Our SDP origin towards this side.
    origin: Origin,
    /// Its addresses are not to be believed: requests go where its packets come from (SIG-12).
    natted: bool,
    /// What the vendor wants proven.
    login: Option<Box<Login>>,
    /// Whether it takes UPDATE (RFC 3311); none where it has not said.
    updates: Option<bool>,
}

/// What a re-INVITE or UPDATE wants to change.
#[derive(Debug)]
struct Offer {
    /// Where its sender will receive.
    remote: Option<crate::sdp::Remote>,
    held: bool,
}

/// A request passed from one side to the other inside the answered call.
#[derive(Debug)]
struct Relayed {
    from: MediaSide,
    server: TransactionId,
    client: TransactionId,
    request: Message,
    /// Its method on the other side: an UPDATE is a re-INVITE to who does not know UPDATE.
    sent_as: Method,
    /// Its SDP as the other side gets it.
    body: Option<Vec<u8>>,
    /// Our CSeq number of the INVITE on the other side, for its ACK.
    cseq: u32,
    /// INVITE without SDP: the ACK will carry the answer.
    delayed: bool,
    /// What it offers; it counts once the other side has accepted it.
    offer: Option<Offer>,
    /// A final response went back; waiting for the ACK.
    answered: bool,
}

/// What the caller said about itself; not needed once the call is answered.
#[derive(Debug, Default)]
struct CallerIdentity {
    display: Text,
    privacy: Text,
}

/// How a call came to its end.
#[derive(Debug)]
struct End {
    reason: Text,
    by: EndedBy,
    detail: Text,
    chosen: u16,
    returned: u16,
}

/// A call of the shard.
#[derive(Debug)]
pub(crate) struct Call {
    key: CallKey,
    facts: CallFacts,
    pin: Pin,
    world: Arc<Facts>,
    customer: Arc<CustomerTrunk>,
    account: Arc<Account>,
    state: State,
    ticket: u32,

    // The caller's leg.
    ingress: TransactionId,
    /// Its place in the shard's table of callers, until the INVITE is refused.
    merge_key: Option<u64>,
    /// The caller's INVITE, for responses to it; gone once it is acknowledged.
    invite: Option<Arc<Message>>,
    caller: Leg,
    /// Our tag on the caller's leg.
    tag: u64,
    identity: Box<CallerIdentity>,
    listener: Arc<str>,
    source: Text,
    user_agent: Text,
    authenticated: bool,
    max_forwards: u32,

    // Numbers.
    caller_in: Text,
    callee_in: Text,
    caller_route: Text,
    callee_route: Text,
    /// Numbers that choose route and rate instead of `callee_route` (ROUTE-62); mostly empty.
    route_as: Text,
    rate_as: Text,
    tech_prefix_in: Text,
    private: bool,
    marks: Vec<Text>,

    // Choices and attempts.
    choices: VecDeque<Choice>,
    attempts_sent: u16,
    current: Option<Box<Attempt>>,
    /// Attempts given up whose transaction has not ended yet.
    lingering: Vec<Attempt>,
    finished: Vec<AttemptRecord>,
    failures: Vec<Failed>,
    vendor: Option<Leg>,
    vendor_tag: u64,
    relayed: Vec<Relayed>,

    // Media.
    caller_media: LegMedia,
    /// When each side was heard last.
    last_media: [Option<Instant>; 2],
    direct: bool,
    /// A side's requests may come from an address that no trunk names.
    foreign: bool,

    // Time.
    began: Instant,
    answered: Option<Instant>,
    acked: bool,
    /// Delayed offer: CSeq of the vendor's INVITE whose ACK waits for the caller's.
    vendor_ack_due: Option<u32>,
    /// The caller may not get BYE before its ACK came: the causes to send then.
    caller_bye: Option<Causes>,
    /// What the side that cancelled or hung up said why.
    heard: Causes,
    setup_deadline: Instant,
    max_deadline: Option<Instant>,
    interim_deadline: Option<Instant>,
    ringing_ms: Option<u64>,
    media_ms: Option<u64>,
    answer_ms: Option<u64>,
    end_ms: Option<u64>,
    pdd_ms: Option<u32>,
    duration_ms: u64,
    processing_us: Option<u32>,
    held: bool,
    /// When the shard calls [`Call::on_timeout`].
    pub(crate) wake: Option<Instant>,

    sell: Option<ledger::ChargeRecord>,
    sell_price: policy::PolicyMoney,
    rerate: bool,
    balance_after: Option<ledger::Money>,
    trail: Vec<TrailEntry>,
    end: Option<Box<End>>,
    channel_taken: bool,
    /// Plugins did not hear of it and hear nothing of its end either.
    unannounced: bool,
    /// Seconds that the caller is told to wait if it gets 503 (SIG-91).
    retry_after: Option<u8>,
    /// What is wrong with a session description, if the caller gets 488.
    unusable: Option<crate::sdp::Unusable>,
}

/// The call id as logs, records and the command line write it.
struct ShownId(u128);

impl std::fmt::Display for ShownId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What [`Core::admit`] found out about a new call.
pub(crate) struct NewCall {
    pub(crate) customer: Arc<CustomerTrunk>,
    pub(crate) account: Arc<Account>,
    pub(crate) callee_in: Text,
    pub(crate) authenticated: bool,
    pub(crate) ingress: TransactionId,
    pub(crate) flow: Flow,
    pub(crate) invite: Message,
    /// Its place in the shard's table of callers.
    pub(crate) merge_key: u64,
}

impl Call {
    /// A call that has passed identification; [`Call::begin`] starts it.
    pub(crate) fn new(core: &mut Core, now: Now, new: NewCall) -> Call {
        let NewCall { customer, account, callee_in, authenticated, .. } = new;
        let NewCall { ingress, flow, invite, merge_key, .. } = new;
        let tag = rand::Rng::random::<u64>(&mut core.rng);
        let key = core.new_key();
        let id = core.ids.next(now.utc_ms, &mut core.rng);
        let listener = core.world.facts.listeners.get(usize::from(flow.listener));
        core.tags.insert(tag, (key, MediaSide::Caller));
        core.owners.insert(ingress, crate::switch::Owner { call: key, role: Role::Ingress });
        let Caller { number: caller_in, identity, private } = Caller::of(&invite, &customer);
        let pin = core.world.pin.for_call();
        pin.notes.set_number(&callee_in);
        Call {
            key,
            facts: CallFacts {
                id,
                received_ms: now.utc_ms,
                trunk: customer.id,
                account: account.id,
            },
            pin,
            world: Arc::clone(&core.world.facts),
            state: State::Deciding(Step::IngressNumber),
            ticket: 0,
            ingress,
            merge_key: Some(merge_key),
            foreign: false,
            caller: Leg {
                dialog: Dialog::uas(&invite, &tag_text(tag)),
                flow,
                origin: Origin::new(&mut core.rng),
                login: None,
                natted: crate::next_hop::is_natted(&invite, flow.remote),
                updates: allows_update(&invite),
            },
            tag,
            private,
            identity: Box::new(identity),
            listener: listener.map_or_else(|| Arc::from(""), |l| Arc::clone(&l.name)),
            source: sip::address_text(flow.remote),
            user_agent: invite.header("User-Agent").unwrap_or("").into(),
            authenticated,
            max_forwards: invite.max_forwards().unwrap_or(70).min(70).saturating_sub(1),
            invite: Some(Arc::new(invite)),
            caller_in,
            callee_in,
            caller_route: Text::default(),
            callee_route: Text::default(),
            route_as: Text::default(),
            rate_as: Text::default(),
            tech_prefix_in: Text::default(),
            marks: Vec::new(),
            choices: VecDeque::new(),
            attempts_sent: 0,
            current: None,
            lingering: Vec::new(),
            finished: Vec::new(),
            failures: Vec::new(),
            vendor: None,
            vendor_tag: 0,
            relayed: Vec::new(),
            caller_media: LegMedia::new(key, media::CALLER),
            last_media: [None; 2],
            direct: false,
            began: now.instant,
            answered: None,
            acked: false,
            setup_deadline: now.instant + core.world.facts.settings.setup_limit,
            max_deadline: None,
            interim_deadline: None,
            ringing_ms: None,
            media_ms: None,
            answer_ms: None,
            end_ms: None,
            pdd_ms: None,
            duration_ms: 0,
            processing_us: None,
            held: false,
            wake: None,
            vendor_ack_due: None,
            caller_bye: None,
            heard: Causes::default(),
            sell: None,
            sell_price: 0,
            rerate: false,
            balance_after: None,
            trail: Vec::new(),
            end: None,
            channel_taken: false,
            unannounced: false,
            retry_after: None,
            unusable: None,
            customer,
            account,
        }
    }

    pub(crate) fn key(&self) -> CallKey {
        self.key
    }

    pub(crate) fn id(&self) -> u128 {
        self.facts.id
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether an in-dialog request of `side` belongs to the dialog of that side. Once the
    /// vendor has answered, that is the dialog of its answer and of no other fork (SIG-07).
    pub(crate) fn owns(&self, side: MediaSide, request: &Message) -> bool {
        match (side, &self.vendor) {
            (MediaSide::Caller, _) => self.caller.dialog.matches(request),
            (MediaSide::Vendor, Some(leg)) => leg.dialog.matches(request),
            (MediaSide::Vendor, None) => {
                let mut attempts = self.current.as_deref().into_iter().chain(&self.lingering);
                attempts.any(|attempt| attempt.call_id == request.call_id())
            }
        }
    }

    /// When [`Call::on_timeout`] has something to do, or earlier: a wake that was set stays
    /// when the deadline moves away from it, as most calls end before either.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let deadline = match self.state {
            State::Deciding(_) => Some(self.setup_deadline),
            State::Attempting => {
                let attempt = self.current.as_ref().map(|attempt| attempt.deadline);
                attempt.into_iter().chain([self.setup_deadline]).min()
            }
            State::Connected => self.max_deadline.into_iter().chain(self.interim_deadline).min(),
            State::Closing(_) | State::Over => None,
        }?;
        Some(self.wake.map_or(deadline, |wake| wake.min(deadline)))
    }

    pub(crate) fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        let due = |at: Instant| at <= cx.now.instant;
        match self.state {
            State::Deciding(_) | State::Attempting if due(self.setup_deadline) => {
                self.on_setup_limit(cx);
            }
            State::Attempting if self.current.as_ref().is_some_and(|a| due(a.deadline)) => {
                self.on_attempt_deadline(cx);
            }
            State::Connected if self.max_deadline.is_some_and(due) => {
                self.end_at_limit(cx);
            }
            State::Connected if self.interim_deadline.is_some_and(due) => self.write_interim(cx),
            _ => {}
        }
    }

    pub(crate) fn on_operator_hangup(&mut self, cx: &mut Cx<'_>) {
        match self.state {
            State::Deciding(_) | State::Attempting => {
                self.give_up_attempt(cx, AttemptFailure::NotSent, name::OPERATOR_HANGUP);
                self.refuse(cx, 503, name::OPERATOR_HANGUP, "ended by an operator");
            }
            State::Connected => {
                self.end_connected(
                    cx,
                    name::OPERATOR_HANGUP,
                    EndedBy::Switch,
                    None,
                    Causes::ours(16),
                );
            }
            State::Closing(_) | State::Over => {}
        }
    }

    /// The caller gave up (SIG-08); the transaction layer has answered the CANCEL.
    pub(crate) fn on_cancel(
        &mut self,
        cx: &mut Cx<'_>,
        invite: TransactionId,
        role: Role,
        cancel: &Message,
    ) {
        match role {
            Role::Ingress => match self.state {
                State::Deciding(_) | State::Attempting => {
                    self.heard = Causes::of(cancel);
                    self.give_up_attempt(cx, AttemptFailure::NotSent, name::CALLER_CANCELLED);
                    self.finish_setup(
                        cx,
                        487,
                        487,
                        name::CALLER_CANCELLED.into(),
                        EndedBy::Caller,
                        Text::default(),
                        0,
                    );
                }
                _ => {}
            },
            Role::Relayed => {
                let relayed = self.relayed.iter().find(|r| r.server == invite && !r.answered);
                if let Some(relayed) = relayed {
                    let causes = Causes::of(cancel);
                    let header = (causes != Causes::default()).then(|| causes.or(16).text());
                    cx.core.transactions.cancel(cx.now.instant, relayed.client, header.as_deref());
                }
            }
            Role::Attempt(_) => {}
        }
    }

    pub(crate) fn on_response(
        &mut self,
        cx: &mut Cx<'_>,
        id: TransactionId,
        role: Role,
        flow: Flow,
        response: &Message,
    ) {
        match role {
            Role::Attempt(number) => self.on_attempt_response(cx, number, id, flow, response),
            Role::Relayed => self.on_relayed_response(cx, id, response),
            Role::Ingress => {}
        }
    }

    /// A transaction ended without a final response or ACK.
    pub(crate) fn on_transaction_over(
        &mut self,
        cx: &mut Cx<'_>,
        id: TransactionId,
        role: Role,
        failure: AttemptFailure,
    ) {
        match role {
            Role::Ingress => {
                cx.core.owners.remove(&id);
                if let Some(causes) = self.caller_bye.take() {
                    self.never_acknowledged();
                    self.bye(cx, MediaSide::Caller, causes);
                    self.try_close(cx);
                } else if matches!(self.state, State::Connected) && !self.acked {
                    let causes = Causes::ours(102);
                    self.end_connected(cx, name::ACK_TIMEOUT, EndedBy::Switch, None, causes);
                }
            }
            Role::Attempt(number) => self.on_attempt_over(cx, number, failure),
            Role::Relayed => self.on_relayed_over(cx, id),
        }
    }

    /// Takes the answer to the question that is open; others are ignored.
    pub(crate) fn on_answer(&mut self, cx: &mut Cx<'_>, ticket: u32, reply: Reply) {
        if ticket != self.ticket || ticket == 0 {
            return;
        }
        let step = match &self.state {
            State::Deciding(step) => *step,
            State::Closing(_) => Step::Charge,
            _ => return,
        };
        self.ticket = self.ticket.wrapping_add(1).max(1);
        self.note(cx, step, &reply);
        match step {
            Step::Screen => self.on_screened(cx, reply),
            Step::IngressNumber => self.on_numbered(cx, reply),
            Step::AdmissionRate => self.on_admission_rated(cx, reply),
            Step::Route => self.on_routed(cx, reply),
            Step::EgressNumber => self.on_egress_numbered(cx, reply),
            Step::Identity => self.on_identified(cx, reply),
            Step::Advance => self.on_advance(cx, reply),
            Step::Charge => self.on_charged(cx, reply),
        }
    }

    /// The number that chooses the route (ROUTE-62).
    fn routed_number(&self) -> &str {
        if self.route_as.is_empty() { &self.callee_route } else { &self.route_as }
    }

    /// The number that chooses the rate (ROUTE-62).
    fn rated_number(&self) -> &str {
        rated_number(&self.rate_as, &self.callee_route)
    }

    /// User of our Contact towards the vendor (SIG-79); none where the caller hides
    /// (SIG-76, SIG-78).
    fn vendor_contact_user(&self) -> Text {
        let attempt = self.current.as_ref().filter(|attempt| !attempt.anonymous);
        attempt.map(|attempt| attempt.record.caller_out.clone()).unwrap_or_default()
    }

    /// What the call knows beside a question, if a plugin of its hook may ask.
    fn details(&self, question: &Question) -> Option<Arc<CallDetails>> {
        if !self.pin.wants_details.contains(question.hook()) {
            return None;
        }
        let invite = self.invite.clone().map(|message| Arc::new(InviteFacts(message)) as _);
        let ended = self.finished.iter().chain(self.lingering.iter().map(|a| &a.record));
        Some(Arc::new(CallDetails {
            invite,
            numbers: CallNumbers {
                caller_in: self.caller_in.clone(),
                callee_in: self.callee_in.clone(),
                caller: self.caller_route.clone(),
                callee: self.callee_route.clone(),
                route_as: self.route_as.clone(),
                tech_prefix_in: self.tech_prefix_in.clone(),
            },
            attempts: ended.map(past_attempt).collect(),
        }))
    }

    /// Asks and waits: only the answer with this ticket is taken.
    fn ask(&mut self, cx: &mut Cx<'_>, question: Question) {
        self.ticket = self.ticket.wrapping_add(1).max(1);
        let details = self.details(&question);
        cx.core.outputs.push_back(Output::Ask(Ask {
            call: self.key,
            ticket: self.ticket,
            pin: self.pin.clone(),
            question,
            details,
        }));
    }

    /// Tells the events hook; nothing waits for it.
    fn tell(&self, cx: &mut Cx<'_>, kind: EventKind, trunk: u32, code: u16) {
        if !self.pin.hears_events || self.unannounced {
            return;
        }
        let notice = EventNotice {
            call: self.facts,
            kind,
            at_ms: cx.now.utc_ms,
            trunk,
            code,
            duration_ms: self.duration_ms,
            caller: self.shown_caller().into(),
            callee: self.shown_callee().into(),
        };
        let question = Question::Event(notice);
        let details = self.details(&question);
        cx.core.outputs.push_back(Output::Ask(Ask {
            call: self.key,
            ticket: 0,
            pin: self.pin.clone(),
            question,
            details,
        }));
    }

    fn shown_id(&self) -> ShownId {
        ShownId(self.facts.id)
    }

    fn shown_caller(&self) -> &str {
        if self.callee_route.is_empty() { &self.caller_in } else { &self.caller_route }
    }

    fn shown_callee(&self) -> &str {
        if self.callee_route.is_empty() { &self.callee_in } else { &self.callee_route }
    }

    /// The call as the operator sees it now.
    pub(crate) fn view(&self) -> CallView {
        let state = match &self.state {
            State::Deciding(_) => "deciding",
            State::Attempting if self.ringing_ms.is_some() => "ringing",
            State::Attempting => "calling",
            State::Connected if self.held => "held",
            State::Connected => "answered",
            State::Closing(_) | State::Over => "ending",
        };
        let vendor = match (&self.current, self.finished.last()) {
            (Some(attempt), _) => Arc::clone(&attempt.vendor.name),
            (None, Some(record)) => Arc::clone(&record.trunk_name),
            (None, None) => Arc::from(""),
        };
        CallView {
            id: self.facts.id,
            trunk: Arc::clone(&self.customer.name),
            account: Arc::clone(&self.account.name),
            vendor,
            caller: self.shown_caller().into(),
            callee: self.shown_callee().into(),
            state,
            invite_ms: self.facts.received_ms,
            answer_ms: self.answer_ms,
            attempts: self.attempts_sent,
            generation: self.pin.generation,
        }
    }
}
