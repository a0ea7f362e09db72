//! The call as a document for the store.

use super::{Call, Cx};
use crate::facts::{Account, Facts};
use crate::io::Now;
use ledger::{
    CallDocument, CallRecord, ChargeRecord, Due, DurationRounding, EndedBy, FoundRow, Money,
    Posting, PriceRounding, RateDeck, RateLookup, RecordState, Text, TrailEntry, Whose,
};
use policy::{
    AttemptFailure, CallFacts, Hook, Question, RateQuestion, RateSubject, Rounding, RoundingMode,
    Side,
};
use std::sync::Arc;
use std::time::Instant;

impl Call {
    /// The vendor's price for an attempt that is answered now (BILL-03). If its deck no longer has
    /// a price, the price at the start of the attempt counts, as on the sell side; the trail says
    /// so (BILL-28).
    pub(super) fn buy_price(
        &mut self,
        cx: &mut Cx<'_>,
        (attempt, account): (u16, u32),
        sent_ms: u64,
    ) -> Option<ChargeRecord> {
        let price = |at_ms| {
            let vendor = self.world.accounts.get(&account)?;
            price_of(&self.world, vendor, self.numbers.rated(), at_ms)
        };
        if let Some(price) = price(cx.now.utc_ms) {
            return Some(price);
        }
        let before = price(sent_ms).or_else(|| price(self.facts.received_ms));
        self.note_old_price(cx, attempt, before.is_some());
        before
    }

    /// Notes that a price ended between INVITE and answer.
    pub(super) fn note_old_price(&mut self, cx: &mut Cx<'_>, attempt: u16, known: bool) {
        // Without any price it cannot be charged: an operator has to look.
        self.rerate |= !known;
        let at_ms = cx.now.instant.saturating_duration_since(self.began).as_millis();
        self.trail.push(TrailEntry {
            at_ms: u32::try_from(at_ms).unwrap_or(u32::MAX),
            attempt,
            hook: cx.core.names.hook(Hook::Rating),
            plugin: cx.core.names.plugin(None),
            answer: if known { "the price at the INVITE".into() } else { Text::default() },
            fault: "no price is in force at the answer".into(),
            micros: 0,
        });
    }

    /// The record in its current state.
    pub(super) fn document(
        &mut self,
        state: RecordState,
        now: Now,
        postings: Vec<Posting>,
    ) -> CallDocument {
        let last = state == RecordState::Final;
        // Durations never come from the wall clock, which can be set.
        let ms = |from: Option<Instant>, to: Instant| {
            let passed = from.map(|from| to.saturating_duration_since(from)).unwrap_or_default();
            u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
        };
        // Relayed media prove life to the last packet; without relay the legs are assumed to be
        // alive.
        let heard = self.last_media.into_iter().flatten().max();
        let alive = if self.direct { now.instant } else { heard.unwrap_or(now.instant) };
        let since = self.connected().map(|connected| connected.since);
        let alive = match (since, heard) {
            (Some(since), None) if !self.direct => since,
            (since, _) => since.map_or(alive, |since| alive.max(since)),
        };
        let mut attempts = part(&mut self.finished, last);
        for attempt in self.attempts.iter().filter(|attempt| !attempt.record.skipped) {
            let mut record = attempt.record.clone();
            if let Some(answered) = attempt.answered() {
                record.media = attempt.media.record.clone();
                record.duration_ms = ms(Some(answered), now.instant);
                record.billable_ms = ms(Some(answered), alive);
            }
            let at = attempts.partition_point(|known| known.number < record.number);
            attempts.insert(at, record);
        }
        let (cost, profit) = match last {
            true => self.charges(&mut attempts).cost_and_profit(),
            false => (Money::ZERO, Money::ZERO),
        };
        let (duration_ms, billable_ms) = match last {
            true if self.is_billed() => (self.times.duration_ms, self.sold_ms()),
            true => (self.times.duration_ms, 0),
            false if self.placed.is_some() => (ms(since, now.instant), 0),
            false => {
                let covered_ms = self.tab.as_ref().map_or(u64::MAX, ledger::Tab::covered_ms);
                (ms(since, now.instant), ms(since, alive).min(covered_ms))
            }
        };
        let failure = self.failures.last();
        let answered = self.times.answer_ms.is_some();
        let end = self.end();
        let times = &self.times;
        let (ringing_ms, media_ms, answer_ms) = (times.ringing_ms, times.media_ms, times.answer_ms);
        let (end_ms, pdd_ms, processing_us) = (times.end_ms, times.pdd_ms, times.processing_us);
        let end_reason = end.map(|end| end.reason.clone()).unwrap_or_default();
        let ended_by = end.map_or(EndedBy::Switch, |end| end.by);
        let code = end.map_or(0, |end| end.code);
        let detail = end.map(|end| end.detail.clone()).unwrap_or_default();
        let (numbers, source) = (&mut self.numbers, &mut self.source);
        let call = CallRecord {
            id: self.facts.id,
            state,
            node: Arc::clone(&self.world.node),
            listener: Arc::clone(&source.listener),
            source: part(&mut source.address, last),
            transport: source.flow.map(|flow| flow.link.name().into()).unwrap_or_default(),
            local: source.flow.map(|flow| self.world.local_address(flow)).unwrap_or_default(),
            sip_call_id: part(&mut source.call_id, last),
            caller_tag: part(&mut source.caller_tag, last),
            our_tag: self.tag.map(crate::shard::tag_text).unwrap_or_default(),
            user_agent: part(&mut source.user_agent, last),
            trunk: self.customer.id,
            trunk_name: Arc::clone(&self.customer.name),
            account: self.account.id,
            account_name: Arc::clone(&self.account.name),
            caller_in: part(&mut numbers.caller_in, last),
            callee_in: part(&mut numbers.callee_in, last),
            caller_route: part(&mut numbers.caller_route, last),
            callee_route: part(&mut numbers.callee_route, last),
            tech_prefix_in: part(&mut numbers.tech_prefix_in, last),
            private: self.private,
            marks: part(&mut self.marks, last),
            generation: self.pin.generation,
            invite_ms: self.facts.received_ms,
            ringing_ms,
            media_ms,
            answer_ms,
            end_ms,
            evidence_ms: now.utc_ms.saturating_sub(ms(Some(alive), now.instant)),
            pdd_ms,
            duration_ms,
            billable_ms,
            end_reason,
            ended_by,
            code_received: match failure {
                _ if answered => 200,
                Some(failed) if failed.failure == AttemptFailure::Response => failed.code,
                _ => 0,
            },
            code_chosen: code,
            code_returned: code,
            cause: match failure {
                Some(failed) if !answered && self.heard.q850 == 0 => failed.cause,
                _ => self.heard.q850,
            },
            detail,
            sell: part(&mut self.sell, last),
            resellers: part(&mut self.resellers, last),
            cost,
            profit,
            balance_after: self.balance_after,
            rerate: self.rerate,
            media: part(&mut self.caller_media.record, last),
            processing_us,
            flags: part(&mut self.flags, last),
        };
        if last {
            self.note_kept(now.instant);
        }
        let trail = part(&mut self.trail, last);
        CallDocument { call, attempts, trail, postings }
    }
}

/// A part of the record: moved from a call that is over, copied from one that goes on.
fn part<T: Clone + Default>(value: &mut T, last: bool) -> T {
    if last { std::mem::take(value) } else { value.clone() }
}

/// The price row for `number` on this account; none if it has no price.
fn price_of(facts: &Facts, account: &Account, number: &str, utc_ms: u64) -> Option<ChargeRecord> {
    let deck = facts.deck_of(account)?;
    match deck.find(number, utc_ms) {
        RateLookup::Found(row) => Some(unrated(deck, row, account.rounding)),
        RateLookup::Blocked | RateLookup::None => None,
    }
}

/// A charge with its price but without an amount yet.
pub(super) fn unrated(deck: &RateDeck, row: FoundRow<'_>, rounding: PriceRounding) -> ChargeRecord {
    ChargeRecord {
        deck: Arc::clone(&deck.name),
        prefix: Arc::from(if row.prefix.is_empty() { "*" } else { row.prefix }),
        destination: Arc::clone(row.destination),
        price: row.price.price_first,
        currency: Arc::clone(&deck.currency),
        billed_s: 0,
        amount: Money::ZERO,
        row: row.price,
        rounding,
    }
}

/// The question for a charge of an ended call; none if a price is out of range for the plugin
/// interface.
#[must_use]
pub fn charge_question(call: CallFacts, due: &Due, charge: &ChargeRecord) -> Option<Question> {
    let side = if matches!(due.whose, Whose::Vendor(_)) { Side::Buy } else { Side::Sell };
    Some(Question::Rate(RateQuestion {
        call,
        subject: RateSubject {
            side,
            is_final: true,
            account: due.account,
            trunk: due.trunk,
            at_ms: due.answer_ms,
        },
        row: crate::facts::deck_row(&charge.row)?,
        rounding: rounding(&charge.rounding)?,
        duration_ms: due.billable_ms,
    }))
}

/// The rounding in the form of the plugin interface.
pub(super) fn rounding(rounding: &PriceRounding) -> Option<Rounding> {
    Some(Rounding {
        unit_ms: rounding.unit_ms,
        mode: match rounding.mode {
            DurationRounding::Up => RoundingMode::Up,
            DurationRounding::Nearest => RoundingMode::Nearest,
            DurationRounding::Down => RoundingMode::Down,
        },
        decimals: rounding.decimals,
        fee_unit: i64::try_from(rounding.fee_unit.0).ok()?,
    })
}
