use crate::{CallFacts, Fault, Pin, PolicyMoney, Reply, Text};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most words that one answer may add to a record, and that a record keeps.
pub const MARKS: usize = 64;

/// Asked on answer and repeatedly while the call is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisionQuestion {
    /// The call.
    pub call: CallFacts,
    /// Number of this question within the call; 0 is the one on answer.
    pub asking: u32,
    /// Whole seconds since the answer.
    pub answered_s: u32,
    /// Seconds until the next question unless the answer sets another time; 0 means there is none.
    pub interval_s: u32,
    /// The vendor trunk that answered.
    pub trunk: u32,
    /// Caller after the ingress rewrite; empty: none.
    pub caller: Text,
    /// Callee after the ingress rewrite.
    pub callee: Text,
    /// The caller's price per minute after the initial block.
    pub sell_price: PolicyMoney,
    /// Words on the record so far.
    pub marks: Vec<Text>,
}

/// Answer to [`SupervisionQuestion`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisionAnswer {
    /// How the call continues.
    pub course: Course,
    /// Words for the record; words that it already has are not added again.
    #[serde(default)]
    pub marks: Vec<Text>,
    /// Seconds from this question to the next; 0 means [`SupervisionQuestion::interval_s`].
    #[serde(default)]
    pub ask_again_s: u32,
}

/// How a call that is up continues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// As before; an earlier limit stays.
    #[default]
    GoOn,
    /// At most this many seconds from this question, 1 or more. Replaces a limit that an earlier
    /// question set.
    Limit(u32),
    /// It ends now.
    End(Ending),
}

/// How and why a call that is up ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// End reason for the record (SIG-93).
    pub reason: Text,
    /// Q.850 cause sent to both sides, 1 to 127; 0 means the cause that corresponds to the code.
    #[serde(default)]
    pub cause: u8,
    /// Response code sent to both sides with it, 400 to 699; 0 means none.
    #[serde(default)]
    pub code: u16,
    /// One line for the operator; never sent on the wire.
    #[serde(default)]
    pub detail: Text,
}

impl SupervisionAnswer {
    /// How the call ends, if it ends.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        match &self.course {
            Course::End(ending) => Some(ending),
            Course::GoOn | Course::Limit(_) => None,
        }
    }

    /// Merges the answer of the next plugin of a chain to the same question: an end is final, the
    /// shorter limit and the earlier next question win, marks add up.
    pub fn join(&mut self, next: SupervisionAnswer, interval_s: u32) {
        self.course = match (std::mem::take(&mut self.course), next.course) {
            (end @ Course::End(_), _) | (_, end @ Course::End(_)) => end,
            (Course::Limit(before), Course::Limit(now)) => Course::Limit(before.min(now)),
            (limit @ Course::Limit(_), Course::GoOn) | (Course::GoOn, limit) => limit,
        };
        self.marks.extend(next.marks);
        let [before, now] = [self.ask_again_s, next.ask_again_s].map(|s| after(s, interval_s));
        self.ask_again_s = before.into_iter().chain(now).min().unwrap_or(0);
    }
}

/// In a few words, for trails and reports: `limit 30 s, mark long`.
impl fmt::Display for SupervisionAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.course {
            Course::GoOn => f.write_str("go on")?,
            Course::Limit(seconds) => write!(f, "limit {seconds} s")?,
            Course::End(Ending { reason, cause, code, .. }) => {
                write!(f, "end {reason}")?;
                for (word, number) in [("code", *code), ("cause", u16::from(*cause))] {
                    if number > 0 {
                        write!(f, " {word} {number}")?;
                    }
                }
            }
        }
        if !self.marks.is_empty() {
            write!(f, ", mark {}", self.marks.join(" "))?;
        }
        if (1..u32::MAX).contains(&self.ask_again_s) {
            write!(f, ", ask again after {} s", self.ask_again_s)?;
        }
        Ok(())
    }
}

/// Seconds until the next question; `None` if there is none.
fn after(ask_again_s: u32, interval_s: u32) -> Option<u32> {
    let seconds = if ask_again_s == 0 { interval_s } else { ask_again_s };
    (seconds > 0).then_some(seconds)
}

/// Adds words to a record: each once, at most [`MARKS`] in all.
pub fn add_marks(marks: &mut Vec<Text>, words: impl IntoIterator<Item = Text>) {
    for word in words {
        if marks.len() < MARKS && !marks.contains(&word) {
            marks.push(word);
        }
    }
}

/// The calls that are supervised: those for which a plugin answers the hook. As with chains, the
/// setting of the customer trunk overrides that of the account, which overrides the general one. By
/// default no call is supervised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supervised {
    everyone: bool,
    /// The exceptions.
    narrower: Option<Arc<Narrower>>,
}

/// Settings for the calls of some trunks and accounts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Narrower {
    trunks: HashMap<u32, bool>,
    accounts: HashMap<u32, bool>,
}

impl Supervised {
    /// Whether a plugin is asked about every call, about the calls of these trunks, and about those
    /// of these accounts.
    #[must_use]
    pub fn new(
        everyone: bool,
        trunks: impl IntoIterator<Item = (u32, bool)>,
        accounts: impl IntoIterator<Item = (u32, bool)>,
    ) -> Supervised {
        let differs = |(_, supervised): &(u32, bool)| *supervised != everyone;
        // An account's setting applies to a trunk only if the trunk has none.
        let trunks: HashMap<u32, bool> = trunks.into_iter().collect();
        let accounts: HashMap<u32, bool> = accounts.into_iter().filter(differs).collect();
        let same = accounts.is_empty() && trunks.values().all(|it| *it == everyone);
        let narrower = (!same).then(|| Arc::new(Narrower { trunks, accounts }));
        Supervised { everyone, narrower }
    }

    /// Every call.
    #[must_use]
    pub fn everyone() -> Supervised {
        Supervised { everyone: true, narrower: None }
    }

    /// Whether a plugin is asked about this call.
    #[must_use]
    pub fn covers(&self, call: CallFacts) -> bool {
        let Some(narrower) = &self.narrower else { return self.everyone };
        let trunk = narrower.trunks.get(&call.trunk);
        let said = trunk.or_else(|| narrower.accounts.get(&call.account));
        said.copied().unwrap_or(self.everyone)
    }
}

/// The supervision of one call that is up: its next question, the time of that, and the results so
/// far. Only one question is open at a time; the call asks it and brings the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supervisor {
    answered: Instant,
    interval_s: u32,
    /// Number of the next question.
    next: u32,
    /// When it is due; `None` while a question is open, or if there are no more.
    due: Option<Instant>,
    /// When the open question was asked, or the last one.
    asked: Instant,
    limit: Option<Instant>,
}

/// The times of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// [`SupervisionQuestion::asking`].
    pub number: u32,
    /// [`SupervisionQuestion::answered_s`].
    pub answered_s: u32,
    /// [`SupervisionQuestion::interval_s`].
    pub interval_s: u32,
}

/// The effect of a reply on a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supervision {
    /// Words for the record, by [`add_marks`].
    pub marks: Vec<Text>,
    /// The call ends now, in this way.
    pub ending: Option<Ending>,
}

/// The parts of a [`Supervisor`], for saving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupervisorMoments {
    /// When the call was answered.
    pub answered: Instant,
    /// Seconds between two questions; 0 asks again only if an answer requests it.
    pub interval_s: u32,
    /// Number of the next question.
    pub next: u32,
    /// When it is due; `None` while a question is open, or if there are no more.
    pub due: Option<Instant>,
    /// When the open question was asked, or the last one.
    pub asked: Instant,
    /// The moment until which the call may last.
    pub limit: Option<Instant>,
}

impl From<SupervisorMoments> for Supervisor {
    fn from(moments: SupervisorMoments) -> Supervisor {
        let SupervisorMoments { answered, interval_s, next, due, asked, limit } = moments;
        Supervisor { answered, interval_s, next, due, asked, limit }
    }
}

impl Supervisor {
    /// The parts of this supervisor.
    #[must_use]
    pub fn moments(&self) -> SupervisorMoments {
        let Supervisor { answered, interval_s, next, due, asked, limit } = *self;
        SupervisorMoments { answered, interval_s, next, due, asked, limit }
    }

    /// The answer to the open question will not come: asks it again now.
    pub fn ask_again(&mut self, now: Instant) {
        self.next = self.next.saturating_sub(1);
        self.due = Some(now);
    }

    /// The supervisor of a call answered now; `None` if no plugin is asked about it. The first
    /// question is due at once, further ones every `interval`; if it is zero, only when an answer
    /// requests one.
    #[must_use]
    pub fn of(
        pin: &Pin,
        call: CallFacts,
        interval: Duration,
        answered: Instant,
    ) -> Option<Supervisor> {
        pin.supervised.covers(call).then(|| Supervisor {
            answered,
            interval_s: u32::try_from(interval.as_secs()).unwrap_or(u32::MAX),
            next: 0,
            due: Some(answered),
            asked: answered,
            limit: None,
        })
    }

    /// When the next question is due; `None` while one is open, or if there are no more.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The moment until which the call may last, from the last limit that an answer set.
    #[must_use]
    pub fn limit(&self) -> Option<Instant> {
        self.limit
    }

    /// Asks a question now.
    pub fn ask(&mut self, now: Instant) -> Asking {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        (self.due, self.asked) = (None, now);
        let answered_s = now.saturating_duration_since(self.answered).as_secs();
        Asking {
            number,
            answered_s: u32::try_from(answered_s).unwrap_or(u32::MAX),
            interval_s: self.interval_s,
        }
    }

    /// Takes the reply to the open question. Times count from the moment it was asked, so that a
    /// slow answer shifts nothing. Without an answer the call continues, unless the operator chose
    /// otherwise; if there is no plugin, no more questions follow.
    pub fn settle(&mut self, reply: Reply) -> Supervision {
        let answer = match reply.outcome {
            Ok(crate::Answer::Supervise(answer)) => answer,
            Ok(_) => SupervisionAnswer::default(),
            Err(Fault::Absent) => return Supervision::default(),
            Err(fault) if reply.rejects => {
                return Supervision { marks: Vec::new(), ending: Some(Ending::failed(&fault)) };
            }
            Err(_) => SupervisionAnswer::default(),
        };
        let later = |seconds: u32| self.asked.checked_add(Duration::from_secs(seconds.into()));
        self.due = after(answer.ask_again_s, self.interval_s).and_then(later);
        let SupervisionAnswer { course, marks, .. } = answer;
        let ending = match course {
            Course::GoOn => None,
            Course::Limit(seconds) => {
                self.limit = later(seconds);
                None
            }
            Course::End(ending) => Some(ending),
        };
        Supervision { marks, ending }
    }
}

impl Ending {
    /// The ending after a failure of a plugin that the operator requires.
    fn failed(fault: &Fault) -> Ending {
        Ending {
            reason: "internal_error".into(),
            cause: 41,
            code: 503,
            detail: crate::Text::from(format!("supervision: {fault}")),
        }
    }
}

#[cfg(test)]
mod tests;
