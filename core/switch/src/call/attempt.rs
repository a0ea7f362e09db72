//! One INVITE to one vendor trunk: numbers, identity, state timers, what its failure
//! leads to (SIG-15 to SIG-25, ROUTE-50).

use super::connected::lasted_ms;
use super::media::{LegMedia, NoOffer};
use super::{Call, Choice, Cx, State, Step};
use crate::authentication::Login;
use crate::facts::{Credentials, VendorTrunk};
use crate::media::MediaSide;
use crate::quality::Outcome;
use crate::reason::{self, Causes, Failed, name};
use crate::sdp::{Origin, Unusable};
use crate::shard::{new_call_id, tag_text};
use crate::switch::{Owner, Role};
use ledger::{AttemptRecord, EndedBy, MediaRecord, Text};
use policy::{
    Advance, AdvanceQuestion, Answer, AttemptFailure, EventKind, IdentityAnswer, IdentityQuestion,
    NumberAnswer, NumberQuestion, Question, Reply, Stage,
};
use rand::Rng;
use sip::{Flow, Message, Method, TransactionId};
use std::sync::Arc;
use std::time::Instant;

/// State of an attempt; each has its timer (section 2 of the signalling reference).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Numbers and identity are being asked for.
    Preparing,
    /// SIG-15.
    Sent,
    /// SIG-16.
    Trying,
    /// SIG-17.
    Progress,
    /// SIG-18.
    ProgressSdp,
    /// SIG-19.
    Ringing,
    /// 2xx received.
    Answered,
}

/// What the INVITE is made of; kept until the answer in case it must be sent again with
/// credentials.
#[derive(Debug)]
struct Outgoing {
    numbers: NumberAnswer,
    identity: Option<IdentityAnswer>,
    body: Vec<u8>,
}

impl Outgoing {
    /// The called number with its parameters (RFC 4694, SIG-84) at the vendor's address.
    fn request_uri(&self, flow: Flow) -> String {
        let (callee, parameters) = (&self.numbers.callee, &self.numbers.uri_parameters);
        let separator = if parameters.is_empty() { "" } else { ";" };
        [
            "sip:",
            &crate::number::uri_user(callee),
            separator,
            parameters,
            "@",
            &sip::address_text(flow.remote),
            flow.link.uri_parameter(),
        ]
        .concat()
    }
}

/// An attempt that is out or was out.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) vendor: Arc<VendorTrunk>,
    pub(crate) record: AttemptRecord,
    /// Our Call-ID of the leg.
    pub(crate) call_id: Text,
    pub(super) deadline: Instant,
    pub(super) transaction: Option<TransactionId>,
    pub(super) cseq: u32,
    pub(super) tag: u64,
    pub(super) sent: Instant,
    pub(super) answered: Option<Instant>,
    pub(super) origin: Origin,
    pub(super) media: LegMedia,
    target: usize,
    phase: Phase,
    alerting: Option<Instant>,
    alerted: bool,
    media_opened: bool,
    /// What its vendor wants proven (SIG-53).
    pub(super) login: Option<Box<Login>>,
    /// The caller's number must not be seen.
    pub(super) anonymous: bool,
    outgoing: Option<Box<Outgoing>>,
    /// Sends of the transactions before the current one: the INVITE without credentials.
    sends_before: u16,
    /// The vendor's answer to the caller's offer as the caller got it in a 18x.
    pub(super) early_answer: Option<Vec<u8>>,
}

impl Attempt {
    /// Host of the identity that the vendor sees (SIG-70).
    fn host_of_from(&self) -> Text {
        let target = self.vendor.targets.get(self.target);
        match target.filter(|_| self.vendor.from_host.is_empty()) {
            Some(target) if target.is_ipv6() => {
                compact_str::format_compact!("[{}]", target.ip())
            }
            Some(target) => sip::ip_text(target.ip()),
            None => (&*self.vendor.from_host).into(),
        }
    }

    /// Where its INVITE goes.
    pub(super) fn target_address(&self) -> Option<std::net::SocketAddr> {
        self.vendor.targets.get(self.target).copied()
    }

    /// What a response of any kind tells.
    fn note_response(&mut self, now: Instant, response: &Message) {
        let record = &mut self.record;
        if record.first_response_ms.is_none() {
            let waited = now.saturating_duration_since(self.sent).as_millis();
            record.first_response_ms = Some(u32::try_from(waited).unwrap_or(u32::MAX));
        }
        if let Some(tag) = response.to_tag().filter(|_| record.answer_ms.is_none()) {
            record.vendor_tag = tag.into();
        }
    }

    /// What the vendor wants proven is proven with these.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        self.vendor.credentials.clone()
    }

    /// The state's timer, counted from when the state or the alerting phase began (SIG-20).
    fn enter(&mut self, phase: Phase, now: Instant) {
        if self.phase == phase {
            return;
        }
        let timers = &self.vendor.timers;
        let alerting = matches!(phase, Phase::ProgressSdp | Phase::Ringing);
        if alerting && self.alerting.is_none() {
            self.alerting = Some(now);
        }
        self.phase = phase;
        self.deadline = match (phase, self.alerting) {
            (Phase::Ringing, Some(began)) => began + timers.ringing,
            (Phase::ProgressSdp, Some(began)) => began + timers.progress_sdp,
            (Phase::Progress, _) => now + timers.progress,
            (Phase::Trying, _) => now + timers.trying,
            _ => now + timers.response,
        };
    }
}

impl Call {
    /// Goes to the next choice that can be tried, or ends the call (ROUTE-50 rows 3, 4, 12).
    pub(super) fn next_choice(&mut self, cx: &mut Cx<'_>) {
        loop {
            let waited = cx.now.instant.saturating_duration_since(self.began);
            let limit = self.customer.max_attempts;
            if self.attempts_sent > 0 && !self.choices.is_empty() {
                if waited > self.customer.setup_budget {
                    return self.all_failed(cx, name::SETUP_BUDGET);
                }
                if limit > 0 && u32::from(self.attempts_sent) >= limit {
                    return self.all_failed(cx, name::ATTEMPT_LIMIT);
                }
            }
            let Some(choice) = self.choices.pop_front() else {
                return self.all_failed(cx, self.why_none_is_left());
            };
            let Some(vendor) = self.world.vendors.get(&choice.trunk).cloned() else { continue };
            // SIG-91: what rests is left out.
            let Some(target) = cx.awake_target(&vendor, choice.target) else { continue };
            let choice = Choice { target, ..choice };
            let mut attempt = self.new_attempt(cx, vendor, choice);
            if !attempt.vendor.usage.take(attempt.vendor.channels) {
                attempt.record.end_reason = name::CONCURRENCY_LIMIT.into();
                attempt.record.end_ms = Some(cx.now.utc_ms);
                self.finished.push(attempt.record);
                continue;
            }
            let question = NumberQuestion {
                call: self.facts,
                stage: Stage::Egress,
                trunk: attempt.vendor.id,
                caller: self.caller_route.clone(),
                callee: self.callee_route.clone(),
                identity: Text::default(),
                caller_rules: attempt.vendor.caller_rules,
                callee_rules: attempt.vendor.callee_rules,
                identity_rules: attempt.vendor.identity_rules,
                tech_prefix: (&*attempt.vendor.tech_prefix).into(),
                reject_unmatched: attempt.vendor.reject_unmatched,
            };
            self.current = Some(Box::new(attempt));
            self.state = State::Deciding(Step::EgressNumber);
            return self.ask(cx, Question::Number(question));
        }
    }

    /// Why no choice is left (ROUTE-50 row 12).
    fn why_none_is_left(&self) -> &'static str {
        match &self.failures[..] {
            [] => name::ALL_ROUTES_BUSY,
            all if all.iter().all(|failed| *failed == Failed::NO_CODEC) => name::CODEC_MISMATCH,
            all if all.iter().all(|failed| *failed == Failed::NO_PORTS) => name::MEDIA_RESOURCES,
            _ => name::ALL_ROUTES_FAILED,
        }
    }

    fn new_attempt(&self, cx: &mut Cx<'_>, vendor: Arc<VendorTrunk>, choice: Choice) -> Attempt {
        let number = self.finished.len() + self.lingering.len() + 1;
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        let settings = &cx.core.settings;
        let call_id = new_call_id(&mut cx.core.rng, settings.shard, settings.shards);
        let target = vendor.targets.get(choice.target).map(|target| sip::address_text(*target));
        let record = AttemptRecord {
            number,
            trunk: vendor.id,
            trunk_name: Arc::clone(&vendor.name),
            vendor_account: vendor.account,
            target: target.unwrap_or_default(),
            skipped: true,
            transport: Text::default(),
            local: Text::default(),
            sip_call_id: call_id.clone(),
            our_tag: Text::default(),
            vendor_tag: Text::default(),
            caller_out: Text::default(),
            callee_out: Text::default(),
            identity_out: Text::default(),
            generation: self.pin.generation,
            sent_ms: cx.now.utc_ms,
            sends: 0,
            first_response_ms: None,
            ringing_ms: None,
            media_ms: None,
            answer_ms: None,
            end_ms: None,
            pdd_ms: None,
            duration_ms: 0,
            billable_ms: 0,
            end_reason: Text::default(),
            ended_by: EndedBy::Switch,
            code: 0,
            cause: 0,
            buy: None,
            media: MediaRecord::default(),
        };
        Attempt {
            vendor,
            record,
            call_id,
            deadline: cx.now.instant,
            transaction: None,
            cseq: 1,
            tag: cx.core.rng.random(),
            sent: cx.now.instant,
            answered: None,
            origin: Origin::new(&mut cx.core.rng),
            media: LegMedia::new(self.key, number),
            target: choice.target,
            phase: Phase::Preparing,
            alerting: None,
            alerted: false,
            media_opened: false,
            login: None,
            anonymous: self.private,
            outgoing: None,
            sends_before: 0,
            early_answer: None,
        }
    }

    pub(super) fn on_egress_numbered(&mut self, cx: &mut Cx<'_>, reply: Reply) {
        let Some(mut attempt) = self.current.take() else { return };
        let mut numbers = match reply.outcome {
            Ok(Answer::Number(Ok(numbers))) => numbers,
            Ok(Answer::Number(Err(rejection))) => {
                return self.not_sent(cx, *attempt, &rejection.reason);
            }
            Ok(_) | Err(_) => return self.not_sent(cx, *attempt, name::INTERNAL_ERROR),
        };
        if !crate::number::is_valid(&numbers.callee) {
            return self.not_sent(cx, *attempt, name::NUMBER_INVALID);
        }
        for number in [&mut numbers.caller, &mut numbers.identity] {
            if !crate::number::is_valid(number) {
                number.clear();
            }
        }
        let vendor = &attempt.vendor;
        let question = IdentityQuestion {
            call: self.facts,
            trunk: vendor.id,
            caller_out: numbers.caller.clone(),
            identity_out: numbers.identity.clone(),
            display: self.identity.display.clone(),
            host: attempt.host_of_from(),
            privacy: self.identity.privacy.clone(),
            private: self.private,
            source_trusted: self.customer.trusted,
            target_trusted: vendor.trusted,
            modes: vendor.identity.clone(),
        };
        attempt.record.caller_out = numbers.caller.clone();
        attempt.record.callee_out = numbers.callee.clone();
        attempt.record.identity_out = numbers.identity.clone();
        attempt.outgoing = Some(Box::new(Outgoing { numbers, identity: None, body: Vec::new() }));
        self.current = Some(attempt);
        self.state = State::Deciding(Step::Identity);
        self.ask(cx, Question::Identity(question));
    }

    pub(super) fn on_identified(&mut self, cx: &mut Cx<'_>, reply: Reply) {
        let Some(mut attempt) = self.current.take() else { return };
        let identity = match reply.outcome {
            Ok(Answer::Identity(Ok(identity))) => identity,
            Ok(Answer::Identity(Err(rejection))) => {
                return self.not_sent(cx, *attempt, &rejection.reason);
            }
            Ok(_) | Err(_) => return self.not_sent(cx, *attempt, name::INTERNAL_ERROR),
        };
        let body = match self.offer_for_vendor(cx, &mut attempt) {
            Ok(body) => body,
            Err(NoOffer::Ports) => return self.not_sent(cx, *attempt, name::MEDIA_RESOURCES),
            Err(NoOffer::Sdp(unusable)) => {
                self.unusable = Some(unusable);
                return self.not_sent(cx, *attempt, name::CODEC_MISMATCH);
            }
        };
        attempt.anonymous |= identity.user.eq_ignore_ascii_case("anonymous");
        if let Some(outgoing) = &mut attempt.outgoing {
            outgoing.identity = Some(identity);
            outgoing.body = body;
        }
        let record = &mut attempt.record;
        record.skipped = false;
        record.sent_ms = cx.now.utc_ms;
        attempt.sent = cx.now.instant;
        self.attempts_sent += 1;
        if self.processing_us.is_none() {
            let micros = cx.now.instant.saturating_duration_since(self.began).as_micros();
            self.processing_us = Some(u32::try_from(micros).unwrap_or(u32::MAX));
        }
        attempt.vendor.usage.count_attempt(cx.now.utc_ms);
        *cx.core.counters.attempts.entry(Arc::clone(&attempt.vendor.name)).or_default() += 1;
        cx.core.tags.insert(attempt.tag, (self.key, MediaSide::Vendor));
        self.send_invite(cx, &mut attempt);
        attempt.enter(Phase::Sent, cx.now.instant);
        tracing::debug!(call = %self.shown_id(), vendor = %attempt.vendor.name,
            target = %attempt.record.target, "attempt");
        self.tell(cx, EventKind::Attempt, attempt.vendor.id, 0);
        self.current = Some(attempt);
        self.state = State::Attempting;
    }

    fn send_invite(&self, cx: &mut Cx<'_>, attempt: &mut Attempt) {
        let (Some(outgoing), Some(remote)) =
            (&attempt.outgoing, attempt.vendor.targets.get(attempt.target))
        else {
            return;
        };
        let Some(identity) = &outgoing.identity else { return };
        let listener = attempt.vendor.listener;
        let flow = Flow { listener, remote: *remote, link: cx.core.link(listener) };
        let uri = outgoing.request_uri(flow);
        let display = if identity.display.is_empty() {
            String::new()
        } else {
            format!("\"{}\" ", identity.display.replace('\\', "\\\\").replace('"', "\\\""))
        };
        let mut invite = cx.core.request_to(&Method::Invite, &uri, flow.listener);
        invite = invite
            .header_of("Max-Forwards", &[itoa::Buffer::new().format(self.max_forwards)])
            .header_of(
                "From",
                &[
                    &display,
                    "<sip:",
                    &identity.user,
                    if identity.user.is_empty() { "" } else { "@" },
                    &identity.host,
                    ">;tag=",
                    &tag_text(attempt.tag),
                ],
            )
            .header_of("To", &["<", &uri, ">"])
            .header_of("Call-ID", &[&attempt.call_id])
            .header_of("CSeq", &[itoa::Buffer::new().format(attempt.cseq), " INVITE"]);
        let user = if attempt.anonymous { "" } else { &outgoing.numbers.caller };
        invite = cx.core.with_contact(invite, flow.listener, user);
        for (header, value) in &identity.headers {
            invite = invite.header_of(header, &[value]);
        }
        if let (Some(login), Some(credentials)) = (&mut attempt.login, &attempt.vendor.credentials)
        {
            for (header, value) in login.lines(credentials, &Method::Invite, &uri, &mut cx.core.rng)
            {
                invite = invite.header(header, value);
            }
        }
        if !outgoing.body.is_empty() {
            invite = invite.body("application/sdp", &outgoing.body);
        }
        let id = cx.core.transactions.request(
            cx.now.instant,
            flow,
            invite.finish(),
            &attempt.vendor.schedule,
        );
        cx.core
            .owners
            .insert(id, Owner { call: self.key, role: Role::Attempt(attempt.record.number) });
        let record = &mut attempt.record;
        record.transport = flow.link.name().into();
        record.local = super::record::local_of(&self.world, flow);
        record.our_tag = tag_text(attempt.tag);
        record.sends = attempt.sends_before + 1;
        attempt.transaction = Some(id);
    }

    /// How often the INVITE has been sent when something becomes of it.
    pub(crate) fn note_sends(&mut self, role: Role, id: TransactionId, sends: u16) {
        let Role::Attempt(number) = role else { return };
        let attempts = self.current.as_deref_mut().into_iter().chain(&mut self.lingering);
        for attempt in attempts {
            if attempt.record.number == number && attempt.transaction == Some(id) {
                attempt.record.sends = attempt.sends_before.saturating_add(sends);
            }
        }
    }

    pub(super) fn on_attempt_response(
        &mut self,
        cx: &mut Cx<'_>,
        number: u16,
        id: TransactionId,
        flow: Flow,
        response: &Message,
    ) {
        let status = response.status();
        let Some(attempt) = self.current.as_mut().filter(|a| a.record.number == number) else {
            return self.on_lingering_response(cx, number, id, flow, response);
        };
        attempt.note_response(cx.now.instant, response);
        if matches!(self.state, State::Connected | State::Closing(_)) {
            // Another fork answered after the first (SIG-07).
            if (200..300).contains(&status) {
                let login = self.vendor.as_ref().and_then(|leg| leg.login.clone());
                let known_by = login.zip(self.current.as_ref().and_then(|a| a.credentials()));
                let causes = Causes::ours(26);
                cx.core.acknowledge_and_end(cx.now, id, flow, response, causes, known_by);
            }
            return;
        }
        match status {
            100..=199 => self.on_provisional(cx, status, response),
            200..=299 => self.on_answer_from_vendor(cx, id, flow, response),
            401 | 407 if self.authenticate(cx, id, response) => {}
            _ => {
                *cx.core.counters.vendor_codes.entry(status).or_default() += 1;
                cx.core.owners.remove(&id);
                let cause = Causes::of(response).q850;
                if let Some(attempt) = self.current.as_mut() {
                    attempt.transaction = None;
                    attempt.vendor.usage.count_refusal(status);
                    if let (503, Some(target)) =
                        (status, attempt.vendor.targets.get(attempt.target))
                    {
                        cx.core.settings.rests.note(cx.now.instant, *target, response);
                    }
                }
                self.attempt_failed(cx, AttemptFailure::Response, status, cause);
            }
        }
    }

    /// Sends the INVITE again with credentials (SIG-53). False: it cannot be done.
    fn authenticate(&mut self, cx: &mut Cx<'_>, id: TransactionId, response: &Message) -> bool {
        let Some(mut attempt) = self.current.take() else { return false };
        let credentials = attempt.credentials().filter(|_| attempt.outgoing.is_some());
        let done = credentials.is_some_and(|credentials| {
            attempt.login.get_or_insert_default().take(response, &credentials)
        });
        if done {
            cx.core.owners.remove(&id);
            attempt.sends_before = attempt.record.sends;
            attempt.cseq += 1;
            self.send_invite(cx, &mut attempt);
            attempt.phase = Phase::Preparing;
            attempt.enter(Phase::Sent, cx.now.instant);
        }
        self.current = Some(attempt);
        done
    }

    fn on_provisional(&mut self, cx: &mut Cx<'_>, status: u16, response: &Message) {
        // 199 only ends an early dialog (SIG-20).
        if status == 199 {
            return;
        }
        let Some(mut attempt) = self.current.take() else { return };
        let offered = crate::sdp::body_of(response);
        let sdp = offered.is_some();
        let alerting = matches!(attempt.phase, Phase::ProgressSdp | Phase::Ringing);
        match status {
            100 if attempt.phase == Phase::Sent => attempt.enter(Phase::Trying, cx.now.instant),
            100 => {}
            // Early media are early media in any 18x (RFC 3960 section 3).
            _ if sdp => attempt.enter(Phase::ProgressSdp, cx.now.instant),
            180 => attempt.enter(Phase::Ringing, cx.now.instant),
            _ if alerting => {}
            _ => attempt.enter(Phase::Progress, cx.now.instant),
        }
        if status == 100 {
            self.current = Some(attempt);
            return;
        }
        if status == 180 || sdp {
            let waited = cx.now.instant.saturating_duration_since(attempt.sent).as_millis();
            attempt.record.pdd_ms.get_or_insert(u32::try_from(waited).unwrap_or(u32::MAX));
        }
        attempt.record.ringing_ms.get_or_insert(cx.now.utc_ms);
        if sdp {
            attempt.record.media_ms.get_or_insert(cx.now.utc_ms);
        }
        if status == 180 {
            if !attempt.alerted {
                self.tell(cx, EventKind::Ringing, attempt.vendor.id, status);
            }
            attempt.alerted = true;
        }
        self.current = Some(attempt);
        let body = offered.and_then(|sdp| self.answer_for_caller(cx, sdp));
        let delayed = self.delayed_offer();
        if let Some(attempt) = self.current.as_mut().filter(|_| body.is_some()) {
            attempt.media_opened = true;
            if !delayed {
                attempt.early_answer.clone_from(&body);
            }
        }
        self.progress_caller(cx, status, body);
    }

    /// The timer of the attempt's state ran out.
    pub(super) fn on_attempt_deadline(&mut self, cx: &mut Cx<'_>) {
        let Some(phase) = self.current.as_ref().map(|attempt| attempt.phase) else { return };
        let failure = match phase {
            Phase::ProgressSdp | Phase::Ringing => AttemptFailure::RingTimeout,
            Phase::Trying | Phase::Progress => AttemptFailure::ProgressTimeout,
            Phase::Preparing | Phase::Sent | Phase::Answered => AttemptFailure::NoResponse,
        };
        self.attempt_failed(cx, failure, 0, 0);
    }

    /// The whole set-up took too long (ROUTE-54).
    pub(super) fn on_setup_limit(&mut self, cx: &mut Cx<'_>) {
        let ringing = self.current.as_ref().is_some_and(|a| a.alerting.is_some());
        let (failure, why) = if ringing {
            (AttemptFailure::RingTimeout, name::RING_TIMEOUT)
        } else {
            (AttemptFailure::ProgressTimeout, name::SETUP_BUDGET)
        };
        self.failures.push(Failed { failure, code: 0, cause: 0 });
        self.give_up_attempt(cx, failure, why);
        self.all_failed(cx, why);
    }

    /// A transaction of an attempt ended without a final response.
    pub(super) fn on_attempt_over(
        &mut self,
        cx: &mut Cx<'_>,
        number: u16,
        failure: AttemptFailure,
    ) {
        let current = self.current.as_mut().filter(|a| a.record.number == number);
        if let Some(attempt) = current {
            if !matches!(self.state, State::Attempting) {
                return;
            }
            if let Some(id) = attempt.transaction.take() {
                cx.core.owners.remove(&id);
            }
            return self.attempt_failed(cx, failure, 0, 0);
        }
        self.end_lingering(cx, number);
    }

    /// The running attempt failed: it is recorded, then the policy says what next.
    fn attempt_failed(&mut self, cx: &mut Cx<'_>, failure: AttemptFailure, code: u16, cause: u8) {
        let Some(attempt) = self.current.as_deref() else { return };
        let rtp_received = attempt.media.has_spoken(cx);
        let mut switches = attempt.vendor.failover.clone();
        switches.until_connect |= self.customer.until_connect;
        let question = AdvanceQuestion {
            call: self.facts,
            trunk: attempt.vendor.id,
            failure,
            code,
            cause,
            alerted: attempt.alerted,
            media_opened: attempt.media_opened,
            rtp_received: rtp_received && attempt.media_opened,
            switches,
            attempts: u32::from(self.attempts_sent),
            remaining: u32::try_from(self.choices.len()).unwrap_or(u32::MAX),
        };
        let (vendor, target) = (Arc::clone(&attempt.vendor), attempt.target);
        self.failures.push(Failed { failure, code, cause });
        if let Some(attempt) = self.current.as_deref_mut() {
            attempt.record.code = code;
            attempt.record.cause = cause;
        }
        self.tell(cx, EventKind::Failed, vendor.id, code);
        self.give_up_attempt(cx, failure, reason::of_failure(failure, code, cause));
        // The next address of the same trunk, each once (SIG-65).
        let unreachable =
            matches!(failure, AttemptFailure::NoResponse | AttemptFailure::ConnectFailed);
        if unreachable && target + 1 < vendor.targets.len() {
            self.choices.push_front(Choice { trunk: vendor.id, target: target + 1 });
        }
        self.state = State::Deciding(Step::Advance);
        self.ask(cx, Question::Advance(question));
    }

    pub(super) fn on_advance(&mut self, cx: &mut Cx<'_>, reply: Reply) {
        let decision = match reply.outcome {
            Ok(Answer::Advance(decision)) => decision,
            // Without a policy: nobody is rung twice.
            Ok(_) | Err(_) => match self.failures.last() {
                Some(Failed { failure: AttemptFailure::RingTimeout, .. })
                | Some(Failed { code: 486 | 600..=605 | 607..=699, .. }) => Advance::Stop,
                _ => Advance::Next,
            },
        };
        let last = self.last_attempt_reason();
        match decision {
            Advance::Next => self.next_choice(cx),
            Advance::Stop => {
                let code = reason::chosen_code(self.customer.failure_reply, &self.failures);
                self.fail_setup(cx, code, last);
            }
            Advance::StopWith(code) => self.fail_setup(cx, code, last),
        }
    }

    fn last_attempt_reason(&self) -> Text {
        let finished = self.finished.iter().map(|record| (record.number, &record.end_reason));
        let lingering = self.lingering.iter().map(|a| (a.record.number, &a.record.end_reason));
        finished
            .chain(lingering)
            .max_by_key(|(number, _)| *number)
            .map_or_else(|| name::ALL_ROUTES_FAILED.into(), |(_, reason)| reason.clone())
    }

    /// No choice is left, or a limit forbids it; the code is chosen by SIG-86.
    fn all_failed(&mut self, cx: &mut Cx<'_>, why: &str) {
        let code = reason::chosen_code(self.customer.failure_reply, &self.failures);
        self.fail_setup(cx, code, why.into());
    }

    fn fail_setup(&mut self, cx: &mut Cx<'_>, code: u16, why: Text) {
        let told = |failed: &&Failed| failed.code == code && failed.cause > 0;
        let received = self.failures.iter().rev().find(told);
        let cause = received.map_or_else(|| reason::cause_of(code), |failed| failed.cause);
        let cause = if why == name::RING_TIMEOUT { 19 } else { cause };
        let by = match self.failures.last() {
            Some(Failed { failure: AttemptFailure::Response, .. }) => EndedBy::Callee,
            _ => EndedBy::Switch,
        };
        let detail = self.unusable.filter(|_| code == 488).map_or("", Unusable::text);
        self.finish_setup(cx, code, code, why, by, detail.into(), cause);
    }

    /// A choice that could not be sent is recorded and the next one tried.
    fn not_sent(&mut self, cx: &mut Cx<'_>, mut attempt: Attempt, why: &str) {
        attempt.vendor.usage.release();
        self.close_vendor_media(cx, &mut attempt);
        attempt.record.end_reason = why.into();
        attempt.record.end_ms = Some(cx.now.utc_ms);
        self.finished.push(attempt.record);
        let failed = match why {
            name::CODEC_MISMATCH => Failed::NO_CODEC,
            name::MEDIA_RESOURCES => Failed::NO_PORTS,
            _ => Failed::NOT_SENT,
        };
        if failed == Failed::NO_CODEC {
            // The same offer is no better for the next vendor whose media we relay.
            let mut choices = std::mem::take(&mut self.choices);
            let vendor = |choice: &Choice| self.world.vendors.get(&choice.trunk);
            choices.retain(|choice| vendor(choice).is_some_and(|v| self.goes_direct(v)));
            self.choices = choices;
        }
        self.failures.push(failed);
        self.next_choice(cx);
    }

    /// Takes the running attempt off the stage. If its INVITE has no final response yet
    /// it is cancelled and lingers until it has one (SIG-08); one that never got any
    /// response is abandoned.
    pub(super) fn give_up_attempt(&mut self, cx: &mut Cx<'_>, failure: AttemptFailure, why: &str) {
        let Some(mut attempt) = self.current.take() else { return };
        attempt.vendor.usage.release();
        if attempt.phase == Phase::Preparing {
            return;
        }
        attempt.outgoing = None;
        self.close_vendor_media(cx, &mut attempt);
        let alerted =
            attempt.alerted && (attempt.record.code == 480 || why == name::CALLER_CANCELLED);
        let busy = matches!(attempt.record.code, 486 | 600 | 603) || attempt.record.cause == 17;
        let delivered = alerted || busy || failure == AttemptFailure::RingTimeout;
        let outcome = if delivered { Outcome::Delivered } else { Outcome::Failed };
        attempt.vendor.usage.quality.attempt(cx.now.utc_ms, outcome, attempt.record.pdd_ms);
        // RFC 3326, SIG-89: the vendor hears what the caller said why.
        let causes = match why {
            name::CALLER_CANCELLED => self.heard.or(16),
            name::OPERATOR_HANGUP => Causes::ours(16),
            _ => Causes::ours(102),
        };
        if why == name::CALLER_CANCELLED {
            attempt.record.cause = self.heard.q850;
        }
        attempt.record.end_ms = Some(cx.now.utc_ms);
        attempt.record.end_reason = why.into();
        attempt.record.ended_by = match failure {
            AttemptFailure::Response => EndedBy::Callee,
            _ if why == name::CALLER_CANCELLED => EndedBy::Caller,
            _ => EndedBy::Switch,
        };
        let Some(id) = attempt.transaction else {
            cx.core.tags.remove(&attempt.tag);
            self.finished.push(attempt.record);
            return;
        };
        if let Some(sends) = cx.core.transactions.sends(id) {
            attempt.record.sends = attempt.sends_before.saturating_add(sends);
        }
        if failure == AttemptFailure::NoResponse {
            // Should it wake up later, it must not ring (RFC 3261 section 9.1).
            cx.core.transactions.cancel(cx.now.instant, id, Some(&Causes::ours(102).text()));
            cx.core.transactions.abandon(cx.now.instant, id);
            cx.core.owners.remove(&id);
            cx.core.tags.remove(&attempt.tag);
            self.finished.push(attempt.record);
            return;
        }
        cx.core.transactions.cancel(cx.now.instant, id, Some(&causes.text()));
        self.lingering.push(*attempt);
    }

    fn on_lingering_response(
        &mut self,
        cx: &mut Cx<'_>,
        number: u16,
        id: TransactionId,
        flow: Flow,
        response: &Message,
    ) {
        match response.status() {
            100..=199 => {}
            // It answered before the CANCEL reached it: it is owed for, nobody is charged.
            200..=299 => {
                let attempt = self.lingering.iter_mut().find(|a| a.record.number == number);
                let known_by = attempt.and_then(|a| a.login.take().zip(a.credentials()));
                cx.core.acknowledge_and_end(
                    cx.now,
                    id,
                    flow,
                    response,
                    self.heard.or(16),
                    known_by,
                );
                if let Some(at) = self.lingering.iter().position(|a| a.record.number == number) {
                    let record = &self.lingering[at].record;
                    let (account, sent_ms) = (record.vendor_account, record.sent_ms);
                    let buy = self.buy_price(cx, (number, account), sent_ms);
                    let record = &mut self.lingering[at].record;
                    record.buy = buy;
                    record.code = response.status();
                    record.answer_ms = Some(cx.now.utc_ms);
                    record.end_ms = Some(cx.now.utc_ms);
                    record.duration_ms = lasted_ms(cx.now.instant, cx.now.instant);
                    record.billable_ms = record.duration_ms;
                }
                self.end_lingering(cx, number);
            }
            status => {
                if let Some(at) = self.lingering.iter().position(|a| a.record.number == number) {
                    self.lingering[at].record.code = status;
                }
                self.end_lingering(cx, number);
            }
        }
    }

    fn end_lingering(&mut self, cx: &mut Cx<'_>, number: u16) {
        if let Some(at) = self.lingering.iter().position(|a| a.record.number == number) {
            let attempt = self.lingering.remove(at);
            if let Some(id) = attempt.transaction {
                cx.core.owners.remove(&id);
            }
            cx.core.tags.remove(&attempt.tag);
            self.finished.push(attempt.record);
            self.finished.sort_by_key(|record| record.number);
            self.try_close(cx);
        }
    }

    /// The attempt's INVITE was answered: what is only needed before goes.
    pub(super) fn settle_answered_attempt(attempt: &mut Attempt) {
        attempt.phase = Phase::Answered;
        attempt.outgoing = None;
    }

    /// Whether the caller's INVITE carried no offer, so that the vendor's 2xx will.
    pub(super) fn delayed_offer(&self) -> bool {
        self.invite.as_ref().is_some_and(|invite| crate::sdp::body_of(invite).is_none())
    }
}
