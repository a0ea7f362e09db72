//! May this call go on?

use crate::bindings::screening::exports::strowger::policy::screening as wire;
use crate::{Call, Plugin, Rejection};

/// Asked when a call arrives, before its numbers are rewritten.
pub trait Screening: Plugin {
    /// May this call go on?
    fn screen(&mut self, question: &ScreenQuestion) -> Verdict;
}

/// A call that has just arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScreenQuestion {
    /// The call.
    pub call: Call,
    /// As received, after clean-up (NUM-02); empty: none.
    pub caller: String,
    /// As received, after clean-up (NUM-02).
    pub callee: String,
    /// Address the INVITE came from, without port.
    pub source: String,
    /// User-Agent header, empty if absent.
    pub user_agent: String,
}

/// Answer to a [`ScreenQuestion`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Refuse.
    Reject(Rejection),
    /// Ask the caller for digest credentials although the trunk is known by address.
    Challenge,
    /// Go on and keep these words in the record.
    Mark(Vec<String>),
}

impl From<wire::Question> for ScreenQuestion {
    fn from(question: wire::Question) -> Self {
        ScreenQuestion {
            call: question.call.into(),
            caller: question.caller,
            callee: question.callee,
            source: question.source,
            user_agent: question.user_agent,
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
