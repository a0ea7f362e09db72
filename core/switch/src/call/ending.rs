//! How a call ends: refused, cancelled, hung up by either side, at a limit, by an operator, or
//! because a side has disappeared.

use super::answering::lasted_ms;
use super::{CALLER, Call, Cx, End, State};
use crate::reason::{Causes, cause_of, name};
use ledger::{EndedBy, Text};
use policy::AttemptFailure;
use sip::Message;

impl Call {
    /// The caller gives up (SIG-08), by CANCEL or by BYE in its early dialog.
    pub(super) fn on_caller_gone(&mut self, cx: &mut Cx<'_>, request: &Message) {
        self.heard = Causes::of(request);
        if self.connected().is_some() && !self.caller.is_up() {
            // Our 200 is still waiting for a PRACK.
            let (why, by) = (name::CALLER_CANCELLED, EndedBy::Caller);
            return self.end_connected(cx, why, by, None, self.heard.or(16));
        }
        if !self.is_setting_up() {
            return;
        }
        self.give_up_all(cx, AttemptFailure::NotSent, name::CALLER_CANCELLED);
        let why = name::CALLER_CANCELLED.into();
        self.finish_setup(cx, End::refused(487, why, EndedBy::Caller), 0);
    }

    /// A side hangs up; its BYE is answered.
    pub(super) fn on_bye(&mut self, cx: &mut Cx<'_>, leg: u16, bye: &Message) {
        match &self.state {
            State::SettingUp(_) => self.on_caller_gone(cx, bye),
            State::Connected(_) => {
                let (why, by) = match leg {
                    CALLER => (name::CALLER_HANGUP, EndedBy::Caller),
                    _ => (name::CALLEE_HANGUP, EndedBy::Callee),
                };
                self.heard = Causes::of(bye);
                self.end_connected(cx, why, by, Some(leg), self.heard.or(16));
            }
            State::Closing(..) | State::Over => self.try_close(cx),
        }
    }

    /// A side has disappeared, or has lost its dialog (SIG-29).
    pub(super) fn on_gone(&mut self, cx: &mut Cx<'_>) {
        if self.connected().is_some() {
            let causes = Causes::ours(41);
            self.end_connected(cx, name::SESSION_TIMEOUT, EndedBy::Switch, None, causes);
        }
    }

    pub(crate) fn on_operator_hangup(&mut self, cx: &mut Cx<'_>) {
        match self.state {
            State::SettingUp(_) => {
                self.give_up_all(cx, AttemptFailure::NotSent, name::OPERATOR_HANGUP);
                self.refuse(cx, 503, name::OPERATOR_HANGUP, "ended by an operator");
            }
            State::Connected(_) => {
                let causes = Causes::ours(16);
                self.end_connected(cx, name::OPERATOR_HANGUP, EndedBy::Switch, None, causes);
            }
            State::Closing(..) | State::Over => {}
        }
    }

    /// The call has reached its longest duration; the record names the limit (SIG-35).
    pub(super) fn end_at_limit(&mut self, cx: &mut Cx<'_>) {
        let detail = self.longest().map_or_else(Text::default, |(limit, whose)| {
            compact_str::format_compact!("the limit of the {whose} is {limit:?}")
        });
        let causes = Causes::ours(16);
        let end = End::answered(name::MAX_DURATION, EndedBy::Switch).with(detail);
        self.end_connected_with(cx, end, None, causes);
    }

    /// BYE to one side.
    pub(super) fn hang_up_leg(&mut self, cx: &mut Cx<'_>, leg: u16, causes: Causes) {
        let Some(leg) = self.leg_mut(leg) else { return };
        let farewell = leg.hang_up(&mut cx.wire(), &causes.text());
        cx.core.farewells.extend(farewell);
    }

    /// Ends an answered call: BYE to each side that is still up, then the charges.
    pub(super) fn end_connected(
        &mut self,
        cx: &mut Cx<'_>,
        why: &str,
        by: EndedBy,
        gone: Option<u16>,
        causes: Causes,
    ) {
        self.end_connected_with(cx, End::answered(why, by), gone, causes);
    }

    pub(super) fn end_connected_with(
        &mut self,
        cx: &mut Cx<'_>,
        mut end: End,
        gone: Option<u16>,
        causes: Causes,
    ) {
        let Some(connected) = self.connected() else { return };
        self.passed.clear();
        self.times.duration_ms = lasted_ms(connected.since, cx.now.instant);
        if gone != Some(connected.vendor) {
            self.hang_up_leg(cx, connected.vendor, causes);
        }
        if !self.caller.is_up() && !self.caller.is_over() {
            // Its 200 was still waiting for a PRACK.
            end.code = if end.reason == name::CALLER_CANCELLED { 487 } else { 504 };
            end.billed = false;
            self.caller.refuse(&mut cx.wire(), end.code, &[]);
            self.refused(cx);
        } else if gone != Some(CALLER) {
            self.hang_up_leg(cx, CALLER, causes);
        }
        self.end_winner(cx, &end.reason, end.by);
        self.close_with(cx, end);
    }

    /// Ends the attempt that was answered.
    pub(super) fn end_winner(&mut self, cx: &Cx<'_>, why: &str, by: EndedBy) {
        let (heard, billable_ms) = (self.heard.q850, self.times.billable_ms);
        let Some(attempt) = self.winner_mut() else { return };
        let since = attempt.answered().unwrap_or(cx.now.instant);
        let record = &mut attempt.record;
        record.duration_ms = lasted_ms(since, cx.now.instant);
        record.billable_ms = billable_ms.unwrap_or(record.duration_ms);
        record.cause = heard;
        record.end_ms = Some(cx.now.utc_ms);
        record.end_reason = why.into();
        record.ended_by = by;
    }

    /// Ends an unanswered call with a final response to the caller.
    pub(super) fn finish_setup(&mut self, cx: &mut Cx<'_>, end: End, cause: u8) {
        self.respond_finally(cx, end.code, cause);
        self.close_with(cx, end);
    }

    /// A final refusal to the caller, in our words (SIG-04).
    fn respond_finally(&mut self, cx: &mut Cx<'_>, status: u16, cause: u8) {
        let cause = (cause > 0).then(|| compact_str::format_compact!("Q.850;cause={cause}"));
        let retry_after =
            self.retry_after.filter(|_| status == 503).map(|seconds| seconds.to_string());
        let warning = self
            .unusable
            .filter(|_| status == 488)
            .map(|unusable| unusable.warning(&cx.core.advertised(self.caller.flow().listener)));
        let mut headers = Vec::new();
        headers.extend(cause.as_deref().map(|value| ("Reason", value)));
        headers.extend(retry_after.as_deref().map(|value| ("Retry-After", value)));
        headers.extend(warning.as_deref().map(|value| ("Warning", value)));
        self.caller.refuse(&mut cx.wire(), status, &headers);
        self.refused(cx);
    }

    /// The INVITE has its final response: a hunting proxy may send its next branch here (RFC 3261
    /// section 8.2.2.2).
    pub(super) fn refused(&mut self, cx: &mut Cx<'_>) {
        if let Some(key) = self.merge_key.take() {
            cx.core.callers.remove(&key);
        }
        self.invite = None;
    }

    /// Refuses a call that the whole node cannot accept now (SIG-91).
    pub(super) fn refuse_for_now(&mut self, cx: &mut Cx<'_>, why: &str, detail: &str) {
        self.retry_after = Some(cx.core.intake.retry_after(&mut cx.core.rng));
        self.refuse(cx, 503, why, detail);
    }

    /// Refuses the call before answer.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, code: u16, why: &str, detail: &str) {
        let end = End::refused(code, why.into(), EndedBy::Switch).with(detail);
        self.finish_setup(cx, end, cause_of(code));
    }
}
