//! A scripted telephone: calls, answers, rings and hangs up as planned, and keeps a log of each
//! leg.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::{
    Dialog, Flow, Message, MessageBuilder, Method, TransactionEvent, TransactionId, Transactions,
};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A vendor's reaction to an INVITE.
#[derive(Clone, Debug)]
pub(crate) struct VendorPlan {
    /// Provisional responses: after how long, status, with SDP.
    pub(crate) progress: Vec<(Duration, u16, bool)>,
    /// The final response and its delay; none never answers.
    pub(crate) last: Option<(Duration, u16)>,
    /// Hangs up this long after its 200.
    pub(crate) hangup: Option<Duration>,
    /// Sends a re-INVITE this long after its 200.
    pub(crate) hold: Option<Duration>,
    /// Sends nothing at all.
    pub(crate) dead: bool,
    /// Header put on the final response.
    pub(crate) header: Option<(&'static str, &'static str)>,
}

impl VendorPlan {
    /// Rings after 100 ms and answers after 1 s.
    pub(crate) fn answers() -> VendorPlan {
        VendorPlan {
            progress: vec![(Duration::from_millis(100), 180, false)],
            last: Some((Duration::from_secs(1), 200)),
            hangup: None,
            hold: None,
            dead: false,
            header: None,
        }
    }

    /// Refuses at once.
    pub(crate) fn refuses(status: u16) -> VendorPlan {
        let last = Some((Duration::from_millis(20), status));
        VendorPlan { progress: Vec::new(), last, ..VendorPlan::answers() }
    }

    /// Rings for ever.
    pub(crate) fn rings() -> VendorPlan {
        VendorPlan { last: None, ..VendorPlan::answers() }
    }

    /// Says nothing.
    pub(crate) fn silent() -> VendorPlan {
        VendorPlan { progress: Vec::new(), last: None, dead: true, ..VendorPlan::answers() }
    }
}

/// A caller's behaviour during its call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallerPlan {
    pub(crate) cancel: Option<Duration>,
    /// After the answer.
    pub(crate) hangup: Option<Duration>,
    /// Sends a re-INVITE this long after the answer.
    pub(crate) hold: Option<Duration>,
    /// INVITE without SDP.
    pub(crate) delayed_offer: bool,
    /// Never acknowledges an answer.
    pub(crate) no_ack: bool,
    /// `Privacy: id`.
    pub(crate) private: bool,
    /// The SDP is a part of a multipart body.
    pub(crate) multipart: bool,
}

#[derive(Debug)]
enum Action {
    Respond(TransactionId, u16, bool, Option<(&'static str, &'static str)>),
    Cancel,
    Bye,
    Hold,
}

/// One leg as its agent sees it.
#[derive(Debug, Default)]
pub(crate) struct LegLog {
    /// INVITE responses in order of arrival, without resends.
    pub(crate) responses: Vec<u16>,
    /// Requests in order of arrival.
    pub(crate) requests: Vec<String>,
    pub(crate) answered: bool,
    pub(crate) ended: bool,
    pub(crate) last_invite: String,
    pub(crate) last_response: String,
    pub(crate) last_body: String,
    pub(crate) ack_body: Option<String>,
}

struct Leg {
    dialog: Option<Dialog>,
    invite: Option<Message>,
    /// Transaction of the INVITE that created the leg.
    transaction: Option<TransactionId>,
    cseq: u32,
    plan: CallerPlan,
    tag: String,
    server: bool,
    cancelled: bool,
}

/// A telephone at an address.
pub(crate) struct Agent {
    pub(crate) address: SocketAddr,
    pub(crate) plan: VendorPlan,
    /// Plans for the next INVITEs; `plan` when empty.
    pub(crate) plans: Vec<VendorPlan>,
    pub(crate) legs: HashMap<String, LegLog>,
    /// Call-IDs in the order in which their legs began.
    pub(crate) order: Vec<String>,
    /// Challenges the next requests of these methods inside dialogs, in this order.
    pub(crate) challenges: Vec<(Method, &'static str)>,
    /// Refuses re-INVITEs with this status.
    pub(crate) refuses_hold: Option<u16>,
    /// The Contact of its answers instead of its address; empty: no Contact.
    pub(crate) contact: Option<String>,
    /// Answers a challenge with these, once.
    pub(crate) credentials: Option<(&'static str, &'static str)>,
    sent_200: String,
    transactions: Transactions,
    flow: Flow,
    rng: StdRng,
    calls: HashMap<String, Leg>,
    agenda: Vec<(Instant, String, Action)>,
    owners: HashMap<TransactionId, String>,
}

impl Agent {
    pub(crate) fn new(address: &str, seed: u64) -> Agent {
        let remote = super::SWITCH.parse().expect("an address");
        Agent {
            address: address.parse().expect("an address"),
            plan: VendorPlan::answers(),
            plans: Vec::new(),
            legs: HashMap::new(),
            order: Vec::new(),
            challenges: Vec::new(),
            refuses_hold: None,
            contact: None,
            credentials: None,
            sent_200: String::new(),
            transactions: Transactions::with_secret([7; 16]),
            flow: Flow::datagram(0, remote),
            rng: StdRng::seed_from_u64(seed),
            calls: HashMap::new(),
            agenda: Vec::new(),
            owners: HashMap::new(),
        }
    }

    pub(crate) fn vendor(address: &str, plan: VendorPlan) -> Agent {
        Agent { plan, ..Agent::new(address, 99) }
    }

    /// The log of the only or latest leg.
    pub(crate) fn last(&self) -> &LegLog {
        let id = self.order.last().expect("a leg");
        &self.legs[id]
    }

    /// The latest 200 to an INVITE, as sent.
    pub(crate) fn last_sent_200(&self) -> String {
        self.sent_200.clone()
    }

    fn token(&mut self) -> String {
        format!("{:016x}", self.rng.random::<u64>())
    }

    fn via(&mut self) -> String {
        let token = self.token();
        format!("SIP/2.0/UDP {};rport;branch=z9hG4bK{token}", self.address)
    }

    fn sdp(&self, direction: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n",
            ip = self.address.ip()
        )
    }

    /// Calls `callee`; returns the Call-ID.
    pub(crate) fn invite(&mut self, now: Instant, callee: &str, plan: CallerPlan) -> String {
        let (id, tag, via) = (self.token(), self.token(), self.via());
        let uri = format!("sip:{callee}@{}", super::SWITCH);
        let mut invite = MessageBuilder::request(&Method::Invite, &uri)
            .header("Via", via)
            .header("Max-Forwards", 70)
            .header("From", format_args!("\"Alice\" <sip:4930123@{}>;tag={tag}", self.address))
            .header("To", format_args!("<{uri}>"))
            .header("Call-ID", &id)
            .header("CSeq", "1 INVITE")
            .header("Contact", format_args!("<sip:4930123@{}>", self.address));
        if plan.private {
            invite = invite.header("Privacy", "id");
        }
        if plan.multipart {
            let body = format!(
                "--b\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--b\r\n\
                 Content-Type: application/isup\r\n\r\n\x01\x02\r\n--b--\r\n",
                self.sdp("sendrecv")
            );
            invite = invite.body("multipart/mixed;boundary=b", body.as_bytes());
        } else if !plan.delayed_offer {
            invite = invite.body("application/sdp", self.sdp("sendrecv").as_bytes());
        }
        let bytes = invite.finish();
        let message = Message::parse(&bytes).expect("our own INVITE");
        let transaction = self.transactions.request(now, self.flow, bytes, &Arc::default());
        self.owners.insert(transaction, id.clone());
        if let Some(after) = plan.cancel {
            self.agenda.push((now + after, id.clone(), Action::Cancel));
        }
        let leg = Leg {
            dialog: None,
            invite: Some(message),
            transaction: Some(transaction),
            cseq: 1,
            plan,
            tag,
            server: false,
            cancelled: false,
        };
        self.calls.insert(id.clone(), leg);
        self.legs.insert(id.clone(), LegLog::default());
        self.order.push(id.clone());
        id
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
        let due: Vec<_> = {
            let (due, later) =
                std::mem::take(&mut self.agenda).into_iter().partition(|(at, _, _)| *at <= now);
            self.agenda = later;
            due
        };
        for (_, id, action) in due {
            self.act(now, &id, action);
        }
        self.work(now);
    }

    pub(crate) fn poll_transmit(&mut self, _: Instant) -> Option<Arc<[u8]>> {
        self.transactions.poll_transmit().map(|transmit| transmit.bytes)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let agenda = self.agenda.iter().map(|(at, _, _)| *at).min();
        agenda.into_iter().chain(self.transactions.poll_timeout()).min()
    }

    fn act(&mut self, now: Instant, id: &str, action: Action) {
        let Some(log) = self.legs.get_mut(id) else { return };
        if log.ended {
            return;
        }
        match action {
            Action::Respond(transaction, status, sdp, header) => {
                self.respond_invite(now, id, transaction, status, sdp, header);
            }
            Action::Cancel => {
                let answered = log.answered;
                let Some(leg) = self.calls.get_mut(id) else { return };
                if let (Some(invite), false) = (leg.transaction, answered) {
                    leg.cancelled = true;
                    self.transactions.cancel(now, invite, None);
                }
            }
            Action::Bye => self.bye(now, id),
            Action::Hold => self.hold(now, id),
        }
    }

    fn bye(&mut self, now: Instant, id: &str) {
        let via = self.via();
        let Some(dialog) = self.calls.get_mut(id).and_then(|leg| leg.dialog.as_mut()) else {
            return;
        };
        let bye = dialog.request(&Method::Bye).header("Via", via).finish();
        self.transactions.request(now, self.flow, bye, &Arc::default());
        self.legs.entry(id.to_owned()).or_default().ended = true;
    }

    fn hold(&mut self, now: Instant, id: &str) {
        let (via, body, address) = (self.via(), self.sdp("sendonly"), self.address);
        let Some(leg) = self.calls.get_mut(id) else { return };
        let Some(dialog) = leg.dialog.as_mut() else { return };
        let bytes = dialog
            .request(&Method::Invite)
            .header("Via", via)
            .header("Contact", format_args!("<sip:4930123@{address}>"))
            .body("application/sdp", body.as_bytes())
            .finish();
        leg.cseq = dialog.local_cseq();
        let transaction = self.transactions.request(now, self.flow, bytes, &Arc::default());
        self.owners.insert(transaction, id.to_owned());
    }

    fn respond_invite(
        &mut self,
        now: Instant,
        id: &str,
        transaction: TransactionId,
        status: u16,
        sdp: bool,
        header: Option<(&'static str, &'static str)>,
    ) {
        let (address, body) = (self.address, self.sdp("sendrecv"));
        let Some(leg) = self.calls.get_mut(id) else { return };
        let Some(invite) = &leg.invite else { return };
        let mut builder = MessageBuilder::response_to(invite, status, "Reason").to_tag(&leg.tag);
        match self.contact.as_deref() {
            None => builder = builder.header("Contact", format_args!("<sip:vendor@{address}>")),
            Some("") => {}
            Some(contact) => builder = builder.header("Contact", format_args!("<{contact}>")),
        }
        if let Some((name, value)) = header {
            builder = builder.header(name, value);
        }
        if sdp || status == 200 {
            builder = builder.body("application/sdp", body.as_bytes());
        }
        if status == 200 {
            leg.dialog = Some(Dialog::uas(invite, &leg.tag));
        }
        let bytes = builder.finish();
        if status == 200 {
            self.sent_200 = String::from_utf8_lossy(&bytes).into_owned();
        }
        self.transactions.respond(now, transaction, status, bytes);
        let log = self.legs.entry(id.to_owned()).or_default();
        if status == 200 {
            log.answered = true;
            let plan = self.plan_of(id);
            for (after, action) in [(plan.hangup, Action::Bye), (plan.hold, Action::Hold)] {
                if let Some(after) = after {
                    self.agenda.push((now + after, id.to_owned(), action));
                }
            }
        } else if status >= 300 {
            log.ended = true;
        }
    }

    fn plan_of(&self, id: &str) -> CallerPlan {
        self.calls.get(id).map(|leg| leg.plan).unwrap_or_default()
    }

    fn work(&mut self, now: Instant) {
        while let Some(event) = self.transactions.poll_event() {
            match event {
                TransactionEvent::Request { id, message, .. } => self.on_request(now, id, message),
                TransactionEvent::Cancelled { invite, message, .. } => {
                    let call = message.call_id().to_owned();
                    self.respond_invite(now, &call, invite, 487, false, None);
                }
                TransactionEvent::Acknowledged { message, .. } => {
                    let body = String::from_utf8_lossy(message.body()).into_owned();
                    if let Some(log) = self.legs.get_mut(message.call_id()) {
                        log.ack_body = Some(body);
                    }
                }
                TransactionEvent::Response { id, message, .. } => {
                    self.on_response(now, id, &message)
                }
                TransactionEvent::WentBack { .. } => {}
                TransactionEvent::TimedOut { id, .. }
                | TransactionEvent::TransportFailed { id, .. } => {
                    // The peer is unreachable: the leg is over for this side.
                    if let Some(call) = self.owners.remove(&id) {
                        self.legs.entry(call).or_default().ended = true;
                    }
                }
            }
        }
    }

    fn on_request(&mut self, now: Instant, id: TransactionId, message: Message) {
        let call = message.call_id().to_owned();
        let log = self.legs.entry(call.clone()).or_default();
        if message.to_tag().is_none() {
            // The same call again, with credentials.
            log.ended = false;
        }
        log.requests.push(message.method().as_str().to_owned());
        match message.method() {
            Method::Invite if message.to_tag().is_none() => {
                log.last_invite = String::from_utf8_lossy(&message.to_bytes()).into_owned();
                self.order.push(call.clone());
                let plan =
                    if self.plans.is_empty() { self.plan.clone() } else { self.plans.remove(0) };
                let leg = Leg {
                    dialog: None,
                    invite: Some(message),
                    transaction: Some(id),
                    cseq: 0,
                    plan: CallerPlan { hangup: plan.hangup, hold: plan.hold, ..Default::default() },
                    tag: self.token(),
                    server: true,
                    cancelled: false,
                };
                self.calls.insert(call.clone(), leg);
                if plan.dead {
                    return;
                }
                self.respond_invite(now, &call, id, 100, false, None);
                for (after, status, sdp) in plan.progress {
                    let action = Action::Respond(id, status, sdp, None);
                    self.agenda.push((now + after, call.clone(), action));
                }
                if let Some((after, status)) = plan.last {
                    let action = Action::Respond(id, status, false, plan.header);
                    self.agenda.push((now + after, call, action));
                }
            }
            method => {
                log.last_body = String::from_utf8_lossy(message.body()).into_owned();
                let ended = log.ended;
                let bye = *method == Method::Bye;
                if let Some(at) = self.challenges.iter().position(|(of, _)| of == method) {
                    let (_, challenge) = self.challenges.remove(at);
                    let again = MessageBuilder::response_to(&message, 401, "Reason")
                        .header("WWW-Authenticate", challenge);
                    return self.transactions.respond(now, id, 401, again.finish());
                }
                let known = self.calls.get_mut(&call).and_then(|leg| leg.dialog.as_mut());
                let status = match known {
                    Some(_) if *method == Method::Invite && self.refuses_hold.is_some() => {
                        self.refuses_hold.unwrap_or(488)
                    }
                    Some(dialog) if !ended || bye => dialog.accept(&message).err().unwrap_or(200),
                    _ => 481,
                };
                let mut builder = MessageBuilder::response_to(&message, status, "Reason");
                if *method == Method::Invite && status == 200 {
                    let body = self.sdp("recvonly");
                    builder = builder
                        .header("Contact", format_args!("<sip:agent@{}>", self.address))
                        .body("application/sdp", body.as_bytes());
                }
                self.transactions.respond(now, id, status, builder.finish());
                if bye {
                    self.legs.entry(call).or_default().ended = true;
                }
            }
        }
    }

    fn on_response(&mut self, now: Instant, id: TransactionId, response: &Message) {
        if *response.method() != Method::Invite {
            return;
        }
        let call = response.call_id().to_owned();
        let status = response.status();
        let via = self.via();
        let log = self.legs.entry(call.clone()).or_default();
        log.responses.push(status);
        log.last_response = String::from_utf8_lossy(&response.to_bytes()).into_owned();
        let Some(leg) = self.calls.get_mut(&call) else { return };
        match status {
            100..=199 => {}
            200..=299 => {
                let first = leg.dialog.is_none();
                let sdp = !response.body().is_empty();
                let delayed = leg.plan.delayed_offer;
                let dialog = leg.dialog.get_or_insert_with(|| Dialog::uac(response, response));
                let mut ack = dialog.ack(leg.cseq).header("Via", via);
                let body = format!(
                    "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
                     m=audio 40002 RTP/AVP 8\r\n",
                    ip = self.address.ip()
                );
                if first && sdp && delayed {
                    ack = ack.body("application/sdp", body.as_bytes());
                }
                if !leg.plan.no_ack {
                    self.transactions.ack(now, id, self.flow, ack.finish());
                }
                if first && !leg.server {
                    log.answered = true;
                    let plan = leg.plan;
                    if leg.cancelled {
                        // RFC 3261 section 9.1: the CANCEL came too late.
                        self.agenda.push((now, call.clone(), Action::Bye));
                    }
                    for (after, action) in [(plan.hangup, Action::Bye), (plan.hold, Action::Hold)] {
                        if let Some(after) = after {
                            self.agenda.push((now + after, call.clone(), action));
                        }
                    }
                }
            }
            401 if leg.dialog.is_none() && self.credentials.is_some() => {
                self.repeat_with_credentials(now, &call, response);
            }
            _ if leg.dialog.is_none() => log.ended = true,
            _ => {}
        }
    }

    fn repeat_with_credentials(&mut self, now: Instant, call: &str, challenge: &Message) {
        let Some((username, password)) = self.credentials.take() else { return };
        let via = self.via();
        let Some(leg) = self.calls.get_mut(call) else { return };
        let Some(invite) = leg.invite.take() else { return };
        let uri = invite.uri();
        let challenge = sip::digest::Challenge::choose(challenge, &sip::digest::Algorithm::ALL)
            .expect("a challenge");
        let answer = sip::digest::Answer { username, password, method: "INVITE", uri, count: 1 };
        let value = challenge.answer(&answer, &mut self.rng);
        leg.cseq += 1;
        let mut again = MessageBuilder::request(&Method::Invite, uri)
            .header("Via", via)
            .header("CSeq", format_args!("{} INVITE", leg.cseq))
            .header(challenge.header_name(), value);
        for name in ["Max-Forwards", "From", "To", "Call-ID", "Contact"] {
            again = again.header(name, invite.header(name).unwrap_or_default());
        }
        let bytes = again.body("application/sdp", invite.body()).finish();
        let transaction = self.transactions.request(now, self.flow, bytes, &Arc::default());
        leg.transaction = Some(transaction);
        leg.invite = Some(invite);
        self.owners.insert(transaction, call.to_owned());
    }
}
