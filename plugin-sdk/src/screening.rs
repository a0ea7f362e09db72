//! May this call proceed?

use crate::bindings::screening::exports::strowger::policy::screening as wire;
use crate::{Call, Plugin, Rejection};

/// Asked once, after the ingress rewrite. The User-Agent and the numbers as received are at
/// [`crate::host::call`].
pub trait Screening: Plugin {
    /// May this call proceed?
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict;
}

/// A call to be screened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScreenQuestion {
    /// The call.
    pub call: Call,
    /// After the ingress rewrite; empty: none.
    pub caller: String,
    /// After the ingress rewrite.
    pub callee: String,
    /// Address the INVITE came from, without port.
    pub source: String,
}

/// Answer to a [`ScreenQuestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proceed.
    Allow,
    /// Refuse.
    Reject(Rejection),
    /// Ask the caller for digest credentials although the trunk is known by address.
    Challenge,
    /// Proceed and keep these words in the record.
    Mark(Vec<String>),
}

impl From<wire::Question> for ScreenQuestion {
    fn from(question: wire::Question) -> Self {
        ScreenQuestion {
            call: question.call.into(),
            caller: question.caller,
            callee: question.callee,
            source: question.source,
        }
    }
}

impl From<Verdict> for wire::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => wire::Verdict::Allow,
            Verdict::Reject(rejection) => wire::Verdict::Reject(rejection.into()),
            Verdict::Challenge => wire::Verdict::Challenge,
            Verdict::Mark(words) => wire::Verdict::Mark(words),
        }
    }
}
