//! The called side: rings and answers at once; keeps one bit per call.

use super::{Transport, wire};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Instant;

/// State of the called side.
#[derive(Debug)]
pub(super) struct Vendor {
    local: SocketAddr,
    transport: Transport,
    invited: Vec<bool>,
    ended: Vec<bool>,
    /// Retransmitted requests.
    pub(super) repeats: u64,
    /// Distinct INVITEs.
    pub(super) invites: u64,
    /// Microseconds from the caller's INVITE to this side's.
    pub(super) added_us: Vec<u32>,
}

impl Vendor {
    pub(super) fn new(local: SocketAddr, transport: Transport, calls: usize) -> Vendor {
        Vendor {
            local,
            transport,
            invited: vec![false; calls],
            ended: vec![false; calls],
            repeats: 0,
            invites: 0,
            added_us: Vec::with_capacity(calls),
        }
    }

    /// Handles a request and writes each response into a separate string. `sent` returns when the
    /// caller sent the INVITE of a call.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        message: &str,
        sent: impl Fn(usize) -> Option<Instant>,
        out: &mut Vec<String>,
    ) {
        let Some((method, uri)) = wire::request(message) else { return };
        match method {
            "INVITE" => {
                let Some(call) = wire::call_of_uri(uri).filter(|call| *call < self.invited.len())
                else {
                    return;
                };
                if std::mem::replace(&mut self.invited[call], true) {
                    self.repeats += 1;
                } else {
                    self.invites += 1;
                    if let Some(sent) = sent(call) {
                        let added = now.saturating_duration_since(sent).as_micros();
                        self.added_us.push(u32::try_from(added).unwrap_or(u32::MAX));
                    }
                }
                out.push(self.response(message, call, "180 Ringing", ""));
                let ip = self.local.ip();
                let body = format!(
                    "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
                     m=audio 4002 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
                     a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
                );
                out.push(self.response(message, call, "200 OK", &body));
            }
            "BYE" => {
                // Our own To tag in the request identifies the call.
                let call = wire::header(message, "To")
                    .and_then(|to| to.rsplit_once("tag=v"))
                    .and_then(|(_, tag)| tag.split(';').next()?.parse::<usize>().ok());
                if let Some(call) = call.filter(|call| *call < self.ended.len())
                    && std::mem::replace(&mut self.ended[call], true)
                {
                    self.repeats += 1;
                }
                out.push(self.response(message, 0, "200 OK", ""));
            }
            "OPTIONS" | "CANCEL" => out.push(self.response(message, 0, "200 OK", "")),
            _ => {}
        }
    }

    fn response(&self, request: &str, call: usize, line: &str, body: &str) -> String {
        let mut out = String::with_capacity(1024);
        let _ = write!(out, "SIP/2.0 {line}\r\n");
        for name in ["Via", "Record-Route", "From"] {
            for value in wire::headers(request, name) {
                let _ = write!(out, "{name}: {value}\r\n");
            }
        }
        let to = wire::header(request, "To").unwrap_or_default();
        let _ = write!(out, "To: {to}");
        if !to.contains("tag=") {
            let _ = write!(out, ";tag=v{call}");
        }
        for name in ["Call-ID", "CSeq"] {
            let _ = write!(out, "\r\n{name}: {}", wire::header(request, name).unwrap_or_default());
        }
        let parameter = match self.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
        };
        let _ = write!(out, "\r\nContact: <sip:vendor@{}{parameter}>\r\n", self.local);
        if !body.is_empty() {
            out.push_str("Content-Type: application/sdp\r\n");
        }
        let _ = write!(out, "Content-Length: {}\r\n\r\n{body}", body.len());
        out
    }
}
