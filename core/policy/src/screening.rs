use crate::{CallFacts, Rejection};

/// Asked when a call arrives, before numbers are rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScreenQuestion {
    /// The call.
    pub call: CallFacts,
    /// Caller as received, after clean-up (NUM-02).
    pub caller: String,
    /// Callee as received, after clean-up (NUM-02).
    pub callee: String,
    /// Address the INVITE came from, without port.
    pub source: String,
    /// User-Agent, empty if absent.
    pub user_agent: String,
}

/// Answer to [`ScreenQuestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Refuse.
    Reject(Rejection),
    /// Ask the caller for digest credentials.
    Challenge,
    /// Go on and keep these words in the record.
    Mark(Vec<String>),
}
