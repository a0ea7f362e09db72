use crate::{
    Advance, AdvanceQuestion, CallFacts, Charge, Hook, IdentityAnswer, IdentityQuestion,
    NumberAnswer, NumberQuestion, PluginStamp, RateQuestion, Rejection, RouteQuestion,
    ScreenQuestion, SupervisionAnswer, SupervisionQuestion, Text, Verdict,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

/// A question of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// May this call proceed?
    Screen(ScreenQuestion),
    /// Which numbers are used?
    Number(NumberQuestion),
    /// What does it cost?
    Rate(RateQuestion),
    /// Which vendor trunks, in which order?
    Route(RouteQuestion),
    /// What happens after a failed attempt?
    Advance(AdvanceQuestion),
    /// Which caller identity does the vendor see?
    Identity(IdentityQuestion),
    /// May this call, which is up, continue?
    Supervise(SupervisionQuestion),
    /// Notified, not asked: answered with [`Answer::Noted`].
    Event(EventNotice),
}

impl Question {
    /// The hook that answers it.
    #[must_use]
    pub fn hook(&self) -> Hook {
        match self {
            Question::Screen(_) => Hook::Screening,
            Question::Number(_) => Hook::Numbering,
            Question::Rate(_) => Hook::Rating,
            Question::Route(_) | Question::Advance(_) => Hook::Routing,
            Question::Identity(_) => Hook::Identity,
            Question::Supervise(_) => Hook::Supervision,
            Question::Event(_) => Hook::Events,
        }
    }

    /// The call that asks.
    #[must_use]
    pub fn call(&self) -> CallFacts {
        match self {
            Question::Screen(question) => question.call,
            Question::Number(question) => question.call,
            Question::Rate(question) => question.call,
            Question::Route(question) => question.call,
            Question::Advance(question) => question.call,
            Question::Identity(question) => question.call,
            Question::Supervise(question) => question.call,
            Question::Event(notice) => notice.call,
        }
    }
}

/// An answer that a call accepts; its variant matches the question's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Question::Screen`].
    Screen(Verdict),
    /// To [`Question::Number`].
    Number(Result<NumberAnswer, Rejection>),
    /// To [`Question::Rate`].
    Rate(Charge),
    /// To [`Question::Route`]: trunk ids, first to last.
    Route(Result<Vec<u32>, Rejection>),
    /// To [`Question::Advance`].
    Advance(Advance),
    /// To [`Question::Identity`].
    Identity(Result<IdentityAnswer, Rejection>),
    /// To [`Question::Supervise`].
    Supervise(SupervisionAnswer),
    /// To [`Question::Event`].
    Noted,
}

/// Why no plugin answered.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Fault {
    /// No plugin is loaded for the hook.
    #[error("no plugin is loaded for this hook")]
    Absent,
    /// It ran past its deadline of so many milliseconds; the text says where it was, and may be
    /// empty.
    #[error("deadline of {0} ms passed{place}", place = appended(.1))]
    Deadline(u32, String),
    /// It trapped: unreachable, stack overflow, out-of-bounds access. The text begins with its own
    /// last words, such as a panic message, and ends with the functions that it was in. At most
    /// 1,024 bytes on one line; lines of the plugin are joined by ` | `.
    #[error("trapped: {0}")]
    Trap(String),
    /// It asked for more memory than it may have.
    #[error("memory limit reached: {0}")]
    Memory(String),
    /// It answered something that the call cannot use.
    #[error("answer is not usable: {0}")]
    Nonsense(String),
    /// It answered with an error: it should have decided, but could not.
    #[error("plugin says: {0}")]
    Refused(String),
    /// It waited for an external server longer than a question may take.
    #[error("no answer within {0} ms")]
    Timeout(u32),
    /// The limit of its questions that may wait for external servers is reached.
    #[error("{0} of its questions are waiting, no more may")]
    Busy(u32),
    /// Its instance failed, and the replacement, which takes long to build, is not ready.
    #[error("a new instance is being made after a fault")]
    Starting,
    /// It was not asked, because it had so many faults in a row.
    #[error("left out for a while after {0} faults in a row")]
    LeftOut(u32),
}

impl Fault {
    /// Whether the plugin works and chose to report an error: this counts as a rejection, and no
    /// other build is asked instead.
    #[must_use]
    pub fn is_deliberate(&self) -> bool {
        matches!(self, Fault::Refused(_))
    }
}

fn appended(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// An answer with its origin, for the decision trail.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The answer, or the fault; after a fault the hook's fallback applies.
    pub outcome: Result<Answer, Fault>,
    /// The plugin that answered; `None` if the hook has no plugin.
    pub plugin: Option<Arc<PluginStamp>>,
    /// Time the host spent, nanoseconds.
    pub nanos: u64,
    /// The first choice failed and another build of the plugin answered: the previous version
    /// (rating, routing), or the live one for a canary.
    pub by_previous: bool,
    /// The build of `plugin` that failed, if another one answered in its place.
    pub instead_of: Option<Box<FailedBuild>>,
    /// There is no answer, and the operator requires this plugin: a call that it did not screen is
    /// refused, a call that it did not supervise is ended. False for every other hook.
    pub rejects: bool,
    /// If several plugins were asked in turn: those before `plugin`, in order.
    pub earlier: Vec<EarlierStep>,
}

/// The answer of an earlier plugin in a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlierStep {
    /// The plugin.
    pub plugin: Arc<PluginStamp>,
    /// Its answer, `None` if it left the decision to the next plugin, or its fault.
    pub outcome: Result<Option<Answer>, Fault>,
    /// Time it took, nanoseconds.
    pub nanos: u64,
    /// The build of `plugin` that failed, if another one answered in its place.
    pub instead_of: Option<Box<FailedBuild>>,
}

/// A build that failed, so that another build of the same plugin was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedBuild {
    /// The build.
    pub plugin: Arc<PluginStamp>,
    /// How it failed.
    pub fault: Fault,
    /// Time it took, nanoseconds; part of the time of the whole answer.
    pub nanos: u64,
}

/// A state change of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventNotice {
    /// The call.
    pub call: CallFacts,
    /// What happened.
    pub kind: EventKind,
    /// When, UTC milliseconds.
    pub at_ms: u64,
    /// The vendor trunk; 0 if none.
    pub trunk: u32,
    /// The response code; 0 if none.
    pub code: u16,
    /// Answered milliseconds; 0 before answer.
    pub duration_ms: u64,
    /// Caller after the ingress rewrite.
    pub caller: Text,
    /// Callee after the ingress rewrite.
    pub callee: Text,
}

/// Kinds of [`EventNotice`] (CDR-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The call was admitted to the checks.
    Incoming,
    /// Choices were made.
    Routed,
    /// An INVITE was sent to a vendor.
    Attempt,
    /// The vendor is alerting.
    Ringing,
    /// Answered.
    Answered,
    /// Put on hold by either side.
    Held,
    /// Taken back from hold.
    Resumed,
    /// An attempt failed.
    Failed,
    /// The call ended.
    Ended,
}
