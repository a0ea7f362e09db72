//! Rates charges of calls that are over: those of a run that was lost, and those that were
//! left open at their end.

use host::ShardHost;
use ledger::{CallDocument, ChargeRecord, Money, TrailEntry};
use policy::{Answer, CallFacts, Charge, Pin, Question, RateQuestion, RateSubject, Reply, Side};

/// Rates the charges of a call that `wanted` wants, each by the row and the rounding it was
/// answered under (BILL-28). False if one of them could not be rated.
pub(crate) fn rate(
    host: &mut ShardHost,
    pin: &Pin,
    document: &mut CallDocument,
    wanted: impl Fn(&ChargeRecord) -> bool,
) -> bool {
    let record = &mut document.call;
    let call = CallFacts {
        id: record.id,
        received_ms: record.invite_ms,
        trunk: record.trunk,
        account: record.account,
    };
    let mut rater = Rater { host, pin, call, trail: &mut document.trail, failed: false };
    if let (Some(answer_ms), Some(sell)) = (record.answer_ms, &mut record.sell)
        && wanted(sell)
    {
        let payer = (Side::Sell, record.account, record.trunk);
        rater.rate(subject(payer, answer_ms), 0, sell, record.billable_ms);
    }
    for attempt in &mut document.attempts {
        let (Some(answer_ms), Some(buy)) = (attempt.answer_ms, &mut attempt.buy) else { continue };
        if wanted(buy) {
            let payee = (Side::Buy, attempt.vendor_account, attempt.trunk);
            rater.rate(subject(payee, answer_ms), attempt.number, buy, attempt.billable_ms);
        }
    }
    !rater.failed
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
