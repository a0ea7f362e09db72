//! The most significant differences, in short form.

use super::compare::{Difference, Kind};
use super::report::Money;
use super::trace::lines;
use super::{Compared, Names};
use policy::{Advance, Answer, Fault, Question, Rejection, Side, Stage, Verdict};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;

/// One decision that would have been different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Id of the call, as in its record.
    pub call: String,
    /// When it was asked, UTC milliseconds.
    pub at_ms: u64,
    /// The hook.
    pub hook: &'static str,
    /// The kinds of difference.
    pub kinds: Vec<Kind>,
    /// The question, in short.
    pub question: String,
    /// The answer then.
    pub before: String,
    /// The answer of the build.
    pub after: String,
    /// Lines that the build logged meanwhile.
    pub log: Vec<String>,
}

/// Most significant first: lost calls, then money, then first choices; earlier ones first among
/// equals.
type Rank = (u8, Reverse<u64>, u64);

/// Keeps the most significant ones.
#[derive(Debug)]
pub(super) struct Sharpest {
    limit: usize,
    met: u64,
    kept: Vec<(Rank, Example)>,
}

impl Sharpest {
    pub(super) fn new(limit: usize) -> Sharpest {
        Sharpest { limit, met: 0, kept: Vec::new() }
    }

    pub(super) fn meet(&mut self, difference: &Difference, example: impl FnOnce() -> Example) {
        self.met += 1;
        let money = difference.price.unsigned_abs().max(difference.margin.unsigned_abs());
        let class = match difference {
            it if it.loses() || it.has(Kind::NewFault) => 0,
            _ if money > 0 => 1,
            it if it.has(Kind::FirstRoute) => 2,
            _ => 3,
        };
        let rank = (class, Reverse(money), self.met);
        if self.kept.len() >= self.limit && self.kept.last().is_none_or(|(last, _)| *last < rank) {
            return;
        }
        let at = self.kept.partition_point(|(known, _)| *known < rank);
        self.kept.insert(at, (rank, example()));
        self.kept.truncate(self.limit);
    }

    pub(super) fn into_examples(self) -> Vec<Example> {
        self.kept.into_iter().map(|(_, example)| example).collect()
    }
}

pub(super) fn example(compared: &Compared, difference: &Difference, names: &Names) -> Example {
    let decision = &compared.decision;
    Example {
        call: call_id(decision.question.call().id),
        at_ms: decision.at_ms,
        hook: decision.question.hook().name(),
        kinds: difference.kinds.clone(),
        question: asked(&decision.question, names),
        before: answered(&compared.old, names),
        after: answered(&compared.new, names),
        log: lines(&compared.log),
    }
}

/// In the form of `strowger cdr`.
pub(super) fn call_id(id: u128) -> String {
    let digits = format!("{id:032x}");
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]).join("-")
}

pub(super) fn trunk(names: &HashMap<u32, String>, id: u32) -> String {
    names.get(&id).cloned().unwrap_or_else(|| id.to_string())
}

pub(super) fn asked(question: &Question, names: &Names) -> String {
    let vendor = |id| trunk(&names.vendors, id);
    match question {
        Question::Screen(question) => {
            format!("{} calls {} from {}", question.caller, question.callee, question.source)
        }
        Question::Number(question) => match question.stage {
            Stage::Ingress => format!("{} calls {}", question.caller, question.callee),
            Stage::Egress => {
                let vendor = vendor(question.trunk);
                format!("{} calls {} over {vendor}", question.caller, question.callee)
            }
        },
        Question::Rate(question) => {
            let seconds = question.duration_ms.div_ceil(1_000);
            let price = Money(question.row.price_next.into());
            let (side, trunk) = match question.subject.side {
                Side::Sell => ("customer", trunk(&names.customers, question.subject.trunk)),
                Side::Buy => ("vendor", vendor(question.subject.trunk)),
            };
            format!("{seconds} s at {price} a minute, {side} {trunk}")
        }
        Question::Route(question) => {
            let candidates = question.candidates.len();
            let price = Money(question.sell_price.into());
            format!(
                "{} calls {} at {price} a minute, {candidates} candidates",
                question.caller, question.callee
            )
        }
        Question::Advance(question) => {
            let vendor = vendor(question.trunk);
            format!("{vendor} failed with {}, {} left", question.code, question.remaining)
        }
        Question::Identity(question) => {
            format!("{} over {}", question.caller_out, vendor(question.trunk))
        }
        Question::Supervise(question) => {
            let vendor = vendor(question.trunk);
            format!(
                "{} calls {} over {vendor}, up for {} s",
                question.caller, question.callee, question.answered_s
            )
        }
        Question::Event(notice) => format!("{:?}", notice.kind).to_lowercase(),
    }
}

pub(super) fn answered(outcome: &Result<Option<Answer>, Fault>, names: &Names) -> String {
    let rejected = |it: &Rejection| format!("reject {} {}", it.code, it.reason);
    let answer = match outcome {
        Ok(Some(answer)) => answer,
        Ok(None) => return "left to others".to_owned(),
        Err(fault) => return format!("no answer: {fault}"),
    };
    match answer {
        Answer::Screen(Verdict::Allow) => "allow".to_owned(),
        Answer::Screen(Verdict::Challenge) => "challenge".to_owned(),
        Answer::Screen(Verdict::Mark(words)) => format!("mark {}", words.join(", ")),
        Answer::Screen(Verdict::Reject(rejection))
        | Answer::Number(Err(rejection))
        | Answer::Route(Err(rejection))
        | Answer::Identity(Err(rejection)) => rejected(rejection),
        Answer::Number(Ok(answer)) => {
            let mut text = format!("{} calls {}", answer.caller, answer.callee);
            for (word, value) in [
                ("identity", &answer.identity),
                ("routed as", &answer.route_as),
                ("rated as", &answer.rate_as),
                ("parameters", &answer.uri_parameters),
            ] {
                if !value.is_empty() {
                    text += &format!(", {word} {value}");
                }
            }
            text
        }
        Answer::Rate(charge) => {
            format!("{} for {} s", Money(charge.amount.into()), charge.billed_seconds)
        }
        Answer::Route(Ok(trunks)) => {
            let trunks: Vec<String> = trunks.iter().map(|id| trunk(&names.vendors, *id)).collect();
            trunks.join(", ")
        }
        Answer::Advance(Advance::Next) => "next".to_owned(),
        Answer::Advance(Advance::Stop) => "stop".to_owned(),
        Answer::Advance(Advance::StopWith(code)) => format!("stop with {code}"),
        Answer::Identity(Ok(answer)) => {
            let headers: Vec<String> =
                answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let from = format!("{:?} {}@{}", answer.display, answer.user, answer.host);
            format!("{from} {}", headers.join("; ")).trim_end().to_owned()
        }
        Answer::Supervise(answer) => answer.to_string(),
        Answer::Noted => "noted".to_owned(),
    }
}
