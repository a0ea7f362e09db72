//! Hand-written SIP over a plain socket, for messages that no SIP stack sends.

use md5::Digest as _;
use std::net::UdpSocket;

/// A complete INVITE without SDP, with a new Call-ID and branch.
///
/// # Panics
/// When the socket is not bound.
#[must_use]
pub fn invite(socket: &UdpSocket, callee: &str) -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let local = socket.local_addr().expect("a bound socket has an address");
    format!(
        "INVITE sip:{callee}@switch SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKraw{n};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:15551230001@{local}>;tag=raw{n}\r\nTo: <sip:{callee}@switch>\r\n\
         Call-ID: raw{n}@{local}\r\nCSeq: 1 INVITE\r\nContact: <sip:raw@{local}>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Repeats the INVITE with credentials, as a new transaction.
#[must_use]
pub fn again(invite: &str, credentials: &str) -> String {
    invite
        .replace("branch=z9hG4bK", "branch=z9hG4bKagain")
        .replace("CSeq: 1", "CSeq: 2")
        .replace("Content-Length", &format!("Authorization: {credentials}\r\nContent-Length"))
}

/// Digest credentials for an INVITE to 442071234567 (RFC 7616).
///
/// # Panics
/// When the algorithm is not offered.
#[must_use]
pub fn authorization(challenge: &str, user: &str, algorithm: &str, password: &str) -> String {
    let line = challenge
        .lines()
        .find(|line| line.contains(&format!("algorithm={algorithm},")))
        .expect("the algorithm is offered");
    let part = |name: &str| {
        let rest = line.split_once(&format!("{name}=\"")).expect("a quoted part").1;
        rest.split('"').next().expect("an end").to_owned()
    };
    let (realm, nonce, uri) = (part("realm"), part("nonce"), "sip:442071234567@switch");
    let hash = |text: String| -> String {
        let bytes = match algorithm {
            "MD5" => md5::Md5::digest(text).to_vec(),
            _ => sha2::Sha256::digest(text).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let ha1 = hash(format!("{user}:{realm}:{password}"));
    let ha2 = hash(format!("INVITE:{uri}"));
    let response = hash(format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}"));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={algorithm}, qop=auth, nc=00000001, cnonce=\"0a4f113b\""
    )
}

/// The first final response. It is not acknowledged, so it may be retransmitted.
///
/// # Panics
/// When none comes within a second.
#[must_use]
pub fn hear_final(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    loop {
        let (length, _) = socket.recv_from(&mut buffer).expect("an answer within a second");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with("SIP/2.0 1") {
            continue;
        }
        // Ignore what is still arriving from an earlier case.
        socket.set_nonblocking(true).expect("a mode is set");
        while socket.recv_from(&mut [0; 16]).is_ok() {}
        socket.set_nonblocking(false).expect("a mode is set");
        return text;
    }
}
