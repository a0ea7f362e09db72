//! INVITEs of known sources that are refused before there is a call: each leaves one record with
//! the reason (CDR-01).

use super::Core;
use super::ingress::callee_of;
use crate::facts::CustomerTrunk;
use crate::io::{Now, Output};
use crate::number;
use crate::strangers::Rate;
use ledger::{CallDocument, CallRecord, EndedBy, MediaRecord, Money, RecordState, Text};
use sip::{Flow, Message, TransactionId};
use std::sync::Arc;
use std::time::Duration;

/// Refusals per trunk that a shard answers and records: more than a well-behaved peer ever gets,
/// and less than its calls would write.
const REFUSALS: Rate = Rate { each: Duration::from_millis(10), burst: 500 };

/// Why an INVITE is refused.
pub(crate) struct Refused<'a> {
    /// The trunk of the INVITE; none: a known address from which no trunk calls like this.
    pub(crate) trunk: Option<Arc<CustomerTrunk>>,
    /// The returned code.
    pub(crate) code: u16,
    /// Its phrase; empty: the usual one.
    pub(crate) phrase: &'a str,
    /// Headers of the response.
    pub(crate) headers: &'a [(String, String)],
    /// End reason of SIG-93.
    pub(crate) why: &'static str,
    /// The detail in the record.
    pub(crate) detail: &'a str,
}

impl Core {
    /// Refuses, and writes the record. A peer that is refused too often gets no answer for a
    /// moment, but its resends do later. So every answer has its record, and no peer can fill the
    /// disk.
    pub(crate) fn refuse_invite(
        &mut self,
        now: Now,
        id: TransactionId,
        flow: Flow,
        invite: &Message,
        refused: &Refused<'_>,
    ) {
        let owner = refused.trunk.as_ref().map_or(0, |trunk| trunk.id);
        if !self.refusals.entry(owner).or_default().take(REFUSALS, now.instant) {
            self.counters.refusals_held_back += 1;
            self.transactions.forget(id);
            return;
        }
        self.respond_plain(now, id, invite, refused.code, refused.phrase, refused.headers);
        *self.counters.ended.entry(refused.code).or_default() += 1;
        self.counters.count_reason(&refused.why.into());
        let call = self.refusal_record(now, flow, invite, refused);
        tracing::debug!(call = format_args!("{:032x}", call.id), trunk = %call.trunk_name,
            source = %call.source, reason = refused.why, code = refused.code,
            detail = %call.detail, "refused");
        let document =
            CallDocument { call, attempts: Vec::new(), trail: Vec::new(), postings: Vec::new() };
        self.outputs.push_back(Output::Document(Box::new(document)));
    }

    fn refusal_record(
        &mut self,
        now: Now,
        flow: Flow,
        invite: &Message,
        refused: &Refused<'_>,
    ) -> CallRecord {
        let facts = Arc::clone(&self.world.facts);
        let listener = facts.listeners.get(usize::from(flow.listener));
        let trunk = refused.trunk.as_ref();
        let account = trunk.and_then(|trunk| facts.accounts.get(&trunk.account));
        let nobody = || Arc::<str>::from("");
        let caller = sip::UriRef::parse(invite.from().uri());
        let caller = caller.map(|uri| number::clean(uri.user().unwrap_or(""))).unwrap_or_default();
        CallRecord {
            id: self.ids.next(now.utc_ms, &mut self.rng),
            state: RecordState::Final,
            node: Arc::clone(&facts.node),
            listener: listener.map_or_else(nobody, |listener| Arc::clone(&listener.name)),
            source: sip::address_text(flow.remote),
            transport: flow.link.name().into(),
            local: facts.local_address(flow),
            sip_call_id: invite.call_id().into(),
            caller_tag: invite.from_tag().unwrap_or_default().into(),
            our_tag: Text::default(),
            user_agent: invite.header("User-Agent").unwrap_or("").into(),
            trunk: trunk.map_or(0, |trunk| trunk.id),
            trunk_name: trunk.map_or_else(nobody, |trunk| Arc::clone(&trunk.name)),
            account: trunk.map_or(0, |trunk| trunk.account),
            account_name: account.map_or_else(nobody, |account| Arc::clone(&account.name)),
            caller_in: printable(&caller),
            callee_in: printable(&callee_of(invite)),
            caller_route: Text::default(),
            callee_route: Text::default(),
            tech_prefix_in: Text::default(),
            private: false,
            marks: Vec::new(),
            generation: self.world.pin.generation,
            invite_ms: now.utc_ms,
            ringing_ms: None,
            media_ms: None,
            answer_ms: None,
            end_ms: Some(now.utc_ms),
            evidence_ms: now.utc_ms,
            pdd_ms: None,
            duration_ms: 0,
            billable_ms: 0,
            end_reason: refused.why.into(),
            ended_by: EndedBy::Switch,
            code_received: 0,
            code_chosen: refused.code,
            code_returned: refused.code,
            cause: 0,
            detail: printable(refused.detail),
            sell: None,
            resellers: Vec::new(),
            cost: Money::ZERO,
            profit: Money::ZERO,
            balance_after: None,
            rerate: false,
            media: MediaRecord::default(),
            processing_us: None,
            flags: Vec::new(),
        }
    }
}

/// Text from a peer, without line breaks, and at most 256 bytes long.
fn printable(text: &str) -> Text {
    let mut clean = Text::default();
    for c in text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }) {
        if clean.len() + c.len_utf8() > 256 {
            break;
        }
        clean.push(c);
    }
    clean
}
