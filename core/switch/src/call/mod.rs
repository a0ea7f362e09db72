//! One call: independent legs (SIG-04), attempts of which one wins, a bridge between the two sides,
//! and the questions along the way.
//!
//! `SettingUp -> Connected -> Closing -> Over`. During set-up the questions of ROUTE-15 are asked
//! ([`pipeline`]) and attempts are made ([`attempts`]), one after the other or several at once.

mod admission;
mod alone;
mod answering;
mod asking;
mod attempt;
mod attempts;
mod bridge;
mod caller;
mod channels;
mod closing;
mod details;
mod ending;
mod late;
mod media;
mod pipeline;
pub(crate) mod placed;
pub(crate) mod record;
mod reservation;
mod ringback;
mod silence;
mod supervision;
mod timers;
mod trail;
mod written;

pub(crate) use attempt::Attempt;
pub(crate) use written::{Objects, against};

use crate::core::ingress::NewCall;
use crate::core::{Core, Owner};
use crate::destinations::Ways;
use crate::facts::{Account, CustomerTrunk, Facts, VendorTrunk};
use crate::io::{CallView, Now};
use crate::media::{MediaControl, MediaLeg};
use crate::reason::{Causes, Failed};
use crate::sdp::Origin;
use crate::shard::CallKey;
use crate::shard::tag_text;
use asking::Asked;
use bridge::Passed;
use caller::{Caller, CallerIdentity};
use closing::Charging;
use ledger::{AttemptRecord, EndedBy, Tab, Text, TrailEntry};
use media::LegMedia;
use placed::Placed;
use policy::{CallFacts, Pin, Supervisor};
use serde::{Deserialize, Serialize};
use sip::session::{Leg, LegEvent, LegSettings, Wire};
use sip::{Flow, Message, Method, TransactionId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Number of the caller's leg within its call; an attempt's leg has the attempt's number, which
/// starts at 1.
pub(crate) const CALLER: u16 = 0;

/// The outside resources that a call needs for one step.
pub(crate) struct Cx<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) now: Now,
    pub(crate) media: &'a mut dyn MediaControl,
}

impl Cx<'_> {
    /// The `Wire` for a leg.
    fn wire(&mut self) -> Wire<'_, Owner> {
        self.core.wire(self.now)
    }

    /// Whether some address of the trunk is not at rest (SIG-91). True as well if the trunk has no
    /// address; an attempt will report that.
    fn reaches(&self, trunk: &VendorTrunk) -> bool {
        let health = &self.core.settings.live.health;
        let awake = |address| !health.rests(address, self.now.instant);
        trunk.targets.is_open(&self.core.world.facts.directory, awake)
    }

    /// The ways to a trunk that are left to this call, from the first that is not at rest (SIG-91);
    /// none if all of them are.
    fn awake_ways(&mut self, trunk: &VendorTrunk, left: Option<Ways>) -> Option<Ways> {
        let core = &mut *self.core;
        let drawn = || trunk.targets.ways(&core.world.facts.directory, &mut core.rng);
        let ways = left.unwrap_or_else(drawn);
        let health = &core.settings.live.health;
        ways.skip_to_awake(|address| !health.rests(address, self.now.instant))
    }
}

/// State of the call; data that is valid in one state only is in that state.
#[derive(Debug, Serialize, Deserialize)]
enum State {
    /// Questions are asked and attempts are made.
    SettingUp(Box<Setup>),
    /// Both sides are up.
    Connected(Connected),
    /// The caller's leg has ended: charges are asked for, and abandoned legs awaited.
    Closing(Box<End>, Charging),
    /// The record has been written.
    Over,
}

/// A call before its answer.
#[derive(Debug, Serialize, Deserialize)]
struct Setup {
    /// The caller's description of itself.
    identity: CallerIdentity,
    /// Vendor trunks that are still to be tried, in this order.
    choices: VecDeque<Choice>,
    /// End of the set-up time (ROUTE-54).
    #[serde(with = "sip::written::moment")]
    deadline: Instant,
    /// When the next attempt starts beside the open one (ROUTE-58).
    #[serde(with = "sip::written::moment_if_any")]
    hedge: Option<Instant>,
    /// The next attempt waits for the final response to this attempt, until this time at most
    /// (SIG-103).
    #[serde(with = "written::awaited")]
    awaited: Option<(u16, Instant)>,
}

/// A call that is up.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Connected {
    /// The attempt that won.
    vendor: u16,
    #[serde(with = "sip::written::moment")]
    since: Instant,
    /// When we hang up a call that we placed ourselves (ROUTE-83).
    #[serde(with = "sip::written::moment_if_any")]
    ends: Option<Instant>,
    /// End of the longest duration (SIG-35).
    #[serde(with = "sip::written::moment_if_any")]
    longest: Option<Instant>,
    /// When the next interim record is due (CDR-06).
    #[serde(with = "sip::written::moment")]
    interim: Instant,
    /// A side has put the other on hold.
    held: bool,
    /// Present if a plugin is asked about the running call.
    #[serde(with = "written::supervisor")]
    supervisor: Option<Supervisor>,
}

/// A vendor trunk to try, at one of its targets (SIG-65).
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Choice {
    trunk: u32,
    /// The ways to it that are left; none before the first attempt.
    ways: Option<Ways>,
}

impl Choice {
    fn new(trunk: u32) -> Choice {
        Choice { trunk, ways: None }
    }
}

/// The numbers of a call at each stage.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Numbers {
    caller_in: Text,
    callee_in: Text,
    caller_route: Text,
    callee_route: Text,
    /// Numbers that choose route and rate instead of `callee_route` (ROUTE-62); usually empty.
    route_as: Text,
    rate_as: Text,
    tech_prefix_in: Text,
}

impl Numbers {
    /// The number that chooses the route (ROUTE-62).
    fn routed(&self) -> &str {
        if self.route_as.is_empty() { &self.callee_route } else { &self.route_as }
    }

    /// The number that chooses the rate (ROUTE-62).
    fn rated(&self) -> &str {
        if self.rate_as.is_empty() { &self.callee_route } else { &self.rate_as }
    }

    /// The caller number for the operator's views.
    fn shown_caller(&self) -> &str {
        if self.callee_route.is_empty() { &self.caller_in } else { &self.caller_route }
    }

    /// The callee number for the operator's views.
    fn shown_callee(&self) -> &str {
        if self.callee_route.is_empty() { &self.callee_in } else { &self.callee_route }
    }
}

/// Times of events for the record: UTC ms, or ms since the INVITE.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Times {
    ringing_ms: Option<u64>,
    media_ms: Option<u64>,
    answer_ms: Option<u64>,
    end_ms: Option<u64>,
    pdd_ms: Option<u32>,
    /// Duration of the answered part.
    duration_ms: u64,
    /// Billed part of it, if shorter (BILL-13).
    billable_ms: Option<u64>,
    /// Part of it that the reservations pay for, once the call is over (BILL-41).
    #[serde(default)]
    covered_ms: Option<u64>,
    processing_us: Option<u32>,
}

impl Times {
    /// Billed duration of the answered part.
    fn billed_ms(&self) -> u64 {
        self.billable_ms.unwrap_or(self.duration_ms)
    }
}

/// Origin of the call, for the record; empty if we placed the call ourselves.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Source {
    listener: Arc<str>,
    address: Text,
    flow: Option<Flow>,
    call_id: Text,
    caller_tag: Text,
    user_agent: Text,
}

/// How the call ended.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    reason: Text,
    by: EndedBy,
    detail: Text,
    /// The code that the caller got; 200 for an answered call.
    code: u16,
    /// The customer pays for the answered part (SIG-93).
    billed: bool,
}

impl End {
    /// An answered call that ended for a reason of SIG-93.
    fn answered(reason: &str, by: EndedBy) -> End {
        let billed = crate::reason::is_billed(reason);
        End { reason: reason.into(), by, detail: Text::default(), code: 200, billed }
    }

    /// A call that was refused with `code`.
    fn refused(code: u16, reason: Text, by: EndedBy) -> End {
        End { reason, by, detail: Text::default(), code, billed: false }
    }

    /// With a detail for the operator.
    fn with(self, detail: impl Into<Text>) -> End {
        End { detail: detail.into(), ..self }
    }
}

/// A call of the shard.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    key: CallKey,
    facts: CallFacts,
    #[serde(with = "written::pin")]
    pin: Pin,
    #[serde(with = "written::facts")]
    world: Arc<Facts>,
    #[serde(with = "written::customer")]
    customer: Arc<CustomerTrunk>,
    #[serde(with = "written::account")]
    account: Arc<Account>,
    state: State,
    /// Open questions.
    asked: Vec<Asked>,
    last_ticket: u32,

    /// Present if we placed the call ourselves: then there is no caller.
    placed: Option<Placed>,
    caller: Leg<Owner>,
    caller_media: LegMedia,
    caller_origin: Origin,
    /// The caller's INVITE, for plugins and for its offer; dropped once it is acknowledged.
    invite: Option<Arc<Message>>,
    source: Source,
    /// Our tag on the caller's leg; none without a caller.
    tag: Option<u64>,
    /// Its entry in the shard's table of callers, until the INVITE is refused.
    merge_key: Option<u64>,
    authenticated: bool,
    max_forwards: u32,
    private: bool,

    numbers: Numbers,
    marks: Vec<Text>,

    /// Attempts that are in progress, that won, or that were given up and have not ended.
    #[expect(clippy::vec_box, reason = "an attempt is taken out and put back while it changes")]
    attempts: Vec<Box<Attempt>>,
    attempts_sent: u16,
    finished: Vec<AttemptRecord>,
    failures: Vec<Failed>,
    /// Requests passed from one leg to another.
    passed: Vec<Passed>,

    /// When each side was last heard.
    #[serde(skip)]
    last_media: [Option<Instant>; 2],
    /// The attempt whose vendor the caller hears; 0: none.
    joined: u16,
    /// Media bypass us.
    direct: bool,
    /// Requests of a side may come from an address that no trunk names.
    foreign: bool,

    #[serde(with = "sip::written::moment")]
    began: Instant,
    times: Times,
    /// Causes from the side that cancelled or hung up.
    heard: Causes,
    /// When the shard calls [`Call::on_timeout`].
    #[serde(skip)]
    pub(crate) wake: Option<Instant>,

    sell: Option<ledger::ChargeRecord>,
    /// Charges of the account's resellers, upwards.
    #[serde(default)]
    resellers: Vec<ledger::ResellerCharge>,
    /// Money reserved for the call; none if no payer has a limit.
    #[serde(default)]
    tab: Option<Tab>,
    sell_price: policy::PolicyMoney,
    rerate: bool,
    balance_after: Option<ledger::Money>,
    trail: Vec<TrailEntry>,
    /// Flags in the record for unusual events.
    flags: Vec<Text>,
    channel_taken: bool,
    /// The events hook was not told of the call and is not told of its end either.
    unannounced: bool,
    /// Seconds in the Retry-After of a 503 (SIG-91).
    retry_after: Option<u8>,
    /// The problem of a session description, if the caller gets 488.
    unusable: Option<crate::sdp::Unusable>,
}

/// The call id in the form of logs, records and the command line.
struct ShownId(u128);

impl std::fmt::Display for ShownId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Data about a call at its beginning.
struct Beginning {
    key: CallKey,
    id: u128,
    customer: Arc<CustomerTrunk>,
    account: Arc<Account>,
    placed: Option<Placed>,
    caller: Leg<Owner>,
    /// The caller's description of itself.
    identity: CallerIdentity,
    invite: Option<Arc<Message>>,
    source: Source,
    tag: Option<u64>,
    merge_key: Option<u64>,
    authenticated: bool,
    max_forwards: u32,
    private: bool,
    numbers: Numbers,
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
        let owner = Owner { call: key, leg: CALLER };
        core.tags.insert(tag, owner);
        core.transactions.set_owner(ingress, Some(owner));
        let Caller { number: caller_in, identity, private } = Caller::of(&invite, &customer);
        let max_forwards = invite.max_forwards().unwrap_or(70).min(70).saturating_sub(1);
        let source = Source {
            listener: listener.map_or_else(|| Arc::from(""), |l| Arc::clone(&l.name)),
            address: sip::address_text(flow.remote),
            flow: Some(flow),
            call_id: invite.call_id().into(),
            caller_tag: invite.from_tag().unwrap_or_default().into(),
            user_agent: invite.header("User-Agent").unwrap_or("").into(),
        };
        let settings = LegSettings {
            schedule: core.transactions.standard_schedule(),
            credentials: None,
            reliability: customer.reliability,
            timers: core.world.facts.settings.session,
            // A customer behind a NAT accepts no connections.
            large_over_stream: false,
        };
        let invite = Arc::new(invite);
        let invited = Arc::clone(&invite);
        let mut caller = Leg::called(owner, flow, ingress, invited, &tag_text(tag), settings);
        caller.set_contact_user(&crate::number::uri_user(&callee_in));
        let beginning = Beginning {
            key,
            id,
            customer,
            account,
            placed: None,
            caller,
            identity,
            invite: Some(invite),
            source,
            tag: Some(tag),
            merge_key: Some(merge_key),
            authenticated,
            max_forwards,
            private,
            numbers: Numbers { caller_in, callee_in, ..Numbers::default() },
        };
        Call::beginning(core, now, beginning)
    }

    /// A call without questions, attempts or media.
    fn beginning(core: &mut Core, now: Now, beginning: Beginning) -> Call {
        let Beginning { key, id, customer, account, placed, caller, identity, .. } = beginning;
        let Beginning { invite, source, tag, merge_key, authenticated, .. } = beginning;
        let Beginning { max_forwards, private, numbers, .. } = beginning;
        let pin = core.world.pin.for_call();
        pin.notes.set_number(&numbers.callee_in);
        let setup = Setup {
            identity,
            choices: VecDeque::new(),
            deadline: now.instant + core.world.facts.settings.setup_limit,
            hedge: None,
            awaited: None,
        };
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
            state: State::SettingUp(Box::new(setup)),
            asked: Vec::new(),
            last_ticket: 0,
            placed,
            caller,
            caller_media: LegMedia::new(MediaLeg { call: key, leg: CALLER }),
            caller_origin: Origin::new(&mut core.rng),
            invite,
            source,
            tag,
            merge_key,
            authenticated,
            max_forwards,
            private,
            numbers,
            marks: Vec::new(),
            attempts: Vec::new(),
            attempts_sent: 0,
            finished: Vec::new(),
            failures: Vec::new(),
            passed: Vec::new(),
            last_media: [None; 2],
            joined: 0,
            direct: false,
            foreign: false,
            began: now.instant,
            times: Times::default(),
            heard: Causes::default(),
            wake: None,
            sell: None,
            resellers: Vec::new(),
            tab: None,
            sell_price: 0,
            rerate: false,
            balance_after: None,
            trail: Vec::new(),
            flags: Vec::new(),
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

    fn is_setting_up(&self) -> bool {
        matches!(self.state, State::SettingUp(_))
    }

    fn setup(&mut self) -> Option<&mut Setup> {
        match &mut self.state {
            State::SettingUp(setup) => Some(setup),
            _ => None,
        }
    }

    fn connected(&self) -> Option<Connected> {
        match self.state {
            State::Connected(connected) => Some(connected),
            _ => None,
        }
    }

    /// A leg by its number; an attempt has a leg once its INVITE was sent.
    fn leg(&self, number: u16) -> Option<&Leg<Owner>> {
        if number == CALLER { Some(&self.caller) } else { self.attempt(number)?.leg.as_ref() }
    }

    fn leg_mut(&mut self, number: u16) -> Option<&mut Leg<Owner>> {
        if number == CALLER {
            return Some(&mut self.caller);
        }
        self.attempt_mut(number)?.leg.as_mut()
    }

    fn attempt(&self, number: u16) -> Option<&Attempt> {
        self.attempts.iter().map(Box::as_ref).find(|attempt| attempt.record.number == number)
    }

    fn attempt_mut(&mut self, number: u16) -> Option<&mut Attempt> {
        let mut attempts = self.attempts.iter_mut().map(Box::as_mut);
        attempts.find(|attempt| attempt.record.number == number)
    }

    /// The attempt that was answered.
    fn winner(&self) -> Option<&Attempt> {
        self.attempts.iter().map(Box::as_ref).find(|attempt| attempt.answered().is_some())
    }

    fn winner_mut(&mut self) -> Option<&mut Attempt> {
        let mut attempts = self.attempts.iter_mut().map(Box::as_mut);
        attempts.find(|attempt| attempt.answered().is_some())
    }

    /// The leg at the other end of the bridge.
    fn opposite(&self, leg: u16) -> Option<u16> {
        match leg {
            CALLER => self.winner().map(|attempt| attempt.record.number),
            _ => Some(CALLER),
        }
    }

    /// Whether a peer's request belongs to a dialog of this leg (SIG-07).
    pub(crate) fn owns(&self, leg: u16, request: &Message) -> bool {
        self.leg(leg).is_some_and(|leg| leg.owns(request))
    }

    /// A request inside one of the dialogs.
    pub(crate) fn on_request(
        &mut self,
        cx: &mut Cx<'_>,
        leg: u16,
        id: TransactionId,
        flow: Flow,
        request: Message,
    ) {
        // A BYE of a running call changes no addresses.
        let moves = *request.method() != Method::Bye || self.is_setting_up();
        let Some(own) = self.leg_mut(leg) else { return };
        let event = own.on_request(&mut cx.wire(), id, flow, request);
        if moves {
            self.note_foreign(cx.core);
        }
        self.on_leg_event(cx, leg, event, None);
    }

    pub(crate) fn on_response(
        &mut self,
        cx: &mut Cx<'_>,
        leg: u16,
        id: TransactionId,
        flow: Flow,
        response: &Message,
    ) {
        let Some(own) = self.leg_mut(leg) else {
            return cx.core.decline(cx.now, id, flow, response);
        };
        if own.is_stray_answer(id, response) {
            // Another fork answered after the first (SIG-07).
            return cx.core.decline_for(cx.now, id, flow, response, Causes::ours(26), Some(own));
        }
        let event = own.on_response(&mut cx.wire(), id, flow, response);
        if self.connected().is_some() {
            self.note_foreign(cx.core);
        }
        self.on_leg_event(cx, leg, event, Some(response));
    }

    /// The caller gave up, or cancels a re-INVITE; the transaction layer has already answered the
    /// CANCEL.
    pub(crate) fn on_cancel(
        &mut self,
        cx: &mut Cx<'_>,
        leg: u16,
        invite: TransactionId,
        cancel: &Message,
    ) {
        let event = self.leg_mut(leg).and_then(|own| own.on_cancel(invite));
        self.on_leg_event(cx, leg, event, Some(cancel));
    }

    pub(crate) fn on_ack(
        &mut self,
        cx: &mut Cx<'_>,
        leg: u16,
        invite: TransactionId,
        ack: &Message,
    ) {
        let Some(own) = self.leg_mut(leg) else { return };
        let event = own.on_ack(&mut cx.wire(), invite, ack);
        self.on_leg_event(cx, leg, event, Some(ack));
    }

    /// A transaction ended without a final response, ACK or PRACK.
    pub(crate) fn on_transaction_over(
        &mut self,
        cx: &mut Cx<'_>,
        leg: u16,
        id: TransactionId,
        unreachable: bool,
    ) {
        let Some(own) = self.leg_mut(leg) else { return };
        let event = own.on_transaction_over(&mut cx.wire(), id, unreachable);
        self.on_leg_event(cx, leg, event, None);
    }

    /// An event from a leg; `message` is the message that caused it, if the event does not contain
    /// it.
    fn on_leg_event(
        &mut self,
        cx: &mut Cx<'_>,
        leg: u16,
        event: Option<LegEvent>,
        message: Option<&Message>,
    ) {
        match (event, message) {
            (None, _) => {}
            (Some(LegEvent::Trying | LegEvent::Progress), Some(response)) => {
                self.on_progress(cx, leg, response);
            }
            (Some(LegEvent::SentAgain), _) => self.on_sent_again(cx, leg),
            (Some(LegEvent::Answered), Some(response)) => self.on_answered(cx, leg, response),
            (Some(LegEvent::Refused), Some(response)) => self.on_refused(cx, leg, response),
            (Some(LegEvent::Unanswered { unreachable }), _) => {
                self.on_unanswered(cx, leg, unreachable);
            }
            (Some(LegEvent::Cancelled), Some(cancel)) => self.on_caller_gone(cx, cancel),
            (Some(LegEvent::Acknowledged), Some(ack)) => self.on_acknowledged(cx, ack),
            (Some(LegEvent::Unacknowledged), _) => self.on_unacknowledged(cx),
            (Some(LegEvent::ProvisionalAnswered(prack)), _) => {
                self.on_provisional_answered(cx, &prack);
            }
            (Some(LegEvent::Request(id)), _) => self.pass_request(cx, leg, id),
            (Some(LegEvent::RequestCancelled(id)), Some(cancel)) => {
                self.cancel_passed(cx, leg, id, cancel);
            }
            (Some(LegEvent::RequestAcknowledged(id, _)), ack) => {
                self.on_passed_ack(cx, leg, id, ack);
            }
            (Some(LegEvent::Response(id)), Some(response)) => {
                self.on_passed_response(cx, leg, id, response);
            }
            (Some(LegEvent::NoResponse(id)), _) => self.on_passed_over(cx, leg, id),
            (Some(LegEvent::Bye(bye)), _) => self.on_bye(cx, leg, &bye),
            (Some(LegEvent::Gone), _) => self.on_gone(cx),
            (Some(LegEvent::NoLife), _) => self.on_no_life(cx, leg),
            // These events always follow from a message.
            (Some(_), None) => {}
        }
    }

    fn shown_id(&self) -> ShownId {
        ShownId(self.facts.id)
    }

    /// The current state of the call for the operator.
    pub(crate) fn view(&self) -> CallView {
        let out = self.attempts.iter().any(|attempt| attempt.is_out());
        let state = match &self.state {
            State::SettingUp(_) if !out => "deciding",
            State::SettingUp(_) if self.times.ringing_ms.is_some() => "ringing",
            State::SettingUp(_) => "calling",
            State::Connected(connected) if connected.held => "held",
            State::Connected(_) => "answered",
            State::Closing(..) | State::Over => "ending",
        };
        let live = self.winner().or(self.attempts.iter().map(Box::as_ref).rfind(|a| a.is_live()));
        let vendor = match (live, self.finished.last()) {
            (Some(attempt), _) => Arc::clone(&attempt.vendor.name),
            (None, Some(record)) => Arc::clone(&record.trunk_name),
            (None, None) => Arc::from(""),
        };
        CallView {
            id: self.facts.id,
            trunk: Arc::clone(&self.customer.name),
            account: Arc::clone(&self.account.name),
            vendor,
            caller: self.numbers.shown_caller().into(),
            callee: self.numbers.shown_callee().into(),
            state,
            invite_ms: self.facts.received_ms,
            answer_ms: self.times.answer_ms,
            attempts: self.attempts_sent,
            generation: self.pin.generation,
        }
    }
}
