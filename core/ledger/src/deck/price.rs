//! Prices of a row, and the rounding of the paying side.

use crate::Money;
use serde::{Deserialize, Serialize};

/// Price fields of a deck row (BILL-01). The store accepts amounts of at least 0 that fit into an
/// `i64`, so that they pass the plugin boundary unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRow {
    /// Price per minute of the initial block.
    pub price_first: Money,
    /// Price per minute after the initial block.
    pub price_next: Money,
    /// Charged once if the charged time is above 0.
    pub connect_fee: Money,
    /// Minimum charged seconds, 0 to 3600; 0 means 1.
    pub first_increment_s: u32,
    /// Increment after that, 1 to 3600 seconds.
    pub next_increment_s: u32,
    /// Seconds deducted before increments, 0 to 3600 (BILL-14).
    pub free_seconds: u32,
    /// Minimum charge of a charged call.
    pub minimum_charge: Money,
}

/// Duration and money rounding of the paying side (BILL-11, BILL-17, BILL-18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceRounding {
    /// Unit of duration rounding, 1 to 60,000 ms.
    pub unit_ms: u32,
    /// Its direction.
    pub mode: DurationRounding,
    /// Decimals of a charge, 0 to 10.
    pub decimals: u8,
    /// Above 0: charges are rounded up to a multiple of it instead.
    pub fee_unit: Money,
}

impl Default for PriceRounding {
    /// 1000 ms up, 7 decimals: the values of a fresh installation.
    fn default() -> Self {
        PriceRounding {
            unit_ms: 1000,
            mode: DurationRounding::Up,
            decimals: 7,
            fee_unit: Money::ZERO,
        }
    }
}

/// Direction of duration rounding (BILL-11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DurationRounding {
    /// Away from zero.
    #[default]
    Up,
    /// Half up.
    Nearest,
    /// Towards zero.
    Down,
}
