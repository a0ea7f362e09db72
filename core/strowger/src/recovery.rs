//! Calls that were up when the node was lost: closed with `node_lost` and billed to the
//! last evidence that they were alive (CDR-06, BILL-13).

use crate::world::WorldDesk;
use host::ShardHost;
use ledger::{
    CallDocument, ChargeRecord, EndedBy, Money, Posting, PostingKind, RecordState, TrailEntry,
};
use policy::{Answer, CallFacts, Charge, Pin, Question, RateQuestion, RateSubject, Reply, Side};
use switch::World;

/// Turns interim copies into final documents. Charges are booked to the live purses; the
/// postings inside are for the store.
pub(crate) fn close_lost(desk: &WorldDesk, lost: Vec<CallDocument>) -> Vec<CallDocument> {
    if lost.is_empty() {
        return Vec::new();
    }
    let world = desk.published().load_full();
    let mut host = desk.host().shard();
    lost.into_iter().map(|document| close(&mut host, &world, document)).collect()
}

fn close(host: &mut ShardHost, world: &World, mut document: CallDocument) -> CallDocument {
    let call = &mut document.call;
    let evidence = call.evidence_ms.max(call.answer_ms.unwrap_or(call.invite_ms));
    let billable = call.answer_ms.map_or(0, |answer| evidence.saturating_sub(answer));
    call.state = RecordState::Final;
    call.end_ms = Some(evidence);
    call.end_reason = "node_lost".into();
    call.ended_by = EndedBy::Switch;
    call.duration_ms = billable;
    call.billable_ms = billable;
    call.detail = "the node was lost during the call; billed to the last evidence".into();
    if call.answer_ms.is_some() {
        call.code_chosen = 200;
        call.code_returned = 200;
    } else {
        call.sell = None;
    }
    let facts = CallFacts {
        id: call.id,
        received_ms: call.invite_ms,
        trunk: call.trunk,
        account: call.account,
    };
    let pin = world.pin.for_call();
    let trail = &mut document.trail;
    let mut rater = Rater { host, pin: &pin, call: facts, trail, failed: false };
    let at_ms = call.answer_ms.unwrap_or(call.invite_ms);
    if let Some(sell) = &mut call.sell {
        let payer = (Side::Sell, call.account, call.trunk);
        rater.rate(subject(payer, at_ms), 0, sell, billable);
    }
    for attempt in document.attempts.iter_mut().filter(|attempt| attempt.end_ms.is_none()) {
        attempt.end_ms = Some(evidence);
        attempt.end_reason = "node_lost".into();
        attempt.ended_by = EndedBy::Switch;
        let billable = attempt.answer_ms.map_or(0, |answer| evidence.saturating_sub(answer));
        attempt.duration_ms = billable;
        attempt.billable_ms = billable;
        if attempt.answer_ms.is_none() {
            attempt.buy = None;
        }
        if let Some(buy) = &mut attempt.buy {
            let payer = (Side::Buy, attempt.vendor_account, attempt.trunk);
            rater.rate(subject(payer, at_ms), attempt.number, buy, billable);
        }
    }
    call.rerate = rater.failed;
    book(world, &mut document);
    document
}

fn book(world: &World, document: &mut CallDocument) {
    let call = &mut document.call;
    let sell = call.sell.as_ref().map(|charge| charge.amount).unwrap_or_default();
    let mut postings =
        vec![Posting { account: call.account, amount: -sell, kind: PostingKind::CallCharge }];
    call.cost = Money::ZERO;
    for attempt in &document.attempts {
        let Some(buy) = &attempt.buy else { continue };
        call.cost += buy.amount;
        postings.push(Posting {
            account: attempt.vendor_account,
            amount: -buy.amount,
            kind: PostingKind::VendorCost,
        });
    }
    call.profit = sell - call.cost;
    postings.retain(|posting| posting.amount != Money::ZERO);
    for posting in &postings {
        let Some(account) = world.facts.accounts.get(&posting.account) else { continue };
        let balance = account.purse.post(posting.amount);
        if posting.account == call.account {
            call.balance_after = Some(balance);
        }
    }
    document.postings = postings;
}

fn subject((side, account, trunk): (Side, u32, u32), at_ms: u64) -> RateSubject {
    RateSubject { side, is_final: true, account, trunk, at_ms }
}

struct Rater<'a> {
    host: &'a mut ShardHost,
    pin: &'a Pin,
    call: CallFacts,
    trail: &'a mut Vec<TrailEntry>,
    failed: bool,
}

impl Rater<'_> {
    fn rate(
        &mut self,
        subject: RateSubject,
        attempt: u16,
        charge: &mut ChargeRecord,
        duration_ms: u64,
    ) {
        let (Some(row), Some(rounding)) =
            (switch::deck_row(&charge.row), switch::rounding(&charge.rounding))
        else {
            self.failed = true;
            return;
        };
        let call = self.call;
        let question = Question::Rate(RateQuestion { call, subject, row, rounding, duration_ms });
        let Reply { outcome, plugin, nanos, .. } = self.host.ask(self.pin, &question);
        let plugin = plugin.map_or_else(|| "core".into(), |stamp| stamp.to_string().into());
        let (answer, fault) = match outcome {
            Ok(Answer::Rate(Charge { amount, billed_seconds })) => {
                charge.amount = Money(amount.into());
                charge.billed_s = billed_seconds;
                (format!("{} for {billed_seconds} s", charge.amount), String::new())
            }
            Ok(_) => (String::new(), "answer to another question".to_owned()),
            Err(fault) => (String::new(), fault.to_string()),
        };
        self.failed |= !fault.is_empty();
        let hook = policy::Hook::Rating.name().into();
        let micros = u32::try_from(nanos / 1000).unwrap_or(u32::MAX);
        self.trail.push(TrailEntry {
            at_ms: 0,
            attempt,
            hook,
            plugin,
            answer: answer.into(),
            fault: fault.into(),
            micros,
        });
    }
}
