//! Nanoseconds per parsed INVITE: `cargo bench -p strowger-sip`.

use std::hint::black_box;
use std::time::Instant;
use strowger_sip::Message;

// Take the best of many short batches, which excludes processor time taken by other programs.
const BATCHES: u32 = 4_000;
const ROUNDS: u32 = 100;

fn main() {
    let body = "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n\
        m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    let invite = format!(
        "INVITE sip:442079460123@192.0.2.10:5060;user=phone SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bK-524287-1---7f0c1d5c3a;rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice Example\" <sip:12015550123@example.com>;tag=8f3a2b1c\r\n\
         To: <sip:442079460123@192.0.2.10>\r\n\
         Call-ID: 9f8e7d6c-5b4a-3928-1706-f5e4d3c2b1a0@10.0.0.5\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:12015550123@10.0.0.5:5070;transport=udp>\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO\r\n\
         Supported: timer, replaces\r\n\
         User-Agent: Example PBX 3.1\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let measure = |name: &str, run: &dyn Fn()| {
        let best = (0..BATCHES)
            .map(|_| {
                let start = Instant::now();
                (0..ROUNDS).for_each(|_| run());
                start.elapsed().as_nanos() / u128::from(ROUNDS)
            })
            .min()
            .unwrap_or_default();
        println!("{name}: {best} ns per INVITE of {} bytes, 12 headers", invite.len());
    };
    measure("parse", &|| {
        let _ = black_box(Message::parse(black_box(invite.as_bytes())));
    });
    measure("parse and validate", &|| {
        if let Ok(message) = Message::parse(black_box(invite.as_bytes())) {
            let _ = black_box(message.validate_request());
        }
    });
}
