//! A caller: places calls, talks, hangs up.

use super::audio::{Audio, AudioCounts};
use super::endpoint::{Endpoint, Line, flow};
use super::ladder::Ladder;
use codec::Law;
use sip::session::{Invitation, Leg, LegEvent};
use sip::{Message, Method, TransactionEvent, TransactionId};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Interval between checks of the audio sockets.
const AUDIO_TURN: Duration = Duration::from_millis(10);

/// A call to place.
#[derive(Clone, Debug)]
pub(crate) struct CallPlan {
    /// Caller number.
    pub(crate) caller: String,
    /// Callee number.
    pub(crate) callee: String,
    /// When to begin, after the first call.
    pub(crate) after: Duration,
    /// How long to talk before hanging up.
    pub(crate) talk: Duration,
}

/// The outcome of a call.
#[derive(Clone, Debug)]
pub(crate) struct CallOutcome {
    /// Callee number.
    pub(crate) callee: String,
    /// Final status code; 0 without one.
    pub(crate) code: u16,
    /// Reason phrase, or why there is none.
    pub(crate) reason: String,
    /// INVITE to the first 180 or 183.
    pub(crate) ringing: Option<Duration>,
    /// INVITE to the final response.
    pub(crate) final_after: Option<Duration>,
    /// Time from the answer to the end.
    pub(crate) talked: Duration,
    /// The callee hung up.
    pub(crate) ended_by_callee: bool,
    /// RTP packets heard before the answer.
    pub(crate) heard_ringing: u64,
    /// Audio of this leg.
    pub(crate) audio: AudioCounts,
}

/// A user agent that calls a switch.
pub(crate) struct Caller {
    endpoint: Endpoint,
    switch: SocketAddr,
}

struct Call {
    plan: CallPlan,
    call_id: String,
    outcome: CallOutcome,
    audio: Audio,
    leg: Leg<Line>,
    placed: Instant,
    state: State,
}

enum State {
    Calling,
    Talking { since: Instant },
    HangingUp,
    Over,
}

impl Caller {
    /// Binds `address` (port 0 for a free one); calls go to `switch`.
    ///
    /// # Errors
    /// The socket cannot be opened.
    pub(crate) fn bind(
        name: &str,
        address: SocketAddr,
        switch: SocketAddr,
        ladder: Option<Arc<Ladder>>,
    ) -> io::Result<Caller> {
        Ok(Caller { endpoint: Endpoint::bind(name, address, ladder)?, switch })
    }

    /// The address that the switch sees.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local
    }

    /// Places the calls and returns when all have ended, in the order of the plans.
    ///
    /// # Errors
    /// A socket fails.
    pub(crate) fn place(&mut self, plans: &[CallPlan]) -> io::Result<Vec<CallOutcome>> {
        let begun = Instant::now();
        let mut waiting: Vec<(usize, &CallPlan)> = plans.iter().enumerate().collect();
        waiting.sort_by_key(|(_, plan)| std::cmp::Reverse(plan.after));
        let mut calls: Vec<Option<Call>> = plans.iter().map(|_| None).collect();
        loop {
            let now = Instant::now();
            while let Some((index, plan)) = waiting.pop_if(|(_, plan)| begun + plan.after <= now) {
                calls[index] = Some(self.invite(index, plan)?);
            }
            for event in self.endpoint.turn(patience(begun, &waiting, &calls))? {
                self.take(event, &mut calls)?;
            }
            let now = Instant::now();
            let mut running = !waiting.is_empty();
            for call in calls.iter_mut().flatten() {
                self.tick(call, now);
                running |= !matches!(call.state, State::Over);
            }
            if !running {
                break;
            }
        }
        // One more turn sends the last ACK and 200.
        self.endpoint.turn(Duration::ZERO)?;
        Ok(calls.into_iter().flatten().map(|call| call.outcome).collect())
    }

    /// Actions of a call due by time: talk, session refresh, hang-up.
    fn tick(&mut self, call: &mut Call, now: Instant) {
        let State::Talking { since } = call.state else { return };
        call.audio.tick(now);
        if since + call.plan.talk <= now {
            call.outcome.talked = now - since;
            call.leg.hang_up(&mut self.endpoint.wire(), "Q.850;cause=16");
            call.state = State::HangingUp;
        } else if call.leg.poll_timeout().is_some_and(|at| at <= now)
            && let Some(LegEvent::Gone) = call.leg.handle_timeout(&mut self.endpoint.wire())
        {
            call.leg.hang_up(&mut self.endpoint.wire(), "Q.850;cause=41");
            call.state = State::HangingUp;
        }
    }

    fn invite(&mut self, index: Line, plan: &CallPlan) -> io::Result<Call> {
        let now = Instant::now();
        let local = self.endpoint.local;
        let audio = Audio::new(local.ip(), self.endpoint.random(), Law::A, now)?;
        let (tag, call_id) = (self.endpoint.tag(), self.endpoint.tag());
        let invitation = Invitation {
            uri: format!("sip:{}@{}", plan.callee, self.switch),
            from: format!("<sip:{}@{local}>;tag={tag}", plan.caller),
            call_id: call_id.as_str().into(),
            max_forwards: 70,
            headers: vec![("User-Agent".into(), "strowger agent".into())],
            sdp: audio.description()?,
            early_offers: false,
        };
        let (settings, name) = (self.endpoint.settings(), self.endpoint.name.clone());
        let (to, wire) = (flow(self.switch), &mut self.endpoint.wire());
        let leg = Leg::calling(index, wire, to, invitation, &name, settings);
        let outcome = CallOutcome {
            callee: plan.callee.clone(),
            code: 0,
            reason: String::new(),
            ringing: None,
            final_after: None,
            talked: Duration::ZERO,
            ended_by_callee: false,
            heard_ringing: 0,
            audio: AudioCounts::default(),
        };
        let plan = plan.clone();
        Ok(Call { plan, call_id, outcome, audio, leg, placed: now, state: State::Calling })
    }

    fn take(
        &mut self,
        event: TransactionEvent<Line>,
        calls: &mut [Option<Call>],
    ) -> io::Result<()> {
        let line = match &event {
            TransactionEvent::Request { id, message, .. } => {
                let own =
                    |call: &Option<Call>| call.as_ref().is_some_and(|call| call.leg.owns(message));
                let Some(at) = calls.iter().position(own) else {
                    self.endpoint.turn_away(*id, message);
                    return Ok(());
                };
                Some(at)
            }
            TransactionEvent::Response { owner: None, message, .. } => {
                // The response to a BYE.
                let of = |call: &&mut Call| call.call_id == message.call_id();
                let call = calls.iter_mut().flatten().find(of);
                let ended = call.filter(|call| {
                    message.status() >= 200 && matches!(call.state, State::HangingUp)
                });
                if let Some(call) = ended {
                    self.over(call);
                }
                return Ok(());
            }
            TransactionEvent::WentBack { owner, .. }
            | TransactionEvent::TimedOut { owner, .. }
            | TransactionEvent::TransportFailed { owner, .. }
            | TransactionEvent::Cancelled { owner, .. }
            | TransactionEvent::Acknowledged { owner, .. }
            | TransactionEvent::Response { owner, .. } => *owner,
        };
        let Some(call) = line.and_then(|line| calls[line].as_mut()) else { return Ok(()) };
        let (event, message) = self.endpoint.hand_over(&mut call.leg, event);
        if let Some(event) = event {
            self.react(call, event, message.as_ref())?;
        }
        Ok(())
    }

    /// Handles the events of the leg.
    fn react(
        &mut self,
        call: &mut Call,
        event: LegEvent,
        message: Option<&Message>,
    ) -> io::Result<()> {
        let now = Instant::now();
        match (event, message) {
            (LegEvent::Progress, Some(message)) => {
                call.outcome.ringing.get_or_insert(now - call.placed);
                call.audio.talk_to(message.body(), now);
            }
            (LegEvent::Answered, Some(message)) => {
                call.leg.acknowledge(&mut self.endpoint.wire(), None);
                let heard = call.audio.counts().received;
                call.outcome.heard_ringing = heard;
                if heard > 0 {
                    self.endpoint.remark(&call.call_id, format!("{heard} RTP heard ringing"));
                }
                call.audio.talk_to(message.body(), now);
                finish(call, message, now);
                call.state = State::Talking { since: now };
            }
            (LegEvent::Refused, Some(message)) => {
                finish(call, message, now);
                call.state = State::Over;
            }
            (LegEvent::Unanswered { .. }, _) => {
                call.outcome.reason = "no response".to_owned();
                call.state = State::Over;
            }
            (LegEvent::Bye(_), _) => {
                if let State::Talking { since } = call.state {
                    call.outcome.talked = since.elapsed();
                    call.outcome.ended_by_callee = true;
                }
                self.over(call);
            }
            (LegEvent::Request(id), _) => self.answer(call, id, now)?,
            (LegEvent::Gone, _) => {
                call.leg.hang_up(&mut self.endpoint.wire(), "Q.850;cause=41");
                call.state = State::HangingUp;
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers a request of the other side; an offer gets the SDP that we offered.
    fn answer(&mut self, call: &mut Call, id: TransactionId, now: Instant) -> io::Result<()> {
        let Some(request) = call.leg.request(id) else { return Ok(()) };
        let offers = *request.method() != Method::Info;
        let body = request.body().to_vec();
        let sdp = if offers { Some(call.audio.description()?) } else { None };
        call.leg.reply(&mut self.endpoint.wire(), id, 200, sdp.as_deref(), &[]);
        if offers {
            call.audio.talk_to(&body, now);
        }
        Ok(())
    }

    /// Ends the call and takes its audio counts.
    fn over(&self, call: &mut Call) {
        call.state = State::Over;
        call.outcome.audio = call.audio.counts();
        let AudioCounts { sent, received, .. } = call.outcome.audio;
        self.endpoint.remark(&call.call_id, format!("RTP {sent} sent, {received} heard"));
    }
}

fn finish(call: &mut Call, message: &Message, now: Instant) {
    call.outcome.code = message.status();
    call.outcome.reason = message.reason_phrase().to_owned();
    call.outcome.final_after = Some(now - call.placed);
}

/// Time until something is due: audio, a hang-up or the next call.
fn patience(begun: Instant, waiting: &[(usize, &CallPlan)], calls: &[Option<Call>]) -> Duration {
    let now = Instant::now();
    let next_call = waiting.last().map(|(_, plan)| begun + plan.after);
    let due = calls.iter().flatten().filter_map(|call| match &call.state {
        State::Talking { since } => {
            let hang_up = *since + call.plan.talk;
            Some(call.audio.due().map_or(hang_up, |audio| audio.min(hang_up)))
        }
        _ => None,
    });
    let due = due.chain(next_call).min();
    due.map_or(AUDIO_TURN, |at| at.saturating_duration_since(now)).min(AUDIO_TURN)
}
