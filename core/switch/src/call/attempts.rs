//! The attempts of a call: one after the other (failover), several at once from the start
//! (parallel), or the next one while the first stays silent (hedged, ROUTE-58). The first that
//! rings or answers wins.

use super::attempt::{Phase, since};
use super::media::NoOffer;
use super::pipeline::Step;
use super::{Call, Choice, Cx, End};
use crate::core::Owner;
use crate::reason::{self, Causes, Failed, name};
use crate::retry_after;
use crate::sdp::Unusable;
use crate::shard::tag_text;
use ledger::{EndedBy, Text};
use policy::{Advance, AdvanceQuestion, Answer, AttemptFailure, EventKind, Question, Reply};
use sip::Message;
use sip::session::Leg;
use std::sync::Arc;
use std::time::Duration;

/// How long a vendor whose media were open, and who may still answer, is awaited before the next
/// one is called (SIG-103).
const AWAITED: Duration = Duration::from_millis(500);

impl Call {
    /// Starts the first attempt, or as many at once as the customer trunk wants.
    pub(super) fn start_attempts(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..self.customer.parallel.max(1) {
            let more = self.setup().is_some_and(|setup| !setup.choices.is_empty());
            if more || self.attempts.is_empty() {
                self.next_choice(cx);
            }
        }
    }

    /// Starts the next usable choice. If there is none and no attempt may still win, the call ends
    /// (ROUTE-50 rows 3, 4, 12).
    pub(super) fn next_choice(&mut self, cx: &mut Cx<'_>) {
        loop {
            let waited = cx.now.instant.saturating_duration_since(self.began);
            let limit = self.customer.max_attempts;
            let sent = u32::from(self.attempts_sent);
            let budget = self.customer.setup_budget;
            let Some(setup) = self.setup() else { return };
            if sent > 0 && !setup.choices.is_empty() {
                if waited > budget {
                    return self.none_is_left(cx, name::SETUP_BUDGET);
                }
                if limit > 0 && sent >= limit {
                    return self.none_is_left(cx, name::ATTEMPT_LIMIT);
                }
            }
            let Some(choice) = setup.choices.pop_front() else {
                return self.none_is_left(cx, &self.why_none_is_left());
            };
            let Some(vendor) = self.world.vendors.get(&choice.trunk).cloned() else { continue };
            // SIG-91: addresses at rest are skipped.
            let Some(ways) = cx.awake_ways(&vendor, choice.ways) else { continue };
            let mut attempt = self.new_attempt(cx, vendor, ways);
            if let Err(limit) = cx.take_vendor_channel(&attempt.vendor) {
                attempt.record.end_reason = limit.into();
                attempt.record.end_ms = Some(cx.now.utc_ms);
                self.finish_record(attempt.record);
                continue;
            }
            let number = attempt.record.number;
            self.attempts.push(attempt);
            return self.prepare_from(cx, number, 0);
        }
    }

    /// No choice is left or allowed: the call ends, unless an attempt may still win.
    fn none_is_left(&mut self, cx: &mut Cx<'_>, why: &str) {
        if !self.attempts.iter().any(|attempt| attempt.is_live()) {
            self.all_failed(cx, why);
        }
    }

    /// Why no choice is left (ROUTE-50 row 12).
    fn why_none_is_left(&self) -> Text {
        if self.placed.is_some() {
            return self.why_placed_failed();
        }
        let why = match &self.failures[..] {
            [] => name::ALL_ROUTES_BUSY,
            all if all.iter().all(|failed| *failed == Failed::NO_CODEC) => name::CODEC_MISMATCH,
            all if all.iter().all(|failed| *failed == Failed::NO_PORTS) => name::MEDIA_RESOURCES,
            _ => name::ALL_ROUTES_FAILED,
        };
        why.into()
    }

    /// Files a complete record, in the order of the attempts.
    pub(super) fn finish_record(&mut self, record: ledger::AttemptRecord) {
        let at = self.finished.partition_point(|known| known.number < record.number);
        self.finished.insert(at, record);
    }

    pub(super) fn take_attempt(&mut self, number: u16) -> Option<Box<super::Attempt>> {
        let at = self.attempts.iter().position(|attempt| attempt.record.number == number)?;
        Some(self.attempts.remove(at))
    }

    /// Numbers and identity are known: sends the INVITE.
    pub(super) fn send_attempt(&mut self, cx: &mut Cx<'_>, number: u16) {
        let Some(mut attempt) = self.take_attempt(number) else { return };
        if attempt.flow().is_none() {
            return self.no_address(cx, attempt);
        }
        let body = match self.offer_for_vendor(cx, &mut attempt) {
            Ok(body) => body,
            Err(no_offer) => {
                self.attempts.push(attempt);
                let why = match no_offer {
                    NoOffer::Ports => name::MEDIA_RESOURCES,
                    NoOffer::Sdp(unusable) => {
                        self.unusable = Some(unusable);
                        name::CODEC_MISMATCH
                    }
                };
                return self.not_made(cx, number, why);
            }
        };
        let Some((flow, invitation, user)) = self.invitation(&attempt, body) else {
            self.attempts.push(attempt);
            return self.not_made(cx, number, name::INTERNAL_ERROR);
        };
        let now = cx.now;
        let record = &mut attempt.record;
        record.skipped = false;
        record.sent_ms = now.utc_ms;
        record.our_tag = tag_text(attempt.tag);
        record.sends = 1;
        attempt.sent = now.instant;
        self.attempts_sent += 1;
        if self.times.processing_us.is_none() {
            let micros = now.instant.saturating_duration_since(self.began).as_micros();
            self.times.processing_us = Some(u32::try_from(micros).unwrap_or(u32::MAX));
        }
        cx.live().quality.sent(attempt.vendor.id, now.utc_ms);
        *cx.core.counters.attempts.entry(Arc::clone(&attempt.vendor.name)).or_default() += 1;
        let owner = Owner { call: self.key, leg: number };
        cx.core.tags.insert(attempt.tag, owner);
        let settings = self.leg_settings(&attempt);
        let leg = Leg::calling(owner, &mut cx.wire(), flow, invitation, &user, settings);
        attempt.leg = Some(leg);
        attempt.enter(Phase::Sent, now.instant);
        tracing::debug!(call = %self.shown_id(), vendor = %attempt.vendor.name,
            target = %attempt.record.target, "attempt");
        self.tell(cx, EventKind::Attempt, attempt.vendor.id, 0);
        self.attempts.push(attempt);
        self.note_way(cx, number);
        let hedge = self.customer.hedge;
        if let Some(setup) = self.setup().filter(|_| !hedge.is_zero()) {
            setup.hedge = Some(now.instant + hedge);
        }
    }

    /// No name of the trunk has an address: the attempt ends as if its target were unreachable
    /// (SIG-24, SIG-66).
    fn no_address(&mut self, cx: &mut Cx<'_>, mut attempt: Box<super::Attempt>) {
        let number = attempt.record.number;
        attempt.record.skipped = false;
        attempt.record.sent_ms = cx.now.utc_ms;
        attempt.enter(Phase::Sent, cx.now.instant);
        self.attempts_sent += 1;
        self.attempts.push(attempt);
        let failed = Failed { failure: AttemptFailure::ConnectFailed, code: 0, cause: 0 };
        self.attempt_failed(cx, number, failed);
    }

    /// Notes the transport of an INVITE that was just sent: a large INVITE may have switched from
    /// the transport of its target, and back.
    pub(crate) fn note_way(&mut self, cx: &Cx<'_>, number: u16) {
        let world = Arc::clone(&self.world);
        let Some(attempt) = self.attempt_mut(number).filter(|attempt| attempt.is_out()) else {
            return;
        };
        let id = attempt.leg.as_ref().and_then(Leg::invite_transaction);
        if let Some(flow) = id.and_then(|id| cx.core.transactions.flow(id)) {
            attempt.record.transport = flow.link.name().into();
            attempt.record.local = world.local_address(flow);
        }
    }

    /// The first attempt has stayed silent: the next one starts beside it (ROUTE-58).
    pub(super) fn on_hedge(&mut self, cx: &mut Cx<'_>) {
        // After a failure the policy decides the next step.
        let silent = |out: super::attempt::Out| out.phase == Phase::Sent;
        let silent = self.attempts.iter().any(|attempt| attempt.out().is_some_and(silent));
        let Some(setup) = self.setup() else { return };
        if setup.hedge.take().is_some() && silent && !setup.choices.is_empty() {
            self.next_choice(cx);
        }
    }

    /// An attempt that could not be made is recorded and the next one tried.
    pub(super) fn not_made(&mut self, cx: &mut Cx<'_>, number: u16, why: &str) {
        let Some(mut attempt) = self.take_attempt(number) else { return };
        self.drop_questions_of(number);
        cx.release_vendor_channel(&attempt.vendor);
        self.close_attempt_media(cx, &mut attempt);
        attempt.record.end_reason = why.into();
        attempt.record.end_ms = Some(cx.now.utc_ms);
        self.finish_record(attempt.record);
        let failed = match why {
            name::CODEC_MISMATCH => Failed::NO_CODEC,
            name::MEDIA_RESOURCES => Failed::NO_PORTS,
            _ => Failed::NOT_SENT,
        };
        if failed == Failed::NO_CODEC {
            // The same offer would be just as unusable for the next vendor whose media we relay.
            let world = Arc::clone(&self.world);
            let customer = Arc::clone(&self.customer);
            if let Some(setup) = self.setup() {
                setup.choices.retain(|choice| {
                    let vendor = world.vendors.get(&choice.trunk);
                    vendor.is_some_and(|vendor| !customer.relay || !vendor.relay)
                });
            }
        }
        self.failures.push(failed);
        self.next_choice(cx);
    }

    /// The INVITE was sent again, with credentials or another session interval.
    pub(super) fn on_sent_again(&mut self, cx: &mut Cx<'_>, number: u16) {
        if let Some(attempt) = self.attempt_mut(number).filter(|attempt| attempt.is_out()) {
            attempt.begin_again(cx.now.instant);
            self.note_way(cx, number);
        }
    }

    /// Records how often the INVITE of an attempt was sent when its transaction makes progress.
    pub(crate) fn note_sends(&mut self, leg: u16, id: sip::TransactionId, sends: u16) {
        if let Some(attempt) = self.attempt_mut(leg)
            && attempt.leg.as_ref().and_then(Leg::invite_transaction) == Some(id)
        {
            attempt.record.sends = attempt.sends_before.saturating_add(sends);
        }
    }

    /// A vendor refused.
    pub(super) fn on_refused(&mut self, cx: &mut Cx<'_>, number: u16, response: &Message) {
        let status = response.status();
        let Some(attempt) = self.attempt_mut(number) else { return };
        if attempt.is_given_up() {
            attempt.record.code = status;
            return self.end_given_up(cx, number);
        }
        attempt.note_response(cx.now.instant, response);
        let vendor = attempt.vendor.id;
        let target = attempt.flow().map(|flow| flow.remote);
        *cx.core.counters.vendor_codes.entry(status).or_default() += 1;
        if let (503, Some(target)) = (status, target) {
            retry_after::rest(&*cx.live().health, cx.now.instant, target, response);
        }
        cx.live().quality.refused(vendor, status);
        let cause = Causes::of(response).q850;
        self.attempt_failed(
            cx,
            number,
            Failed { failure: AttemptFailure::Response, code: status, cause },
        );
    }

    /// The INVITE got no response within the window, or its target cannot be reached.
    pub(super) fn on_unanswered(&mut self, cx: &mut Cx<'_>, number: u16, unreachable: bool) {
        let Some(attempt) = self.attempt(number) else { return };
        if attempt.is_given_up() {
            return self.end_given_up(cx, number);
        }
        let failure = match unreachable {
            true => AttemptFailure::ConnectFailed,
            false => AttemptFailure::NoResponse,
        };
        self.attempt_failed(cx, number, Failed { failure, code: 0, cause: 0 });
    }

    /// The timer of an attempt's state expired.
    pub(super) fn on_attempt_deadline(&mut self, cx: &mut Cx<'_>, number: u16) {
        let Some(out) = self.attempt(number).and_then(super::Attempt::out) else { return };
        let failure = match out.phase {
            Phase::ProgressSdp | Phase::Ringing => AttemptFailure::RingTimeout,
            Phase::Trying | Phase::Progress => AttemptFailure::ProgressTimeout,
            Phase::Sent => AttemptFailure::NoResponse,
        };
        self.attempt_failed(cx, number, Failed { failure, code: 0, cause: 0 });
    }

    /// The whole set-up took too long (ROUTE-54).
    pub(super) fn on_setup_limit(&mut self, cx: &mut Cx<'_>) {
        let alerting =
            |attempt: &super::Attempt| attempt.out().is_some_and(|o| o.alerting.is_some());
        let ringing = self.attempts.iter().any(|attempt| alerting(attempt));
        let (failure, why) = if ringing {
            (AttemptFailure::RingTimeout, name::RING_TIMEOUT)
        } else {
            (AttemptFailure::ProgressTimeout, name::SETUP_BUDGET)
        };
        self.failures.push(Failed { failure, code: 0, cause: 0 });
        self.give_up_all(cx, failure, why);
        self.all_failed(cx, why);
    }

    /// An attempt failed: records it, then asks the policy for the next step.
    fn attempt_failed(&mut self, cx: &mut Cx<'_>, number: u16, failed: Failed) {
        let Failed { failure, code, cause } = failed;
        let Some(at) = self.attempts.iter().position(|a| a.record.number == number) else { return };
        let attempt = &mut self.attempts[at];
        attempt.record.code = code;
        attempt.record.cause = cause;
        let attempt = &self.attempts[at];
        let mut switches = attempt.vendor.failover.clone();
        switches.until_connect |= self.customer.until_connect;
        let (choices, vendor, left) = (
            match &self.state {
                super::State::SettingUp(setup) => setup.choices.len(),
                _ => return,
            },
            Arc::clone(&attempt.vendor),
            attempt.ways.rest(),
        );
        let question = AdvanceQuestion {
            call: self.facts,
            trunk: vendor.id,
            failure,
            code,
            cause,
            alerted: attempt.alerted,
            media_opened: attempt.media_opened,
            rtp_received: attempt.media_opened && attempt.media.has_spoken(cx),
            switches,
            attempts: u32::from(self.attempts_sent),
            remaining: u32::try_from(choices).unwrap_or(u32::MAX),
        };
        let media_opened = attempt.media_opened;
        self.failures.push(failed);
        self.tell(cx, EventKind::Failed, vendor.id, code);
        self.give_up(cx, number, failure, reason::of_failure(failure, code, cause));
        let awaited = media_opened && self.attempt(number).is_some();
        let Some(setup) = self.setup() else { return };
        // The next address of the same trunk, each once (SIG-65).
        let unreachable =
            matches!(failure, AttemptFailure::NoResponse | AttemptFailure::ConnectFailed);
        if let Some(ways) = left.filter(|_| unreachable) {
            setup.choices.push_front(Choice { trunk: vendor.id, ways: Some(ways) });
        }
        if awaited {
            setup.awaited = Some((number, cx.now.instant + AWAITED));
        }
        let more = !setup.choices.is_empty();
        if self.placed.is_some() {
            // At most further addresses of its trunk are left.
            return self.advance(cx, number, if more { Advance::Next } else { Advance::Stop });
        }
        self.ask(cx, Step::Advance, number, Question::Advance(question));
    }

    pub(super) fn on_advance(&mut self, cx: &mut Cx<'_>, number: u16, reply: Reply) {
        let decision = match reply.outcome {
            Ok(Answer::Advance(decision)) => decision,
            // Without a policy: no callee is rung twice.
            Ok(_) | Err(_) => match self.failures.last() {
                Some(Failed { failure: AttemptFailure::RingTimeout, .. })
                | Some(Failed { code: 486 | 600..=605 | 607..=699, .. }) => Advance::Stop,
                _ => Advance::Next,
            },
        };
        self.advance(cx, number, decision);
    }

    /// Carries out the decision after a failed attempt.
    fn advance(&mut self, cx: &mut Cx<'_>, number: u16, decision: Advance) {
        let reason = self.reason_of_attempt(number);
        match decision {
            Advance::Next => {
                let waits = self.setup().is_some_and(|setup| {
                    setup.awaited.is_some_and(|(awaited, _)| awaited == number)
                });
                // Other open attempts go on; a parallel start keeps its number of attempts.
                let room = self.live_attempts().count() < self.customer.parallel.max(1) as usize;
                if !waits && room {
                    self.next_choice(cx);
                }
            }
            Advance::Stop => {
                let code = reason::chosen_code(self.customer.failure_reply, &self.failures);
                self.fail_setup(cx, code, reason);
            }
            Advance::StopWith(code) => self.fail_setup(cx, code, reason),
        }
    }

    /// The awaited attempt has ended, or the wait for it is over.
    pub(super) fn on_awaited(&mut self, cx: &mut Cx<'_>) {
        let Some((number, _)) = self.setup().and_then(|setup| setup.awaited.take()) else { return };
        let undecided = self.is_asked(Step::Advance, number);
        if !undecided && !self.attempts.iter().any(|attempt| attempt.is_live()) {
            self.next_choice(cx);
        }
    }

    /// Records of ended, abandoned and open attempts.
    pub(super) fn attempt_records(&self) -> impl Iterator<Item = &ledger::AttemptRecord> {
        let others = self.attempts.iter().map(|attempt| &attempt.record);
        self.finished.iter().chain(others)
    }

    fn reason_of_attempt(&self, number: u16) -> Text {
        let record = self.attempt_records().find(|record| record.number == number);
        record.map_or_else(|| name::ALL_ROUTES_FAILED.into(), |record| record.end_reason.clone())
    }

    /// No choice is left, or a limit forbids it; SIG-86 chooses the code.
    fn all_failed(&mut self, cx: &mut Cx<'_>, why: &str) {
        let code = reason::chosen_code(self.customer.failure_reply, &self.failures);
        self.fail_setup(cx, code, why.into());
    }

    fn fail_setup(&mut self, cx: &mut Cx<'_>, code: u16, why: Text) {
        self.give_up_all(cx, AttemptFailure::NotSent, &why);
        let told = |failed: &&Failed| failed.code == code && failed.cause > 0;
        let received = self.failures.iter().rev().find(told);
        let cause = received.map_or_else(|| reason::cause_of(code), |failed| failed.cause);
        let cause = if why == name::RING_TIMEOUT { 19 } else { cause };
        let by = match self.failures.last() {
            Some(Failed { failure: AttemptFailure::Response, .. }) => EndedBy::Callee,
            _ => EndedBy::Switch,
        };
        let detail = self.unusable.filter(|_| code == 488).map_or("", Unusable::text);
        self.finish_setup(cx, End::refused(code, why, by).with(detail), cause);
    }

    /// One attempt rings or has answered: gives up the others (ROUTE-58).
    pub(super) fn has_won(&mut self, cx: &mut Cx<'_>, winner: u16) {
        if let Some(setup) = self.setup() {
            (setup.hedge, setup.awaited) = (None, None);
        }
        let others: Vec<u16> = self.live_attempts().filter(|number| *number != winner).collect();
        for number in others {
            self.give_up(cx, number, AttemptFailure::NotSent, name::ANSWERED_ELSEWHERE);
        }
    }

    pub(super) fn live_attempts(&self) -> impl Iterator<Item = u16> {
        self.attempts
            .iter()
            .filter(|attempt| attempt.is_live())
            .map(|attempt| attempt.record.number)
    }

    /// Notes the vendor's first response: its delay is recorded, and no further attempt starts
    /// beside this one (ROUTE-58).
    pub(super) fn note_sign(&mut self, cx: &Cx<'_>, number: u16, response: &Message) {
        let Some(attempt) = self.attempt_mut(number) else { return };
        attempt.note_response(cx.now.instant, response);
        let counts = attempt.is_out();
        if let Some(setup) = self.setup().filter(|_| counts) {
            setup.hedge = None;
        }
    }

    /// Post-dial delay of an attempt, once the callee is reached (CDR-02).
    pub(super) fn note_delay(attempt: &mut super::Attempt, cx: &Cx<'_>) {
        attempt.record.pdd_ms.get_or_insert(since(attempt.sent, cx.now.instant));
    }
}
