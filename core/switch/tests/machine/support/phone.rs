//! A randomly acting telephone on the switch's own legs (`sip::session`): it rings, answers,
//! refuses, makes new offers, holds, asks and hangs up at random times, with or without reliable
//! responses, UPDATE and session timers. Its experiences are counted, so that a test can check that
//! a run covered the rare paths.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::session::{
    Invitation, Leg, LegEvent, LegSettings, Listeners, NoMore, Reliability, SessionTimers, Wire,
    decline_answer,
};
use sip::{
    Flow, Link, Message, Method, TransactionEvent, TransactionId, Transactions, sdp::body_of,
};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A telephone's experiences, counted by name.
pub(crate) type Seen = BTreeMap<&'static str, usize>;

/// A scheduled action of a telephone.
#[derive(Clone, Copy, Debug)]
enum Act {
    Progress(u16, bool),
    Answer,
    Refuse(u16),
    Cancel,
    HangUp,
    Offer,
    Update,
    Info,
}

/// One call of a telephone.
struct Line {
    leg: Leg<u32>,
    version: u32,
    /// It called and has received a 2xx, or was called and has sent one.
    answered: bool,
    cancelled: bool,
    delayed: bool,
    ended: bool,
}

/// A telephone at an address.
pub(crate) struct Phone {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    transactions: Transactions<u32>,
    rng: StdRng,
    flow: Flow,
    lines: BTreeMap<u32, Line>,
    tags: HashMap<String, u32>,
    agenda: Vec<(Instant, u32, Act)>,
    next: u32,
}

/// A telephone has one listener: its own address.
struct Own(SocketAddr);

impl Listeners for Own {
    fn advertised(&self, _: u16) -> Arc<str> {
        Arc::from(self.0.to_string())
    }

    fn link(&self, _: u16) -> Link {
        Link::Datagram
    }
}

/// The fields that a leg needs, borrowed beside the lines.
macro_rules! wire {
    ($phone:expr, $now:expr, $own:ident) => {
        Wire {
            transactions: &mut $phone.transactions,
            rng: &mut $phone.rng,
            now: $now,
            listeners: &$own,
        }
    };
}

impl Phone {
    pub(crate) fn new(address: &str, seed: u64) -> Phone {
        let mut rng = StdRng::seed_from_u64(seed);
        Phone {
            address: address.parse().expect("an address"),
            seen: Seen::new(),
            transactions: Transactions::with_secret(rng.random()),
            rng,
            flow: Flow::datagram(0, super::SWITCH.parse().expect("an address")),
            lines: BTreeMap::new(),
            tags: HashMap::new(),
            agenda: Vec::new(),
            next: 1,
        }
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn ms(&mut self, high: u64) -> Duration {
        Duration::from_millis(self.rng.random_range(0..high))
    }

    fn settings(&mut self) -> LegSettings {
        let reliability = match self.rng.random_range(0..4) {
            0 => Reliability::Off,
            1 => Reliability::Required,
            _ => Reliability::Supported,
        };
        // Shorter than the switch accepts, so that it refuses, or as short as it accepts.
        let interval = [0, 60, 90, 600][self.rng.random_range(0..4)];
        let timers = SessionTimers { interval, min_se: 60, ..SessionTimers::default() };
        LegSettings { reliability, timers, ..LegSettings::default() }
    }

    fn description(&mut self, version: u32) -> Vec<u8> {
        let direction = ["sendrecv", "sendrecv", "sendonly", "inactive"];
        let direction =
            if version == 1 { "sendrecv" } else { direction[self.rng.random_range(0..4)] };
        let ip = self.address.ip();
        format!(
            "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
        )
        .into_bytes()
    }

    /// Schedules the actions after the answer.
    fn plan_up(&mut self, now: Instant, line: u32) {
        for act in [Act::Offer, Act::Update, Act::Info] {
            while self.rng.random_bool(0.2) {
                let after = self.ms(20_000);
                self.agenda.push((now + after, line, act));
            }
        }
        // Everybody hangs up eventually, so that every call ends; few talk past a refresh.
        let longest = if self.rng.random_bool(0.1) { 400_000 } else { 30_000 };
        let after = self.ms(longest);
        self.agenda.push((now + after, line, Act::HangUp));
    }

    /// Calls a number.
    pub(crate) fn call(&mut self, now: Instant, callee: &str) {
        let (line, settings) = (self.new_line(), self.settings());
        let delayed = self.rng.random_bool(0.15);
        let sdp = if delayed { Vec::new() } else { self.description(1) };
        let tag = format!("{:016x}", self.rng.random::<u64>());
        let invitation = Invitation {
            uri: format!("sip:{callee}@{}", super::SWITCH),
            from: format!("<sip:4930123@{}>;tag={tag}", self.address),
            call_id: format!("{:016x}", self.rng.random::<u64>()).into(),
            max_forwards: 70,
            headers: Vec::new(),
            sdp,
            early_offers: true,
        };
        self.tags.insert(tag, line);
        let own = Own(self.address);
        let flow = self.flow;
        let mut wire = wire!(self, now, own);
        let leg = Leg::calling(line, &mut wire, flow, invitation, "4930123", settings);
        self.lines.insert(
            line,
            Line { leg, version: 1, answered: false, cancelled: false, delayed, ended: false },
        );
        if self.rng.random_bool(0.15) {
            let after = self.ms(8000);
            self.agenda.push((now + after, line, Act::Cancel));
        }
    }

    fn new_line(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    pub(crate) fn receive(&mut self, now: Instant, bytes: &[u8]) {
        let mut message = Message::parse(bytes).expect("the switch sends well-formed SIP");
        if message.is_request() {
            message.set_source(self.flow.remote);
        }
        self.transactions.receive(now, self.flow, message);
        self.work(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.transactions.handle_timeout(now);
        self.work(now);
        let due: Vec<(u32, Act)> = {
            let all = std::mem::take(&mut self.agenda).into_iter();
            let (due, later): (Vec<_>, Vec<_>) = all.partition(|(at, ..)| *at <= now);
            self.agenda = later;
            due.into_iter().map(|(_, line, act)| (line, act)).collect()
        };
        for (line, act) in due {
            self.act(now, line, act);
        }
        let late: Vec<u32> = self
            .lines
            .iter()
            .filter(|(_, line)| line.leg.poll_timeout().is_some_and(|at| at <= now))
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            self.saw("timer");
            let event = self.with_leg(now, number, |leg, wire| leg.handle_timeout(wire));
            self.on_event(now, number, event.flatten(), None);
        }
        self.work(now);
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Arc<[u8]>> {
        self.transactions.poll_transmit().map(|transmit| transmit.bytes)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let agenda = self.agenda.iter().map(|(at, ..)| *at).min();
        let legs = self.lines.values().filter_map(|line| line.leg.poll_timeout()).min();
        [agenda, legs, self.transactions.poll_timeout()].into_iter().flatten().min()
    }

    fn with_leg<R>(
        &mut self,
        now: Instant,
        number: u32,
        act: impl FnOnce(&mut Leg<u32>, &mut Wire<'_, u32>) -> R,
    ) -> Option<R> {
        let own = Own(self.address);
        let line = self.lines.get_mut(&number)?;
        let mut wire = wire!(self, now, own);
        Some(act(&mut line.leg, &mut wire))
    }

    fn act(&mut self, now: Instant, number: u32, act: Act) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        if line.ended {
            return;
        }
        let (up, delayed, answered) = (line.leg.is_up(), line.delayed, line.answered);
        match act {
            Act::Progress(status, with) => {
                // An offer in a 18x must be answered in a PRACK.
                let may = !delayed || line.leg.takes_early_offers();
                let sdp = (with && may).then(|| self.description(1));
                self.with_leg(now, number, |leg, wire| leg.progress(wire, status, sdp.as_deref()));
            }
            Act::Answer if !answered => {
                line.answered = true;
                let sdp = self.description(1);
                self.with_leg(now, number, |leg, wire| leg.answer(wire, Some(&sdp)));
                self.plan_up(now, number);
            }
            Act::Refuse(status) if !answered => {
                line.ended = true;
                self.with_leg(now, number, |leg, wire| leg.refuse(wire, status, &[]));
            }
            Act::Cancel if !up => {
                line.cancelled = true;
                self.with_leg(now, number, |leg, wire| {
                    leg.give_up(wire, NoMore::Cancel, "SIP;cause=487")
                });
            }
            Act::HangUp => {
                line.ended = true;
                self.with_leg(now, number, |leg, wire| {
                    leg.hang_up(wire, "Q.850;cause=16");
                });
            }
            Act::Offer | Act::Update
                if up || matches!(act, Act::Update) && line.leg.may_offer() =>
            {
                line.version += 1;
                let version = line.version;
                let sdp = self.description(version);
                let method =
                    if matches!(act, Act::Offer) { Method::Invite } else { Method::Update };
                // A re-INVITE without an offer is rare but legal.
                let with = matches!(act, Act::Update) || self.rng.random_bool(0.8);
                let content = with.then_some(("application/sdp", &sdp[..]));
                self.saw(if up { "offer" } else { "early offer" });
                self.with_leg(now, number, |leg, wire| leg.send(wire, method, content));
            }
            Act::Info if up => {
                let content = Some(("application/dtmf-relay", &b"Signal=1\r\n"[..]));
                self.with_leg(now, number, |leg, wire| leg.send(wire, Method::Info, content));
            }
            _ => {}
        }
    }

    fn work(&mut self, now: Instant) {
        while let Some(event) = self.transactions.poll_event() {
            match event {
                TransactionEvent::Request { id, message, .. } => self.on_request(now, id, message),
                TransactionEvent::Cancelled { invite, owner, message } => {
                    let number = owner.unwrap_or(0);
                    let event = self.lines.get_mut(&number).and_then(|l| l.leg.on_cancel(invite));
                    self.on_event(now, number, event, Some(&message));
                }
                TransactionEvent::Acknowledged { invite, owner, message } => {
                    let number = owner.unwrap_or(0);
                    let event =
                        self.with_leg(now, number, |leg, wire| leg.on_ack(wire, invite, &message));
                    self.on_event(now, number, event.flatten(), Some(&message));
                }
                TransactionEvent::Response { id, owner, flow, message, .. } => {
                    self.on_response(now, id, owner.unwrap_or(0), flow, &message);
                }
                TransactionEvent::WentBack { .. } => {}
                TransactionEvent::TimedOut { id, owner, .. }
                | TransactionEvent::TransportFailed { id, owner, .. } => {
                    let number = owner.unwrap_or(0);
                    let event = self.with_leg(now, number, |leg, wire| {
                        leg.on_transaction_over(wire, id, false)
                    });
                    self.on_event(now, number, event.flatten(), None);
                }
            }
        }
    }

    fn on_request(&mut self, now: Instant, id: TransactionId, message: Message) {
        let number = message.to_tag().and_then(|tag| self.tags.get(tag).copied());
        match (number, message.to_tag()) {
            (Some(number), _) if self.lines.get(&number).is_some_and(|l| l.leg.owns(&message)) => {
                self.transactions.set_owner(id, Some(number));
                match message.method() {
                    Method::Prack => self.saw("PRACK taken"),
                    Method::Update if body_of(&message).is_none() => self.saw("refresh taken"),
                    Method::Options => self.saw("probe taken"),
                    _ => {}
                }
                let flow = self.flow;
                let event =
                    self.with_leg(now, number, |leg, wire| leg.on_request(wire, id, flow, message));
                self.on_event(now, number, event.flatten(), None);
            }
            (_, None) if *message.method() == Method::Invite => self.is_called(now, id, message),
            _ => {
                let gone = sip::MessageBuilder::response_to(&message, 481, "Gone");
                self.transactions.respond(now, id, 481, gone.finish());
            }
        }
    }

    fn is_called(&mut self, now: Instant, id: TransactionId, invite: Message) {
        let (number, settings) = (self.new_line(), self.settings());
        let tag = format!("{:016x}", self.rng.random::<u64>());
        let delayed = body_of(&invite).is_none();
        self.tags.insert(tag.clone(), number);
        self.transactions.set_owner(id, Some(number));
        let mut leg = Leg::called(number, self.flow, id, Arc::new(invite), &tag, settings);
        leg.set_contact_user("phone");
        let demand = leg.demand();
        let line =
            Line { leg, version: 1, answered: false, cancelled: false, delayed, ended: false };
        self.lines.insert(number, line);
        if let Some(demand) = demand {
            if demand.status == 421 {
                self.saw("421");
            }
            let (header, value) = &demand.header;
            self.with_leg(now, number, |leg, wire| {
                leg.refuse(wire, demand.status, &[(header, value)])
            });
            return;
        }
        if self.rng.random_bool(0.1) {
            return; // It says nothing at all.
        }
        for _ in 0..self.rng.random_range(0..4) {
            let status = [180, 181, 183, 183, 199][self.rng.random_range(0..5)];
            let with = self.rng.random_bool(0.5) && matches!(status, 180 | 183);
            let after = self.ms(4000);
            self.agenda.push((now + after, number, Act::Progress(status, with)));
            if self.rng.random_bool(0.3) {
                self.agenda.push((now + after * 2, number, Act::Update));
            }
        }
        let after = self.ms(9000);
        let last = match self.rng.random_range(0..10) {
            0 => Act::Refuse([302, 404, 480, 486, 500, 503, 603][self.rng.random_range(0..7)]),
            1 => return,
            _ => Act::Answer,
        };
        self.agenda.push((now + after, number, last));
    }

    fn on_response(
        &mut self,
        now: Instant,
        id: TransactionId,
        number: u32,
        flow: Flow,
        response: &Message,
    ) {
        let stray =
            self.lines.get(&number).is_none_or(|line| line.leg.is_stray_answer(id, response));
        if stray {
            let invite =
                *response.method() == Method::Invite && (200..300).contains(&response.status());
            if invite {
                let own = Own(self.address);
                let mut wire = wire!(self, now, own);
                decline_answer(&mut wire, id, flow, response, "SIP;cause=200", None);
            }
            return;
        }
        match response.status() {
            491 => self.saw("491"),
            422 => self.saw("422"),
            _ => {}
        }
        let event =
            self.with_leg(now, number, |leg, wire| leg.on_response(wire, id, flow, response));
        self.on_event(now, number, event.flatten(), Some(response));
    }

    fn on_event(
        &mut self,
        now: Instant,
        number: u32,
        event: Option<LegEvent>,
        message: Option<&Message>,
    ) {
        let Some(event) = event else { return };
        match event {
            LegEvent::Progress => {
                if self.lines.get(&number).is_some_and(|line| line.leg.owes_provisional_answer()) {
                    self.saw("early offer answered");
                    let sdp = self.description(1);
                    self.with_leg(now, number, |leg, wire| {
                        leg.answer_provisional(wire, Some(&sdp))
                    });
                }
                if self.rng.random_bool(0.1) {
                    let after = self.ms(1000);
                    self.agenda.push((now + after, number, Act::Update));
                }
            }
            LegEvent::Answered => {
                let Some(line) = self.lines.get_mut(&number) else { return };
                line.answered = true;
                let cancelled = line.cancelled;
                let offered = message.and_then(body_of).is_some() && line.delayed;
                let sdp = offered.then(|| self.description(1));
                self.with_leg(now, number, |leg, wire| leg.acknowledge(wire, sdp.as_deref()));
                if cancelled {
                    // RFC 3261 section 9.1: the CANCEL came too late.
                    self.saw("answer crossed CANCEL");
                    self.agenda.push((now, number, Act::HangUp));
                } else {
                    self.plan_up(now, number);
                }
            }
            LegEvent::Request(id) => self.answer_request(now, number, id),
            LegEvent::ProvisionalAnswered(_) => self.saw("PRACK with answer"),
            LegEvent::Response(request) => {
                // A re-INVITE without an offer: its 2xx contained the offer.
                let sdp = self.description(1);
                let answer = Some(&sdp[..]);
                self.with_leg(now, number, |leg, wire| {
                    leg.acknowledge_request(wire, request, answer)
                });
            }
            LegEvent::Cancelled => {
                self.end(number);
                self.with_leg(now, number, |leg, wire| leg.refuse(wire, 487, &[]));
            }
            LegEvent::Bye(_) | LegEvent::Refused | LegEvent::Unanswered { .. } => self.end(number),
            LegEvent::Gone | LegEvent::NoLife => {
                self.saw("gone");
                self.end(number);
                self.with_leg(now, number, |leg, wire| {
                    leg.hang_up(wire, "Q.850;cause=41");
                });
            }
            LegEvent::Unacknowledged => {
                self.end(number);
                self.with_leg(now, number, |leg, wire| {
                    leg.refuse(wire, 504, &[]);
                    leg.hang_up(wire, "Q.850;cause=102");
                });
            }
            LegEvent::Trying
            | LegEvent::SentAgain
            | LegEvent::Acknowledged
            | LegEvent::NoResponse(_)
            | LegEvent::RequestCancelled(_)
            | LegEvent::RequestAcknowledged(..) => {}
        }
    }

    fn end(&mut self, number: u32) {
        if let Some(line) = self.lines.get_mut(&number) {
            line.ended = true;
        }
    }

    fn answer_request(&mut self, now: Instant, number: u32, id: TransactionId) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        let Some(request) = line.leg.request(id) else { return };
        let (method, early) = (request.method().clone(), !line.leg.is_up());
        line.version += 1;
        let version = line.version;
        let status = match self.rng.random_range(0..10) {
            0 if method != Method::Prack => [405, 488, 500, 501][self.rng.random_range(0..4)],
            _ => 200,
        };
        match (&method, early) {
            (Method::Update, true) => self.saw("early UPDATE taken"),
            (Method::Prack, _) => self.saw("PRACK with offer"),
            (Method::Invite, _) => self.saw("re-INVITE taken"),
            _ => {}
        }
        let sdp = (method != Method::Info && status == 200).then(|| self.description(version));
        self.with_leg(now, number, |leg, wire| leg.reply(wire, id, status, sdp.as_deref(), &[]));
    }
}
