//! What does it cost?

use crate::bindings::rating::exports::strowger::policy::rating as wire;
use crate::{Money, Plugin};

/// Asked at admission for the first increment and at the end of a call for each side.
pub trait Rating: Plugin {
    /// Charge for `duration_ms` of answered time.
    ///
    /// # Errors
    /// Names the field that makes a charge impossible: no call is admitted on such a row.
    fn rate(
        &mut self,
        row: &DeckRow,
        rounding: &Rounding,
        duration_ms: u64,
    ) -> Result<Charge, String>;
}

/// Price fields of a rate deck row (BILL-01). Prices are per minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeckRow {
    /// Of the initial block.
    pub price_first: Money,
    /// After the initial block.
    pub price_next: Money,
    /// Charged once if charged time is above 0.
    pub connect_fee: Money,
    /// Minimum charged time, seconds; 0 is 1.
    pub first_increment_s: u32,
    /// Step after it, seconds, 1 to 3,600.
    pub next_increment_s: u32,
    /// Seconds deducted before increments (BILL-14).
    pub free_seconds: u32,
    /// Lowest charge of a charged call.
    pub minimum_charge: Money,
}

/// Direction of duration rounding (BILL-11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoundingMode {
    /// A started unit counts whole.
    #[default]
    Up,
    /// Half a unit or more counts whole.
    Nearest,
    /// Only whole units count.
    Down,
}

/// Duration and money rounding of the side that pays (BILL-11, BILL-17, BILL-18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounding {
    /// Unit of duration rounding, 1 to 60,000 ms.
    pub unit_ms: u32,
    /// Its direction.
    pub mode: RoundingMode,
    /// Decimals of a charge, 0 to 10.
    pub decimals: u8,
    /// Above zero: charges are rounded up to a multiple of it instead.
    pub fee_unit: Money,
}

impl Default for Rounding {
    /// Seconds, upwards; charges with 7 decimals.
    fn default() -> Self {
        Rounding { unit_ms: 1000, mode: RoundingMode::Up, decimals: 7, fee_unit: Money::ZERO }
    }
}

/// What a side pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Never below zero.
    pub amount: Money,
    /// Seconds after increments.
    pub billed_seconds: u32,
}

impl From<wire::DeckRow> for DeckRow {
    fn from(row: wire::DeckRow) -> Self {
        DeckRow {
            price_first: Money(row.price_first),
            price_next: Money(row.price_next),
            connect_fee: Money(row.connect_fee),
            first_increment_s: row.first_increment_s,
            next_increment_s: row.next_increment_s,
            free_seconds: row.free_seconds,
            minimum_charge: Money(row.minimum_charge),
        }
    }
}

impl From<wire::Rounding> for Rounding {
    fn from(rounding: wire::Rounding) -> Self {
        Rounding {
            unit_ms: rounding.unit_ms,
            mode: match rounding.mode {
                wire::RoundingMode::Up => RoundingMode::Up,
                wire::RoundingMode::Nearest => RoundingMode::Nearest,
                wire::RoundingMode::Down => RoundingMode::Down,
            },
            decimals: rounding.decimals,
            fee_unit: Money(rounding.fee_unit),
        }
    }
}

impl From<Charge> for wire::Charge {
    fn from(charge: Charge) -> Self {
        wire::Charge { amount: charge.amount.0, billed_seconds: charge.billed_seconds }
    }
}
