//! The calling side: one socket for all calls.

use super::{Plan, Transport, wire};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// State of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not begun.
    New,
    /// INVITE sent.
    Invited,
    /// 200 received and acknowledged.
    Answered,
    /// BYE sent.
    Ending,
    /// BYE answered.
    Done,
    /// Any other end.
    Failed,
}

/// Fields for in-dialog requests of an answered call.
#[derive(Clone, Debug)]
struct Peer {
    target: String,
    to: String,
    routes: Vec<String>,
}

#[derive(Debug)]
struct Call {
    state: State,
    invited: Instant,
    peer: Option<Box<Peer>>,
}

/// All calls of the calling side.
#[derive(Debug)]
pub(super) struct Caller {
    local: SocketAddr,
    target: SocketAddr,
    run: u64,
    transport: Transport,
    calls: Vec<Call>,
    /// Retransmitted final responses.
    pub(super) repeats: u64,
    /// Calls that ended with their BYE answered.
    pub(super) done: u64,
    /// Calls refused.
    pub(super) failed: u64,
    /// Code of the last refusal; 0 if none.
    pub(super) last_failure: u16,
    /// Calls answered so far.
    pub(super) answered: u64,
    /// Time from sending the INVITE to receiving the 200.
    pub(super) set_up: Vec<Duration>,
}

impl Caller {
    /// The calls of a plan, not yet started.
    pub(super) fn new(plan: &Plan, transport: Transport) -> Caller {
        let (local, target, run) = (plan.caller, plan.target, plan.run);
        let now = Instant::now();
        let calls =
            (0..plan.calls).map(|_| Call { state: State::New, invited: now, peer: None }).collect();
        Caller {
            local,
            target,
            run,
            transport,
            calls,
            repeats: 0,
            done: 0,
            failed: 0,
            last_failure: 0,
            answered: 0,
            set_up: Vec::new(),
        }
    }

    /// When the INVITE of `call` was sent.
    pub(super) fn invited(&self, call: usize) -> Option<Instant> {
        self.calls.get(call).map(|call| call.invited)
    }

    /// Writes the INVITE of a call.
    pub(super) fn invite(&mut self, now: Instant, call: usize, out: &mut String) {
        self.calls[call].state = State::Invited;
        self.calls[call].invited = now;
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
             a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n",
            ip = self.local.ip()
        );
        let (local, target) = (self.local, self.target);
        let _ = write!(
            out,
            "INVITE sip:4420{call:08}@{target} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {local};branch=z9hG4bKi{run}x{call};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:1555{call:07}@{ip}>;tag=c{call}\r\nTo: <sip:4420{call:08}@{target}>\r\n\
             Call-ID: {call}-{run}@{ip}\r\nCSeq: 1 INVITE\r\nContact: <sip:load@{local}>\r\n\
             Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\nUser-Agent: sipload\r\n\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}",
            ip = local.ip(),
            run = self.run,
            via = self.transport.via(),
            length = body.len(),
        );
    }

    /// Handles a response; writes the ACK if needed. Returns the call if it was just answered.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        message: &str,
        out: &mut String,
    ) -> Option<usize> {
        let status = wire::status(message)?;
        let call = wire::header(message, "Call-ID").and_then(wire::call_of_id)?;
        let method = wire::header(message, "CSeq")?.rsplit(' ').next()?;
        let state = self.calls.get(call)?.state;
        match (method, status, state) {
            ("INVITE", 200..300, State::Invited) => {
                let routes: Vec<String> =
                    wire::headers(message, "Record-Route").map(str::to_owned).collect();
                let peer = Peer {
                    target: wire::uri(wire::header(message, "Contact")?).to_owned(),
                    to: wire::header(message, "To")?.to_owned(),
                    routes: routes.into_iter().rev().collect(),
                };
                self.set_up.push(now - self.calls[call].invited);
                self.answered += 1;
                self.calls[call].state = State::Answered;
                self.calls[call].peer = Some(Box::new(peer));
                self.in_dialog(call, "ACK", 1, out);
                Some(call)
            }
            ("INVITE", 200..300, _) => {
                self.repeats += 1;
                self.in_dialog(call, "ACK", 1, out);
                None
            }
            ("INVITE", 300.., State::Invited | State::Failed) => {
                if state == State::Failed {
                    self.repeats += 1;
                } else {
                    self.failed += 1;
                    self.last_failure = status;
                    self.calls[call].state = State::Failed;
                }
                self.acknowledge_failure(call, wire::header(message, "To")?, out);
                None
            }
            ("BYE", 200..300, State::Ending) => {
                self.done += 1;
                self.calls[call].state = State::Done;
                self.calls[call].peer = None;
                None
            }
            ("BYE", 300.., State::Ending) => {
                self.failed += 1;
                self.last_failure = status;
                self.calls[call].state = State::Failed;
                None
            }
            ("BYE", 200.., _) => {
                self.repeats += 1;
                None
            }
            _ => None,
        }
    }

    /// Writes the BYE of an answered call.
    pub(super) fn hang_up(&mut self, call: usize, out: &mut String) {
        if self.calls[call].state == State::Answered {
            self.calls[call].state = State::Ending;
            self.in_dialog(call, "BYE", 2, out);
        }
    }

    /// Gives up every call in progress; returns their number.
    pub(super) fn give_up(&mut self) -> u64 {
        let mut lost = 0;
        for call in &mut self.calls {
            if matches!(call.state, State::Invited | State::Answered | State::Ending) {
                call.state = State::Failed;
                lost += 1;
            }
        }
        lost
    }

    fn in_dialog(&self, call: usize, method: &str, cseq: u32, out: &mut String) {
        let Some(peer) = &self.calls[call].peer else { return };
        let (local, run, via) = (self.local, self.run, self.transport.via());
        let _ = write!(
            out,
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/{via} {local};branch=z9hG4bK{method}{run}x{call};rport\r\n",
            peer.target
        );
        for route in &peer.routes {
            let _ = write!(out, "Route: {route}\r\n");
        }
        let _ = write!(
            out,
            "Max-Forwards: 70\r\nFrom: <sip:1555{call:07}@{ip}>;tag=c{call}\r\nTo: {to}\r\n\
             Call-ID: {call}-{run}@{ip}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            ip = local.ip(),
            to = peer.to,
        );
    }

    fn acknowledge_failure(&self, call: usize, to: &str, out: &mut String) {
        let (local, target, run) = (self.local, self.target, self.run);
        let via = self.transport.via();
        let _ = write!(
            out,
            "ACK sip:4420{call:08}@{target} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {local};branch=z9hG4bKi{run}x{call};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:1555{call:07}@{ip}>;tag=c{call}\r\nTo: {to}\r\nCall-ID: {call}-{run}@{ip}\r\n\
             CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
            ip = local.ip(),
        );
    }
}
