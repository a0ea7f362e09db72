//! Money and prices of accounts, as plugins look them up.

use crate::{DeckRow, PolicyMoney, Text};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The money of an account at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// ISO 4217 code of its deck (BILL-74); empty without a deck.
    pub currency: Arc<str>,
    /// Its balance.
    pub balance: PolicyMoney,
    /// The reservations of running calls, this one included (BILL-40).
    pub reserved: PolicyMoney,
    /// The amount that calls may still spend; `None` is unlimited.
    pub available: Option<PolicyMoney>,
}

/// The price of a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The digits of the row; empty is the default row.
    pub prefix: Text,
    /// Named destination (BILL-06).
    pub destination: Arc<str>,
    /// The price fields.
    pub row: DeckRow,
}
