//! From a vendor's first response to the caller's ACK: 18x, the answer, and their SDP.

use super::attempt::{Phase, Progress, since};
use super::{CALLER, Call, Connected, Cx, End, State};
use crate::core::Core;
use crate::reason::{Causes, name};
use crate::sdp::{self, Unusable};
use compact_str::format_compact;
use ledger::EndedBy;
use live::Outcome;
use policy::{CallOutcome, EventKind};
use sip::Message;
use sip::session::{Leg, Party};
use std::time::{Duration, Instant};

impl Call {
    /// A provisional response of a vendor.
    pub(super) fn on_progress(&mut self, cx: &mut Cx<'_>, number: u16, response: &Message) {
        let status = response.status();
        self.note_sign(cx, number, response);
        let offered = sdp::body_of(response).filter(|_| status > 100);
        let Some(attempt) = self.attempt_mut(number) else { return };
        let Some(out) = attempt.out() else { return };
        let now = cx.now.instant;
        match status {
            100 if out.phase == Phase::Sent => attempt.enter(Phase::Trying, now),
            100 => {}
            // SDP means early media in any 18x (RFC 3960 section 3).
            _ if offered.is_some() => attempt.enter(Phase::ProgressSdp, now),
            180 => attempt.enter(Phase::Ringing, now),
            _ if out.phase.is_alerting() => {}
            _ => attempt.enter(Phase::Progress, now),
        }
        if status == 100 {
            return;
        }
        if status == 180 || offered.is_some() {
            Call::note_delay(attempt, cx);
        }
        attempt.record.ringing_ms.get_or_insert(cx.now.utc_ms);
        if offered.is_some() {
            attempt.record.media_ms.get_or_insert(cx.now.utc_ms);
        }
        let first_ring = status == 180 && !std::mem::replace(&mut attempt.alerted, true);
        let vendor = attempt.vendor.id;
        if (180..190).contains(&status) {
            self.has_won(cx, number);
        }
        let owes = self.leg(number).is_some_and(Leg::owes_provisional_answer);
        let rings = self.begins_ringback(cx, number, status, offered.is_some());
        let body = offered.and_then(|sdp| self.pass_sdp(cx, number, sdp).ok());
        let delayed = self.delayed_offer();
        if let Some(attempt) = self.attempt_mut(number) {
            attempt.media_opened |= body.is_some();
            if body.is_some() && !delayed {
                attempt.early_answer.clone_from(&body);
            }
        }
        if owes && (body.is_none() || !self.caller.takes_early_offers()) {
            // No side can answer that offer now; the offer in the 2xx will be answered.
            if let Some(leg) = self.leg_mut(number) {
                leg.answer_provisional(&mut cx.wire(), None);
            }
        }
        if first_ring {
            self.tell(cx, EventKind::Ringing, vendor, status);
        }
        let (status, body) =
            if rings { self.ring(cx, number, status, body) } else { (status, body) };
        self.progress_caller(cx, status, body);
    }

    /// 18x to the caller (ROUTE-55: responses already sent stay valid over failovers).
    pub(super) fn progress_caller(&mut self, cx: &mut Cx<'_>, status: u16, body: Option<Vec<u8>>) {
        let times = &mut self.times;
        times.ringing_ms.get_or_insert(cx.now.utc_ms);
        if body.is_some() {
            times.media_ms.get_or_insert(cx.now.utc_ms);
        }
        if status == 180 || body.is_some() {
            times.pdd_ms.get_or_insert(since(self.began, cx.now.instant));
        }
        self.caller.progress(&mut cx.wire(), status, body.as_deref());
    }

    /// The caller's PRACK contains the answer to the vendor's offer in a 18x.
    pub(super) fn on_provisional_answered(&mut self, cx: &mut Cx<'_>, prack: &Message) {
        let owes = |attempt: &&super::Attempt| {
            attempt.leg.as_ref().is_some_and(Leg::owes_provisional_answer)
        };
        let Some(number) =
            self.attempts.iter().map(Box::as_ref).rfind(owes).map(|a| a.record.number)
        else {
            return;
        };
        let sdp = sdp::body_of(prack).and_then(|sdp| self.pass_sdp(cx, CALLER, sdp).ok());
        if let Some(leg) = self.leg_mut(number) {
            leg.answer_provisional(&mut cx.wire(), sdp.as_deref());
        }
    }

    /// A vendor answered: it wins, and both legs are up from here on. The answer of an attempt that
    /// was given up is too late.
    pub(super) fn on_answered(&mut self, cx: &mut Cx<'_>, number: u16, response: &Message) {
        self.note_sign(cx, number, response);
        if self.attempt(number).is_some_and(|attempt| attempt.is_given_up()) {
            return self.on_late_answer(cx, number, response.status());
        }
        self.has_won(cx, number);
        self.asked.clear();
        *cx.core.counters.vendor_codes.entry(response.status()).or_default() += 1;
        let Some(attempt) = self.attempt_mut(number) else { return };
        let now = cx.now;
        attempt.record.code = response.status();
        attempt.record.answer_ms = Some(now.utc_ms);
        attempt.progress = Progress::Won(now.instant);
        Call::note_delay(attempt, cx);
        let (vendor, early) = (attempt.vendor.id, attempt.early_answer.take());
        let pdd_ms = attempt.record.pdd_ms;
        cx.live().quality.attempt(vendor, now.utc_ms, Outcome::Answered, pdd_ms);
        let whose = (number, attempt.record.vendor_account);
        let sent_ms = attempt.record.sent_ms;
        let buy = self.buy_price(cx, whose, sent_ms);
        let answer = sdp::body_of(response);
        if let Some(attempt) = self.attempt_mut(number) {
            attempt.record.buy = buy;
            if answer.is_some() {
                attempt.record.media_ms.get_or_insert(now.utc_ms);
            }
        }
        self.note_foreign(cx.core);
        let delayed = self.delayed_offer();
        let body = match answer {
            Some(sdp) => Some(self.pass_sdp(cx, number, sdp)),
            // The SDP of a 18x answers the caller's offer (RFC 6337 section 3.1.1); without one the
            // offer has no answer.
            None if !delayed => Some(early.ok_or(Unusable::NoAudio)),
            None => None,
        };
        let body = match body {
            // The vendor's SDP is unusable: end both legs rather than connect silence.
            Some(Err(unusable)) => return self.refuse_answer(cx, number, unusable),
            Some(Ok(body)) => Some(body),
            None => None,
        };
        // An offer in the 2xx is answered by the caller's ACK, so the vendor's ACK has to wait for
        // it.
        let owes =
            self.leg(number).is_some_and(|leg| leg.negotiation().open() == Some(Party::Peer));
        if let Some(leg) = self.leg_mut(number).filter(|_| !owes) {
            leg.acknowledge(&mut cx.wire(), None);
        }
        self.connect(cx, number);
        if let Some(placed) = self.placed {
            self.speak(cx, number, placed);
        } else {
            self.join(cx, number);
            self.watch_media(cx);
        }
        if body.is_some() {
            self.times.media_ms.get_or_insert(now.utc_ms);
        }
        cx.core.counters.answered += 1;
        tracing::debug!(call = %self.shown_id(), "answered");
        self.caller.answer(&mut cx.wire(), body.as_deref());
        if self.caller.negotiation().is_settled() {
            self.forget_offer(CALLER);
        }
        self.tell(cx, EventKind::Answered, vendor, 200);
        self.write_interim(cx);
    }

    fn connect(&mut self, cx: &mut Cx<'_>, number: u16) {
        let now = cx.now;
        self.times.answer_ms = Some(now.utc_ms);
        self.report(cx, CallOutcome::Answered);
        self.fix_sell_prices(cx);
        self.times.pdd_ms.get_or_insert(since(self.began, now.instant));
        self.state = State::Connected(Connected {
            vendor: number,
            since: now.instant,
            ends: self.placed.map(|placed| now.instant + placed.length),
            longest: self.longest().map(|(limit, _)| now.instant + limit),
            interim: now.instant + self.world.settings.interim,
            held: false,
            supervisor: self.new_supervisor(cx),
        });
        self.cover_talk(cx);
    }

    /// The vendor's description is unusable. The vendor answered, and charges for it (BILL-28).
    fn refuse_answer(&mut self, cx: &mut Cx<'_>, number: u16, unusable: Unusable) {
        self.hang_up_leg(cx, number, Causes::ours(31));
        self.end_winner(cx, name::CODEC_MISMATCH, EndedBy::Switch);
        self.unusable = Some(unusable);
        let detail = format_compact!("vendor: {}", unusable.text());
        let end = End::refused(488, name::CODEC_MISMATCH.into(), EndedBy::Switch).with(detail);
        self.finish_setup(cx, end, 31);
    }

    /// The caller's ACK for our 200.
    pub(super) fn on_acknowledged(&mut self, cx: &mut Cx<'_>, ack: &Message) {
        let supervised = self.connected().is_some_and(|connected| connected.supervisor.is_some());
        if !supervised || !self.pin.wants_details.contains(policy::Hook::Supervision) {
            self.invite = None;
        }
        let unusable = self.release_vendor_ack(cx, Some(ack));
        if unusable.is_some() && self.connected().is_some() {
            // The ACK's answer to a delayed offer is unusable: no call is better than a silent one.
            let causes = Causes::ours(31);
            return self.end_connected(cx, name::CODEC_MISMATCH, EndedBy::Switch, None, causes);
        }
        self.try_close(cx);
    }

    /// Delayed offer: passes the caller's answer on in the vendor's ACK; an error if it is
    /// unusable.
    pub(super) fn release_vendor_ack(
        &mut self,
        cx: &mut Cx<'_>,
        ack: Option<&Message>,
    ) -> Option<Unusable> {
        let number = self.winner()?.record.number;
        if self.leg(number)?.is_acknowledged() {
            return None;
        }
        let body = match ack.and_then(sdp::body_of) {
            Some(sdp) => self.pass_sdp(cx, CALLER, sdp),
            // The vendor's offer has no answer, so neither side would be heard.
            None => Err(Unusable::NoAudio),
        };
        self.leg_mut(number)?.acknowledge(&mut cx.wire(), body.as_deref().ok());
        body.err().filter(|_| ack.is_some())
    }

    /// The ACK for our 200, or the PRACK for a reliable 18x, did not come within W.
    pub(super) fn on_unacknowledged(&mut self, cx: &mut Cx<'_>) {
        match &self.state {
            State::SettingUp(_) => {
                self.give_up_all(cx, policy::AttemptFailure::NotSent, name::ACK_TIMEOUT);
                let end = End::refused(504, name::ACK_TIMEOUT.into(), EndedBy::Switch);
                let end = end.with("no PRACK came for a provisional response");
                self.finish_setup(cx, end, 102);
            }
            State::Connected(_) => {
                let causes = Causes::ours(102);
                self.end_connected(cx, name::ACK_TIMEOUT, EndedBy::Switch, None, causes);
            }
            State::Closing(..) => {
                self.never_acknowledged();
                self.try_close(cx);
            }
            State::Over => {}
        }
    }

    /// Whether the caller's INVITE had no offer, so that the vendor's 2xx will have one.
    pub(super) fn delayed_offer(&self) -> bool {
        self.invite.as_ref().is_some_and(|invite| sdp::body_of(invite).is_none())
    }

    /// The shortest configured limit, and whose it is (SIG-35).
    pub(super) fn longest(&self) -> Option<(Duration, &'static str)> {
        let vendor = self.winner().map_or(Duration::ZERO, |a| a.vendor.max_duration);
        let limits = [
            (self.account.max_duration, "account"),
            (self.customer.max_duration, "customer trunk"),
            (vendor, "vendor trunk"),
            (self.world.settings.max_duration, "node"),
        ];
        limits.into_iter().filter(|(limit, _)| !limit.is_zero()).min_by_key(|(limit, _)| *limit)
    }

    /// Notes whether a side wants its requests at an address that no trunk names; its responses
    /// come from there.
    pub(crate) fn note_foreign(&mut self, core: &mut Core) {
        if self.foreign {
            return;
        }
        let vendor = self.winner().and_then(|attempt| attempt.leg.as_ref());
        let legs = [Some(&self.caller).filter(|leg| !leg.is_over()), vendor];
        let elsewhere = |leg: &Leg<_>| !core.world.facts.knows(leg.next_hop().remote);
        if legs.into_iter().flatten().any(elsewhere) {
            self.foreign = true;
            core.foreign.add();
        }
    }
}

/// Duration of an answered call, ms on the monotonic clock. It is at least 1 ms however soon the
/// BYE came, because a call with duration 0 would not be billed (BILL-10): the clock is read once
/// for all packets that are ready, so an answer and its BYE may have the same time.
pub(super) fn lasted_ms(answered: Instant, ended: Instant) -> u64 {
    let lasted = ended.saturating_duration_since(answered).as_millis();
    u64::try_from(lasted).unwrap_or(u64::MAX).max(1)
}
