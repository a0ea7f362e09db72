//! Questions about a running call: whether it may go on, for how long, and which marks its record
//! gets.

use super::pipeline::Step;
use super::{Call, Cx, End, State};
use crate::reason::{Causes, cause_of, name};
use ledger::EndedBy;
use policy::{Asking, Ending, Question, Reply, SupervisionQuestion, Supervisor, add_marks};

impl Call {
    /// The supervision of the call that is answered now, if a plugin is asked about it. A call that
    /// we placed ourselves already has its end.
    pub(super) fn new_supervisor(&self, cx: &Cx<'_>) -> Option<Supervisor> {
        if self.placed.is_some() {
            return None;
        }
        let interval = self.world.settings.supervision;
        Supervisor::of(&self.pin, self.facts, interval, cx.now.instant)
    }

    /// Asks the question that is due.
    pub(super) fn supervise(&mut self, cx: &mut Cx<'_>) {
        let trunk = self.winner().map_or(0, |attempt| attempt.vendor.id);
        // The price since the answer (BILL-03).
        let row = self.sell.as_ref().and_then(|sell| crate::facts::deck_row(&sell.row));
        let sell_price = row.map_or(self.sell_price, |row| row.price_next);
        let State::Connected(connected) = &mut self.state else { return };
        let Some(supervisor) = &mut connected.supervisor else { return };
        let Asking { number, answered_s, interval_s } = supervisor.ask(cx.now.instant);
        let question = SupervisionQuestion {
            call: self.facts,
            asking: number,
            answered_s,
            interval_s,
            trunk,
            caller: self.numbers.caller_route.clone(),
            callee: self.numbers.callee_route.clone(),
            sell_price,
            marks: self.marks.clone(),
        };
        self.ask(cx, Step::Supervise, 0, Question::Supervise(question));
    }

    /// The call goes on, with a limit or without, or it ends.
    pub(super) fn on_supervised(&mut self, cx: &mut Cx<'_>, reply: Reply) {
        let State::Connected(connected) = &mut self.state else { return };
        let Some(supervisor) = &mut connected.supervisor else { return };
        let supervision = supervisor.settle(reply);
        add_marks(&mut self.marks, supervision.marks);
        let Some(Ending { reason, cause, code, detail }) = supervision.ending else { return };
        let q850 = if cause == 0 { cause_of(code) } else { cause };
        let causes = Causes { q850: if q850 == 0 { 16 } else { q850 }, sip: code };
        // The talk time is billed, whatever reason the plugin gives.
        let end = End { billed: true, ..End::answered(&reason, EndedBy::Switch).with(detail) };
        self.end_connected_with(cx, end, None, causes);
    }

    /// The limit set by supervision ends the call.
    pub(super) fn end_at_supervised_limit(&mut self, cx: &mut Cx<'_>) {
        let end = End::answered(name::MAX_DURATION, EndedBy::Switch);
        let end = end.with("the limit that supervision has set");
        self.end_connected_with(cx, end, None, Causes::ours(16));
    }
}
