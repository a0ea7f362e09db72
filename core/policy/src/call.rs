//! Facts and refusals that all hooks share.

use crate::Text;
use serde::{Deserialize, Serialize};

/// A call, as every hook sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFacts {
    /// Time-sortable 128-bit call id (CDR-05); 32 hex digits in human-readable formats.
    #[serde(with = "call_id")]
    pub id: u128,
    /// When the INVITE arrived, UTC milliseconds.
    pub received_ms: u64,
    /// Numeric id of the customer trunk.
    pub trunk: u32,
    /// Numeric id of the account that pays.
    pub account: u32,
}

/// A refusal with the response code for the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// 400 to 699.
    pub code: u16,
    /// End reason of SIG-93, such as `caller_barred`.
    pub reason: Text,
    /// One line for the operator; never sent on the wire.
    pub detail: Text,
}

/// A call id: 32 hex digits in human-readable formats, a number in others.
mod call_id {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(id: &u128, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            to.collect_str(&format_args!("{id:032x}"))
        } else {
            id.serialize(to)
        }
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<u128, D::Error> {
        if !from.is_human_readable() {
            return u128::deserialize(from);
        }
        let digits = String::deserialize(from)?;
        u128::from_str_radix(&digits, 16)
            .map_err(|_| D::Error::custom(format!("call id `{digits}` is not hexadecimal")))
    }
}
