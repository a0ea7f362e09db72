//! What does it cost?

use crate::bindings::rating::exports::strowger::policy::rating as wire;
use crate::{AccountId, Money, Plugin, TrunkId};

/// Asked at admission for the first increment and at the end of a call for each side.
pub trait Rating: Plugin {
    /// Charge for `duration_ms` of answered time.
    ///
    /// # Errors
    /// [`NoCharge::Pass`] leaves it to the next plugin of the chain. A failure names the
    /// field that makes a charge impossible: no call is admitted on such a row.
    fn rate(
        &mut self,
        subject: &RateSubject,
        row: &DeckRow,
        rounding: &Rounding,
        duration_ms: u64,
    ) -> Result<Charge, NoCharge>;
}

/// The account to charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The customer's.
    #[default]
    Sell,
    /// The vendor's.
    Buy,
}

/// The subject of a rating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSubject {
    /// The account to charge.
    pub side: Side,
    /// The call has ended and the charge will be booked; otherwise it is an estimate.
    pub is_final: bool,
    /// The account that is charged.
    pub account: AccountId,
    /// Customer trunk when selling, vendor trunk when buying.
    pub trunk: TrunkId,
    /// Time that selects the price (BILL-03), UTC milliseconds.
    pub at_ms: u64,
}

/// Why there is no charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCharge {
    /// This plugin does not rate this subject: the next one of the chain is asked.
    Pass,
    /// It should have rated the subject, but could not.
    Failed(String),
}

impl From<String> for NoCharge {
    fn from(reason: String) -> NoCharge {
        NoCharge::Failed(reason)
    }
}

/// Price fields of a rate deck row (BILL-01). Prices are per minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeckRow {
    /// Of the initial block.
    pub price_first: Money,
    /// After the initial block.
    pub price_next: Money,
    /// Charged once if the charged time is above 0.
    pub connect_fee: Money,
    /// Minimum charged time, seconds; 0 means 1.
    pub first_increment_s: u32,
    /// Increment after that, seconds, 1 to 3,600.
    pub next_increment_s: u32,
    /// Seconds deducted before increments (BILL-14).
    pub free_seconds: u32,
    /// Minimum charge of a charged call.
    pub minimum_charge: Money,
}

/// Direction of duration rounding (BILL-11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoundingMode {
    /// A started unit counts as a whole one.
    #[default]
    Up,
    /// Half a unit or more counts as a whole one.
    Nearest,
    /// Only whole units count.
    Down,
}

/// Duration and money rounding of the paying side (BILL-11, BILL-17, BILL-18).
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
    /// Whole seconds, rounded up; charges with 7 decimals.
    fn default() -> Self {
        Rounding { unit_ms: 1000, mode: RoundingMode::Up, decimals: 7, fee_unit: Money::ZERO }
    }
}

/// The charge of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Never negative.
    pub amount: Money,
    /// Seconds after increments.
    pub billed_seconds: u32,
}

impl From<wire::Subject> for RateSubject {
    fn from(subject: wire::Subject) -> Self {
        let (side, is_final) = match subject.purpose {
            wire::Purpose::SellEstimate => (Side::Sell, false),
            wire::Purpose::SellFinal => (Side::Sell, true),
            wire::Purpose::BuyEstimate => (Side::Buy, false),
            wire::Purpose::BuyFinal => (Side::Buy, true),
        };
        RateSubject {
            side,
            is_final,
            account: AccountId(subject.account),
            trunk: TrunkId(subject.trunk),
            at_ms: subject.at_ms,
        }
    }
}

impl From<NoCharge> for wire::NoCharge {
    fn from(reason: NoCharge) -> Self {
        match reason {
            NoCharge::Pass => wire::NoCharge::Pass,
            NoCharge::Failed(words) => wire::NoCharge::Failed(words),
        }
    }
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
