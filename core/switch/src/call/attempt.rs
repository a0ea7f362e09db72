//! One INVITE to one vendor trunk: its numbers, its identity, and the timer of each of its states
//! (SIG-15 to SIG-20).

use super::media::LegMedia;
use super::pipeline::NotMade;
use super::{Call, Cx, State};
use crate::core::Owner;
use crate::destinations::{Way, Ways};
use crate::facts::VendorTrunk;
use crate::media::MediaLeg;
use crate::reason::name;
use crate::sdp::Origin;
use crate::shard::{new_call_id, tag_text};
use ledger::{AttemptRecord, EndedBy, MediaRecord, Text};
use policy::{
    Answer, IdentityAnswer, IdentityQuestion, NumberAnswer, NumberQuestion, Question, Reply, Stage,
};
use rand::Rng;
use serde::{Deserialize, Serialize};
use sip::session::{Invitation, Leg, LegSettings};
use sip::{Flow, Message};
use std::sync::Arc;
use std::time::Instant;

/// State of an open INVITE; each has its timer (section 2 of the signalling reference).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
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
}

impl Phase {
    /// SIG-20: these states are one phase with one deadline.
    pub(super) fn is_alerting(self) -> bool {
        matches!(self, Phase::ProgressSdp | Phase::Ringing)
    }
}

/// An open INVITE.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Out {
    pub(super) phase: Phase,
    #[serde(with = "sip::written::moment")]
    pub(super) deadline: Instant,
    /// When the alerting phase began.
    #[serde(with = "sip::written::moment_if_any")]
    pub(super) alerting: Option<Instant>,
}

/// Progress of an attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Progress {
    /// The questions about numbers and identity are open.
    Preparing(Option<Box<Prepared>>),
    /// The INVITE has no final response.
    Out(Out),
    /// Its 2xx was accepted.
    Won(#[serde(with = "sip::written::moment")] Instant),
    /// It was given up; its final response is awaited (SIG-08, SIG-103).
    GivenUp {
        /// The record waits for the final response, because the vendor may have answered already.
        /// An attempt that was silent up to its time limit is remembered only while the call lasts;
        /// a cost that arises later is not booked for it.
        holds: bool,
    },
}

/// Results of the questions before the INVITE.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Prepared {
    numbers: NumberAnswer,
    identity: Option<IdentityAnswer>,
}

/// An attempt that has not ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Attempt {
    #[serde(with = "super::written::vendor")]
    pub(super) vendor: Arc<VendorTrunk>,
    pub(super) record: AttemptRecord,
    pub(super) progress: Progress,
    /// Its session, once the INVITE was sent.
    pub(super) leg: Option<Leg<Owner>>,
    pub(super) media: LegMedia,
    /// Our SDP origin towards the vendor.
    pub(super) origin: Origin,
    /// The remaining ways to the vendor; the first is the one in use.
    pub(super) ways: Ways,
    /// Our tag.
    pub(super) tag: u64,
    /// When the INVITE was sent first.
    #[serde(with = "sip::written::moment")]
    pub(super) sent: Instant,
    /// Sends of previous transactions of this attempt: the INVITE without credentials.
    pub(super) sends_before: u16,
    /// 180 was received.
    pub(super) alerted: bool,
    /// The caller got SDP from it before the answer.
    pub(super) media_opened: bool,
    /// The vendor's answer to the caller's offer, as the caller got it in a 18x.
    pub(super) early_answer: Option<Vec<u8>>,
}

impl Attempt {
    /// Host of the From and identity headers for the vendor (SIG-70).
    fn host_of_from(&self) -> Text {
        match self.ways.first().filter(|_| self.vendor.from_host.is_empty()) {
            Some(way) => way.host(),
            None => (&*self.vendor.from_host).into(),
        }
    }

    /// Destination of its INVITE; none if no name of the trunk has an address.
    pub(super) fn flow(&self) -> Option<Flow> {
        self.ways.first().map(|way| way.flow)
    }

    /// The listener that it is sent from.
    pub(super) fn listener(&self) -> u16 {
        self.flow().map_or(self.vendor.listener, |flow| flow.listener)
    }

    /// When its 2xx was accepted.
    pub(super) fn answered(&self) -> Option<Instant> {
        match self.progress {
            Progress::Won(at) => Some(at),
            _ => None,
        }
    }

    /// Whether its INVITE waits for a final response that may still win.
    pub(super) fn is_out(&self) -> bool {
        matches!(self.progress, Progress::Out(_))
    }

    /// Whether it was given up and still waits for its final response.
    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.progress, Progress::GivenUp { .. })
    }

    /// Whether the record of the call waits for it.
    pub(super) fn holds_the_record(&self) -> bool {
        !matches!(self.progress, Progress::GivenUp { holds: false })
    }

    /// Whether it may still win.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.progress, Progress::Preparing(_) | Progress::Out(_))
    }

    /// Notes the facts that any response carries.
    pub(super) fn note_response(&mut self, now: Instant, response: &Message) {
        let waited = since(self.sent, now);
        let record = &mut self.record;
        record.first_response_ms.get_or_insert(waited);
        if let Some(tag) = response.to_tag().filter(|_| record.answer_ms.is_none()) {
            record.vendor_tag = tag.into();
        }
    }

    /// Enters a state. Its timer counts from the start of the state or of the alerting phase
    /// (SIG-20); re-entering a state does not restart it.
    pub(super) fn enter(&mut self, phase: Phase, now: Instant) {
        let (before, mut alerting) = match self.progress {
            Progress::Out(out) => (Some(out.phase), out.alerting),
            _ => (None, None),
        };
        if before == Some(phase) {
            return;
        }
        if phase.is_alerting() {
            alerting.get_or_insert(now);
        }
        let timers = &self.vendor.timers;
        let deadline = match (phase, alerting) {
            (Phase::Ringing, Some(began)) => began + timers.ringing,
            (Phase::ProgressSdp, Some(began)) => began + timers.progress_sdp,
            (Phase::Progress, _) => now + timers.progress,
            (Phase::Trying, _) => now + timers.trying,
            _ => now + timers.response,
        };
        self.progress = Progress::Out(Out { phase, deadline, alerting });
    }

    /// The INVITE was sent once more: earlier responses no longer count.
    pub(super) fn begin_again(&mut self, now: Instant) {
        self.sends_before = self.record.sends;
        self.progress = Progress::Preparing(None);
        self.enter(Phase::Sent, now);
    }

    /// State of an INVITE that is out.
    pub(super) fn out(&self) -> Option<Out> {
        match self.progress {
            Progress::Out(out) => Some(out),
            _ => None,
        }
    }
}

/// Elapsed time, ms.
pub(super) fn since(from: Instant, now: Instant) -> u32 {
    u32::try_from(now.saturating_duration_since(from).as_millis()).unwrap_or(u32::MAX)
}

impl Call {
    /// An attempt before its questions about numbers.
    pub(super) fn new_attempt(
        &self,
        cx: &mut Cx<'_>,
        vendor: Arc<VendorTrunk>,
        ways: Ways,
    ) -> Box<Attempt> {
        // Not their count: an attempt that was dropped before its INVITE leaves a gap.
        let made = self.finished.iter().map(|record| record.number);
        let number = made.chain(self.attempts.iter().map(|attempt| attempt.record.number)).max();
        let number = number.unwrap_or(0).saturating_add(1);
        let settings = &cx.core.settings;
        let call_id = new_call_id(&mut cx.core.rng, settings.shard, settings.shards);
        let target = match ways.first() {
            Some(way) => sip::address_text(way.flow.remote),
            None => vendor.targets.first_text().into(),
        };
        let record = AttemptRecord {
            number,
            trunk: vendor.id,
            trunk_name: Arc::clone(&vendor.name),
            vendor_account: vendor.account,
            target,
            skipped: true,
            transport: Text::default(),
            local: Text::default(),
            sip_call_id: call_id,
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
            flags: Vec::new(),
        };
        Box::new(Attempt {
            vendor,
            record,
            progress: Progress::Preparing(None),
            leg: None,
            media: LegMedia::new(MediaLeg { call: self.key, leg: number }),
            origin: Origin::new(&mut cx.core.rng),
            ways,
            tag: cx.core.rng.random(),
            sent: cx.now.instant,
            sends_before: 0,
            alerted: false,
            media_opened: false,
            early_answer: None,
        })
    }

    pub(super) fn egress_number_question(&self, number: u16) -> Option<Question> {
        let vendor = &self.attempt(number)?.vendor;
        Some(Question::Number(NumberQuestion {
            call: self.facts,
            stage: Stage::Egress,
            trunk: vendor.id,
            caller: self.numbers.caller_route.clone(),
            callee: self.numbers.callee_route.clone(),
            identity: Text::default(),
            caller_rules: vendor.caller_rules,
            callee_rules: vendor.callee_rules,
            identity_rules: vendor.identity_rules,
            tech_prefix: (&*vendor.tech_prefix).into(),
            reject_unmatched: vendor.reject_unmatched,
        }))
    }

    pub(super) fn take_egress_numbers(&mut self, number: u16, reply: Reply) -> Result<(), NotMade> {
        let mut numbers = match reply.outcome {
            Ok(Answer::Number(Ok(numbers))) => numbers,
            Ok(Answer::Number(Err(rejection))) => return Err(rejection.reason),
            Ok(_) | Err(_) => return Err(name::INTERNAL_ERROR.into()),
        };
        if !crate::number::is_valid(&numbers.callee) {
            return Err(name::NUMBER_INVALID.into());
        }
        for number in [&mut numbers.caller, &mut numbers.identity] {
            if !crate::number::is_valid(number) {
                number.clear();
            }
        }
        if let Some(attempt) = self.attempt_mut(number) {
            attempt.record.caller_out = numbers.caller.clone();
            attempt.record.callee_out = numbers.callee.clone();
            attempt.record.identity_out = numbers.identity.clone();
            let prepared = Prepared { numbers, identity: None };
            attempt.progress = Progress::Preparing(Some(Box::new(prepared)));
        }
        Ok(())
    }

    pub(super) fn identity_question(&self, number: u16) -> Option<Question> {
        let attempt = self.attempt(number)?;
        let State::SettingUp(setup) = &self.state else { return None };
        let vendor = &attempt.vendor;
        Some(Question::Identity(IdentityQuestion {
            call: self.facts,
            trunk: vendor.id,
            caller_out: attempt.record.caller_out.clone(),
            identity_out: attempt.record.identity_out.clone(),
            display: setup.identity.display.clone(),
            host: attempt.host_of_from(),
            privacy: setup.identity.privacy.clone(),
            private: self.private,
            source_trusted: self.customer.trusted,
            target_trusted: vendor.trusted,
            modes: vendor.identity.clone(),
        }))
    }

    pub(super) fn take_identity(&mut self, number: u16, reply: Reply) -> Result<(), NotMade> {
        let identity = match reply.outcome {
            Ok(Answer::Identity(Ok(identity))) => identity,
            Ok(Answer::Identity(Err(rejection))) => return Err(rejection.reason),
            Ok(_) | Err(_) => return Err(name::INTERNAL_ERROR.into()),
        };
        if let Some(Attempt { progress: Progress::Preparing(Some(prepared)), .. }) =
            self.attempt_mut(number)
        {
            prepared.identity = Some(identity);
        }
        Ok(())
    }

    /// The INVITE of an attempt as its leg sends it: its flow, its parts, and the user of our
    /// Contact (SIG-79), none if the caller is private (SIG-76, SIG-78).
    pub(super) fn invitation(
        &self,
        attempt: &Attempt,
        sdp: Vec<u8>,
    ) -> Option<(Flow, Invitation, String)> {
        let Progress::Preparing(Some(prepared)) = &attempt.progress else { return None };
        let Prepared { numbers, identity: Some(identity) } = &**prepared else { return None };
        let way = attempt.ways.first()?;
        let display = if identity.display.is_empty() {
            String::new()
        } else {
            format!("\"{}\" ", identity.display.replace('\\', "\\\\").replace('"', "\\\""))
        };
        let at = if identity.user.is_empty() { "" } else { "@" };
        let tag = tag_text(attempt.tag);
        let from = [&display, "<sip:", &identity.user, at, &identity.host, ">;tag=", &tag].concat();
        let headers = identity.headers.iter().map(|(name, value)| (name.into(), value.into()));
        let invitation = Invitation {
            uri: request_uri(numbers, way),
            from,
            call_id: attempt.record.sip_call_id.clone(),
            max_forwards: self.max_forwards,
            headers: headers.collect(),
            sdp,
            early_offers: self.caller.takes_early_offers(),
        };
        let hidden = self.private || identity.user.eq_ignore_ascii_case("anonymous");
        let user = if hidden { String::new() } else { numbers.caller.to_string() };
        Some((way.flow, invitation, crate::number::uri_user(&user).into_owned()))
    }

    /// Settings of an attempt's leg.
    pub(super) fn leg_settings(&self, attempt: &Attempt) -> LegSettings {
        LegSettings {
            schedule: Arc::clone(&attempt.vendor.schedule),
            credentials: attempt.vendor.credentials.clone(),
            reliability: attempt.vendor.reliability,
            timers: self.world.settings.session,
            large_over_stream: attempt.vendor.large_over_tcp,
        }
    }
}

/// The called number with its parameters (RFC 4694, SIG-84) at the vendor's address.
fn request_uri(numbers: &NumberAnswer, way: &Way) -> String {
    let (callee, parameters) = (&numbers.callee, &numbers.uri_parameters);
    let separator = if parameters.is_empty() { "" } else { ";" };
    ["sip:", &crate::number::uri_user(callee), separator, parameters, "@", &way.uri_end()].concat()
}
