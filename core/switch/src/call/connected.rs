//! From the vendor's 2xx to the first BYE: answer, ACK, end. Media are in [`super::media`],
//! requests inside the dialogs in [`super::relayed`].

use super::{Call, Cx, Leg, Relayed, State, allows_update};
use crate::authentication::PendingBye;
use crate::media::MediaSide;
use crate::next_hop::next_hop;
use crate::quality::Outcome;
use crate::reason::{Causes, cause_of, name};
use crate::sdp::{self, Unusable};
use crate::switch::Role;
use compact_str::format_compact;
use ledger::{EndedBy, Text};
use policy::EventKind;
use sip::{Dialog, Flow, Message, Method, TransactionId};
use std::time::{Duration, Instant};

impl Call {
    /// The vendor answered: both legs are up from here on.
    pub(super) fn on_answer_from_vendor(
        &mut self,
        cx: &mut Cx<'_>,
        id: TransactionId,
        flow: Flow,
        response: &Message,
    ) {
        let Some(mut attempt) = self.current.take() else { return };
        *cx.core.counters.vendor_codes.entry(response.status()).or_default() += 1;
        // The response repeats all that is needed of our INVITE.
        let dialog = Dialog::uac(response, response);
        attempt.record.code = response.status();
        attempt.record.answer_ms = Some(cx.now.utc_ms);
        let whose = (attempt.record.number, attempt.record.vendor_account);
        attempt.record.buy = self.buy_price(cx, whose, attempt.record.sent_ms);
        attempt.answered = Some(cx.now.instant);
        let waited = cx.now.instant.saturating_duration_since(attempt.sent).as_millis();
        attempt.record.pdd_ms.get_or_insert(u32::try_from(waited).unwrap_or(u32::MAX));
        let (usage, pdd_ms) = (&attempt.vendor.usage, attempt.record.pdd_ms);
        usage.quality.attempt(cx.now.utc_ms, Outcome::Answered, pdd_ms);
        Call::settle_answered_attempt(&mut attempt);
        self.vendor_tag = attempt.tag;
        let login = attempt.login.take();
        let (origin, updates) = (attempt.origin, allows_update(response));
        let early = attempt.early_answer.take();
        self.vendor = Some(Leg { dialog, flow, origin, natted: false, login, updates });
        self.note_foreign(cx);
        let cseq = attempt.cseq;
        let vendor = attempt.vendor.id;
        self.current = Some(attempt);
        let delayed = self.delayed_offer();
        let body = match sdp::body_of(response) {
            Some(sdp) => {
                if let Some(attempt) = &mut self.current {
                    attempt.record.media_ms.get_or_insert(cx.now.utc_ms);
                }
                Some(self.pass_sdp(cx, MediaSide::Vendor, sdp))
            }
            // The caller's offer is answered by what came in a 18x (RFC 6337 section 3.1.1), or
            // it is not answered at all.
            None if !delayed => Some(early.ok_or(Unusable::NoAudio)),
            None => None,
        };
        if delayed && body.is_some() {
            self.vendor_ack_due = Some(cseq);
        } else {
            self.ack_vendor(cx, id, cseq, None);
        }
        let body = match body {
            // The vendor's SDP cannot be used: end both legs rather than connect silence.
            Some(Err(unusable)) => {
                self.state = State::Connected;
                self.release_vendor_ack(cx, None);
                self.bye(cx, MediaSide::Vendor, Causes::ours(31));
                // It answered, and charges for it (BILL-28).
                self.end_attempt(cx, name::CODEC_MISMATCH, EndedBy::Switch);
                self.unusable = Some(unusable);
                return self.finish_setup(
                    cx,
                    488,
                    488,
                    name::CODEC_MISMATCH.into(),
                    EndedBy::Switch,
                    format_compact!("vendor: {}", unusable.text()),
                    31,
                );
            }
            Some(Ok(body)) => Some(body),
            None => None,
        };
        self.answered = Some(cx.now.instant);
        self.answer_ms = Some(cx.now.utc_ms);
        self.fix_sell_price(cx);
        if body.is_some() {
            self.media_ms.get_or_insert(cx.now.utc_ms);
        }
        let pdd = cx.now.instant.saturating_duration_since(self.began).as_millis();
        self.pdd_ms.get_or_insert(u32::try_from(pdd).unwrap_or(u32::MAX));
        self.max_deadline = self.longest().map(|(limit, _)| cx.now.instant + limit);
        self.interim_deadline = Some(cx.now.instant + self.world.settings.interim);
        self.state = State::Connected;
        *self.identity = super::CallerIdentity::default();
        cx.core.counters.answered += 1;
        tracing::debug!(call = %self.shown_id(), "answered");
        self.respond_invite(cx, 200, body.as_deref(), 0);
        self.tell(cx, EventKind::Answered, vendor, 200);
        self.write_interim(cx);
        self.interim_deadline = Some(cx.now.instant + self.world.settings.interim);
    }

    /// A side may want its requests at an address that no trunk names, and answers from there.
    pub(super) fn note_foreign(&mut self, cx: &mut Cx<'_>) {
        let legs = [Some(&self.caller), self.vendor.as_ref()];
        let elsewhere = |leg: &Leg| !cx.core.index.knows(leg.next_hop().remote);
        if !self.foreign && legs.into_iter().flatten().any(elsewhere) {
            self.foreign = true;
            cx.core.foreign_legs += 1;
        }
    }

    fn ack_vendor(&mut self, cx: &mut Cx<'_>, id: TransactionId, cseq: u32, body: Option<&[u8]>) {
        let Some(leg) = &self.vendor else { return };
        let flow = leg.next_hop();
        let mut ack = leg.with_invite_login(cx.core.with_via(leg.dialog.ack(cseq), flow.listener));
        if let Some(body) = body {
            ack = ack.body("application/sdp", body);
        }
        cx.core.transactions.ack(cx.now.instant, id, flow, ack.finish());
    }

    /// The caller's ACK for our 2xx, to its INVITE or to a re-INVITE of it or to it.
    pub(crate) fn on_ack(&mut self, cx: &mut Cx<'_>, id: TransactionId, role: Role, ack: &Message) {
        match role {
            Role::Ingress => {
                cx.core.owners.remove(&id);
                self.acked = true;
                self.invite = None;
                let unusable = self.release_vendor_ack(cx, Some(ack));
                if unusable.is_some() && matches!(self.state, State::Connected) {
                    // The answer to a delayed offer: rather no call than a silent one.
                    let causes = Causes::ours(31);
                    return self.end_connected(
                        cx,
                        name::CODEC_MISMATCH,
                        EndedBy::Switch,
                        None,
                        causes,
                    );
                }
                if let Some(causes) = self.caller_bye.take() {
                    self.bye(cx, MediaSide::Caller, causes);
                    self.try_close(cx);
                }
            }
            Role::Relayed => {
                let Some(at) = self.relayed.iter().position(|r| r.server == id) else { return };
                let relayed = self.relayed.remove(at);
                cx.core.owners.remove(&relayed.server);
                cx.core.owners.remove(&relayed.client);
                if relayed.delayed {
                    let body =
                        sdp::body_of(ack).and_then(|sdp| self.pass_sdp(cx, relayed.from, sdp).ok());
                    self.ack_other(cx, &relayed, body.as_deref());
                }
            }
            Role::Attempt(_) => {}
        }
    }

    /// Delayed offer: the caller's answer goes on in the vendor's ACK; what is wrong with it, if
    /// it cannot.
    pub(super) fn release_vendor_ack(
        &mut self,
        cx: &mut Cx<'_>,
        ack: Option<&Message>,
    ) -> Option<Unusable> {
        let cseq = self.vendor_ack_due.take()?;
        let id = self.current.as_ref().and_then(|attempt| attempt.transaction)?;
        let sdp = ack.and_then(sdp::body_of);
        let body = sdp.map(|sdp| self.pass_sdp(cx, MediaSide::Caller, sdp)).transpose();
        self.ack_vendor(cx, id, cseq, body.as_ref().ok().and_then(Option::as_deref));
        body.err()
    }

    pub(super) fn ack_other(&mut self, cx: &mut Cx<'_>, relayed: &Relayed, body: Option<&[u8]>) {
        let Some(leg) = self.leg(relayed.from.other()) else { return };
        let flow = leg.next_hop();
        let ack = cx.core.with_via(leg.dialog.ack(relayed.cseq), flow.listener);
        let mut ack = leg.with_invite_login(ack);
        if let Some(body) = body {
            ack = ack.body("application/sdp", body);
        }
        cx.core.transactions.ack(cx.now.instant, relayed.client, flow, ack.finish());
    }

    pub(super) fn leg(&self, side: MediaSide) -> Option<&Leg> {
        match side {
            MediaSide::Caller => Some(&self.caller),
            MediaSide::Vendor => self.vendor.as_ref(),
        }
    }

    pub(super) fn leg_mut(&mut self, side: MediaSide) -> Option<&mut Leg> {
        match side {
            MediaSide::Caller => Some(&mut self.caller),
            MediaSide::Vendor => self.vendor.as_mut(),
        }
    }

    /// 18x to the caller (ROUTE-55: what was sent stays valid over failovers).
    pub(super) fn progress_caller(&mut self, cx: &mut Cx<'_>, status: u16, body: Option<Vec<u8>>) {
        self.ringing_ms.get_or_insert(cx.now.utc_ms);
        if body.is_some() {
            self.media_ms.get_or_insert(cx.now.utc_ms);
        }
        if status == 180 || body.is_some() {
            let pdd = cx.now.instant.saturating_duration_since(self.began).as_millis();
            self.pdd_ms.get_or_insert(u32::try_from(pdd).unwrap_or(u32::MAX));
        }
        self.respond_invite(cx, status, body.as_deref(), 0);
    }

    /// A response to the caller's INVITE, from 101 on with our tag and Contact, in our words
    /// (SIG-04).
    pub(super) fn respond_invite(
        &mut self,
        cx: &mut Cx<'_>,
        status: u16,
        body: Option<&[u8]>,
        cause: u8,
    ) {
        let Some(invite) = &self.invite else { return };
        let reason = sip::reason_phrase(status);
        let mut builder = sip::MessageBuilder::response_to(invite, status, reason)
            .to_tag(&crate::shard::tag_text(self.tag));
        if status < 300 {
            builder = cx.core.with_contact(builder, self.caller.flow.listener, &self.callee_in);
        }
        if cause > 0 {
            builder = builder.header("Reason", format_args!("Q.850;cause={cause}"));
        }
        if let Some(seconds) = self.retry_after.filter(|_| status == 503) {
            builder = builder.header("Retry-After", seconds);
        }
        if let Some(unusable) = self.unusable.filter(|_| status == 488) {
            let us = cx.core.advertised(self.caller.flow.listener);
            builder = builder.header("Warning", unusable.warning(&us));
        }
        if let Some(body) = body {
            builder = builder.body("application/sdp", body);
        }
        let bytes = builder.finish();
        cx.core.transactions.respond(cx.now.instant, self.ingress, status, bytes);
        if status >= 300 {
            // The transaction is over: a proxy that hunts may send the next branch of this
            // INVITE here (RFC 3261 section 8.2.2.2).
            if let Some(key) = self.merge_key.take() {
                cx.core.callers.remove(&key);
            }
            cx.core.owners.remove(&self.ingress);
            self.invite = None;
        }
    }

    /// BYE to one side.
    pub(super) fn bye(&mut self, cx: &mut Cx<'_>, side: MediaSide, causes: Causes) {
        let credentials = match side {
            MediaSide::Caller => None,
            MediaSide::Vendor => self.current.as_ref().and_then(|a| a.credentials()),
        };
        let Some(leg) = self.leg_mut(side) else { return };
        let flow = leg.next_hop();
        if let Some(credentials) = credentials {
            let (dialog, login) = (leg.dialog.clone(), leg.login.take().unwrap_or_default());
            let bye = PendingBye { dialog, flow, login, credentials, causes };
            return cx.core.send_bye(cx.now, bye);
        }
        let builder = leg.dialog.request(&Method::Bye);
        let bye = cx
            .core
            .with_via(builder, flow.listener)
            .header_of("Reason", &[&causes.text()])
            .finish();
        let standard = cx.core.transactions.standard_schedule();
        cx.core.transactions.request(cx.now.instant, flow, bye, &standard);
    }

    /// Ends an answered call: BYE to whoever has not gone, then the charges.
    pub(super) fn end_connected(
        &mut self,
        cx: &mut Cx<'_>,
        why: &str,
        by: EndedBy,
        gone: Option<MediaSide>,
        causes: Causes,
    ) {
        self.end_connected_with(cx, why, by, gone, causes, Text::default());
    }

    /// The call has lasted as long as it may; the record says by whose limit (SIG-35).
    pub(super) fn end_at_limit(&mut self, cx: &mut Cx<'_>) {
        let detail = self.longest().map_or_else(Text::default, |(limit, whose)| {
            compact_str::format_compact!("the limit of the {whose} is {limit:?}")
        });
        let causes = Causes::ours(16);
        self.end_connected_with(cx, name::MAX_DURATION, EndedBy::Switch, None, causes, detail);
    }

    /// The shortest of the limits that are set, and whose it is (SIG-35).
    fn longest(&self) -> Option<(Duration, &'static str)> {
        let vendor = self.current.as_ref().map_or(Duration::ZERO, |a| a.vendor.max_duration);
        let limits = [
            (self.account.max_duration, "account"),
            (self.customer.max_duration, "customer trunk"),
            (vendor, "vendor trunk"),
            (self.world.settings.max_duration, "node"),
        ];
        limits.into_iter().filter(|(limit, _)| !limit.is_zero()).min_by_key(|(limit, _)| *limit)
    }

    fn end_connected_with(
        &mut self,
        cx: &mut Cx<'_>,
        why: &str,
        by: EndedBy,
        gone: Option<MediaSide>,
        causes: Causes,
        detail: Text,
    ) {
        self.release_vendor_ack(cx, None);
        for relayed in std::mem::take(&mut self.relayed) {
            cx.core.owners.remove(&relayed.server);
            cx.core.owners.remove(&relayed.client);
            if !relayed.answered {
                // Nothing is resent into a dialog that ends.
                cx.core.transactions.abandon(cx.now.instant, relayed.client);
                let reason = "Request Terminated";
                cx.core.respond_plain(cx.now, relayed.server, &relayed.request, 487, reason, &[]);
            } else if relayed.delayed {
                self.ack_other(cx, &relayed, None);
            }
        }
        if gone != Some(MediaSide::Vendor) {
            self.bye(cx, MediaSide::Vendor, causes);
        }
        if gone != Some(MediaSide::Caller) {
            // RFC 3261 section 15: not before the ACK, or before it can no longer come.
            if self.acked || why == name::ACK_TIMEOUT {
                self.bye(cx, MediaSide::Caller, causes);
            } else {
                self.caller_bye = Some(causes);
            }
        }
        let answered = self.answered.unwrap_or(cx.now.instant);
        self.duration_ms = lasted_ms(answered, cx.now.instant);
        self.end_attempt(cx, why, by);
        self.close_with(cx, why.into(), by, detail, 200, 200);
    }

    /// The attempt that was answered is over.
    fn end_attempt(&mut self, cx: &Cx<'_>, why: &str, by: EndedBy) {
        let Some(attempt) = self.current.as_mut() else { return };
        let since = attempt.answered.unwrap_or(cx.now.instant);
        let record = &mut attempt.record;
        record.duration_ms = lasted_ms(since, cx.now.instant);
        record.billable_ms = record.duration_ms;
        record.cause = self.heard.q850;
        record.end_ms = Some(cx.now.utc_ms);
        record.end_reason = why.into();
        record.ended_by = by;
    }

    /// Refuses a call that the whole node cannot take now (SIG-91).
    pub(super) fn refuse_for_now(&mut self, cx: &mut Cx<'_>, why: &str, detail: &str) {
        self.retry_after = Some(cx.core.intake.retry_after(&mut cx.core.rng));
        self.refuse(cx, 503, why, detail);
    }

    /// Refuses the call before answer.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, code: u16, why: &str, detail: &str) {
        let (why, detail) = (why.into(), detail.into());
        self.finish_setup(cx, code, code, why, EndedBy::Switch, detail, cause_of(code));
    }
}

impl Leg {
    /// An ACK carries the credentials of its INVITE.
    pub(super) fn with_invite_login(&self, mut ack: sip::MessageBuilder) -> sip::MessageBuilder {
        for (name, value) in self.login.iter().flat_map(|login| login.of_invite()) {
            ack = ack.header(name, value);
        }
        ack
    }

    /// Where requests to this side go; behind a NAT where its packets come from (SIG-12).
    pub(super) fn next_hop(&self) -> Flow {
        if self.natted { self.flow } else { next_hop(&self.dialog, self.flow) }
    }
}

/// How long an answer lasted, ms on the monotonic clock. It is above 0 however soon the BYE
/// came, or what was answered would not be billed (BILL-10): the clock is read once for all
/// packets that lie ready, so that an answer and its BYE may have one moment.
pub(super) fn lasted_ms(answered: Instant, ended: Instant) -> u64 {
    let lasted = ended.saturating_duration_since(answered).as_millis();
    u64::try_from(lasted).unwrap_or(u64::MAX).max(1)
}
