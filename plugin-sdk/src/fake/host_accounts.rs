//! `host-accounts` of the fake switch.

use super::{FakeHost, STATE};
use crate::host::accounts as sdk;
use crate::{AccountId, TrunkId};
use std::collections::HashMap;

pub(crate) use crate::bindings::host::strowger::policy::host_accounts::{Owner, Price, Standing};

/// The accounts of the fake switch.
#[derive(Default)]
pub(super) struct Accounts {
    names: HashMap<sdk::Owner, String>,
    standings: HashMap<sdk::Owner, sdk::Standing>,
    prices: HashMap<sdk::Owner, Vec<sdk::Price>>,
}

fn known(owner: Owner) -> sdk::Owner {
    match owner {
        Owner::Account(id) => sdk::Owner::Account(AccountId(id)),
        Owner::Customer(id) => sdk::Owner::Customer(TrunkId(id)),
        Owner::Vendor(id) => sdk::Owner::Vendor(TrunkId(id)),
    }
}

pub(crate) fn name_of(owner: Owner) -> Option<String> {
    STATE.with_borrow(|state| state.accounts.names.get(&known(owner)).cloned())
}

pub(crate) fn standing_of(owner: Owner) -> Option<Standing> {
    let standing =
        STATE.with_borrow(|state| state.accounts.standings.get(&known(owner)).cloned())?;
    Some(Standing {
        currency: standing.currency,
        balance: standing.balance.0,
        reserved: standing.reserved.0,
        available: standing.available.map(|amount| amount.0),
    })
}

/// The row with the longest prefix.
pub(crate) fn price_of(owner: Owner, number: &str) -> Option<Price> {
    let found = STATE.with_borrow(|state| {
        let rows = state.accounts.prices.get(&known(owner))?.iter();
        let fitting = rows.filter(|row| number.starts_with(&row.prefix));
        fitting.max_by_key(|row| row.prefix.len()).cloned()
    });
    let sdk::Price { prefix, destination, row } = found?;
    Some(Price {
        prefix,
        destination,
        price_first: row.price_first.0,
        price_next: row.price_next.0,
        connect_fee: row.connect_fee.0,
        first_increment_s: row.first_increment_s,
        next_increment_s: row.next_increment_s,
        free_seconds: row.free_seconds,
        minimum_charge: row.minimum_charge.0,
    })
}

impl FakeHost {
    /// Names an account or a trunk.
    pub fn name(&self, owner: sdk::Owner, name: &str) {
        STATE.with_borrow_mut(|state| state.accounts.names.insert(owner, name.to_owned()));
    }

    /// Sets the money of an account, as it is found by this owner.
    pub fn standing(&self, owner: sdk::Owner, standing: sdk::Standing) {
        STATE.with_borrow_mut(|state| state.accounts.standings.insert(owner, standing));
    }

    /// Adds a row to the deck of an account, as it is found by this owner.
    pub fn price(&self, owner: sdk::Owner, price: sdk::Price) {
        STATE.with_borrow_mut(|state| state.accounts.prices.entry(owner).or_default().push(price));
    }
}
