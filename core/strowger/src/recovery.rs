//! Calls that were up when the node was lost: the store has closed them with `node_lost`
//! at the last evidence that they were alive; here they are rated and booked (CDR-06,
//! BILL-13, BILL-28, BILL-31).

use crate::world::WorldDesk;
use host::ShardHost;
use ledger::{CallDocument, ChargeRecord, Money, Posting, PostingKind, TrailEntry};
use policy::{Answer, CallFacts, Charge, Pin, Question, RateQuestion, RateSubject, Reply, Side};
use switch::World;

/// Rates and books the calls that the store has closed. Charges are booked to the live
/// purses; the postings inside are for the store.
pub(crate) fn settle_lost(desk: &WorldDesk, lost: Vec<CallDocument>) -> Vec<CallDocument> {
    if lost.is_empty() {
        return Vec::new();
    }
    let world = desk.published().load_full();
    let mut host = desk.host().shard();
    lost.into_iter().map(|document| settle(&mut host, &world, document)).collect()
}

fn settle(host: &mut ShardHost, world: &World, mut document: CallDocument) -> CallDocument {
    rate(host, &world.pin.for_call(), &mut document);
    book(world, &mut document);
    document
}

/// Both sides, each by the row and the rounding it was answered under (BILL-28).
fn rate(host: &mut ShardHost, pin: &Pin, document: &mut CallDocument) {
    let record = &mut document.call;
    let call = CallFacts {
        id: record.id,
        received_ms: record.invite_ms,
        trunk: record.trunk,
        account: record.account,
    };
    let mut rater = Rater { host, pin, call, trail: &mut document.trail, failed: false };
    if let (Some(answer_ms), Some(sell)) = (record.answer_ms, &mut record.sell) {
        let payer = (Side::Sell, record.account, record.trunk);
        rater.rate(subject(payer, answer_ms), 0, sell, record.billable_ms);
    }
    for attempt in &mut document.attempts {
        let (Some(answer_ms), Some(buy)) = (attempt.answer_ms, &mut attempt.buy) else { continue };
        let payee = (Side::Buy, attempt.vendor_account, attempt.trunk);
        rater.rate(subject(payee, answer_ms), attempt.number, buy, attempt.billable_ms);
    }
    record.rerate = rater.failed;
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
