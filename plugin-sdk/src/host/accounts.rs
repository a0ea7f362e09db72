//! Names, money and prices of accounts and trunks. Import `host-accounts`.

use super::import::host_accounts as accounts;
use crate::{AccountId, DeckRow, Money, TrunkId};

/// An account, or a trunk, which stands for its account where money and prices are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An account.
    Account(AccountId),
    /// A customer trunk.
    Customer(TrunkId),
    /// A vendor trunk.
    Vendor(TrunkId),
}

impl From<Owner> for accounts::Owner {
    fn from(owner: Owner) -> accounts::Owner {
        match owner {
            Owner::Account(id) => accounts::Owner::Account(id.0),
            Owner::Customer(id) => accounts::Owner::Customer(id.0),
            Owner::Vendor(id) => accounts::Owner::Vendor(id.0),
        }
    }
}

/// The money of an account at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// ISO 4217 code of its deck; empty without a deck.
    pub currency: String,
    /// Its balance.
    pub balance: Money,
    /// The reservations of running calls.
    pub reserved: Money,
    /// The amount that calls may still spend; `None` is unlimited.
    pub available: Option<Money>,
}

/// The price of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The digits of the row; empty is the default row.
    pub prefix: String,
    /// Named destination, such as `United Kingdom mobile`.
    pub destination: String,
    /// The price fields.
    pub row: DeckRow,
}

/// The name that the operator gave; `None` for an unknown owner.
#[must_use]
pub fn name(owner: Owner) -> Option<String> {
    accounts::name_of(owner.into())
}

/// The money of an account, or of a trunk's account; `None` for an unknown owner and in replay.
#[must_use]
pub fn standing(owner: Owner) -> Option<Standing> {
    let accounts::Standing { currency, balance, reserved, available } =
        accounts::standing_of(owner.into())?;
    Some(Standing {
        currency,
        balance: Money(balance),
        reserved: Money(reserved),
        available: available.map(Money),
    })
}

/// The price of a number at the time of the INVITE: what the account of a customer pays, or what
/// a vendor charges. `None` if the number is not priced there.
#[must_use]
pub fn price(owner: Owner, number: &str) -> Option<Price> {
    let found = accounts::price_of(owner.into(), number)?;
    Some(Price {
        prefix: found.prefix,
        destination: found.destination,
        row: DeckRow {
            price_first: Money(found.price_first),
            price_next: Money(found.price_next),
            connect_fee: Money(found.connect_fee),
            first_increment_s: found.first_increment_s,
            next_increment_s: found.next_increment_s,
            free_seconds: found.free_seconds,
            minimum_charge: Money(found.minimum_charge),
        },
    })
}
