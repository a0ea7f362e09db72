//! Attempts that are given up: cancelled or abandoned, and remembered until their final response.
//! If that is an answer, it is ended at once, its cost is owed, and it is never sold (SIG-08,
//! SIG-103).

use super::answering::lasted_ms;
use super::attempt::{Phase, Progress};
use super::{Attempt, Call, Cx};
use crate::reason::{Causes, name};
use ledger::EndedBy;
use live::Outcome;
use policy::AttemptFailure;
use sip::session::{Leg, NoMore};

impl Call {
    /// The 2xx came too late.
    pub(super) fn on_late_answer(&mut self, cx: &mut Cx<'_>, number: u16, status: u16) {
        let Some(attempt) = self.attempt(number) else { return };
        let record = &attempt.record;
        let whose = (number, record.vendor_account);
        let causes = match record.end_reason.as_str() {
            name::CALLER_CANCELLED => self.heard.or(16),
            name::ANSWERED_ELSEWHERE => Causes::ours(26),
            _ => Causes::ours(16),
        };
        let buy = self.buy_price(cx, whose, record.sent_ms);
        if let Some(leg) = self.leg(number) {
            cx.core.hear_for_a_window(cx.now, leg.next_hop());
        }
        self.hang_up_leg(cx, number, causes);
        if let Some(attempt) = self.attempt_mut(number) {
            let record = &mut attempt.record;
            record.buy = buy;
            if record.end_reason != name::CALLER_CANCELLED {
                record.flags.push("late_answer".into());
            }
            record.code = status;
            record.answer_ms = Some(cx.now.utc_ms);
            record.end_ms = Some(cx.now.utc_ms);
            record.duration_ms = lasted_ms(cx.now.instant, cx.now.instant);
            record.billable_ms = record.duration_ms;
        }
        self.end_given_up(cx, number);
    }

    /// Gives up all attempts that may still win.
    pub(super) fn give_up_all(&mut self, cx: &mut Cx<'_>, failure: AttemptFailure, why: &str) {
        let live: Vec<u16> = self.live_attempts().collect();
        for number in live {
            self.give_up(cx, number, failure, why);
        }
    }

    /// Takes an attempt out of the race. If its INVITE has no final response, the INVITE is
    /// cancelled and its final response awaited (SIG-08); one without any response is remembered
    /// for another window (SIG-103).
    pub(super) fn give_up(
        &mut self,
        cx: &mut Cx<'_>,
        number: u16,
        failure: AttemptFailure,
        why: &str,
    ) {
        let Some(mut attempt) = self.take_attempt(number) else { return };
        self.drop_questions_of(number);
        self.drop_passed(cx, number);
        self.close_attempt_media(cx, &mut attempt);
        if matches!(attempt.progress, Progress::Preparing(_)) {
            cx.release_vendor_channel(&attempt.vendor);
            return;
        }
        let record = &mut attempt.record;
        let alerted = attempt.alerted && (record.code == 480 || why == name::CALLER_CANCELLED);
        let busy = matches!(record.code, 486 | 600 | 603) || record.cause == 17;
        let delivered = alerted || busy || failure == AttemptFailure::RingTimeout;
        let outcome = if delivered { Outcome::Delivered } else { Outcome::Failed };
        if why != name::ANSWERED_ELSEWHERE {
            cx.live().quality.attempt(attempt.vendor.id, cx.now.utc_ms, outcome, record.pdd_ms);
        }
        // RFC 3326, SIG-89: passes the caller's causes to the vendor.
        let causes = match why {
            name::CALLER_CANCELLED => self.heard.or(16),
            name::OPERATOR_HANGUP => Causes::ours(16),
            name::ANSWERED_ELSEWHERE => Causes::ours(26),
            _ => Causes::ours(102),
        };
        if why == name::CALLER_CANCELLED {
            record.cause = self.heard.q850;
        }
        record.end_ms = Some(cx.now.utc_ms);
        record.end_reason = why.into();
        record.ended_by = match failure {
            AttemptFailure::Response => EndedBy::Callee,
            _ if why == name::CALLER_CANCELLED => EndedBy::Caller,
            _ => EndedBy::Switch,
        };
        let silent = attempt.out().is_some_and(|out| out.phase == Phase::Sent);
        let id = attempt.leg.as_ref().and_then(Leg::invite_transaction);
        if let Some(sends) = id.and_then(|id| cx.core.transactions.sends(id)) {
            attempt.record.sends = attempt.sends_before.saturating_add(sends);
        }
        let Some(leg) = attempt.leg.as_mut().filter(|leg| !leg.is_over()) else {
            return self.end_attempt(cx, attempt);
        };
        let how = if silent { NoMore::Abandon } else { NoMore::Cancel };
        leg.give_up(&mut cx.wire(), how, &causes.text());
        let holds = !silent || failure != AttemptFailure::NoResponse;
        attempt.progress = Progress::GivenUp { holds };
        self.attempts.push(attempt);
    }

    /// An attempt has ended: frees its channel and its tag.
    pub(super) fn end_attempt(&mut self, cx: &mut Cx<'_>, mut attempt: Box<Attempt>) {
        cx.release_vendor_channel(&attempt.vendor);
        if let Some(leg) = &mut attempt.leg {
            leg.forget(&mut cx.wire());
        }
        cx.core.tags.remove(&attempt.tag);
        self.finish_record(attempt.record);
    }

    /// The final response to an abandoned attempt came, or will not come any more.
    pub(super) fn end_given_up(&mut self, cx: &mut Cx<'_>, number: u16) {
        let Some(attempt) = self.take_attempt(number) else { return };
        self.end_attempt(cx, attempt);
        let awaited = self.setup().and_then(|setup| setup.awaited);
        if awaited.is_some_and(|(awaited, _)| awaited == number) {
            return self.on_awaited(cx);
        }
        self.try_close(cx);
    }
}
