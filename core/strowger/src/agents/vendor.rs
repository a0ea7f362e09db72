//! A vendor: answers calls, or refuses them.

use super::audio::{Audio, AudioCounts};
use super::endpoint::{Endpoint, Line};
use super::ladder::Ladder;
use codec::Law;
use sip::session::{Leg, LegEvent};
use sip::{Flow, Link, Message, Method, TransactionEvent, TransactionId};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Interval between checks of the audio sockets and the stop flag.
const TURN: Duration = Duration::from_millis(10);

/// How a vendor handles an INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Refuses at once with this status code.
    Refuse(u16),
    /// Sends 100 and nothing more until it is cancelled.
    Hang,
    /// 180, then 200 after `ring`; plays a tone until the other side hangs up.
    Answer {
        /// How long it rings.
        ring: Duration,
    },
}

/// Transport and codec of a vendor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// UDP, or TCP.
    pub(crate) link: Link,
    /// The only codec that it supports.
    pub(crate) law: Law,
}

impl Default for Manner {
    /// UDP and A-law.
    fn default() -> Manner {
        Manner { link: Link::Datagram, law: Law::A }
    }
}

/// A vendor on a separate thread; ends on drop.
pub(crate) struct Vendor {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Vendor {
    /// Binds `address` (port 0 for a free one) and starts serving, over UDP with A-law.
    ///
    /// # Errors
    /// The socket cannot be opened.
    pub(crate) fn start(
        name: &str,
        address: SocketAddr,
        behaviour: Behaviour,
        ladder: Option<Arc<Ladder>>,
    ) -> io::Result<Vendor> {
        Vendor::start_as(name, address, behaviour, Manner::default(), ladder)
    }

    /// As [`Vendor::start`], with another transport or codec.
    ///
    /// # Errors
    /// The socket cannot be opened.
    pub(crate) fn start_as(
        name: &str,
        address: SocketAddr,
        behaviour: Behaviour,
        manner: Manner,
        ladder: Option<Arc<Ladder>>,
    ) -> io::Result<Vendor> {
        let endpoint = match manner.link {
            Link::Datagram => Endpoint::bind(name, address, ladder)?,
            Link::Stream => Endpoint::listen(name, address, ladder)?,
        };
        let address = endpoint.local;
        let stop = Arc::new(AtomicBool::new(false));
        let mut service =
            Service { endpoint, behaviour, law: manner.law, calls: HashMap::new(), lines: 0 };
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = service.turn() {
                    tracing::error!(%error, "a vendor agent ends");
                    return;
                }
            }
        })?;
        Ok(Vendor { address, stop, thread: Some(thread) })
    }

    /// Its SIP address.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Service {
    endpoint: Endpoint,
    behaviour: Behaviour,
    law: Law,
    calls: HashMap<Line, Call>,
    lines: Line,
}

struct Call {
    leg: Leg<Line>,
    call_id: String,
    /// The caller's SDP.
    offer: Vec<u8>,
    audio: Audio,
    /// When to answer; `None` once answered.
    answer_at: Option<Instant>,
}

impl Service {
    fn turn(&mut self) -> io::Result<()> {
        for event in self.endpoint.turn(TURN)? {
            self.take(event)?;
        }
        let now = Instant::now();
        let lines: Vec<Line> = self.calls.keys().copied().collect();
        for line in lines {
            self.tick(line, now)?;
        }
        Ok(())
    }

    /// Actions of a call due by time: answer, talk, session refresh.
    fn tick(&mut self, line: Line, now: Instant) -> io::Result<()> {
        let Some(call) = self.calls.get_mut(&line) else { return Ok(()) };
        if call.answer_at.take_if(|at| *at <= now).is_some() {
            let sdp = call.audio.description()?;
            call.leg.answer(&mut self.endpoint.wire(), Some(&sdp));
            call.audio.talk_to(&call.offer, now);
        }
        call.audio.tick(now);
        if call.leg.poll_timeout().is_some_and(|at| at <= now)
            && let Some(LegEvent::Gone) = call.leg.handle_timeout(&mut self.endpoint.wire())
        {
            call.leg.hang_up(&mut self.endpoint.wire(), "Q.850;cause=41");
            self.end(line);
        }
        Ok(())
    }

    fn take(&mut self, event: TransactionEvent<Line>) -> io::Result<()> {
        let (event, line) = match event {
            TransactionEvent::Request { id, flow, message } if message.to_tag().is_none() => {
                return self.called(id, flow, message);
            }
            TransactionEvent::Request { id, flow, message } => {
                let owner = self.calls.iter().find(|(_, call)| call.leg.owns(&message));
                let Some(line) = owner.map(|(line, _)| *line) else {
                    self.endpoint.turn_away(id, &message);
                    return Ok(());
                };
                (TransactionEvent::Request { id, flow, message }, Some(line))
            }
            event => {
                let owner = match &event {
                    TransactionEvent::Request { .. } => None,
                    TransactionEvent::WentBack { owner, .. }
                    | TransactionEvent::TimedOut { owner, .. }
                    | TransactionEvent::TransportFailed { owner, .. }
                    | TransactionEvent::Cancelled { owner, .. }
                    | TransactionEvent::Acknowledged { owner, .. }
                    | TransactionEvent::Response { owner, .. } => *owner,
                };
                (event, owner)
            }
        };
        let Some(line) = line else { return Ok(()) };
        let Some(call) = self.calls.get_mut(&line) else { return Ok(()) };
        match self.endpoint.hand_over(&mut call.leg, event).0 {
            Some(LegEvent::Cancelled) => {
                call.leg.refuse(&mut self.endpoint.wire(), 487, &[]);
                self.end(line);
            }
            Some(LegEvent::Bye(_) | LegEvent::Unacknowledged) => {
                call.leg.end(&mut self.endpoint.wire());
                self.end(line);
            }
            Some(LegEvent::Gone) => {
                call.leg.hang_up(&mut self.endpoint.wire(), "Q.850;cause=41");
                self.end(line);
            }
            Some(LegEvent::Request(id)) => {
                let Some(request) = call.leg.request(id) else { return Ok(()) };
                let offers = *request.method() != Method::Info;
                let sdp = if offers { Some(call.audio.description()?) } else { None };
                call.leg.reply(&mut self.endpoint.wire(), id, 200, sdp.as_deref(), &[]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Handles an incoming call.
    fn called(&mut self, id: TransactionId, flow: Flow, invite: Message) -> io::Result<()> {
        if *invite.method() != Method::Invite {
            self.endpoint.turn_away(id, &invite);
            return Ok(());
        }
        self.lines += 1;
        let (line, tag) = (self.lines, self.endpoint.tag());
        let (call_id, offer) = (invite.call_id().to_owned(), invite.body().to_vec());
        let settings = self.endpoint.settings();
        let invite = Arc::new(invite);
        let mut leg = Leg::called(line, flow, id, Arc::clone(&invite), &tag, settings);
        let wire = &mut self.endpoint.wire();
        wire.transactions.set_owner(id, Some(line));
        let ring = match self.behaviour {
            Behaviour::Refuse(code) => {
                leg.refuse(wire, code, &[]);
                return Ok(());
            }
            Behaviour::Hang => None,
            Behaviour::Answer { ring } => Some(ring),
        };
        match ring {
            Some(_) => leg.progress(wire, 180, None),
            None => self.endpoint.tries(id, &invite),
        }
        let now = Instant::now();
        let audio = Audio::new(self.endpoint.local.ip(), self.endpoint.random(), self.law, now)?;
        let answer_at = ring.map(|ring| now + ring);
        self.calls.insert(line, Call { leg, call_id, offer, audio, answer_at });
        Ok(())
    }

    fn end(&mut self, line: Line) {
        let Some(mut call) = self.calls.remove(&line) else { return };
        let AudioCounts { sent, received, .. } = call.audio.counts();
        if sent > 0 {
            self.endpoint.remark(&call.call_id, format!("RTP {sent} sent, {received} heard"));
        }
    }
}
