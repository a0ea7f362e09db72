use crate::CallFacts;
use crate::Text;
use serde::{Deserialize, Serialize};

/// The point in a call at which numbers change (NUM-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Customer trunk: `*_in` to `*_route`.
    Ingress,
    /// Vendor trunk, once per attempt: `*_route` to `*_out`.
    Egress,
}

/// Asked once at ingress and once per attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberQuestion {
    /// The call.
    pub call: CallFacts,
    /// Ingress or egress.
    pub stage: Stage,
    /// Customer trunk at ingress, vendor trunk at egress.
    pub trunk: u32,
    /// Caller; empty: none.
    pub caller: Text,
    /// Callee.
    pub callee: Text,
    /// Identity number chosen by the previous plugin; empty for the first plugin.
    #[serde(default)]
    pub identity: Text,
    /// Handle of the caller's rule set; 0 is none.
    pub caller_rules: u64,
    /// Handle of the callee's rule set; 0 is none.
    pub callee_rules: u64,
    /// Handle of the identity rule set (NUM-22); 0 is none. Egress only.
    pub identity_rules: u64,
    /// Literal put before the callee after its rewrite (NUM-10). Egress only.
    pub tech_prefix: Text,
    /// Reject if rules exist and none matches the callee (NUM-19).
    pub reject_unmatched: bool,
}

/// Answer to [`NumberQuestion`]; every string but the callee may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberAnswer {
    /// New caller.
    pub caller: Text,
    /// New callee.
    pub callee: Text,
    /// Number for PAI, PPI and RPID.
    pub identity: Text,
    /// Ingress: number that chooses the route instead of the callee (ROUTE-62).
    #[serde(default)]
    pub route_as: Text,
    /// Ingress: number that chooses the rate instead of the callee (ROUTE-62).
    #[serde(default)]
    pub rate_as: Text,
    /// Egress: parameters of the called number in the Request-URI (RFC 4694).
    #[serde(default)]
    pub uri_parameters: Text,
}

/// Whether a call can have this number after a rewrite: 1 to 64 characters of
/// `0-9 + * # A-Z a-z . _ -`, `+` only in the first place (NUM-03).
#[must_use]
pub fn is_number(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().enumerate().all(|(at, byte)| match byte {
            b'+' => at == 0,
            b'*' | b'#' | b'.' | b'_' | b'-' => true,
            other => other.is_ascii_alphanumeric(),
        })
}
