//! A test call: the switch places it by itself to test a vendor (ROUTE-83). It has no caller: there
//! is no customer, nobody pays, and no question is asked before the attempt. From there on it is a
//! call like any other, over one vendor trunk.

use super::{Beginning, CALLER, Call, CallerIdentity, Choice, Cx, End, Numbers, Source};
use crate::core::{Core, Owner};
use crate::facts::{
    Account, Authentication, CustomerTrunk, Facts, FailureReply, Rate, Reliability, Terms,
};
use crate::io::Now;
use crate::media::{SILENCE, TEST_TONE};
use crate::number;
use crate::reason::{Causes, name};
use ledger::{EndedBy, PriceRounding, Text};
use serde::{Deserialize, Serialize};
use sip::session::Leg;
use std::sync::Arc;
use std::time::Duration;

/// The flag of its record, and the name of its customer trunk and account, which are not objects of
/// the operator.
const TEST: &str = "test";

/// Max-Forwards of its INVITE.
const MAX_FORWARDS: u32 = 70;

/// The parameters of a test call.
#[derive(Clone, Debug)]
pub struct TestCall {
    /// Id of the vendor trunk, the only one that is tried.
    pub trunk: u32,
    /// The calling number, before it is rewritten for the vendor; empty: anonymous.
    pub caller: Text,
    /// The called number, before it is rewritten for the vendor.
    pub callee: Text,
    /// From its answer on, the vendor hears [`TEST_TONE`], else [`SILENCE`].
    pub tone: bool,
    /// Time from the answer until we hang up.
    pub length: Duration,
}

/// Why a test call was not placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPlaced {
    /// No vendor trunk has this id now.
    NoTrunk,
    /// The vendor trunk is locked.
    TrunkLocked,
    /// The account of the vendor trunk is locked.
    AccountLocked,
    /// The caller is not a number.
    Caller,
    /// The callee is not a number.
    Callee,
    /// No new calls are accepted now, for this reason.
    Closed(&'static str),
    /// The node has reached its limit of calls.
    Full,
}

/// What is left to do once the vendor answers a call that we placed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Placed {
    tone: bool,
    pub(super) length: Duration,
}

impl Call {
    /// A test call that has passed the checks and has taken its channel; [`Call::begin_placed`]
    /// starts it.
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
        let taken = call.take_channels(&core.settings.live, now.instant);
        taken.map_err(|_| NotPlaced::Full)?;
        call.flags.push(TEST.into());
        if let Some(setup) = call.setup() {
            setup.choices.push_back(Choice::new(trunk));
        }
        Ok(call)
    }

    /// Starts its only attempt.
    pub(crate) fn begin_placed(&mut self, cx: &mut Cx<'_>) {
        cx.core.counters.calls += 1;
        tracing::debug!(call = %self.shown_id(), caller = %self.numbers.caller_in,
            callee = %self.numbers.callee_in, "test call");
        self.start_attempts(cx);
    }

    /// The vendor has answered and hears the requested sound.
    pub(super) fn speak(&mut self, cx: &mut Cx<'_>, number: u16, placed: Placed) {
        let sound = if placed.tone { TEST_TONE } else { SILENCE };
        let Some(leg) = self.attempt(number).map(|attempt| attempt.media.leg) else { return };
        if !cx.media.play(leg, sound, true) {
            tracing::warn!(call = %self.shown_id(), sound, "the relay does not know this sound");
        }
    }

    /// Its requested duration is over.
    pub(super) fn end_placed(&mut self, cx: &mut Cx<'_>) {
        let end = End::answered(name::SERVICE_END, EndedBy::Switch);
        self.end_connected_with(cx, end, None, Causes::ours(16));
    }

    /// Why it was not answered: the reason of its last attempt. Without an attempt, all addresses
    /// of its trunk are at rest (SIG-91).
    pub(super) fn why_placed_failed(&self) -> Text {
        let last = self.attempt_records().max_by_key(|record| record.number);
        last.map_or_else(|| name::NO_ROUTE_AVAILABLE.into(), |record| record.end_reason.clone())
    }
}

/// The customer trunk of a test call: without wishes, and without limits except those of the node.
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
        rate: Rate::default(),
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
        parent: None,
        cuts: false,
        channels: 0,
        rate: Rate::default(),
        terms: Terms::PREPAID,
    }
}
