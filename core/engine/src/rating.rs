//! Rates charges of ended calls: those of an interrupted run, and those left open at their end.

use host::ShardHost;
use ledger::{CallDocument, ChargeRecord, Due, Money, TrailEntry};
use policy::{Answer, CallFacts, Charge, Pin, Reply};

/// Rates the charges of a call for which `wanted` is true, each with the row and rounding of its
/// answer (BILL-28). Returns the rated ones, or `None` if one could not be rated.
pub(crate) fn rate(
    host: &mut ShardHost,
    pin: &Pin,
    document: &mut CallDocument,
    wanted: impl Fn(&ChargeRecord) -> bool,
) -> Option<Vec<Due>> {
    let record = &document.call;
    let call = CallFacts {
        id: record.id,
        received_ms: record.invite_ms,
        trunk: record.trunk,
        account: record.account,
    };
    let mut trail = std::mem::take(&mut document.trail);
    let mut rater = Rater { host, pin, call, trail: &mut trail, failed: false };
    let mut charges = document.charges();
    let mut told = Vec::new();
    for due in charges.all().collect::<Vec<_>>() {
        if let Some(charge) = charges.charge(due.whose).filter(|charge| wanted(charge)) {
            rater.rate(&due, charge);
            told.push(due);
        }
    }
    let failed = rater.failed;
    document.trail = trail;
    (!failed).then_some(told)
}

struct Rater<'a> {
    host: &'a mut ShardHost,
    pin: &'a Pin,
    call: CallFacts,
    trail: &'a mut Vec<TrailEntry>,
    failed: bool,
}

impl Rater<'_> {
    fn rate(&mut self, due: &Due, charge: &mut ChargeRecord) {
        let Some(question) = switch::charge_question(self.call, due, charge) else {
            self.failed = true;
            return;
        };
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
            attempt: due.attempt,
            hook,
            plugin,
            answer: answer.into(),
            fault: fault.into(),
            micros,
        });
    }
}
