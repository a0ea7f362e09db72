//! A vendor: answers calls, or refuses them.

use super::audio::{Audio, AudioCounts};
use super::endpoint::Endpoint;
use super::ladder::Ladder;
use sip::{Message, MessageBuilder, Method, TransactionEvent, TransactionId};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at the audio sockets and at the stop flag.
const TURN: Duration = Duration::from_millis(10);

/// What a vendor does with an INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Refuses at once with this final code and phrase.
    Refuse(u16, &'static str),
    /// 180, then 200 after `ring`; plays a tone until the other side hangs up.
    Answer {
        /// How long it rings.
        ring: Duration,
    },
}

/// What a vendor did so far.
#[derive(Debug, Default)]
pub struct VendorTotals {
    /// INVITEs received.
    pub invites: AtomicU64,
    /// Calls answered.
    pub answered: AtomicU64,
    /// RTP packets received.
    pub rtp_received: AtomicU64,
    /// RTP packets sent.
    pub rtp_sent: AtomicU64,
}

/// A vendor on a thread of its own; ends when dropped.
pub struct Vendor {
    address: SocketAddr,
    totals: Arc<VendorTotals>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Vendor {
    /// Binds `address` (port 0 takes a free one) and begins to serve.
    ///
    /// # Errors
    /// What the socket says.
    pub fn start(
        name: &str,
        address: SocketAddr,
        behaviour: Behaviour,
        ladder: Option<Arc<Ladder>>,
    ) -> io::Result<Vendor> {
        let endpoint = Endpoint::bind(name, address, ladder)?;
        let address = endpoint.local;
        let totals = Arc::new(VendorTotals::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut service = Service {
            endpoint,
            behaviour,
            totals: totals.clone(),
            calls: HashMap::new(),
            invites: HashMap::new(),
        };
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = service.turn() {
                    tracing::error!(%error, "a vendor agent ends");
                    return;
                }
            }
        })?;
        Ok(Vendor { address, totals, stop, thread: Some(thread) })
    }

    /// Where the switch reaches it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it did so far.
    #[must_use]
    pub fn totals(&self) -> &VendorTotals {
        &self.totals
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
    totals: Arc<VendorTotals>,
    /// By Call-ID.
    calls: HashMap<String, Call>,
    invites: HashMap<TransactionId, String>,
}

struct Call {
    invite: Message,
    id: TransactionId,
    tag: String,
    audio: Audio,
    /// When to answer; none once answered.
    answer_at: Option<Instant>,
}

impl Service {
    fn turn(&mut self) -> io::Result<()> {
        for event in self.endpoint.turn(TURN)? {
            match event {
                TransactionEvent::Request { id, message, .. } => self.request(id, message)?,
                TransactionEvent::Cancelled { invite, .. } => self.cancelled(invite),
                TransactionEvent::TimedOut { id, .. } => {
                    if let Some(call_id) = self.invites.remove(&id) {
                        self.end(&call_id);
                    }
                }
                _ => {}
            }
        }
        let now = Instant::now();
        for call in self.calls.values_mut() {
            if call.answer_at.is_some_and(|at| at <= now) {
                call.answer_at = None;
                let ok = MessageBuilder::response_to(&call.invite, 200, "OK")
                    .to_tag(&call.tag)
                    .header("Contact", format_args!("<sip:{}>", self.endpoint.local))
                    .body("application/sdp", &call.audio.description()?);
                self.endpoint.respond(call.id, 200, ok);
                call.audio.talk_to(call.invite.body(), now);
                self.totals.answered.fetch_add(1, Ordering::Relaxed);
            }
            call.audio.tick(now);
        }
        Ok(())
    }

    fn request(&mut self, id: TransactionId, message: Message) -> io::Result<()> {
        match message.method() {
            Method::Invite if message.to_tag().is_none() => self.invite(id, message),
            Method::Bye => {
                let known = self.end(message.call_id());
                let (status, reason) = if known { (200, "OK") } else { (481, "Unknown call") };
                self.endpoint.respond(
                    id,
                    status,
                    MessageBuilder::response_to(&message, status, reason),
                );
                Ok(())
            }
            Method::Options => {
                self.endpoint.respond(id, 200, MessageBuilder::response_to(&message, 200, "OK"));
                Ok(())
            }
            _ => {
                let refusal = MessageBuilder::response_to(&message, 501, "Not Implemented");
                self.endpoint.respond(id, 501, refusal);
                Ok(())
            }
        }
    }

    fn invite(&mut self, id: TransactionId, invite: Message) -> io::Result<()> {
        self.totals.invites.fetch_add(1, Ordering::Relaxed);
        let tag = self.endpoint.tag();
        let ring = match self.behaviour {
            Behaviour::Refuse(code, phrase) => {
                let refusal = MessageBuilder::response_to(&invite, code, phrase).to_tag(&tag);
                self.endpoint.respond(id, code, refusal);
                return Ok(());
            }
            Behaviour::Answer { ring } => ring,
        };
        let now = Instant::now();
        let ringing = MessageBuilder::response_to(&invite, 180, "Ringing")
            .to_tag(&tag)
            .header("Contact", format_args!("<sip:{}>", self.endpoint.local));
        self.endpoint.respond(id, 180, ringing);
        let audio = Audio::new(self.endpoint.local.ip(), self.endpoint.random(), now)?;
        let call_id = invite.call_id().to_owned();
        self.invites.insert(id, call_id.clone());
        self.calls.insert(call_id, Call { invite, id, tag, audio, answer_at: Some(now + ring) });
        Ok(())
    }

    fn cancelled(&mut self, invite: TransactionId) {
        let Some(call) = self.invites.get(&invite).and_then(|call_id| self.calls.get(call_id))
        else {
            return;
        };
        let terminated = MessageBuilder::response_to(&call.invite, 487, "Request Terminated");
        self.endpoint.respond(invite, 487, terminated.to_tag(&call.tag));
        if let Some(call_id) = self.invites.remove(&invite) {
            self.end(&call_id);
        }
    }

    /// Whether there was such a call.
    fn end(&mut self, call_id: &str) -> bool {
        let Some(mut call) = self.calls.remove(call_id) else { return false };
        self.invites.remove(&call.id);
        let AudioCounts { sent, received, .. } = call.audio.counts();
        self.totals.rtp_sent.fetch_add(sent, Ordering::Relaxed);
        self.totals.rtp_received.fetch_add(received, Ordering::Relaxed);
        if sent > 0 {
            self.endpoint.remark(call_id, format!("RTP {sent} sent, {received} heard"));
        }
        true
    }
}
