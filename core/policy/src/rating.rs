use crate::{CallFacts, PolicyMoney};
use serde::{Deserialize, Serialize};

/// Price fields of a rate deck row (BILL-01); money in 10^-10 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeckRow {
    /// Price per minute of the initial block.
    pub price_first: PolicyMoney,
    /// Price per minute after the initial block.
    pub price_next: PolicyMoney,
    /// Charged once if the charged time is above 0.
    pub connect_fee: PolicyMoney,
    /// Minimum charged seconds; 0 means 1.
    pub first_increment_s: u32,
    /// Increment after that, seconds.
    pub next_increment_s: u32,
    /// Seconds deducted before increments.
    pub free_seconds: u32,
    /// Minimum charge of a charged call.
    pub minimum_charge: PolicyMoney,
}

/// Direction of duration rounding (BILL-11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundingMode {
    /// Away from zero.
    #[default]
    Up,
    /// Half up.
    Nearest,
    /// Towards zero.
    Down,
}

/// Duration and money rounding of the side that pays (BILL-11, BILL-17, BILL-18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounding {
    /// Unit of duration rounding, 1 to 60,000 ms.
    pub unit_ms: u32,
    /// Its direction.
    pub mode: RoundingMode,
    /// Decimals of a charge, 0 to 10.
    pub decimals: u8,
    /// Above 0: charges are rounded up to a multiple of it instead.
    pub fee_unit: PolicyMoney,
}

impl Default for Rounding {
    /// 1000 ms up, 7 decimals: the values of a fresh installation.
    fn default() -> Self {
        Rounding { unit_ms: 1000, mode: RoundingMode::Up, decimals: 7, fee_unit: 0 }
    }
}

/// The account to charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The customer's account.
    Sell,
    /// The vendor's account.
    Buy,
}

/// The subject of a rating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateSubject {
    /// The account to charge.
    pub side: Side,
    /// The call has ended and the charge will be booked; otherwise it is an estimate.
    pub is_final: bool,
    /// The account that is charged.
    pub account: u32,
    /// Customer trunk when selling, vendor trunk when buying.
    pub trunk: u32,
    /// Time that selects the price (BILL-03): INVITE at admission, else answer; UTC ms.
    pub at_ms: u64,
}

/// Asked at admission for the first increment and at the end for each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateQuestion {
    /// The call; not passed to the plugin, kept in the trail.
    pub call: CallFacts,
    /// The subject of the rating.
    pub subject: RateSubject,
    /// The deck row.
    pub row: DeckRow,
    /// The payer's rounding.
    pub rounding: Rounding,
    /// Answered time in ms.
    pub duration_ms: u64,
}

/// Answer to [`RateQuestion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Money, at least 0.
    pub amount: PolicyMoney,
    /// Seconds after increments.
    pub billed_seconds: u32,
}
