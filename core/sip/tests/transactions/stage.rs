//! One layer, its clock, and short names for the messages of a call.

use std::sync::Arc;
use std::time::{Duration, Instant};
use strowger_sip::{
    Flow, Link, Message, ResendSchedule, TransactionEvent, TransactionId, Transactions,
};

/// Transactions that are over and only absorb repetitions may exceed their time by this long, ms.
pub(crate) const LATE: u64 = 100;

/// A layer at one moment.
pub(crate) struct Stage {
    pub(crate) layer: Transactions,
    start: Instant,
    now: Instant,
    sent: Vec<(u64, String)>,
    pub(crate) link: Link,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let start = Instant::now();
        Stage {
            layer: Transactions::with_secret([7; 16]),
            start,
            now: start,
            sent: Vec::new(),
            link: Link::Datagram,
        }
    }

    /// The vendor, over the link of this stage.
    pub(crate) fn flow(&self) -> Flow {
        Flow { link: self.link, ..vendor() }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Advances the time to `millis` after the start and fires each timer at its moment.
    pub(crate) fn until(&mut self, millis: u64) {
        let target = self.start + Duration::from_millis(millis);
        self.note_sent();
        while let Some(moment) = self.layer.poll_timeout().filter(|moment| *moment <= target) {
            self.now = self.now.max(moment);
            self.layer.handle_timeout(self.now);
            self.note_sent();
        }
        self.now = target;
    }

    /// Sends a request on the standard schedule.
    pub(crate) fn request(&mut self, bytes: Vec<u8>) -> TransactionId {
        self.request_on("0.5,1,2,4,4,4,4,4,4,4", bytes)
    }

    /// Sends a request on a schedule.
    pub(crate) fn request_on(&mut self, schedule: &str, bytes: Vec<u8>) -> TransactionId {
        let schedule = Arc::new(ResendSchedule::parse(schedule).unwrap());
        self.layer.request(self.now, self.flow(), bytes, &schedule)
    }

    /// Receives a message from the vendor.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.layer.receive(self.now, self.flow(), Message::parse(bytes).unwrap());
    }

    /// Receives a request that opens a server transaction.
    pub(crate) fn receive_new(&mut self, bytes: &[u8]) -> TransactionId {
        self.receive(bytes);
        match self.layer.poll_event() {
            Some(TransactionEvent::Request { id, .. }) => id,
            other => panic!("no new request but {other:?}"),
        }
    }

    /// The transaction user answers the request of [`invite`] or [`request`].
    pub(crate) fn respond(&mut self, id: TransactionId, bytes: Vec<u8>) {
        let status = Message::parse(&bytes).unwrap().status();
        self.layer.respond(self.now, id, status, bytes);
    }

    /// The messages sent since the last call: milliseconds and `INVITE` or `200`.
    pub(crate) fn sent(&mut self) -> Vec<(u64, String)> {
        self.note_sent();
        std::mem::take(&mut self.sent)
    }

    /// The messages sent since the last call, without the moments.
    pub(crate) fn sent_names(&mut self) -> Vec<String> {
        self.sent().into_iter().map(|(_, name)| name).collect()
    }

    /// The moments, ms, at which messages were sent since the last call.
    pub(crate) fn sent_moments(&mut self) -> Vec<u64> {
        self.sent().into_iter().map(|(moment, _)| moment).collect()
    }

    /// The messages sent since the last call, parsed.
    pub(crate) fn sent_messages(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.layer.poll_transmit())
            .map(|transmit| Message::parse(&transmit.bytes).unwrap())
            .collect()
    }

    /// The events since the last call, abbreviated: `180 a`, `timed out`.
    pub(crate) fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.layer.poll_event())
            .map(|event| match event {
                TransactionEvent::Request { message, .. } => {
                    format!("request {}", message.method().as_str())
                }
                TransactionEvent::Cancelled { .. } => "cancelled".to_owned(),
                TransactionEvent::Acknowledged { .. } => "acknowledged".to_owned(),
                TransactionEvent::Response { message, .. } => {
                    format!("{} {}", message.status(), message.to_tag().unwrap_or("-"))
                }
                TransactionEvent::TimedOut { .. } => "timed out".to_owned(),
                TransactionEvent::TransportFailed { .. } => "transport failed".to_owned(),
                TransactionEvent::WentBack { flow, .. } => format!("goes by {}", flow.link.name()),
            })
            .collect()
    }

    fn note_sent(&mut self) {
        let millis = self.now.duration_since(self.start).as_millis() as u64;
        for message in self.sent_messages() {
            let name = match message.is_request() {
                true => message.method().as_str().to_owned(),
                false => message.status().to_string(),
            };
            self.sent.push((millis, name));
        }
    }
}

pub(crate) fn vendor() -> Flow {
    Flow::datagram(0, ([192, 0, 2, 9], 5060).into())
}

/// An INVITE with this branch.
pub(crate) fn invite(branch: &str) -> Vec<u8> {
    request("INVITE", branch, "")
}

/// A request with this branch; `extra` are whole header lines.
pub(crate) fn request(method: &str, branch: &str, extra: &str) -> Vec<u8> {
    request_over("UDP", method, branch, extra)
}

/// A request over another transport.
pub(crate) fn request_over(transport: &str, method: &str, branch: &str, extra: &str) -> Vec<u8> {
    format!(
        "{method} sip:4930@192.0.2.9 SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 198.51.100.1:5060;branch={branch};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:4940@198.51.100.1>;tag=ours\r\n\
         To: <sip:4930@192.0.2.9>\r\n\
         Call-ID: call-1\r\n\
         CSeq: 7 {method}\r\n\
         {extra}\
         Content-Length: 0\r\n\r\n"
    )
    .into()
}

/// The response to a request of [`request`]; an empty tag means none.
pub(crate) fn response(status: u16, to_tag: &str, method: &str, branch: &str) -> Vec<u8> {
    response_over("UDP", status, to_tag, method, branch)
}

/// A response over another transport.
pub(crate) fn response_over(
    transport: &str,
    status: u16,
    to_tag: &str,
    method: &str,
    branch: &str,
) -> Vec<u8> {
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    format!(
        "SIP/2.0 {status} Because\r\n\
         Via: SIP/2.0/{transport} 198.51.100.1:5060;branch={branch};rport\r\n\
         From: <sip:4940@198.51.100.1>;tag=ours\r\n\
         To: <sip:4930@192.0.2.9>{tag}\r\n\
         Call-ID: call-1\r\n\
         CSeq: 7 {method}\r\n\
         Contact: <sip:vendor@192.0.2.9>\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into()
}

/// The ACK for a response to [`invite`], as the peer sends it.
pub(crate) fn ack(to_tag: &str, branch: &str) -> Vec<u8> {
    String::from_utf8(request("ACK", branch, ""))
        .unwrap()
        .replace("To: <sip:4930@192.0.2.9>", &format!("To: <sip:4930@192.0.2.9>;tag={to_tag}"))
        .into()
}
