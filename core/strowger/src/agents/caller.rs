//! A caller: places calls, talks, hangs up.

use super::audio::{Audio, AudioCounts};
use super::endpoint::Endpoint;
use super::ladder::Ladder;
use sip::{Dialog, Message, MessageBuilder, Method, TransactionEvent, TransactionId};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks at the audio sockets.
const AUDIO_TURN: Duration = Duration::from_millis(10);

/// One call to place.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// Number of the caller.
    pub caller: String,
    /// Number to call.
    pub callee: String,
    /// When to begin, counted from the first call.
    pub after: Duration,
    /// How long to talk before hanging up.
    pub talk: Duration,
}

/// How a call went.
#[derive(Clone, Debug)]
pub struct CallOutcome {
    /// Number that was called.
    pub callee: String,
    /// Final code; 0 when none came.
    pub code: u16,
    /// Its reason phrase, or why there was none.
    pub reason: String,
    /// INVITE to the first 180 or 183.
    pub ringing: Option<Duration>,
    /// INVITE to the final response.
    pub final_after: Option<Duration>,
    /// Answer to the end.
    pub talked: Duration,
    /// The callee hung up.
    pub ended_by_callee: bool,
    /// Audio of this leg.
    pub audio: AudioCounts,
}

/// A user agent that calls one switch.
pub struct Caller {
    endpoint: Endpoint,
    switch: SocketAddr,
}

struct Call {
    plan: CallPlan,
    call_id: String,
    outcome: CallOutcome,
    audio: Audio,
    invite: Message,
    placed: Instant,
    state: State,
}

enum State {
    Calling,
    Talking { dialog: Box<Dialog>, since: Instant },
    HangingUp,
    Over,
}

impl Caller {
    /// Binds `address` (port 0 takes a free one); calls go to `switch`.
    ///
    /// # Errors
    /// What the socket says.
    pub fn bind(
        name: &str,
        address: SocketAddr,
        switch: SocketAddr,
        ladder: Option<Arc<Ladder>>,
    ) -> io::Result<Caller> {
        Ok(Caller { endpoint: Endpoint::bind(name, address, ladder)?, switch })
    }

    /// The address that the switch sees.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.endpoint.local
    }

    /// Places the calls and returns when all are over, in the order of the plans.
    ///
    /// # Errors
    /// What the sockets say.
    pub fn place(&mut self, plans: &[CallPlan]) -> io::Result<Vec<CallOutcome>> {
        let begun = Instant::now();
        let mut waiting: Vec<(usize, &CallPlan)> = plans.iter().enumerate().collect();
        waiting.sort_by_key(|(_, plan)| std::cmp::Reverse(plan.after));
        let mut calls: Vec<Option<Call>> = plans.iter().map(|_| None).collect();
        let mut owners: HashMap<TransactionId, usize> = HashMap::new();
        loop {
            let now = Instant::now();
            while let Some((index, plan)) = waiting.pop_if(|(_, plan)| begun + plan.after <= now) {
                let (id, call) = self.invite(plan)?;
                owners.insert(id, index);
                calls[index] = Some(call);
            }
            for event in self.endpoint.turn(patience(begun, &waiting, &calls))? {
                self.take(event, &mut calls, &mut owners);
            }
            let now = Instant::now();
            let mut running = !waiting.is_empty();
            for (index, call) in calls.iter_mut().enumerate() {
                let Some(call) = call else { continue };
                if let State::Talking { dialog, since } = &mut call.state {
                    call.audio.tick(now);
                    if *since + call.plan.talk <= now {
                        call.outcome.talked = now - *since;
                        let bye = dialog.request(&Method::Bye);
                        let id = self.endpoint.request(self.switch, bye);
                        owners.insert(id, index);
                        call.state = State::HangingUp;
                    }
                }
                running |= !matches!(call.state, State::Over);
            }
            if !running {
                break;
            }
        }
        // The last ACK and 200 leave with one more turn.
        self.endpoint.turn(Duration::ZERO)?;
        Ok(calls.into_iter().flatten().map(|call| call.outcome).collect())
    }

    fn invite(&mut self, plan: &CallPlan) -> io::Result<(TransactionId, Call)> {
        let now = Instant::now();
        let local = self.endpoint.local;
        let audio = Audio::new(local.ip(), self.endpoint.random(), now)?;
        let tag = self.endpoint.tag();
        let call_id = self.endpoint.tag();
        let uri = format!("sip:{}@{}", plan.callee, self.switch);
        let request = MessageBuilder::request(&Method::Invite, &uri);
        let bytes = self
            .endpoint
            .addressed(request)
            .header("From", format_args!("<sip:{}@{local}>;tag={tag}", plan.caller))
            .header("To", format_args!("<{uri}>"))
            .header("Call-ID", &call_id)
            .header("CSeq", "1 INVITE")
            .header("Max-Forwards", 70)
            .header("User-Agent", "strowger agent")
            .body("application/sdp", &audio.description()?)
            .finish();
        let invite = Message::parse(&bytes).map_err(io::Error::other)?;
        let id = self.endpoint.request_bytes(self.switch, bytes);
        let outcome = CallOutcome {
            callee: plan.callee.clone(),
            code: 0,
            reason: String::new(),
            ringing: None,
            final_after: None,
            talked: Duration::ZERO,
            ended_by_callee: false,
            audio: AudioCounts::default(),
        };
        let plan = plan.clone();
        Ok((id, Call { plan, call_id, outcome, audio, invite, placed: now, state: State::Calling }))
    }

    fn take(
        &mut self,
        event: TransactionEvent,
        calls: &mut [Option<Call>],
        owners: &mut HashMap<TransactionId, usize>,
    ) {
        match event {
            TransactionEvent::Response { id, message, .. } => {
                if let Some(call) = owners.get(&id).and_then(|index| calls[*index].as_mut()) {
                    self.response(id, &message, call);
                }
            }
            TransactionEvent::TimedOut { id, .. }
            | TransactionEvent::TransportFailed { id, .. } => {
                if let Some(call) = owners.get(&id).and_then(|index| calls[*index].as_mut()) {
                    if call.outcome.code == 0 {
                        call.outcome.reason = "no response".to_owned();
                    }
                    call.state = State::Over;
                }
            }
            TransactionEvent::Request { id, message, .. } => {
                let call =
                    calls.iter_mut().flatten().find(|call| call.call_id == message.call_id());
                self.request(id, &message, call);
            }
            _ => {}
        }
    }

    fn response(&mut self, id: TransactionId, message: &Message, call: &mut Call) {
        let now = Instant::now();
        let to_invite = matches!(message.cseq().1, Method::Invite);
        match (message.status(), &call.state) {
            (100, _) => {}
            (101..=199, State::Calling) => {
                call.outcome.ringing.get_or_insert(now - call.placed);
                call.audio.talk_to(message.body(), now);
            }
            (200..=299, State::Calling) if to_invite => {
                let dialog = Dialog::uac(&call.invite, message);
                self.endpoint.ack(id, self.switch, dialog.ack(1));
                call.audio.talk_to(message.body(), now);
                finish(call, message, now);
                call.state = State::Talking { dialog: Box::new(dialog), since: now };
            }
            (300.., State::Calling) => {
                finish(call, message, now);
                call.state = State::Over;
            }
            (200.., State::HangingUp) if !to_invite => self.over(call),
            _ => {}
        }
    }

    fn request(&mut self, id: TransactionId, message: &Message, call: Option<&mut Call>) {
        let status = match (message.method(), call) {
            (Method::Bye, Some(call)) => {
                if let State::Talking { since, .. } = &call.state {
                    call.outcome.talked = since.elapsed();
                    call.outcome.ended_by_callee = true;
                }
                self.over(call);
                200
            }
            (Method::Options, _) => 200,
            (_, None) => 481,
            (_, Some(_)) => 501,
        };
        let reason = if status == 200 { "OK" } else { "Not here" };
        self.endpoint.respond(id, status, MessageBuilder::response_to(message, status, reason));
    }

    /// The call is over: what was heard is what was heard.
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

/// Until something is due: audio, a hang-up or the next call.
fn patience(begun: Instant, waiting: &[(usize, &CallPlan)], calls: &[Option<Call>]) -> Duration {
    let now = Instant::now();
    let next_call = waiting.last().map(|(_, plan)| begun + plan.after);
    let due = calls.iter().flatten().filter_map(|call| match &call.state {
        State::Talking { since, .. } => {
            let hang_up = *since + call.plan.talk;
            Some(call.audio.due().map_or(hang_up, |audio| audio.min(hang_up)))
        }
        _ => None,
    });
    let due = due.chain(next_call).min();
    due.map_or(AUDIO_TURN, |at| at.saturating_duration_since(now)).min(AUDIO_TURN)
}
