//! One shard of the switch: its transactions, its calls, their timers.

use crate::call::placed::{NotPlaced, TestCall};
use crate::call::{Call, Cx};
use crate::classify::{Classifier, Standing};
use crate::core::{Core, Owner, SwitchSettings};
use crate::io::{CallView, Counters, Now, Output, World};
use crate::media::{MediaControl, MediaEvent};
use crate::shard::CallKey;
use crate::strangers::source_of;
use foldhash::{HashMap, HashSet};
use policy::Reply;
use sip::session::EXTENSIONS;
use sip::{Flow, Message, TransactionEvent, TransactionId};
use std::sync::Arc;
use std::time::Instant;

/// The call machine of one shard. Feed it, then drain [`Switch::poll_output`], then wait until
/// [`Switch::poll_timeout`] or the next input.
pub struct Switch {
    pub(crate) calls: HashMap<CallKey, Box<Call>>,
    pub(crate) core: Core,
}

/// Calls that are ended before other work gets its turn: less than a millisecond.
const CUT_AT_ONCE: usize = 8;

impl Switch {
    /// A shard without calls.
    #[must_use]
    pub fn new(settings: SwitchSettings, world: Arc<World>) -> Switch {
        Switch { calls: HashMap::default(), core: Core::new(settings, world) }
    }

    /// Replaces the world of new calls. Running calls keep what they began with, and their peers
    /// are heard even if no trunk names them any more.
    pub fn set_world(&mut self, now: Now, world: Arc<World>) {
        let before = std::mem::replace(&mut self.core.world, world);
        if self.core.world.facts.sources.has_lost_some_of(&before.facts.sources) {
            self.look_for_foreign(now);
        }
    }

    /// From now on every new call is refused with 503 and Retry-After, and so is OPTIONS, so that
    /// peers go elsewhere (OPS-65, SIG-57). Running calls go on.
    pub fn drain(&mut self) {
        self.core.intake.draining = true;
    }

    /// Sets whether the recorder has room for records of new calls: without room, each new call is
    /// refused in the same way (CDR-14).
    pub fn set_room_for_records(&mut self, room: bool) {
        self.core.intake.no_room_for_records = !room;
    }

    /// Sets whether messages wait so long that new calls would make it worse: if so, each is
    /// refused with 503 and Retry-After (SIG-91).
    pub fn set_overloaded(&mut self, overloaded: bool) {
        self.core.intake.overloaded = overloaded;
    }

    /// A classifier for this shard's current world.
    #[must_use]
    pub fn classifier(&self) -> Classifier {
        let SwitchSettings { strangers, foreign, .. } = &self.core.settings;
        let facts = Arc::clone(&self.core.world.facts);
        Classifier::new(facts, Arc::clone(strangers), Arc::clone(foreign))
    }

    /// Counts a datagram that a [`Classifier`] has rejected.
    pub fn turn_away(&mut self) {
        self.core.counters.datagrams_in += 1;
        self.core.counters.unknown_source += 1;
    }

    /// Handles a datagram that a [`Classifier`] has let pass.
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
        if !(known && !self.core.world.facts.sources.demands_digest()
            || self.core.passes(now, flow, standing, &message, datagram.len()))
        {
            return;
        }
        self.core.transactions.receive(now.instant, flow, message);
        self.drain_transactions(now, media);
    }

    /// Passes the answer to a question of [`Output::Ask`]. Late answers are ignored.
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

    /// Handles elapsed time; call it at or after [`Switch::poll_timeout`].
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
        self.cut_some(now, media);
        self.look_at_some(now);
        self.drain_transactions(now, media);
        if self.calls.is_empty() && self.core.transactions.is_empty() {
            give_back_room(&mut self.calls);
            give_back_room(&mut self.core.tags);
            if self.core.callers.capacity() > ROOM_KEPT {
                self.core.callers = HashSet::default();
            }
        }
    }

    /// The network reported that `flow` is unreachable (SIG-24).
    pub fn transport_error(&mut self, now: Now, flow: Flow, media: &mut dyn MediaControl) {
        self.core.transactions.transport_error(now.instant, flow);
        self.drain_transactions(now, media);
    }

    /// Handles an event of the relay (MEDIA-16 to MEDIA-19); ignored if the call is over.
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

    /// Places a test call (ROUTE-83) and returns its id.
    ///
    /// # Errors
    /// Why no INVITE will be sent. Then there is no record of it.
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

    /// Ends every call because the node stops. Peers that do not respond are no longer awaited:
    /// each call's record is written once the charges are answered (CDR-01).
    pub fn close_all(&mut self, now: Now, media: &mut dyn MediaControl) {
        self.with_all(now, media, Call::close_now);
    }

    /// Like [`Switch::close_all`], without waiting for charges: open charges are marked to be rated
    /// later. No call is left.
    pub fn close_all_unrated(&mut self, now: Now, media: &mut dyn MediaControl) {
        self.with_all(now, media, Call::close_unrated);
    }

    /// Ends the running calls of an account that was locked together with them (BILL-51), a few at
    /// each time-out, so that no other call waits for long.
    pub fn cut_account(&mut self, now: Now, account: u32) {
        self.core.cutting.push_back((now.instant, account));
    }

    /// Ends some calls of the account that is being cut.
    fn cut_some(&mut self, now: Now, media: &mut dyn MediaControl) {
        let Some((_, account)) = self.core.cutting.front().copied() else { return };
        let of_account = (account, CallKey(0))..=(account, CallKey(u64::MAX));
        let calls = self.core.payers.range(of_account).map(|(_, key)| *key);
        let calls: Vec<CallKey> = calls.take(CUT_AT_ONCE).collect();
        if calls.is_empty() {
            self.core.cutting.pop_front();
        }
        for key in calls {
            self.core.payers.remove(&(account, key));
            self.with_call(key, now, media, |call, cx| call.on_account_cut(cx, account));
        }
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

    /// The machine's next output; call it until it returns none.
    pub fn poll_output(&mut self) -> Option<Output> {
        let transmit = self.poll_transmit().map(Output::Transmit);
        transmit.or_else(|| self.core.outputs.pop_front())
    }

    /// The next datagram to send; questions and records are left for [`Switch::poll_output`].
    pub fn poll_transmit(&mut self) -> Option<sip::Transmit> {
        self.core.transactions.poll_transmit()
    }

    /// When to call [`Switch::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let calls = self.core.deadlines.first().map(|(at, _)| *at);
        let transactions = self.core.transactions.poll_timeout();
        let cutting = self.core.cutting.front().map(|(since, _)| *since);
        let looking = self.core.foreign.looking_since();
        [calls, transactions, cutting, looking].into_iter().flatten().min()
    }

    /// Calls in set-up, running or ending.
    pub fn calls(&self) -> impl Iterator<Item = CallView> {
        self.calls.values().map(|call| call.view())
    }

    /// Number of calls.
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

    /// Live transactions.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.core.transactions.len()
    }

    /// Entries of the shard's own tables; zero when no call is left.
    #[must_use]
    pub fn table_entries(&self) -> usize {
        let core = &self.core;
        let tables = core.tags.len() + core.callers.len() + core.payers.len();
        core.farewells.len() + tables + core.deadlines.len()
    }

    /// Some addresses are no longer known: checks for calls with peers there at the next time-outs.
    pub(crate) fn look_for_foreign(&mut self, now: Now) {
        self.core.foreign.check(now, self.calls.keys().copied());
    }

    /// Checks some of them.
    fn look_at_some(&mut self, now: Now) {
        for key in self.core.foreign.next() {
            if let Some(call) = self.calls.get_mut(&key) {
                call.note_foreign(&mut self.core);
            }
        }
        self.core.foreign.checked(now, self.calls.keys().copied());
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

    /// A request that starts a transaction: inside a dialog it belongs to a call, outside it starts
    /// one.
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
            if let Some(new) = self.core.admit(now, id, flow, message) {
                let call = Call::new(&mut self.core, now, new);
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

/// Capacity that an empty table keeps.
const ROOM_KEPT: usize = 2048;

/// Frees the capacity that a table needed at the busiest time.
fn give_back_room<K, V>(table: &mut HashMap<K, V>) {
    if table.is_empty() && table.capacity() > ROOM_KEPT {
        *table = HashMap::default();
    }
}
