//! May this call, which is up, continue?

use crate::bindings::supervision::exports::strowger::policy::supervision as wire;
use crate::{Call, Money, Plugin, Reason, TrunkId};

/// Asked when a call is answered, and repeatedly while it is up.
pub trait Supervision: Plugin {
    /// How does this call continue? The parties keep talking in the meantime.
    fn supervise(&mut self, question: &SupervisionQuestion) -> SupervisionAnswer;
}

/// A call that is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SupervisionQuestion {
    /// The call.
    pub call: Call,
    /// Number of this question within the call; 0 is the one on answer.
    pub asking: u32,
    /// Whole seconds since the answer.
    pub answered_s: u32,
    /// Seconds until the next question unless the answer sets another time; 0 means there is none.
    pub interval_s: u32,
    /// The vendor trunk that answered.
    pub trunk: TrunkId,
    /// After the ingress rewrite; empty: none.
    pub caller: String,
    /// After the ingress rewrite.
    pub callee: String,
    /// The caller's price per minute after the initial block.
    pub sell_price: Money,
    /// Words on the record so far.
    pub marks: Vec<String>,
}

/// Answer to a [`SupervisionQuestion`].
///
/// ```
/// use plugin_sdk::{Course, SupervisionAnswer};
/// let answer = SupervisionAnswer::limit(90).mark("long").ask_again(30);
/// assert_eq!((answer.course, answer.ask_again_s), (Course::Limit(90), 30));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SupervisionAnswer {
    /// How the call continues.
    pub course: Course,
    /// Words kept in the record; words that it already has are not added again.
    pub marks: Vec<String>,
    /// Seconds from this question to the next; 0 means [`SupervisionQuestion::interval_s`].
    pub ask_again_s: u32,
}

/// How a call that is up continues. Times count from the question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Course {
    /// As before; an earlier limit stays.
    #[default]
    GoOn,
    /// At most this many seconds more, 1 or more; this replaces an earlier limit.
    Limit(u32),
    /// It ends now.
    End(Ending),
}

/// How and why a call that is up ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Written to the record.
    pub reason: Reason,
    /// Q.850 cause sent to both sides, 1 to 127; 0 means the cause that corresponds to `code`.
    pub cause: u8,
    /// Response code sent to both sides with it, 400 to 699; 0 means none.
    pub code: u16,
    /// One line for the operator who reads the record; never sent on the wire.
    pub detail: String,
}

impl SupervisionAnswer {
    /// The call continues.
    #[must_use]
    pub fn go_on() -> Self {
        SupervisionAnswer::default()
    }

    /// The call lasts at most this many seconds more.
    #[must_use]
    pub fn limit(seconds: u32) -> Self {
        SupervisionAnswer { course: Course::Limit(seconds), ..SupervisionAnswer::default() }
    }

    /// The call ends now, and both sides get this Q.850 cause (1 to 127; the host treats anything
    /// else as a fault of the plugin).
    #[must_use]
    pub fn end(reason: Reason, cause: u8, detail: impl Into<String>) -> Self {
        let ending = Ending { reason, cause, code: 0, detail: detail.into() };
        SupervisionAnswer { course: Course::End(ending), ..SupervisionAnswer::default() }
    }

    /// Keeps a word in the record.
    #[must_use]
    pub fn mark(mut self, word: impl Into<String>) -> Self {
        self.marks.push(word.into());
        self
    }

    /// Asks again this many seconds after this question.
    #[must_use]
    pub fn ask_again(self, seconds: u32) -> Self {
        SupervisionAnswer { ask_again_s: seconds, ..self }
    }

    /// Does not ask about this call again, unless another plugin of the chain requests it.
    #[must_use]
    pub fn ask_no_more(self) -> Self {
        self.ask_again(u32::MAX)
    }
}

impl From<wire::Question> for SupervisionQuestion {
    fn from(question: wire::Question) -> Self {
        SupervisionQuestion {
            call: question.call.into(),
            asking: question.asking,
            answered_s: question.answered_s,
            interval_s: question.interval_s,
            trunk: TrunkId(question.trunk),
            caller: question.caller,
            callee: question.callee,
            sell_price: Money(question.sell_price),
            marks: question.marks,
        }
    }
}

impl From<SupervisionAnswer> for wire::Answer {
    fn from(answer: SupervisionAnswer) -> Self {
        let course = match answer.course {
            Course::GoOn => wire::Course::GoOn,
            Course::Limit(seconds) => wire::Course::Limit(seconds),
            Course::End(ending) => wire::Course::End(wire::Ending {
                reason: ending.reason.into_word(),
                cause: ending.cause,
                code: ending.code,
                detail: ending.detail,
            }),
        };
        wire::Answer { course, marks: answer.marks, ask_again_s: answer.ask_again_s }
    }
}
