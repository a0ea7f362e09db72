//! Questions to the policy. Several may be open; each has a ticket, and an answer to a question
//! that is no longer open is ignored.

use super::details::{InviteFacts, past_attempt};
use super::pipeline::Step;
use super::{Call, Cx, State};
use crate::io::{Ask, Outcome, Output};
use policy::{
    AdvanceQuestion, CallDetails, CallNumbers, CallOrigin, CallOutcome, EventKind, EventNotice,
    Question, Reply,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An open question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    ticket: u32,
    step: Step,
    /// The attempt that it is about; 0: the call.
    attempt: u16,
    /// The question about a failed attempt; all other questions can be rebuilt from the call.
    failed: Option<Box<AdvanceQuestion>>,
}

impl Asked {
    pub(super) fn step(&self) -> Step {
        self.step
    }

    pub(super) fn attempt(&self) -> u16 {
        self.attempt
    }

    pub(super) fn into_failed(self) -> Option<Box<AdvanceQuestion>> {
        self.failed
    }
}

impl Call {
    /// Asks a question; only the answer with its ticket is accepted.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>, step: Step, attempt: u16, question: Question) {
        self.last_ticket = self.last_ticket.wrapping_add(1).max(1);
        let ticket = self.last_ticket;
        let failed = match &question {
            Question::Advance(question) => Some(Box::new(question.clone())),
            _ => None,
        };
        self.asked.push(Asked { ticket, step, attempt, failed });
        self.put(cx, ticket, question);
    }

    fn put(&self, cx: &mut Cx<'_>, ticket: u32, question: Question) {
        let details = self.details(&question);
        cx.core.outputs.push_back(Output::Ask(Ask {
            call: self.key,
            ticket,
            pin: self.pin.clone(),
            question,
            details,
        }));
    }

    /// Whether a question about an attempt is open.
    pub(super) fn is_asked(&self, step: Step, attempt: u16) -> bool {
        self.asked.iter().any(|asked| (asked.step, asked.attempt) == (step, attempt))
    }

    /// Drops the open questions about an attempt.
    pub(super) fn drop_questions_of(&mut self, attempt: u16) {
        self.asked.retain(|asked| asked.attempt != attempt);
    }

    /// Accepts the answer to an open question; others are ignored.
    pub(crate) fn on_answer(&mut self, cx: &mut Cx<'_>, ticket: u32, reply: Reply) {
        let Some(at) = self.asked.iter().position(|asked| asked.ticket == ticket) else { return };
        let Asked { step, attempt, .. } = self.asked.swap_remove(at);
        self.note(cx, step, attempt, &reply);
        match (step, &self.state) {
            (Step::Charge, State::Closing(..)) => self.on_charged(cx, reply),
            (Step::Supervise, State::Connected(_)) => self.on_supervised(cx, reply),
            (Step::Slice, State::Connected(_)) => self.on_slice(cx, reply),
            (Step::Advance, State::SettingUp(_)) => self.on_advance(cx, attempt, reply),
            (Step::EgressNumber | Step::Identity, State::SettingUp(_)) => {
                self.on_attempt_answer(cx, step, attempt, reply);
            }
            (_, State::SettingUp(_)) => self.on_admission_answer(cx, step, reply),
            _ => {}
        }
    }

    /// The call's details beyond a question, if a plugin of its hook may query them.
    fn details(&self, question: &Question) -> Option<Arc<CallDetails>> {
        if !self.pin.wants_details.contains(question.hook()) {
            return None;
        }
        let invite = self.invite.clone().map(|message| Arc::new(InviteFacts(message)) as _);
        let given_up = self.attempts.iter().filter(|attempt| attempt.is_given_up());
        let mut ended: Vec<_> =
            self.finished.iter().chain(given_up.map(|attempt| &attempt.record)).collect();
        ended.sort_by_key(|record| record.number);
        let numbers = &self.numbers;
        Some(Arc::new(CallDetails {
            invite,
            numbers: CallNumbers {
                caller_in: numbers.caller_in.clone(),
                callee_in: numbers.callee_in.clone(),
                caller: numbers.caller_route.clone(),
                callee: numbers.callee_route.clone(),
                route_as: numbers.route_as.clone(),
                tech_prefix_in: numbers.tech_prefix_in.clone(),
            },
            attempts: ended.into_iter().map(past_attempt).collect(),
            origin: CallOrigin {
                source: self.source.address.clone(),
                transport: self.source.flow.map(|flow| flow.link.name().into()).unwrap_or_default(),
                listener: Arc::clone(&self.source.listener),
            },
        }))
    }

    /// Reports how the call went, unless we placed it ourselves.
    pub(super) fn report(&self, cx: &mut Cx<'_>, outcome: CallOutcome) {
        if self.placed.is_none() {
            let (pin, call) = (self.pin.clone(), self.facts);
            cx.core.outputs.push_back(Output::Outcome(Outcome { pin, call, outcome }));
        }
    }

    /// Sends an event to the events hook; the call does not wait for it.
    pub(super) fn tell(&self, cx: &mut Cx<'_>, kind: EventKind, trunk: u32, code: u16) {
        if !self.pin.hears_events || self.unannounced {
            return;
        }
        let notice = EventNotice {
            call: self.facts,
            kind,
            at_ms: cx.now.utc_ms,
            trunk,
            code,
            duration_ms: self.times.duration_ms,
            caller: self.numbers.shown_caller().into(),
            callee: self.numbers.shown_callee().into(),
        };
        self.put(cx, 0, Question::Event(notice));
    }
}
