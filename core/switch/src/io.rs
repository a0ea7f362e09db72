//! The machine's inputs and outputs.

use crate::facts::Facts;
use crate::shard::CallKey;
use ledger::{CallDocument, Text};
use policy::{CallDetails, CallFacts, CallOutcome, Pin, Question};
use std::sync::Arc;
use std::time::Instant;

/// The two clocks, read together by the shell.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic: timers and durations.
    pub instant: Instant,
    /// UTC milliseconds: timestamps.
    pub utc_ms: u64,
}

/// The snapshot and the plugin generation for new calls, replaced together.
#[derive(Debug)]
pub struct World {
    /// The configuration snapshot.
    pub facts: Arc<Facts>,
    /// The plugin generation with the snapshot's lookups.
    pub pin: Pin,
}

/// A request of the machine to the shell. Datagrams come first, then questions and records in their
/// order.
#[derive(Debug)]
pub enum Output {
    /// Send this datagram.
    Transmit(sip::Transmit),
    /// Ask the policy, and pass the answer to [`crate::Switch::answer`].
    Ask(Ask),
    /// Keep this record: interim (at answer and every 60 s) or final (once).
    Document(Box<CallDocument>),
    /// Tell the policy how a call went, so that it can judge the builds that decided.
    Outcome(Outcome),
}

/// How a call went.
#[derive(Debug)]
pub struct Outcome {
    /// The generation that the call pinned.
    pub pin: Pin,
    /// The call.
    pub call: CallFacts,
    /// What became of it.
    pub outcome: CallOutcome,
}

/// A policy question of one call. Until it is answered only that call waits.
#[derive(Debug)]
pub struct Ask {
    /// The call that asks.
    pub call: CallKey,
    /// Number of the question within the call: an answer with an old ticket is ignored.
    pub ticket: u32,
    /// The generation and snapshot that the call pinned.
    pub pin: Pin,
    /// The question.
    pub question: Question,
    /// Further details of the call, if a plugin of this hook may query them.
    pub details: Option<Arc<CallDetails>>,
}

/// A running call, for `strowger calls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallView {
    /// Call id.
    pub id: u128,
    /// Customer trunk name.
    pub trunk: Arc<str>,
    /// Account name.
    pub account: Arc<str>,
    /// Vendor trunk of the current attempt, empty if none.
    pub vendor: Arc<str>,
    /// `caller_route`, or `caller_in` before the rewrite.
    pub caller: Text,
    /// `callee_route`, or `callee_in` before the rewrite.
    pub callee: Text,
    /// `deciding`, `calling`, `ringing`, `answered`, `ending`.
    pub state: &'static str,
    /// UTC ms of the INVITE.
    pub invite_ms: u64,
    /// UTC ms of the answer.
    pub answer_ms: Option<u64>,
    /// Attempts so far.
    pub attempts: u16,
    /// Plugin generation.
    pub generation: u64,
}

/// Counters of one shard since start; the shell adds them up for `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams in.
    pub datagrams_in: u64,
    /// Datagrams from unknown sources, dropped in silence (SIG-92).
    pub unknown_source: u64,
    /// Malformed messages from known peers.
    pub malformed: u64,
    /// Malformed messages from strangers, dropped in silence.
    pub malformed_unknown: u64,
    /// Datagrams of strangers that were over budget or locked out, dropped (SEC-01, SEC-22).
    pub held_back: u64,
    /// INVITEs of known trunks that were not answered, because too many had been refused.
    pub refusals_held_back: u64,
    /// INVITEs answered with a challenge (SIG-52).
    pub challenges: u64,
    /// INVITEs with wrong credentials (SEC-01).
    pub auth_failed: u64,
    /// Calls admitted to the checks.
    pub calls: u64,
    /// Calls answered.
    pub answered: u64,
    /// Calls ended, by code returned to the caller (200 = answered).
    pub ended: std::collections::BTreeMap<u16, u64>,
    /// Calls ended, by end reason.
    pub reasons: std::collections::BTreeMap<Text, u64>,
    /// Vendor INVITEs sent (not resends), by trunk name.
    pub attempts: std::collections::BTreeMap<Arc<str>, u64>,
    /// Final codes from vendors.
    pub vendor_codes: std::collections::BTreeMap<u16, u64>,
    /// Requests and responses resent by us.
    pub retransmissions: u64,
    /// Hook fallbacks used, by hook name.
    pub fallbacks: std::collections::BTreeMap<&'static str, u64>,
}

/// Number of end reasons that are counted by name: plugins define their own, and counters for all
/// would be unbounded.
const MOST_REASONS: usize = 128;

impl Counters {
    /// Counts the end of a call by its reason; reasons beyond the first 128 count as `other`.
    pub(crate) fn count_reason(&mut self, reason: &Text) {
        let known = self.reasons.len() < MOST_REASONS || self.reasons.contains_key(reason);
        let name = if known { reason.clone() } else { "other".into() };
        *self.reasons.entry(name).or_default() += 1;
    }
}
