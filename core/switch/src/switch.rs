//! One shard of the switch: its transactions, its calls, their timers.

use crate::call::placed::{NotPlaced, TestCall};
use crate::call::{Call, Cx};
use crate::classify::{Classifier, Foreign, ForeignCalls, Standing};
use crate::core_ops::{Farewells, Names};
use crate::index::SourceIndex;
use crate::ingress::Entered;
use crate::intake::Intake;
use crate::io::{CallKey, CallView, Counters, Now, Output, World};
use crate::media::{MediaControl, MediaEvent};
use crate::rests::Rests;
use crate::shard::CallIds;
use crate::strangers::{Budget, Strangers, source_of};
use foldhash::{HashMap, HashSet};
use policy::Reply;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use sip::digest::ReplayGuard;
use sip::session::EXTENSIONS;
use sip::{Flow, Message, TransactionEvent, TransactionId, Transactions};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How a shard is made.
#[derive(Clone, Debug)]
pub struct SwitchSettings {
    /// This shard, from 0.
    pub shard: u16,
    /// How many there are, at least 1.
    pub shards: u16,
    /// Seed of tags, branches and ids: from the operating system in the program, fixed in tests.
    pub seed: [u8; 32],
    /// Used nonces (SIG-54), the same for all shards: a sender chooses its shard.
    pub replays: Arc<Mutex<ReplayGuard>>,
    /// Vendor addresses that asked for a rest (SIG-91), the same for all shards.
    pub rests: Arc<Rests>,
    /// Budgets and lockouts of strangers, the same for all shards.
    pub strangers: Arc<Strangers>,
    /// Peers that no trunk names, the same for all shards.
    pub foreign: Arc<Foreign>,
}

/// The call machine of one shard. Feed it, then drain [`Switch::poll_output`], then wait
/// until [`Switch::poll_timeout`] or the next input.
pub struct Switch {
    pub(crate) calls: HashMap<CallKey, Box<Call>>,
    pub(crate) core: Core,
}

/// What a transaction or one of our tags belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) call: CallKey,
    /// Number of the leg in its call.
    pub(crate) leg: u16,
}

/// Everything of the shard but the calls, so that a call can be borrowed beside it.
pub(crate) struct Core {
    pub(crate) settings: SwitchSettings,
    pub(crate) transactions: Transactions<Owner>,
    pub(crate) rng: StdRng,
    pub(crate) world: Arc<World>,
    pub(crate) index: Arc<SourceIndex>,
    pub(crate) counters: Counters,
    pub(crate) intake: Intake,
    pub(crate) ids: CallIds,
    pub(crate) names: Names,
    pub(crate) outputs: VecDeque<Output>,
    /// BYEs that may be challenged.
    pub(crate) farewells: Farewells,
    /// Our tag of each leg.
    pub(crate) tags: HashMap<u64, Owner>,
    /// INVITEs of the calls that are here, by what a forking proxy leaves as it is.
    pub(crate) callers: HashSet<u64>,
    /// Who sends the INVITE that the transactions are being given.
    pub(crate) entered: Option<Entered>,
    /// How many more refusals each customer trunk is answered; 0: known addresses without one.
    pub(crate) refusals: HashMap<u32, Budget>,
    /// Calls whose peer wants its requests at an address that no trunk names.
    pub(crate) foreign: ForeignCalls,
    /// When a call wants [`Call::on_timeout`]: one entry for each that waits for something.
    deadlines: BTreeSet<(Instant, CallKey)>,
    pub(crate) next_key: u64,
}

impl Switch {
    /// A shard without calls.
    #[must_use]
    pub fn new(settings: SwitchSettings, world: Arc<World>) -> Switch {
        let index = Arc::clone(world.facts.source_index());
        let mut rng = StdRng::from_seed(settings.seed);
        let core = Core {
            transactions: Transactions::with_secret(rng.random()),
            rng,
            index,
            world,
            counters: Counters::default(),
            intake: Intake::default(),
            ids: CallIds::default(),
            names: Names::default(),
            outputs: VecDeque::new(),
            farewells: Farewells::default(),
            tags: HashMap::default(),
            callers: HashSet::default(),
            entered: None,
            refusals: HashMap::default(),
            foreign: ForeignCalls::new(Arc::clone(&settings.foreign)),
            deadlines: BTreeSet::new(),
            next_key: 1,
            settings,
        };
        Switch { calls: HashMap::default(), core }
    }

    /// Replaces what new calls see. Running calls keep what they began with, and their peers are
    /// heard also where no trunk names them any more.
    pub fn set_world(&mut self, world: Arc<World>) {
        let others = !Arc::ptr_eq(&self.core.world.facts, &world.facts);
        self.core.world = world;
        if others {
            self.core.index = Arc::clone(self.core.world.facts.source_index());
            for call in self.calls.values_mut() {
                call.note_foreign(&mut self.core);
            }
        }
    }

    /// From now on no new call is taken: 503 with Retry-After, also for OPTIONS, so that peers
    /// go elsewhere (OPS-65, SIG-57). Calls that run go on.
    pub fn drain(&mut self) {
        self.core.intake.draining = true;
    }

    /// Whether what writes records has no room for those of new calls: while it has none, each
    /// is refused in the same way (CDR-14).
    pub fn set_room_for_records(&mut self, room: bool) {
        self.core.intake.no_room_for_records = !room;
    }

    /// Whether messages wait so long that new calls would only make it worse: while they do,
    /// each is refused with 503 and Retry-After (SIG-91).
    pub fn set_overloaded(&mut self, overloaded: bool) {
        self.core.intake.overloaded = overloaded;
    }

    /// Tells whose datagrams this shard hears, as its world is now.
    #[must_use]
    pub fn classifier(&self) -> Classifier {
        let SwitchSettings { strangers, foreign, .. } = &self.core.settings;
        let facts = Arc::clone(&self.core.world.facts);
        Classifier::new(facts, Arc::clone(strangers), Arc::clone(foreign))
    }

    /// Counts a datagram of somebody who is not heard.
    pub fn turn_away(&mut self) {
        self.core.counters.datagrams_in += 1;
        self.core.counters.unknown_source += 1;
    }

    /// Takes a datagram of somebody whom a [`Classifier`] has let pass.
    pub fn receive(
        &mut self,
        now: Now,
        flow: Flow,
        standing: Standing,
        datagram: &[u8],
        media: &mut dyn MediaControl,
    ) {
        self.core.counters.datagrams_in += 1;
        let known = standing == Standing::Known;
        let mut message = match Message::parse_on(flow.link, datagram) {
            Ok(message) => message,
            Err(error) => {
                self.refuse_malformed(now, flow, datagram, &error, known);
                return;
            }
        };
        if message.is_request() {
            message.set_source(flow.remote);
        } else if message.validate_response().is_err() {
            self.core.counters.malformed += 1;
            return;
        }
        self.core.entered = None;
        if !(known && !self.core.index.demands_digest()
            || self.core.passes(now, flow, standing, &message, datagram.len()))
        {
            return;
        }
        self.core.transactions.receive(now.instant, flow, message);
        self.drain_transactions(now, media);
    }

    /// Answers a question that [`Output::Ask`] carried. Late answers are ignored.
    pub fn answer(
        &mut self,
        now: Now,
        call: CallKey,
        ticket: u32,
        reply: Reply,
        media: &mut dyn MediaControl,
    ) {
        self.with_call(call, now, media, |call, cx| call.on_answer(cx, ticket, reply));
        self.drain_transactions(now, media);
    }

    /// Lets time pass; call it at or after [`Switch::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Now, media: &mut dyn MediaControl) {
        self.core.transactions.handle_timeout(now.instant);
        self.drain_transactions(now, media);
        while let Some(&(at, key)) = self.core.deadlines.first()
            && at <= now.instant
        {
            self.core.deadlines.pop_first();
            self.with_call(key, now, media, |call, cx| {
                call.wake = None;
                call.on_timeout(cx);
            });
        }
        self.drain_transactions(now, media);
        if self.calls.is_empty() && self.core.transactions.is_empty() {
            give_back_room(&mut self.calls);
            give_back_room(&mut self.core.tags);
            if self.core.callers.capacity() > ROOM_KEPT {
                self.core.callers = HashSet::default();
            }
        }
    }

    /// The network said that nobody is at `flow` (SIG-24).
    pub fn transport_error(&mut self, now: Now, flow: Flow, media: &mut dyn MediaControl) {
        self.core.transactions.transport_error(now.instant, flow);
        self.drain_transactions(now, media);
    }

    /// Takes what the relay tells of a call (MEDIA-16 to MEDIA-19); one that is over hears nothing.
    pub fn media_event(
        &mut self,
        now: Now,
        call: CallKey,
        event: MediaEvent,
        media: &mut dyn MediaControl,
    ) {
        self.with_call(call, now, media, |call, cx| call.on_media_event(cx, event));
        self.drain_transactions(now, media);
    }

    /// Ends the call with this id (`operator_hangup`); false if it is not here.
    pub fn hangup(&mut self, now: Now, id: u128, media: &mut dyn MediaControl) -> bool {
        let Some(key) = self.calls.values().find(|call| call.id() == id).map(|call| call.key())
        else {
            return false;
        };
        self.with_call(key, now, media, |call, cx| call.on_operator_hangup(cx));
        self.drain_transactions(now, media);
        true
    }

    /// Ends this call as [`Switch::hangup`] does, without looking through the others for it.
    pub fn hangup_call(&mut self, now: Now, key: CallKey, media: &mut dyn MediaControl) {
        self.with_call(key, now, media, |call, cx| call.on_operator_hangup(cx));
        self.drain_transactions(now, media);
    }

    /// Places a test call (ROUTE-83): its id.
    ///
    /// # Errors
    /// Why no INVITE will go out. There is no record of it then.
    pub fn place(
        &mut self,
        now: Now,
        test: TestCall,
        media: &mut dyn MediaControl,
    ) -> Result<u128, NotPlaced> {
        let call = Call::placed(&mut self.core, now, test)?;
        let (key, id) = (call.key(), call.id());
        self.calls.insert(key, Box::new(call));
        self.with_call(key, now, media, |call, cx| call.begin_placed(cx));
        self.drain_transactions(now, media);
        Ok(id)
    }

    /// The call with this id; none if it is not here.
    #[must_use]
    pub fn call(&self, id: u128) -> Option<CallView> {
        self.calls.values().find(|call| call.id() == id).map(|call| call.view())
    }

    /// Ends every call for a node that stops. Peers that do not answer are not awaited any
    /// more: once the charges are answered, each call's record is written (CDR-01).
    pub fn close_all(&mut self, now: Now, media: &mut dyn MediaControl) {
        self.with_all(now, media, Call::close_now);
    }

    /// Like [`Switch::close_all`], without waiting for charges: what is still open is to be
    /// rated later. No call is left.
    pub fn close_all_unrated(&mut self, now: Now, media: &mut dyn MediaControl) {
        self.with_all(now, media, Call::close_unrated);
    }

    fn with_all(
        &mut self,
        now: Now,
        media: &mut dyn MediaControl,
        act: impl Fn(&mut Call, &mut Cx<'_>),
    ) {
        for key in self.call_keys() {
            self.with_call(key, now, media, &act);
        }
        self.drain_transactions(now, media);
    }

    /// What must be done next; call it until it returns none.
    pub fn poll_output(&mut self) -> Option<Output> {
        let transmit = self.poll_transmit().map(Output::Transmit);
        transmit.or_else(|| self.core.outputs.pop_front())
    }

    /// The next datagram that wants to be sent; questions and records are left for
    /// [`Switch::poll_output`].
    pub fn poll_transmit(&mut self) -> Option<sip::Transmit> {
        self.core.transactions.poll_transmit()
    }

    /// When [`Switch::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let calls = self.core.deadlines.first().map(|(at, _)| *at);
        let transactions = self.core.transactions.poll_timeout();
        [calls, transactions].into_iter().flatten().min()
    }

    /// Calls that are being set up, up, or being ended.
    pub fn calls(&self) -> impl Iterator<Item = CallView> {
        self.calls.values().map(|call| call.view())
    }

    /// How many calls there are.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// Counters since start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.core.counters.clone();
        counters.retransmissions = self.core.transactions.retransmissions();
        counters
    }

    /// Transactions alive.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.core.transactions.len()
    }

    /// Entries of the shard's own tables: zero when no call is left.
    #[must_use]
    pub fn table_entries(&self) -> usize {
        let core = &self.core;
        core.farewells.len() + core.tags.len() + core.callers.len() + core.deadlines.len()
    }

    pub(crate) fn drain_transactions(&mut self, now: Now, media: &mut dyn MediaControl) {
        while let Some(event) = self.core.transactions.poll_event() {
            self.on_transaction(now, event, media);
        }
    }

    fn on_transaction(
        &mut self,
        now: Now,
        event: TransactionEvent<Owner>,
        media: &mut dyn MediaControl,
    ) {
        match event {
            TransactionEvent::Request { id, flow, message } => {
                self.on_request(now, id, flow, message, media);
            }
            TransactionEvent::Cancelled { invite, owner, message } => {
                self.with_owner(owner, now, media, |call, cx, leg| {
                    call.on_cancel(cx, leg, invite, &message);
                });
            }
            TransactionEvent::Acknowledged { invite, owner, message } => {
                self.with_owner(owner, now, media, |call, cx, leg| {
                    call.on_ack(cx, leg, invite, &message);
                });
            }
            TransactionEvent::Response { id, owner, flow, message, sends } => {
                let known = self.with_owner(owner, now, media, |call, cx, leg| {
                    call.note_sends(leg, id, sends);
                    call.on_response(cx, leg, id, flow, &message);
                });
                if !known && !self.core.on_farewell_response(now, id, &message) {
                    self.core.decline(now, id, flow, &message);
                }
            }
            TransactionEvent::WentBack { owner, from, .. } => {
                let directory = &self.core.world.facts.directory;
                directory.note_no_connection(now.instant, from.remote);
                self.with_owner(owner, now, media, |call, cx, leg| call.note_way(cx, leg));
            }
            TransactionEvent::TimedOut { id, owner, sends } => {
                self.on_transaction_over(now, id, owner, (sends, false), media);
            }
            TransactionEvent::TransportFailed { id, owner, sends } => {
                self.on_transaction_over(now, id, owner, (sends, true), media);
            }
        }
    }

    fn on_transaction_over(
        &mut self,
        now: Now,
        id: TransactionId,
        owner: Option<Owner>,
        (sends, unreachable): (u16, bool),
        media: &mut dyn MediaControl,
    ) {
        self.core.farewells.remove(&id);
        self.with_owner(owner, now, media, |call, cx, leg| {
            call.note_sends(leg, id, sends);
            call.on_transaction_over(cx, leg, id, unreachable);
        });
    }

    /// A request that starts a transaction: in a dialog it belongs to a call, outside it
    /// starts one.
    fn on_request(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        message: Message,
        media: &mut dyn MediaControl,
    ) {
        if let Err(refusal) = message.validate_request_for(&EXTENSIONS) {
            self.core.counters.malformed += 1;
            if *message.method() == sip::Method::Invite && message.to_tag().is_none() {
                return self.core.refuse_as_it_stands(now, id, flow, &message, &refusal);
            }
            let header = refusal.header.map(|(name, value)| (name.to_owned(), value));
            let headers = header.as_slice();
            self.core.respond_plain(now, id, &message, refusal.status, &refusal.reason, headers);
            return;
        }
        let Some(tag) = message.to_tag() else {
            if let Some(call) = self.core.admit(now, id, flow, message) {
                let key = call.key();
                self.calls.insert(key, Box::new(call));
                self.with_call(key, now, media, |call, cx| call.begin(cx));
            }
            return;
        };
        let owner = crate::shard::tag_value(tag).and_then(|tag| self.core.tags.get(&tag).copied());
        let mut left = Some(message);
        self.with_owner(owner, now, media, |call, cx, leg| {
            if let Some(message) = left.take_if(|m| call.owns(leg, m)) {
                call.on_request(cx, leg, id, flow, message);
            }
        });
        if let Some(message) = left {
            self.core.respond_plain(now, id, &message, 481, "Call/Transaction Does Not Exist", &[]);
        }
    }

    fn with_owner(
        &mut self,
        owner: Option<Owner>,
        now: Now,
        media: &mut dyn MediaControl,
        act: impl FnOnce(&mut Call, &mut Cx<'_>, u16),
    ) -> bool {
        let Some(Owner { call, leg }) = owner else { return false };
        self.with_call(call, now, media, |call, cx| act(call, cx, leg))
    }

    pub(crate) fn with_call(
        &mut self,
        key: CallKey,
        now: Now,
        media: &mut dyn MediaControl,
        act: impl FnOnce(&mut Call, &mut Cx<'_>),
    ) -> bool {
        let Some(call) = self.calls.get_mut(&key) else {
            return false;
        };
        act(call, &mut Cx { core: &mut self.core, now, media });
        let wake = call.next_wake();
        if wake != call.wake {
            if let Some(at) = call.wake {
                self.core.deadlines.remove(&(at, key));
            }
            self.core.deadlines.extend(wake.map(|at| (at, key)));
            call.wake = wake;
        }
        if call.is_over() {
            self.calls.remove(&key);
        }
        true
    }

    fn refuse_malformed(
        &mut self,
        now: Now,
        flow: Flow,
        datagram: &[u8],
        error: &sip::ParseError,
        known: bool,
    ) {
        if matches!(error, sip::ParseError::Empty | sip::ParseError::KeepAlive) {
            return;
        }
        if !known {
            self.core.counters.malformed_unknown += 1;
            self.core.settings.strangers.asked(source_of(flow.remote), now.instant);
            return;
        }
        self.core.counters.malformed += 1;
        if let Some(bytes) = sip::salvage(flow, datagram) {
            let bytes = Arc::from(bytes);
            self.core.outputs.push_back(Output::Transmit(sip::Transmit { flow, bytes }));
        }
    }
}

/// How long a transaction may repeat itself (SIG-21, window W).
pub(crate) const WINDOW: Duration = Duration::from_secs(32);

/// Room of a table that is kept when nothing is left in it.
const ROOM_KEPT: usize = 2048;

/// Gives the room that the busiest time took back.
fn give_back_room<K, V>(table: &mut HashMap<K, V>) {
    if table.is_empty() && table.capacity() > ROOM_KEPT {
        *table = HashMap::default();
    }
}

impl Core {
    /// A key that was never used before.
    pub(crate) fn new_key(&mut self) -> CallKey {
        let key = CallKey(self.next_key);
        self.next_key += 1;
        key
    }
}
