use crate::{CallFacts, Rejection, Text};
use serde::{Deserialize, Serialize};

/// Asked once, after the ingress rewrite (ROUTE-15 steps 8 and 9, SIG-82).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScreenQuestion {
    /// The call.
    pub call: CallFacts,
    /// Caller after the ingress rewrite; empty: none.
    pub caller: Text,
    /// Callee after the ingress rewrite.
    pub callee: Text,
    /// Address the INVITE came from, without port.
    pub source: Text,
}

/// Answer to [`ScreenQuestion`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proceed.
    Allow,
    /// Refuse.
    Reject(Rejection),
    /// Ask the caller for digest credentials.
    Challenge,
    /// Proceed and keep these words in the record.
    Mark(Vec<Text>),
}
