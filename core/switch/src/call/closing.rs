//! After the final response to the caller: waits for abandoned vendor legs, asks for the charges,
//! and writes the record (promise 6 of the design).

use super::pipeline::Step;
use super::record::charge_question;
use super::{Call, Cx, End, State};
use crate::io::Output;
use crate::reason::{Causes, name};
use ledger::{
    AttemptRecord, Charges, Claim, EndedBy, Money, Posting, PostingKind, RecordState, Whose,
};
use policy::{Answer, AttemptFailure, CallOutcome, Charge, EventKind, Reply};
use serde::{Deserialize, Serialize};

/// Progress of asking for charges.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Charging {
    /// The payer of the open question; none before the first.
    asked: Option<Whose>,
    begun: bool,
}

impl Call {
    /// A challenge ends the transaction, but the caller will call again: no record (SIG-52).
    pub(super) fn challenge(&mut self, cx: &mut Cx<'_>) {
        let trunk = std::sync::Arc::clone(&self.customer);
        let Some(user) = &trunk.digest else {
            let detail = "challenged, but the trunk has no user";
            return self.refuse(cx, 403, name::AUTH_FAILED, detail);
        };
        let (flow, mut headers) = (self.caller.flow(), Vec::new());
        let values = cx.core.challenge_values(cx.now, flow, user);
        headers.extend(values.iter().map(|value| ("WWW-Authenticate", value.as_str())));
        self.caller.refuse(&mut cx.wire(), 401, &headers);
        self.report(cx, CallOutcome::Challenged);
        self.leave(cx);
    }

    /// Notes the end of the call, then waits for legs that are still open.
    pub(super) fn close_with(&mut self, cx: &mut Cx<'_>, end: End) {
        let code = end.code;
        *cx.core.counters.ended.entry(code).or_default() += 1;
        tracing::debug!(call = %self.shown_id(), reason = %end.reason, code, detail = %end.detail,
            "ended");
        if self.times.answer_ms.is_none() {
            self.report(
                cx,
                match end.by {
                    EndedBy::Caller => CallOutcome::GivenUp,
                    _ => CallOutcome::Failed(end.reason.clone()),
                },
            );
        }
        self.times.end_ms = Some(cx.now.utc_ms);
        self.state = State::Closing(Box::new(end), Charging::default());
        // An answer to a set-up question must not be taken for a charge.
        self.asked.clear();
        self.release_channels(cx);
        self.close_media(cx);
        let won = self.attempts.iter().position(|attempt| attempt.answered().is_some());
        if let Some(at) = won {
            let attempt = self.attempts.remove(at);
            let talked_ms = attempt.record.duration_ms;
            cx.live().quality.ended(attempt.vendor.id, cx.now.utc_ms, talked_ms);
            self.end_attempt(cx, attempt);
        }
        let trunk = self.finished.last().map_or(0, |record| record.trunk);
        self.tell(cx, EventKind::Ended, trunk, code);
        self.try_close(cx);
    }

    /// Asks for the charges once no leg is left, then writes the record.
    pub(super) fn try_close(&mut self, cx: &mut Cx<'_>) {
        let holding = self.attempts.iter().any(|attempt| attempt.holds_the_record());
        let waiting = holding || self.caller.waits_to_hang_up();
        match &mut self.state {
            State::Closing(_, charging) if !waiting && !charging.begun => charging.begun = true,
            _ => return,
        }
        for attempt in std::mem::take(&mut self.attempts) {
            self.end_attempt(cx, attempt);
        }
        self.ask_next_charge(cx, None);
    }

    /// The node stops: ends the call, waits for no peer, and asks for the charges.
    pub(crate) fn close_now(&mut self, cx: &mut Cx<'_>) {
        self.on_operator_hangup(cx);
        if self.caller.waits_to_hang_up() {
            self.never_acknowledged();
        }
        self.await_nobody(cx);
    }

    /// The node cannot keep the call: its machine or its relay has failed.
    pub(crate) fn close_failed(&mut self, cx: &mut Cx<'_>) {
        match self.state {
            State::SettingUp(_) => {
                self.give_up_all(cx, AttemptFailure::NotSent, name::INTERNAL_ERROR);
                self.refuse(cx, 500, name::INTERNAL_ERROR, "a fault of the switch");
            }
            State::Connected(_) => {
                self.end_connected(cx, name::NODE_LOST, EndedBy::Switch, None, Causes::ours(41));
            }
            State::Closing(..) | State::Over => {}
        }
        self.await_nobody(cx);
    }

    fn await_nobody(&mut self, cx: &mut Cx<'_>) {
        for attempt in std::mem::take(&mut self.attempts) {
            self.end_attempt(cx, attempt);
        }
        // The ACK can no longer arrive here (RFC 3261 section 15), and may be on its way.
        self.caller.hang_up_at_once(&mut cx.wire());
        self.try_close(cx);
    }

    /// How the call ended, once it is closing.
    pub(super) fn end(&self) -> Option<&End> {
        match &self.state {
            State::Closing(end, _) => Some(end),
            _ => None,
        }
    }

    /// The ACK for our 200 will not come. Whatever ended the call, the caller never accepted the
    /// answer, so the customer does not pay; the vendor, whose answer we acknowledged, is paid
    /// (SIG-93).
    pub(super) fn never_acknowledged(&mut self) {
        if let State::Closing(end, _) = &mut self.state {
            if end.detail.is_empty() && end.reason != name::ACK_TIMEOUT {
                end.detail = compact_str::format_compact!(
                    "{} before the answer was acknowledged",
                    end.reason
                );
            }
            end.reason = name::ACK_TIMEOUT.into();
            end.by = EndedBy::Switch;
            end.billed = false;
        }
    }

    /// Whether the customer pays: there is a customer, the call was answered, and its end reason is
    /// billable.
    pub(super) fn is_billed(&self) -> bool {
        let answered = self.placed.is_none() && self.times.answer_ms.is_some();
        let answered = answered && self.times.billable_ms != Some(0);
        answered && self.end().is_none_or(|end| end.billed)
    }

    /// The node does not wait for the charges either: writes the record without the open charges,
    /// marked to be rated again.
    pub(crate) fn close_unrated(&mut self, cx: &mut Cx<'_>) {
        self.close_now(cx);
        if matches!(self.state, State::Closing(..)) {
            self.rerate = true;
            self.write_final(cx);
        }
    }

    /// The charges of the call with these attempts.
    pub(super) fn charges<'a>(&'a mut self, attempts: &'a mut [AttemptRecord]) -> Charges<'a> {
        Charges {
            account: self.account.id,
            trunk: self.customer.id,
            answer_ms: self.times.answer_ms.filter(|_| self.is_billed()),
            billable_ms: self.sold_ms(),
            sell: &mut self.sell,
            resellers: &mut self.resellers,
            attempts,
        }
    }

    /// Runs `act` on the charges of the ended attempts.
    fn with_charges<R>(&mut self, act: impl FnOnce(&mut Charges<'_>) -> R) -> R {
        let mut finished = std::mem::take(&mut self.finished);
        let result = act(&mut self.charges(&mut finished));
        self.finished = finished;
        result
    }

    /// Asks for the first owed charge after `last`; writes the record if there is none.
    fn ask_next_charge(&mut self, cx: &mut Cx<'_>, mut last: Option<Whose>) {
        while let Some(due) = self.with_charges(|charges| charges.next(last)) {
            let call = self.facts;
            let question = self.with_charges(|charges| {
                charges.charge(due.whose).and_then(|charge| charge_question(call, &due, charge))
            });
            if let Some(question) = question {
                if let State::Closing(_, charging) = &mut self.state {
                    charging.asked = Some(due.whose);
                }
                return self.ask(cx, Step::Charge, 0, question);
            }
            // The price is out of range for a plugin question.
            self.rerate = true;
            last = Some(due.whose);
        }
        self.write_final(cx);
    }

    /// Asks for a charge again, because the first question went to another machine.
    pub(super) fn ask_charge_again(&mut self, cx: &mut Cx<'_>) {
        let State::Closing(_, Charging { asked: Some(asked), .. }) = self.state else { return };
        let due = self.with_charges(|charges| charges.due(asked));
        let call = self.facts;
        let question = due.and_then(|due| {
            self.with_charges(|charges| charge_question(call, &due, charges.charge(asked)?))
        });
        match question {
            Some(question) => self.ask(cx, Step::Charge, 0, question),
            None => self.ask_next_charge(cx, Some(asked)),
        }
    }

    pub(super) fn on_charged(&mut self, cx: &mut Cx<'_>, reply: Reply) {
        let State::Closing(_, Charging { asked: Some(whose), .. }) = self.state else { return };
        let charge = match reply.outcome {
            Ok(Answer::Rate(charge)) => Some(charge),
            // Nothing is lost: the record says that it must be rated again.
            Ok(_) | Err(_) => None,
        };
        self.rerate |= charge.is_none();
        if let Some(Charge { amount, billed_seconds }) = charge {
            self.with_charges(|charges| {
                if let Some(row) = charges.charge(whose) {
                    row.amount = Money::from(amount);
                    row.billed_s = billed_seconds;
                }
            });
        }
        self.ask_next_charge(cx, Some(whose));
    }

    /// Books the charges and hands the record over: the call is over.
    fn write_final(&mut self, cx: &mut Cx<'_>) {
        if !self.is_billed() {
            self.sell = None;
            self.resellers.clear();
        }
        if !self.rerate
            && let Some((sales, margin)) = self.with_charges(|charges| charges.sales_and_profit())
        {
            let (sales, margin) = (millionths(sales), millionths(margin));
            self.report(cx, CallOutcome::Charged { sales, margin });
        }
        let postings = self.with_charges(|charges| charges.postings());
        self.book(cx, &postings);
        if let State::Closing(end, _) = &self.state {
            cx.core.counters.count_reason(&end.reason);
        }
        let document = self.document(RecordState::Final, cx.now, postings);
        cx.core.outputs.push_back(Output::Document(Box::new(document)));
        self.leave(cx);
    }

    /// Each charge replaces its reservation, in one step (BILL-41).
    fn book(&mut self, cx: &Cx<'_>, postings: &[Posting]) {
        let purses = &cx.live().purses;
        let mut tab = self.take_tab();
        let held = tab.as_mut().map(|tab| (tab.take_surplus().collect(), tab.held().collect()));
        let (surplus, mut held): (Vec<Claim>, Vec<Claim>) = held.unwrap_or_default();
        surplus.into_iter().for_each(|claim| purses.release(claim));
        for Posting { account, amount, kind } in postings {
            let own = held.iter().position(|claim| claim.account == *account);
            let sold = *kind != PostingKind::VendorCost;
            let own = own.filter(|_| sold);
            let balance = match own.map(|at| held.swap_remove(at)) {
                held if sold => {
                    let nothing = Claim { account: *account, amount: Money::ZERO };
                    purses.settle(held.unwrap_or(nothing), -*amount, cx.now.utc_ms)
                }
                _ => purses.post(*account, *amount),
            };
            if *account == self.account.id {
                self.balance_after = balance.or(self.balance_after);
            }
        }
        held.into_iter().for_each(|claim| purses.release(claim));
    }

    /// The document that survives a crash (CDR-06).
    pub(super) fn write_interim(&mut self, cx: &mut Cx<'_>) {
        self.read_media(cx);
        let document = self.document(RecordState::Interim, cx.now, Vec::new());
        cx.core.outputs.push_back(Output::Document(Box::new(document)));
        let next = cx.now.instant + self.world.settings.interim;
        if let State::Connected(connected) = &mut self.state {
            connected.interim = next;
        }
    }

    /// Removes the call's entries from the shard's tables.
    fn leave(&mut self, cx: &mut Cx<'_>) {
        self.release_channels(cx);
        self.release_money(cx);
        self.leave_payers(cx.core);
        if let Some(key) = self.merge_key.take() {
            cx.core.callers.remove(&key);
        }
        if std::mem::take(&mut self.foreign) {
            cx.core.foreign.end(cx.now.instant + crate::core::WINDOW);
        }
        if let Some(tag) = self.tag {
            cx.core.tags.remove(&tag);
        }
        self.state = State::Over;
    }
}

/// The amount in millionths of the currency unit, rounded towards zero.
fn millionths(amount: Money) -> i64 {
    i64::try_from(amount.0 / (Money::ONE.0 / 1_000_000)).unwrap_or_default()
}
