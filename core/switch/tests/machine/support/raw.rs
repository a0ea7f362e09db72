//! A caller and vendors without a telephone: the test writes every message, so that they can do
//! what no correct telephone does.

use super::facts::{CALLER, VENDOR_A};
use super::{Network, SWITCH, Stage};
use sip::{Message, MessageBuilder, Method};
use std::time::Duration;
use strowger_switch::facts::Facts;

/// One call between raw peers.
pub(crate) struct Raw {
    pub(crate) stage: Stage,
    /// Via of the caller's requests, without its branch.
    pub(crate) via: String,
    /// Source address of the caller's packets.
    pub(crate) source: String,
    pub(crate) contact: String,
    pub(crate) from: String,
    pub(crate) uri: String,
    pub(crate) call_id: String,
    /// CSeq number of the caller's latest request, and of the vendor's.
    pub(crate) cseq: u32,
    pub(crate) vendor_cseq: u32,
    /// The vendor's tag.
    pub(crate) tag: String,
    /// Messages of the wire that were already read.
    read: Vec<bool>,
    branch: u32,
}

impl Raw {
    pub(crate) fn new(facts: Facts) -> Raw {
        Raw {
            stage: Stage::new(facts, Network::PERFECT, 1),
            via: format!("SIP/2.0/UDP {CALLER};rport"),
            source: CALLER.to_owned(),
            contact: format!("<sip:4930123@{CALLER}>"),
            from: format!("<sip:4930123@{CALLER}>;tag=caller"),
            uri: format!("sip:4420123@{SWITCH}"),
            call_id: "raw".to_owned(),
            cseq: 1,
            vendor_cseq: 100,
            tag: "vendor".to_owned(),
            read: Vec::new(),
            branch: 0,
        }
    }

    pub(crate) fn run(&mut self, ms: u64) {
        self.stage.run(Duration::from_millis(ms));
    }

    /// Runs until everything is quiet; then no state may be left.
    pub(crate) fn ends(&mut self) {
        self.stage.run_until_quiet();
        self.stage.assert_nothing_leaks();
    }

    /// The oldest unread message to `address` whose start line begins with `start`.
    pub(crate) fn find(&mut self, address: &str, start: &str) -> Option<Message> {
        self.read.resize(self.stage.wire.len(), false);
        let wire = self.stage.wire.iter().enumerate();
        let mut unread = wire.filter(|(at, _)| !self.read[*at]);
        let wanted = unread.find(|(_, (_, to, bytes))| {
            to.to_string() == address && bytes.starts_with(start.as_bytes())
        });
        let (at, (_, _, bytes)) = wanted?;
        let message = Message::parse(bytes).expect("the switch sends well-formed SIP");
        self.read[at] = true;
        Some(message)
    }

    /// The same, a moment later; panics with the messages that came instead.
    #[track_caller]
    pub(crate) fn at(&mut self, address: &str, start: &str) -> Message {
        self.run(5);
        let found = self.find(address, start);
        found.unwrap_or_else(|| panic!("no `{start}` at {address}, but {:?}", self.lines()))
    }

    /// The vendor's next message of this kind.
    #[track_caller]
    pub(crate) fn vendor(&mut self, start: &str) -> Message {
        self.at(VENDOR_A, start)
    }

    /// The caller's next message of this kind.
    #[track_caller]
    pub(crate) fn caller(&mut self, start: &str) -> Message {
        let source = self.source.clone();
        self.at(&source, start)
    }

    /// Whether `address` has an unread message of this kind.
    pub(crate) fn has(&mut self, address: &str, start: &str) -> bool {
        self.run(5);
        self.find(address, start).is_some()
    }

    fn lines(&self) -> Vec<String> {
        let line = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned()
        };
        self.stage.wire.iter().map(|(_, to, bytes)| format!("{to} {}", line(bytes))).collect()
    }

    /// Gives the caller's next request the branch of the previous one.
    pub(crate) fn same_branch(&mut self) {
        self.branch -= 1;
    }

    fn next_via(&mut self) -> String {
        self.branch += 1;
        format!("{};branch=z9hG4bKraw{}", self.via, self.branch)
    }

    /// A request of the caller: INVITE outside the dialog when `to` has no tag.
    fn request(&mut self, method: &Method, uri: &str, to: &str, cseq: u32) -> MessageBuilder {
        MessageBuilder::request(method, uri)
            .header("Via", self.next_via())
            .header("Max-Forwards", 70)
            .header("From", &self.from)
            .header("To", to)
            .header("Call-ID", &self.call_id)
            .header("CSeq", format_args!("{cseq} {}", method.as_str()))
    }

    /// The caller's INVITE with these header lines; no body if `body` is empty.
    pub(crate) fn invite(&mut self, headers: &[(&str, &str)], body: &str) {
        let uri = self.uri.clone();
        let to = format!("<{uri}>");
        let invite =
            self.request(&Method::Invite, &uri, &to, self.cseq).header("Contact", &self.contact);
        self.send(invite, headers, body);
    }

    /// CANCEL of the latest INVITE.
    pub(crate) fn cancel(&mut self, headers: &[(&str, &str)]) {
        let (uri, via) =
            (self.uri.clone(), format!("{};branch=z9hG4bKraw{}", self.via, self.branch));
        let cancel = MessageBuilder::request(&Method::Cancel, &uri)
            .header("Via", via)
            .header("Max-Forwards", 70)
            .header("From", &self.from)
            .header("To", format_args!("<{uri}>"))
            .header("Call-ID", &self.call_id)
            .header("CSeq", format_args!("{} CANCEL", self.cseq));
        self.send(cancel, headers, "");
    }

    /// The caller's ACK for this 2xx.
    pub(crate) fn ack(&mut self, answer: &Message, body: &str) {
        let target = answer.contact().expect("a Contact").uri().to_owned();
        let to = answer.header("To").expect("a To").to_owned();
        let (cseq, _) = answer.cseq();
        let ack = self.request(&Method::Ack, &target, &to, cseq);
        self.send(ack, &[], body);
    }

    /// The caller's request inside the dialog of this response.
    pub(crate) fn asks(
        &mut self,
        dialog: &Message,
        method: &Method,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        self.cseq += 1;
        let target = dialog.contact().expect("a Contact").uri().to_owned();
        let to = dialog.header("To").expect("a To").to_owned();
        let mut request = self.request(method, &target, &to, self.cseq);
        if matches!(method, Method::Invite | Method::Update) {
            request = request.header("Contact", &self.contact);
        }
        self.send(request, headers, body);
    }

    fn send(&mut self, mut builder: MessageBuilder, headers: &[(&str, &str)], body: &str) {
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        if !body.is_empty() {
            builder = builder.body("application/sdp", body.as_bytes());
        }
        let source = self.source.clone();
        self.stage.inject(&source, &builder.finish());
    }

    /// The peer at `address` answers a request of the switch.
    pub(crate) fn answers_from(
        &mut self,
        address: &str,
        request: &Message,
        start: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        let (code, phrase) = start.split_once(' ').unwrap_or((start, "Answer"));
        let status = code.parse().expect("a status");
        let mut builder = MessageBuilder::response_to(request, status, phrase);
        if status > 100 {
            builder = builder.to_tag(&self.tag);
        }
        if (101..300).contains(&status) && !headers.iter().any(|(name, _)| *name == "Contact") {
            builder = builder.header("Contact", format_args!("<sip:gw@{address}>"));
        }
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        if !body.is_empty() {
            builder = builder.body("application/sdp", body.as_bytes());
        }
        self.stage.inject(address, &builder.finish());
    }

    /// The vendor answers.
    pub(crate) fn answers(
        &mut self,
        request: &Message,
        start: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        self.answers_from(VENDOR_A, request, start, headers, body);
    }

    /// The caller answers a request of the switch.
    pub(crate) fn caller_answers(&mut self, request: &Message, start: &str, body: &str) {
        let (source, contact) = (self.source.clone(), self.contact.clone());
        self.answers_from(&source, request, start, &[("Contact", &contact)], body);
    }

    /// The vendor's request inside the dialog of its answer to `invite`.
    pub(crate) fn vendor_asks(
        &mut self,
        invite: &Message,
        method: &Method,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        self.vendor_cseq += 1;
        self.vendor_sends(invite, method, headers, body);
    }

    /// The vendor's ACK for our 2xx to its latest request, a re-INVITE.
    pub(crate) fn vendor_acks(&mut self, invite: &Message, body: &str) {
        self.vendor_sends(invite, &Method::Ack, &[], body);
        self.run(5);
    }

    fn vendor_sends(
        &mut self,
        invite: &Message,
        method: &Method,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        self.branch += 1;
        let header = |name| invite.header(name).expect("it has one");
        let target = invite.contact().expect("a Contact").uri().to_owned();
        let mut builder = MessageBuilder::request(method, &target)
            .header("Via", format_args!("SIP/2.0/UDP {VENDOR_A};branch=z9hG4bKv{}", self.branch))
            .header("Max-Forwards", 70)
            .header("From", format_args!("{};tag={}", header("To"), self.tag))
            .header("To", header("From"))
            .header("Call-ID", invite.call_id())
            .header("CSeq", format_args!("{} {}", self.vendor_cseq, method.as_str()));
        if matches!(method, Method::Invite | Method::Update) {
            builder = builder.header("Contact", format_args!("<sip:gw@{VENDOR_A}>"));
        }
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        if !body.is_empty() {
            builder = builder.body("application/sdp", body.as_bytes());
        }
        self.stage.inject(VENDOR_A, &builder.finish());
    }

    /// INVITE, 200 and both ACKs: the vendor's INVITE and the caller's 200.
    pub(crate) fn connects(&mut self) -> (Message, Message) {
        self.connects_with(&[], &[])
    }

    /// The same with header lines for the INVITE and for the answer.
    pub(crate) fn connects_with(
        &mut self,
        invite: &[(&str, &str)],
        answer: &[(&str, &str)],
    ) -> (Message, Message) {
        self.invite(invite, &sdp("10.1.0.1", 40_000));
        let invite = self.vendor("INVITE ");
        self.answers(&invite, "200 OK", answer, &sdp("10.2.0.1", 42_000));
        let ok = self.caller("SIP/2.0 200 ");
        self.ack(&ok, "");
        self.run(5);
        (invite, ok)
    }

    /// The caller hangs up and the vendor agrees.
    pub(crate) fn hangs_up(&mut self, ok: &Message) {
        self.asks(ok, &Method::Bye, &[], "");
        let bye = self.vendor("BYE ");
        self.answers(&bye, "200 OK", &[], "");
        self.ends();
    }
}

/// A description with one audio stream.
pub(crate) fn sdp(ip: &str, port: u16) -> String {
    format!(
        "v=0\r\no=gw 8001 1 IN IP4 {ip}\r\ns=call\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    )
}

/// The body as text.
pub(crate) fn body(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}
