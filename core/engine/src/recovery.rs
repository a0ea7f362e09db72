//! Calls in progress when the node was lost: the store has closed them with `node_lost` at the last
//! evidence that they were alive; here they are rated and booked (CDR-06, BILL-13, BILL-28,
//! BILL-31).

use crate::rating::rate;
use crate::world::WorldDesk;
use host::ShardHost;
use ledger::{CallDocument, Claim, Money, Posting, PostingKind};
use live::Live;
use switch::World;

/// Rates the calls that the store has closed and books them on the live purses. Their documents
/// contain the postings for the store.
pub(crate) fn settle_lost(
    desk: &WorldDesk,
    live: &Live,
    lost: Vec<CallDocument>,
) -> Vec<CallDocument> {
    if lost.is_empty() {
        return Vec::new();
    }
    let world = desk.published().load_full();
    let mut host = desk.host().shard();
    lost.into_iter().map(|document| settle(&mut host, &world, live, document)).collect()
}

fn settle(
    host: &mut ShardHost,
    world: &World,
    live: &Live,
    mut document: CallDocument,
) -> CallDocument {
    let rated = rate(host, &world.pin.for_call(), &mut document, |_| true);
    document.call.rerate = rated.is_none();
    book(live, &mut document);
    document
}

fn book(live: &Live, document: &mut CallDocument) {
    let charges = document.charges();
    let postings = charges.postings();
    let (cost, profit) = charges.cost_and_profit();
    let call = &mut document.call;
    (call.cost, call.profit) = (cost, profit);
    let utc_ms = crate::clock::utc_ms();
    for Posting { account, amount, kind } in &postings {
        let nothing = Claim { account: *account, amount: Money::ZERO };
        let balance = match kind {
            PostingKind::VendorCost => live.purses.post(*account, *amount),
            _ => live.purses.settle(nothing, -*amount, utc_ms),
        };
        if *account == call.account {
            call.balance_after = balance.or(call.balance_after);
        }
    }
    document.postings = postings;
}
