//! Answers to attempts that had been given up (SIG-08, SIG-103): ended at once, owed for, never
//! sold.

use super::answering::lasted_ms;
use super::{Call, Cx};
use crate::reason::{Causes, name};

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
}
