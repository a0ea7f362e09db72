//! Peers on plain UDP sockets, for messages and timing that no SIP stack produces.

use crate::sipp::header;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long to wait for a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// A caller with hand-written messages.
#[derive(Debug)]
pub struct RawCaller {
    socket: UdpSocket,
    switch: SocketAddr,
}

impl RawCaller {
    /// Binds port 5060 of an address.
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn at(address: IpAddr, switch: SocketAddr) -> RawCaller {
        let socket = UdpSocket::bind((address, 5060)).expect("the address is free");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time is set");
        RawCaller { socket, switch }
    }

    /// An INVITE without a body; `id` names the call.
    #[must_use]
    pub fn invite(&self, id: &str, callee: &str) -> String {
        let local = self.local();
        format!(
            "INVITE sip:{callee}@switch SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{id};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:15551230001@{local}>;tag={id}\r\nTo: <sip:{callee}@switch>\r\n\
             Call-ID: {id}\r\nCSeq: 1 INVITE\r\nContact: <sip:raw@{local}>\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }

    /// The same with an SDP offer.
    #[must_use]
    pub fn invite_with(&self, id: &str, callee: &str, sdp: &str) -> String {
        let length =
            format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
        self.invite(id, callee).replace("Content-Length: 0\r\n\r\n", &length)
    }

    /// A request in the dialog of `invite` and its `answer`; `cseq` equals the INVITE's for ACK and
    /// is higher for other methods.
    ///
    /// # Panics
    /// When a header is missing.
    #[must_use]
    pub fn in_dialog(&self, invite: &str, answer: &str, method: &str, cseq: u32) -> String {
        let of = |message: &str, name: &str| header(message, name).expect("the header is there");
        let contact = of(answer, "Contact");
        let target = contact.split_once('<').map_or(contact.as_str(), |(_, rest)| rest);
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{method}{cseq}{};rport\r\n\
             Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            target.split('>').next().unwrap_or(target),
            self.local(),
            of(invite, "Call-ID"),
            of(invite, "From"),
            of(answer, "To"),
            of(invite, "Call-ID"),
        )
    }

    /// OPTIONS outside of any dialog.
    #[must_use]
    pub fn options(&self, id: &str) -> String {
        self.invite(id, "ping").replace("INVITE", "OPTIONS")
    }

    /// Sends a message unchanged.
    ///
    /// # Panics
    /// When the kernel refuses it.
    pub fn send(&self, message: &str) {
        self.socket.send_to(message.as_bytes(), self.switch).expect("loopback takes packets");
    }

    /// The first message accepted by `wanted`; skips others.
    ///
    /// # Panics
    /// When none comes.
    pub fn hear(&self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "still waiting for {what}");
            if let Some(message) = self.next().filter(|message| wanted(message)) {
                return message;
            }
        }
    }

    /// The final response to the request with this CSeq of the call `id`.
    ///
    /// # Panics
    /// When none comes.
    pub fn hear_final(&self, id: &str, cseq: &str) -> String {
        let is = |message: &str, name: &str, value: &str| {
            header(message, name).is_some_and(|found| found == value)
        };
        self.hear(&format!("the answer to {cseq} of {id}"), |message| {
            message.starts_with("SIP/2.0 ")
                && !message.starts_with("SIP/2.0 1")
                && is(message, "Call-ID", id)
                && is(message, "CSeq", cseq)
        })
    }

    /// The next message, if one comes within a tenth of a second.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        let mut buffer = [0; 65_536];
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }
}

/// A vendor that answers every INVITE at once with the same SDP, and every BYE.
#[derive(Debug)]
pub struct RawVendor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RawVendor {
    /// Binds port 5060 of an address.
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn at(address: IpAddr, sdp: &str) -> RawVendor {
        let socket = UdpSocket::bind((address, 5060)).expect("the address is free");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time is set");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, sdp) = (Arc::clone(&stop), sdp.to_owned());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                answer_one(&socket, &sdp);
            }
        });
        RawVendor { stop, thread: Some(thread) }
    }
}

impl Drop for RawVendor {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}

fn answer_one(socket: &UdpSocket, sdp: &str) {
    let mut buffer = [0; 65_536];
    let Ok((length, from)) = socket.recv_from(&mut buffer) else { return };
    let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let local = socket.local_addr().expect("a bound socket has an address");
    if let Some(answer) = answer_to(&request, local, sdp) {
        socket.send_to(answer.as_bytes(), from).expect("loopback takes packets");
    }
}

/// 200 with SDP for an INVITE, without for BYE and CANCEL; nothing for other methods.
pub(crate) fn answer_to(request: &str, local: SocketAddr, sdp: &str) -> Option<String> {
    let body = if request.starts_with("INVITE ") { sdp } else { "" };
    if body.is_empty() && !request.starts_with("BYE ") && !request.starts_with("CANCEL ") {
        return None;
    }
    let of = |name: &str| header(request, name).expect("a request of the switch has it");
    let to = of("To");
    let tag = if to.contains("tag=") { "" } else { ";tag=vendor" };
    Some(format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:vendor@{local}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        of("Via"),
        of("From"),
        of("Call-ID"),
        of("CSeq"),
        body.len(),
    ))
}

/// An SDP with one PCMA stream; `connection` is the value of `c=`.
#[must_use]
pub fn sdp(connection: &str, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc={connection}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\n"
    )
}
