//! Combines the answers of a chain.

use policy::{Advance, Answer, IdentityAnswer, NumberAnswer, Question, SupervisionAnswer, Verdict};
use std::collections::HashMap;

/// The combined answer so far, link by link.
pub(crate) struct Fold {
    /// The question to the next link; none: the original question.
    question: Option<Question>,
    so_far: Option<Answer>,
}

/// Whether the next link is asked.
#[derive(PartialEq, Eq)]
pub(crate) enum Step {
    /// The next link is asked.
    Go,
    /// Everything is decided.
    Done,
}

impl Fold {
    pub(crate) fn new() -> Fold {
        Fold { question: None, so_far: None }
    }

    pub(crate) fn question<'a>(&'a self, asked: &'a Question) -> &'a Question {
        self.question.as_ref().unwrap_or(asked)
    }

    /// The combined answer; none if no link gave one.
    pub(crate) fn finish(self) -> Option<Answer> {
        self.so_far
    }

    /// Adds the answer of a link.
    pub(crate) fn add(&mut self, asked: &Question, answer: Answer) -> Step {
        match answer {
            Answer::Screen(verdict) => self.screened(verdict),
            Answer::Number(Ok(numbers)) => {
                self.numbered(asked, numbers);
                Step::Go
            }
            Answer::Route(Ok(trunks)) => {
                self.routed(asked, &trunks);
                self.so_far = Some(Answer::Route(Ok(trunks)));
                Step::Go
            }
            Answer::Identity(Ok(identity)) => {
                self.identified(asked, identity);
                Step::Go
            }
            Answer::Supervise(answer) => self.supervised(asked, answer),
            Answer::Noted => {
                self.so_far = Some(Answer::Noted);
                Step::Go
            }
            decided => {
                self.so_far = Some(decided);
                Step::Done
            }
        }
    }

    /// The first plugin that rejects or challenges decides; marks add up.
    fn screened(&mut self, verdict: Verdict) -> Step {
        match (verdict, &mut self.so_far) {
            (Verdict::Allow, Some(_)) => Step::Go,
            (Verdict::Mark(words), Some(Answer::Screen(Verdict::Mark(marks)))) => {
                marks.extend(words);
                Step::Go
            }
            (verdict @ (Verdict::Allow | Verdict::Mark(_)), so_far) => {
                *so_far = Some(Answer::Screen(verdict));
                Step::Go
            }
            (decided, so_far) => {
                *so_far = Some(Answer::Screen(decided));
                Step::Done
            }
        }
    }

    /// Each plugin gets the numbers of the one before; an answer that only one of them gave stays.
    fn numbered(&mut self, asked: &Question, mut numbers: NumberAnswer) {
        if let Some(Answer::Number(Ok(before))) = self.so_far.take() {
            for (new, old) in [
                (&mut numbers.route_as, before.route_as),
                (&mut numbers.rate_as, before.rate_as),
                (&mut numbers.uri_parameters, before.uri_parameters),
            ] {
                if new.is_empty() {
                    *new = old;
                }
            }
        }
        if let Question::Number(next) = self.question.get_or_insert_with(|| asked.clone()) {
            next.caller.clone_from(&numbers.caller);
            next.callee.clone_from(&numbers.callee);
            next.identity.clone_from(&numbers.identity);
        }
        self.so_far = Some(Answer::Number(Ok(numbers)));
    }

    /// The first plugin that ends the call decides; each sees the marks of those before.
    fn supervised(&mut self, asked: &Question, answer: SupervisionAnswer) -> Step {
        let Question::Supervise(first) = asked else { return Step::Go };
        let step = if answer.ending().is_some() { Step::Done } else { Step::Go };
        if step == Step::Go
            && !answer.marks.is_empty()
            && let Question::Supervise(next) = self.question.get_or_insert_with(|| asked.clone())
        {
            policy::add_marks(&mut next.marks, answer.marks.iter().cloned());
        }
        match &mut self.so_far {
            Some(Answer::Supervise(before)) => before.join(answer, first.interval_s),
            so_far => *so_far = Some(Answer::Supervise(answer)),
        }
        step
    }

    /// Each plugin gets the candidates that the one before chose, in its order.
    fn routed(&mut self, asked: &Question, trunks: &[u32]) {
        if let Question::Route(next) = self.question.get_or_insert_with(|| asked.clone()) {
            let place: HashMap<u32, usize> =
                trunks.iter().enumerate().rev().map(|(place, trunk)| (*trunk, place)).collect();
            next.candidates.retain(|candidate| place.contains_key(&candidate.trunk));
            next.candidates.sort_by_key(|candidate| place.get(&candidate.trunk).copied());
        }
    }

    /// Each plugin gets display name, user and host of the one before; headers replace those of the
    /// same name.
    fn identified(&mut self, asked: &Question, mut identity: IdentityAnswer) {
        if let Some(Answer::Identity(Ok(before))) = self.so_far.take() {
            let replaced = |name: &str| {
                identity.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name))
            };
            let mut headers = before.headers;
            headers.retain(|(name, _)| !replaced(name));
            headers.append(&mut identity.headers);
            identity.headers = headers;
        }
        if let Question::Identity(next) = self.question.get_or_insert_with(|| asked.clone()) {
            next.display.clone_from(&identity.display);
            next.caller_out.clone_from(&identity.user);
            next.host.clone_from(&identity.host);
        }
        self.so_far = Some(Answer::Identity(Ok(identity)));
    }
}

/// The answer when no plugin of the chain decides.
pub(crate) fn nobody_decided(question: &Question) -> Option<Answer> {
    match question {
        Question::Advance(_) => Some(Answer::Advance(Advance::Next)),
        _ => None,
    }
}
