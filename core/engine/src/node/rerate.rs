//! Re-rates and books charges that were left open when their calls ended (BILL-73).

use super::Node;
use crate::rating::rate;
use api::ApiError;
use api::{RerateDone, RerateFailure, RerateRequest, call_id_text, parse_call_id};
use ledger::{CallDocument, ChargeRecord, Due, Money, Posting};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{CallFilter, RecordedCall, Rerating};

/// Most calls per request: some seconds of work.
const MOST: u32 = 1000;

impl Node {
    /// Rates a page of the calls whose rating failed, by the prices and the rounding of their
    /// answer and the rating plugin of now. Each is booked once, however often it is asked.
    pub async fn rerate(self: &Arc<Self>, request: RerateRequest) -> Result<RerateDone, ApiError> {
        let before =
            match &request.before {
                Some(id) => Some(parse_call_id(id).ok_or_else(|| {
                    ApiError::invalid("before", format!("`{id}` is not a call id"))
                })?),
                None => None,
            };
        let filter = CallFilter {
            since_ms: request.since_ms,
            until_ms: request.until_ms,
            before,
            rerate: true,
            limit: MOST,
            ..CallFilter::default()
        };
        self.store_catches_up().await;
        let found = self.store.calls(&filter).await;
        let found = found.map_err(|error| ApiError::internal(error.to_string()))?;
        let before = found.last().filter(|_| found.len() == MOST as usize);
        let before = before.map(|call| call_id_text(call.document.call.id));
        let node = Arc::clone(self);
        let rated = tokio::task::spawn_blocking(move || node.rate_again(found)).await;
        let (ready, failed) = rated.map_err(|error| ApiError::internal(error.to_string()))?;
        let booked = if request.dry_run {
            vec![true; ready.len()]
        } else {
            let corrected = self.store.correct(&ready).await;
            corrected.map_err(|error| ApiError::internal(error.to_string()))?
        };
        let mut sums: BTreeMap<u32, Money> = BTreeMap::new();
        let mut done =
            RerateDone { dry_run: request.dry_run, failed, before, ..RerateDone::default() };
        for (call, _) in ready.iter().zip(booked).filter(|(_, booked)| *booked) {
            done.rated += 1;
            for posting in &call.postings {
                *sums.entry(posting.account).or_default() += posting.amount;
            }
        }
        let snapshot = self.desk.snapshot();
        let accounts = snapshot.facts.accounts();
        for (id, sum) in sums {
            let account = accounts.get(&id);
            if !request.dry_run {
                self.registry.live().purses.post(id, sum);
            }
            let name = account.map_or_else(|| format!("id {id}"), |one| one.name.to_string());
            done.booked.insert(name, sum.to_string());
        }
        if !request.dry_run && done.rated > 0 {
            tracing::info!(calls = done.rated, booked = ?done.booked, "calls were rated again");
        }
        Ok(done)
    }

    /// Asks the rating plugin; blocks, so not for an async thread.
    fn rate_again(&self, calls: Vec<RecordedCall>) -> (Vec<Rerating>, Vec<RerateFailure>) {
        let world = self.desk.published().load_full();
        let mut host = self.desk.host().shard();
        let (mut ready, mut failed) = (Vec::new(), Vec::new());
        for RecordedCall { seq, mut document, .. } in calls {
            let entries = document.trail.len();
            let rated = rate(&mut host, &world.pin.for_call(), &mut document, is_open);
            let id = call_id_text(document.call.id);
            let Some(told) = rated else {
                let faults = document.trail.iter().skip(entries).map(|entry| entry.fault.as_str());
                let why = faults.filter(|fault| !fault.is_empty()).collect::<Vec<_>>().join("; ");
                let why = if why.is_empty() { "a price is out of range".to_owned() } else { why };
                failed.push(RerateFailure { id, why });
                continue;
            };
            match without_price(&document) {
                Some(why) => failed.push(RerateFailure { id, why }),
                None => ready.push(rerating(seq, &mut document, &told)),
            }
        }
        (ready, failed)
    }
}

/// Whether a charge was never rated. A zero charge for zero seconds is simply rated again.
fn is_open(charge: &ChargeRecord) -> bool {
    charge.amount == Money::ZERO && charge.billed_s == 0
}

/// The answered side without any price, which an operator must resolve.
fn without_price(document: &CallDocument) -> Option<String> {
    let mut attempts = document.attempts.iter();
    if document.call.billable_ms > 0 && document.call.sell.is_none() {
        return Some("the customer had no price at the answer".to_owned());
    }
    let unpriced = attempts.find(|one| one.answer_ms.is_some() && one.buy.is_none())?;
    Some(format!("vendor trunk {} had no price at the answer", unpriced.trunk_name))
}

/// The rated charges with their postings.
fn rerating(seq: i64, document: &mut CallDocument, told: &[Due]) -> Rerating {
    let id = document.call.id;
    let mut rerating = Rerating { id, seq, charges: Vec::new(), postings: Vec::new() };
    let mut charges = document.charges();
    for due in told {
        let kind = charges.kind(due.whose).correction();
        let Some(charge) = charges.charge(due.whose) else { continue };
        rerating.charges.push((due.number(), charge.amount, charge.billed_s));
        if charge.amount != Money::ZERO {
            let (account, amount) = (due.account, -charge.amount);
            rerating.postings.push(Posting { account, amount, kind });
        }
    }
    rerating
}
