//! Types shared by all hooks.

use crate::bindings::host::strowger::policy::types as wire;
use std::fmt;

/// Numeric id of a customer trunk or a vendor trunk, assigned by the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrunkId(
    /// The same number as in records and on the console.
    pub u32,
);

impl fmt::Display for TrunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Numeric id of an account, assigned by the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(
    /// The same number as in records and on the console.
    pub u32,
);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The call that a question is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// 128-bit, time-sortable (CDR-05); the same in logs and records.
    pub id: u128,
    /// When the INVITE arrived, milliseconds since 1970-01-01 UTC.
    pub received_ms: u64,
    /// The customer trunk.
    pub trunk: TrunkId,
    /// The account that pays.
    pub account: AccountId,
}

impl From<wire::Call> for Call {
    fn from(call: wire::Call) -> Self {
        Call {
            id: u128::from(call.id_high) << 64 | u128::from(call.id_low),
            received_ms: call.received_ms,
            trunk: TrunkId(call.trunk),
            account: AccountId(call.account),
        }
    }
}

/// End reason of a refused or ended call (SIG-93), as written to the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Caller not allowed, on a list, or not owned by the account.
    CallerBarred,
    /// Forbidden destination.
    DestinationBarred,
    /// Call type not allowed for the payer.
    CallTypeDenied,
    /// Blocked temporarily by a rule on behaviour (SEC-18).
    DynamicBlock,
    /// A calendar forbids the call.
    OutOfHours,
    /// Empty or illegal number after a rewrite.
    NumberInvalid,
    /// No price for the destination.
    NoRate,
    /// No vendor trunk has the prefix.
    NoRoute,
    /// Vendor trunks exist, but none can be used.
    NoRouteAvailable,
    /// A rate limit was reached.
    CpsLimit,
    /// The plugin failed to decide: its rules or data are broken.
    InternalError,
    /// Any other word: 1 to 64 of a-z, 0-9 and `_`; the host treats anything else as a fault
    /// of the plugin.
    Other(String),
}

impl Reason {
    /// [`Reason::as_str`] by value, without copying the plugin's own word.
    pub(crate) fn into_word(self) -> String {
        match self {
            Reason::Other(word) => word,
            known => known.as_str().to_owned(),
        }
    }

    /// The word in the record, such as `caller_barred`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Reason::CallerBarred => "caller_barred",
            Reason::DestinationBarred => "destination_barred",
            Reason::CallTypeDenied => "call_type_denied",
            Reason::DynamicBlock => "dynamic_block",
            Reason::OutOfHours => "out_of_hours",
            Reason::NumberInvalid => "number_invalid",
            Reason::NoRate => "no_rate",
            Reason::NoRoute => "no_route",
            Reason::NoRouteAvailable => "no_route_available",
            Reason::CpsLimit => "cps_limit",
            Reason::InternalError => "internal_error",
            Reason::Other(word) => word,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal with the response code for the caller, before answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// SIP response code, 400 to 699.
    pub code: u16,
    /// Written to the record.
    pub reason: Reason,
    /// One line for the operator who reads the record; never sent on the wire.
    pub detail: String,
}

impl Rejection {
    /// Refuses with `code` (400 to 699; the host treats anything else as a fault of the
    /// plugin).
    #[must_use]
    pub fn new(code: u16, reason: Reason, detail: impl Into<String>) -> Self {
        Rejection { code, reason, detail: detail.into() }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.detail)
    }
}

impl From<Rejection> for wire::Rejection {
    fn from(rejection: Rejection) -> Self {
        wire::Rejection {
            code: rejection.code,
            reason: rejection.reason.into_word(),
            detail: rejection.detail,
        }
    }
}
