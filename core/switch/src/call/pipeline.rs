//! The questions of a call in their order: one list for the call (ROUTE-15 steps 4 to 14), one
//! for each attempt before its INVITE.

use super::{Call, Cx, End, EndedBy, Text};
use crate::reason::cause_of;
use policy::{Question, Rejection, Reply};
use serde::{Deserialize, Serialize};

/// The purpose of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// NUM-04 to NUM-07: the numbers.
    IngressNumber,
    /// Whether it may call.
    Screen,
    /// BILL-40: the price of the first slice of talk for each payer.
    AdmissionRate,
    /// ROUTE-16 and following: the vendor trunks.
    Route,
    /// NUM-08 to NUM-10: the numbers for this vendor.
    EgressNumber,
    /// SIG-70 to SIG-79: the caller identity for this vendor.
    Identity,
    /// ROUTE-50: the next step after a failed attempt.
    Advance,
    /// Whether the running call may go on.
    Supervise,
    /// BILL-41: the price of the talk until the end of the next slice, for each payer.
    Slice,
    /// BILL-01: the charge.
    Charge,
}

/// Questions before the first attempt, in this order.
pub(super) const ADMISSION: &[Step] =
    &[Step::IngressNumber, Step::Screen, Step::AdmissionRate, Step::Route];

/// Questions before the INVITE of an attempt, in this order.
pub(super) const ATTEMPT: &[Step] = &[Step::EgressNumber, Step::Identity];

/// Refusal of a call, from one of its questions or from an earlier check.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) code: u16,
    pub(super) reason: Text,
    pub(super) detail: Text,
}

impl Stop {
    pub(super) fn new(code: u16, reason: &str, detail: impl AsRef<str>) -> Stop {
        Stop { code, reason: reason.into(), detail: detail.as_ref().into() }
    }
}

impl From<Rejection> for Stop {
    fn from(Rejection { code, reason, detail }: Rejection) -> Stop {
        Stop { code, reason, detail }
    }
}

/// What happens after an answer was accepted.
pub(super) enum Taken {
    /// The next question is asked.
    GoOn,
    /// Another question of this step is asked.
    Again,
    /// The caller is asked for a password (SIG-52).
    Challenge,
}

/// End reason of an attempt that is not made.
pub(super) type NotMade = Text;

impl Call {
    /// Asks the next question before the first attempt, or starts the first attempt.
    pub(super) fn admit_from(&mut self, cx: &mut Cx<'_>, at: usize) {
        let Some(step) = ADMISSION.get(at) else { return self.start_attempts(cx) };
        let question = match step {
            Step::IngressNumber => Ok(self.ingress_number_question()),
            Step::Screen => Ok(self.screen_question()),
            Step::AdmissionRate => self.admission_rate_question(cx),
            Step::Route => self.route_question(cx),
            _ => return,
        };
        match question {
            Ok(question) => self.ask(cx, *step, 0, question),
            Err(stop) => self.stop(cx, stop),
        }
    }

    /// Handles an answer before the first attempt.
    pub(super) fn on_admission_answer(&mut self, cx: &mut Cx<'_>, step: Step, reply: Reply) {
        let taken = match step {
            Step::IngressNumber => self.take_ingress_numbers(reply),
            Step::Screen => self.take_verdict(reply),
            Step::AdmissionRate => self.take_admission_rate(cx, reply),
            Step::Route => self.take_route(cx, reply),
            _ => return,
        };
        match taken {
            Ok(Taken::GoOn) => self.admit_from(cx, after(ADMISSION, step)),
            Ok(Taken::Again) => self.admit_from(cx, place_of(ADMISSION, step)),
            Ok(Taken::Challenge) => self.challenge(cx),
            Err(stop) => self.stop(cx, stop),
        }
    }

    /// Asks the next question of an attempt, or sends its INVITE.
    pub(super) fn prepare_from(&mut self, cx: &mut Cx<'_>, attempt: u16, at: usize) {
        let Some(step) = ATTEMPT.get(at) else { return self.send_attempt(cx, attempt) };
        let question: Option<Question> = match step {
            Step::EgressNumber => self.egress_number_question(attempt),
            Step::Identity => self.identity_question(attempt),
            _ => None,
        };
        if let Some(question) = question {
            self.ask(cx, *step, attempt, question);
        }
    }

    /// Handles an answer before the INVITE of an attempt.
    pub(super) fn on_attempt_answer(
        &mut self,
        cx: &mut Cx<'_>,
        step: Step,
        attempt: u16,
        reply: Reply,
    ) {
        let taken = match step {
            Step::EgressNumber => self.take_egress_numbers(attempt, reply),
            Step::Identity => self.take_identity(attempt, reply),
            _ => return,
        };
        match taken {
            Ok(()) => self.prepare_from(cx, attempt, after(ATTEMPT, step)),
            Err(why) => self.not_made(cx, attempt, &why),
        }
    }

    /// Refuses the call.
    pub(super) fn stop(&mut self, cx: &mut Cx<'_>, stop: Stop) {
        let Stop { code, reason, detail } = stop;
        let end = End::refused(code, reason, EndedBy::Switch).with(detail);
        self.finish_setup(cx, end, cause_of(code));
    }
}

/// Position of a step.
pub(super) fn place_of(list: &[Step], step: Step) -> usize {
    list.iter().position(|known| *known == step).unwrap_or(list.len())
}

/// Position of the next step.
fn after(list: &[Step], step: Step) -> usize {
    place_of(list, step).saturating_add(1)
}
