//! A call that the switch places by itself to see how a vendor does (ROUTE-83). Nobody is at its
//! calling side: no customer is asked for, none pays, and none of its questions before the attempt
//! is put. From there on it is a call like any other, over one vendor trunk.

use super::{Beginning, CALLER, Call, CallerIdentity, Choice, Cx, End, Numbers, Source};
use crate::facts::{Account, Authentication, CustomerTrunk, Facts, FailureReply, Reliability};
use crate::io::Now;
use crate::media::{SILENCE, TEST_TONE};
use crate::number;
use crate::reason::{Causes, name};
use crate::switch::{Core, Owner};
use ledger::{EndedBy, Money, PriceRounding, Purse, Text};
use serde::{Deserialize, Serialize};
use sip::session::Leg;
use std::sync::Arc;
use std::time::Duration;

/// What its record calls the customer trunk and the account, which are no operator's objects; and
/// its flag.
const TEST: &str = "test";

/// How many hops its INVITE may take.
const MAX_FORWARDS: u32 = 70;

/// A test call as it is wanted.
#[derive(Clone, Debug)]
pub struct TestCall {
    /// Id of the vendor trunk, the only one that is tried.
    pub trunk: u32,
    /// The number that calls, before it is rewritten for the vendor; empty: it is not told.
    pub caller: Text,
    /// The number that is called, before it is rewritten for the vendor.
    pub callee: Text,
    /// The vendor hears [`TEST_TONE`] from its answer on, else [`SILENCE`].
    pub tone: bool,
    /// It is hung up so long after its answer.
    pub length: Duration,
}

/// Why a test call was not placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPlaced {
    /// New calls have no vendor trunk with this id.
    NoTrunk,
    /// The vendor trunk is locked.
    TrunkLocked,
    /// The account of the vendor trunk is locked.
    AccountLocked,
    /// The caller is no number.
    Caller,
    /// The callee is no number.
    Callee,
    /// No new calls are taken now, for this reason.
    Closed(&'static str),
    /// The node has as many calls as it may have.
    Full,
}

/// What is left to do of a call that we have placed, once its vendor answers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Placed {
    tone: bool,
    pub(super) length: Duration,
}

impl Call {
    /// A call of ours that has passed what is looked at beforehand, and has taken its channel;
    /// [`Call::begin_placed`] starts it.
    pub(crate) fn placed(core: &mut Core, now: Now, test: TestCall) -> Result<Call, NotPlaced> {
        let TestCall { trunk, caller, callee, tone, length } = test;
        let world = Arc::clone(&core.world.facts);
        if let Some(why) = core.intake.closed() {
            return Err(NotPlaced::Closed(why));
        }
        if !caller.is_empty() && !number::is_valid(&caller) {
            return Err(NotPlaced::Caller);
        }
        if !number::is_valid(&callee) {
            return Err(NotPlaced::Callee);
        }
        let vendor = world.vendors.get(&trunk).ok_or(NotPlaced::NoTrunk)?;
        if vendor.locked {
            return Err(NotPlaced::TrunkLocked);
        }
        if world.accounts.get(&vendor.account).is_none_or(|account| account.locked) {
            return Err(NotPlaced::AccountLocked);
        }
        let customer = nobody(&world);
        if !customer.usage.take(0) || !world.usage.take(world.settings.channels) {
            return Err(NotPlaced::Full);
        }
        let key = core.new_key();
        let beginning = Beginning {
            key,
            id: core.ids.next(now.utc_ms, &mut core.rng),
            customer: Arc::new(customer),
            account: Arc::new(no_account()),
            placed: Some(Placed { tone, length }),
            caller: Leg::nobody(Owner { call: key, leg: CALLER }),
            identity: CallerIdentity::default(),
            invite: None,
            source: Source::default(),
            tag: None,
            merge_key: None,
            authenticated: false,
            max_forwards: MAX_FORWARDS,
            private: false,
            numbers: Numbers {
                caller_in: caller.clone(),
                callee_in: callee.clone(),
                caller_route: caller,
                callee_route: callee,
                ..Numbers::default()
            },
        };
        let mut call = Call::beginning(core, now, beginning);
        call.channel_taken = true;
        call.flags.push(TEST.into());
        if let Some(setup) = call.setup() {
            setup.choices.push_back(Choice::new(trunk));
        }
        Ok(call)
    }

    /// The first attempt.
    pub(crate) fn begin_placed(&mut self, cx: &mut Cx<'_>) {
        cx.core.counters.calls += 1;
        tracing::debug!(call = %self.shown_id(), caller = %self.numbers.caller_in,
            callee = %self.numbers.callee_in, "test call");
        self.start_attempts(cx);
    }

    /// The vendor has answered and hears what was asked for.
    pub(super) fn speak(&mut self, cx: &mut Cx<'_>, number: u16, placed: Placed) {
        let sound = if placed.tone { TEST_TONE } else { SILENCE };
        let Some(leg) = self.attempt(number).map(|attempt| attempt.media.leg) else { return };
        if !cx.media.play(leg, sound, true) {
            tracing::warn!(call = %self.shown_id(), sound, "the relay does not know this sound");
        }
    }

    /// It has lasted as long as was asked for.
    pub(super) fn end_placed(&mut self, cx: &mut Cx<'_>) {
        let end = End::answered(name::SERVICE_END, EndedBy::Switch);
        self.end_connected_with(cx, end, None, Causes::ours(16));
    }

    /// Why it was not answered: as its last attempt says. Without an attempt all addresses of its
    /// trunk rest (SIG-91).
    pub(super) fn why_placed_failed(&self) -> Text {
        let last = self.attempt_records().max_by_key(|record| record.number);
        last.map_or_else(|| name::NO_ROUTE_AVAILABLE.into(), |record| record.end_reason.clone())
    }
}

/// The customer trunk of whom nobody is: it wants nothing and has no limits but those of the node.
fn nobody(world: &Facts) -> CustomerTrunk {
    CustomerTrunk {
        id: 0,
        name: Arc::from(TEST),
        account: 0,
        locked: false,
        authentication: Authentication::Address,
        networks: Vec::new(),
        digest: None,
        tech_prefix: Arc::from(""),
        strip_tech_prefix: false,
        caller_rules: 0,
        callee_rules: 0,
        reject_unmatched: false,
        support_privacy: false,
        trusted: false,
        channels: 0,
        max_duration: Duration::ZERO,
        max_attempts: 0,
        setup_budget: world.settings.setup_limit,
        until_connect: false,
        hedge: Duration::ZERO,
        parallel: 1,
        reliability: Reliability::Supported,
        failure_reply: FailureReply::Last,
        relay: true,
        media_address: 0,
        strict_media: false,
        transcode: true,
        usage: Arc::default(),
    }
}

/// Its account, which never pays.
fn no_account() -> Account {
    Account {
        id: 0,
        name: Arc::from(TEST),
        locked: false,
        expires_ms: None,
        max_duration: Duration::ZERO,
        deck: None,
        rounding: PriceRounding::default(),
        purse: Arc::new(Purse::new(Money::ZERO, Some(Money::ZERO))),
    }
}
