//! Calls that were up when the node was lost: the store has closed them with `node_lost`
//! at the last evidence that they were alive; here they are rated and booked (CDR-06,
//! BILL-13, BILL-28, BILL-31).

use crate::rating::rate;
use crate::world::WorldDesk;
use host::ShardHost;
use ledger::{CallDocument, Money, Posting, PostingKind};
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
    let rated = rate(host, &world.pin.for_call(), &mut document, |_| true);
    document.call.rerate = !rated;
    book(world, &mut document);
    document
}

fn book(world: &World, document: &mut CallDocument) {
    let (cost, profit) = document.cost_and_profit();
    let call = &mut document.call;
    (call.cost, call.profit) = (cost, profit);
    let sell = call.sell.as_ref().map(|charge| charge.amount).unwrap_or_default();
    let mut postings =
        vec![Posting { account: call.account, amount: -sell, kind: PostingKind::CallCharge }];
    for attempt in &document.attempts {
        let Some(buy) = &attempt.buy else { continue };
        postings.push(Posting {
            account: attempt.vendor_account,
            amount: -buy.amount,
            kind: PostingKind::VendorCost,
        });
    }
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
