//! After the last word to the caller: stray vendor legs are awaited, charges asked for,
//! the record written (promise 6 of the design).

use super::pipeline::Step;
use super::{Call, Cx, End, State};
use crate::io::Output;
use crate::reason::{Causes, name};
use ledger::{EndedBy, Money, RecordState};
use policy::{
    Answer, AttemptFailure, Charge, EventKind, Question, RateQuestion, RateSubject, Reply, Side,
};
use serde::{Deserialize, Serialize};

/// Which charges are still to be asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Charging {
    /// Whose charge is being asked for; none before the first.
    asked: Option<Payer>,
    begun: bool,
}

/// Who pays in a rating question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Payer {
    /// The caller's account.
    Customer,
    /// We pay for the attempt at this place of the finished attempts.
    Vendor(usize),
}

impl Call {
    /// A challenge ends the transaction, not the caller's wish: no record (SIG-52).
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
        self.leave(cx);
    }

    /// Everything that is known at the end; then whoever is still awaited.
    pub(super) fn close_with(&mut self, cx: &mut Cx<'_>, end: End) {
        let code = end.code;
        *cx.core.counters.ended.entry(code).or_default() += 1;
        tracing::debug!(call = %self.shown_id(), reason = %end.reason, code, detail = %end.detail,
            "ended");
        self.times.end_ms = Some(cx.now.utc_ms);
        self.state = State::Closing(Box::new(end), Charging::default());
        // An answer to a question of the set-up must not be taken for a charge.
        self.asked.clear();
        self.release_channel();
        self.close_media(cx);
        let won = self.attempts.iter().position(|attempt| attempt.answered().is_some());
        if let Some(at) = won {
            let attempt = self.attempts.remove(at);
            let talked_ms = attempt.record.duration_ms;
            attempt.vendor.usage.quality.ended(cx.now.utc_ms, talked_ms);
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
        self.ask_next_charge(cx, Some(Payer::Customer));
    }

    /// The node stops: the call ends, nobody is awaited any more, the charges are asked for.
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
        // The ACK can no longer come here (RFC 3261 section 15), and may be on its way.
        self.caller.hang_up_at_once(&mut cx.wire());
        self.try_close(cx);
    }

    /// How the call came to its end.
    pub(super) fn end(&self) -> Option<&End> {
        match &self.state {
            State::Closing(end, _) => Some(end),
            _ => None,
        }
    }

    /// The ACK for our 200 does not come any more. Whatever ended the call, nobody has taken the
    /// answer, and the customer does not pay for it; the vendor, whose answer we acknowledged, is
    /// paid (SIG-93).
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

    /// Whether the customer pays: there is one, it was answered, and did not end in a way that is
    /// never billed.
    pub(super) fn is_billed(&self) -> bool {
        let answered = self.placed.is_none() && self.times.answer_ms.is_some();
        let answered = answered && self.times.billable_ms != Some(0);
        answered && self.end().is_none_or(|end| end.billed)
    }

    /// The node does not wait for the charges either: the record is written without those
    /// that are still open, and says that it must be rated again.
    pub(crate) fn close_unrated(&mut self, cx: &mut Cx<'_>) {
        self.close_now(cx);
        if matches!(self.state, State::Closing(..)) {
            self.rerate = true;
            self.write_final(cx);
        }
    }

    fn ask_next_charge(&mut self, cx: &mut Cx<'_>, from: Option<Payer>) {
        let mut next = from;
        while let Some(payer) = next {
            if let Some(question) = self.rate_question(payer) {
                if let State::Closing(_, charging) = &mut self.state {
                    charging.asked = Some(payer);
                }
                return self.ask(cx, Step::Charge, 0, Question::Rate(question));
            }
            next = self.after(payer);
        }
        self.write_final(cx);
    }

    /// The question for a charge went elsewhere.
    pub(super) fn ask_charge_again(&mut self, cx: &mut Cx<'_>) {
        let State::Closing(_, Charging { asked, .. }) = self.state else { return };
        self.ask_next_charge(cx, asked);
    }

    fn after(&self, payer: Payer) -> Option<Payer> {
        let next = match payer {
            Payer::Customer => 0,
            Payer::Vendor(at) => at + 1,
        };
        (next < self.finished.len()).then_some(Payer::Vendor(next))
    }

    /// The question for one payer; none if it owes nothing.
    fn rate_question(&self, payer: Payer) -> Option<RateQuestion> {
        match payer {
            Payer::Customer => {
                let sell = self.sell.as_ref().filter(|_| self.is_billed())?;
                Some(RateQuestion {
                    call: self.facts,
                    subject: RateSubject {
                        side: Side::Sell,
                        is_final: true,
                        account: self.account.id,
                        trunk: self.customer.id,
                        at_ms: self.times.answer_ms.unwrap_or(self.facts.received_ms),
                    },
                    row: super::record::deck_row(&sell.row)?,
                    rounding: super::record::rounding(&sell.rounding)?,
                    duration_ms: self.times.billed_ms(),
                })
            }
            Payer::Vendor(at) => {
                let record = self.finished.get(at)?;
                let answer_ms = record.answer_ms?;
                let buy = record.buy.as_ref()?;
                Some(RateQuestion {
                    call: self.facts,
                    subject: RateSubject {
                        side: Side::Buy,
                        is_final: true,
                        account: record.vendor_account,
                        trunk: record.trunk,
                        at_ms: answer_ms,
                    },
                    row: super::record::deck_row(&buy.row)?,
                    rounding: super::record::rounding(&buy.rounding)?,
                    duration_ms: record.billable_ms,
                })
            }
        }
    }

    pub(super) fn on_charged(&mut self, cx: &mut Cx<'_>, reply: Reply) {
        let State::Closing(_, Charging { asked: Some(payer), .. }) = self.state else { return };
        let charge = match reply.outcome {
            Ok(Answer::Rate(charge)) => Some(charge),
            // Nothing is lost: the record says that it must be rated again.
            Ok(_) | Err(_) => None,
        };
        self.rerate |= charge.is_none();
        let row = match payer {
            Payer::Customer => self.sell.as_mut(),
            Payer::Vendor(at) => self.finished.get_mut(at).and_then(|record| record.buy.as_mut()),
        };
        if let (Some(row), Some(Charge { amount, billed_seconds })) = (row, charge) {
            row.amount = Money(i128::from(amount));
            row.billed_s = billed_seconds;
        }
        let next = self.after(payer);
        self.ask_next_charge(cx, next);
    }

    /// Books the charges and hands the record over: the call is over.
    fn write_final(&mut self, cx: &mut Cx<'_>) {
        if !self.is_billed() {
            self.sell = None;
        }
        let postings = self.postings();
        for posting in &postings {
            if let Some(account) = self.world.accounts.get(&posting.account) {
                let balance = account.purse.post(posting.amount);
                if posting.account == self.account.id {
                    self.balance_after = Some(balance);
                }
            }
        }
        if let State::Closing(end, _) = &self.state {
            cx.core.counters.count_reason(&end.reason);
        }
        let document = self.document(RecordState::Final, cx.now, postings);
        cx.core.outputs.push_back(Output::Document(Box::new(document)));
        self.leave(cx);
    }

    /// The copy that survives a crash (CDR-06).
    pub(super) fn write_interim(&mut self, cx: &mut Cx<'_>) {
        self.read_media(cx);
        let document = self.document(RecordState::Interim, cx.now, Vec::new());
        cx.core.outputs.push_back(Output::Document(Box::new(document)));
        let next = cx.now.instant + self.world.settings.interim;
        if let State::Connected(connected) = &mut self.state {
            connected.interim = next;
        }
    }

    fn release_channel(&mut self) {
        if std::mem::take(&mut self.channel_taken) {
            self.customer.usage.release();
            self.world.usage.release();
        }
    }

    /// Takes the call's entries out of the shard's tables.
    fn leave(&mut self, cx: &mut Cx<'_>) {
        self.release_channel();
        if let Some(key) = self.merge_key.take() {
            cx.core.callers.remove(&key);
        }
        if std::mem::take(&mut self.foreign) {
            cx.core.foreign.end(cx.now.instant + crate::switch::WINDOW);
        }
        if let Some(tag) = self.tag {
            cx.core.tags.remove(&tag);
        }
        self.state = State::Over;
    }
}
