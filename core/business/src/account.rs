use super::words::{self, CallRate};
use ledger::{DurationRounding, Money, PriceRounding};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A customer that pays us or a vendor that we pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Unique name.
    pub name: String,
    /// Numeric id, assigned once and never reused; if omitted, the next free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Customer or vendor.
    #[serde(default)]
    pub kind: AccountKind,
    /// ISO 4217 code of balance and deck (BILL-74).
    pub currency: Currency,
    /// Booked once, when the account is created; later changes are not booked.
    #[serde(default, with = "words::amount")]
    pub opening_balance: Money,
    /// Credit, at least 0; unlimited is written `"unlimited"` (BILL-43).
    #[serde(default = "no_credit", with = "words::credit")]
    pub credit_limit: Option<Money>,
    /// Attributes for the operator's own routing or rating plugins, by name (`host-call`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Its reseller (BILL-60): an account that also pays for the calls, by its own deck, and whose
    /// money limits them (BILL-62, BILL-63).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Takes no calls.
    #[serde(default)]
    pub locked: bool,
    /// New calls are blocked while no more than this is available (BILL-44), at least 0.
    #[serde(default, with = "words::amount", skip_serializing_if = "words::is_zero")]
    pub block_at: Money,
    /// What happens to running calls when the account is locked or blocked.
    #[serde(default, skip_serializing_if = "RunningCalls::is_default")]
    pub running_calls: RunningCalls,
    /// Concurrent calls of the account and its children; 0 is unlimited (BILL-51).
    #[serde(default, skip_serializing_if = "words::is_default")]
    pub channels: u32,
    /// Call attempts per second of the account and its children; 0 is unlimited (SEC-11).
    #[serde(default, skip_serializing_if = "words::is_default")]
    pub cps: CallRate,
    /// Burst: calls that may start at once after a pause; 0 allows those of one second.
    #[serde(default, skip_serializing_if = "words::is_default")]
    pub burst: u32,
    /// Most that the calls of a day (UTC) may cost (BILL-51).
    #[serde(default, with = "words::optional_amount", skip_serializing_if = "Option::is_none")]
    pub daily_cap: Option<Money>,
    /// Most that the calls of a month (UTC) may cost (BILL-51).
    #[serde(default, with = "words::optional_amount", skip_serializing_if = "Option::is_none")]
    pub monthly_cap: Option<Money>,
    /// Takes no calls from this instant on, UTC ms (BILL-45).
    #[serde(
        default,
        with = "crate::instant::optional_instant",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<u64>,
    /// Longest call; 0 s sets no limit (SIG-35).
    #[serde(default, with = "words::duration")]
    pub max_duration: Duration,
    /// Name of the deck: sell prices of a customer, buy prices of a vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deck: Option<String>,
    /// Duration and money rounding.
    #[serde(default)]
    pub rounding: Rounding,
}

fn no_credit() -> Option<Money> {
    Some(Money::ZERO)
}

/// Kinds of account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Pays us.
    #[default]
    Customer,
    /// Is paid by us.
    Vendor,
}

/// What happens to running calls when their account is locked (BILL-51) or at its threshold
/// (BILL-44).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunningCalls {
    /// They continue on the money reserved for them.
    #[default]
    Finish,
    /// They end.
    Cut,
}

impl RunningCalls {
    fn is_default(&self) -> bool {
        *self == RunningCalls::default()
    }
}

/// ISO 4217 code: three capital letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(String);

impl Currency {
    /// The code, such as `EUR`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Ok(Currency(text));
        }
        Err(format!("`{text}` is not a currency: expected three capital letters, such as \"EUR\""))
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.0
    }
}

/// Duration and money rounding (BILL-11, BILL-17, BILL-18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    /// Unit of duration rounding, 1 to 60,000 ms.
    #[serde(default = "one_second")]
    pub unit_ms: u32,
    /// Rounding direction.
    #[serde(default)]
    pub mode: DurationRounding,
    /// Decimal places of a charge, 0 to 10.
    #[serde(default = "seven")]
    pub decimals: u8,
    /// Above 0: charges are rounded up to a multiple of it instead.
    #[serde(default, with = "words::amount")]
    pub fee_unit: Money,
}

fn one_second() -> u32 {
    PriceRounding::default().unit_ms
}

fn seven() -> u8 {
    PriceRounding::default().decimals
}

impl Default for Rounding {
    fn default() -> Self {
        let PriceRounding { unit_ms, mode, decimals, fee_unit } = PriceRounding::default();
        Rounding { unit_ms, mode, decimals, fee_unit }
    }
}

impl From<Rounding> for PriceRounding {
    fn from(rounding: Rounding) -> PriceRounding {
        let Rounding { unit_ms, mode, decimals, fee_unit } = rounding;
        PriceRounding { unit_ms, mode, decimals, fee_unit }
    }
}
