use crate::{CallFacts, PolicyMoney};
use serde::{Deserialize, Serialize};

/// Price fields of a rate deck row (BILL-01); money in 10^-10 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeckRow {
    /// Price a minute of the initial block.
    pub price_first: PolicyMoney,
    /// Price a minute after the initial block.
    pub price_next: PolicyMoney,
    /// Charged once if charged time is above 0.
    pub connect_fee: PolicyMoney,
    /// Minimum charged seconds, 0 is 1.
    pub first_increment_s: u32,
    /// Step after it, seconds.
    pub next_increment_s: u32,
    /// Seconds deducted before increments.
    pub free_seconds: u32,
    /// Lowest charge of a charged call.
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

/// Whose account is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The customer's account.
    Sell,
    /// The vendor's account.
    Buy,
}

/// Who is rated, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateSubject {
    /// Whose account is charged.
    pub side: Side,
    /// The call has ended and the charge will be booked; else it is an estimate.
    pub is_final: bool,
    /// The account that is charged.
    pub account: u32,
    /// Customer trunk when selling, vendor trunk when buying.
    pub trunk: u32,
    /// Moment whose price holds (BILL-03): INVITE at admission, else answer; UTC ms.
    pub at_ms: u64,
}

/// Asked at admission for the first increment and at the end for each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateQuestion {
    /// The call; not told to the plugin, kept in the trail.
    pub call: CallFacts,
    /// Who and what for.
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
