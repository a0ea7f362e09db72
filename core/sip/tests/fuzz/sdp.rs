//! Session descriptions.

use crate::MOMENT;
use crate::recipe::{Recipe, cook};
use std::net::SocketAddr;
use strowger_sip::SessionDescription;
use strowger_sip::sdp::{Origin, StreamPlan};

const BODIES: [&[u8]; 3] = [
    b"v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
      m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
      a=rtcp:4001 IN IP4 198.51.100.1\r\na=ptime:20\r\na=sendrecv\r\n",
    b"v=0\no=a 2 3 IN IP4 198.51.100.2\ns=call\nt=0 0\nm=audio 5000 RTP/AVP 18\n\
      c=IN IP4 198.51.100.2\nm=video 5002 RTP/AVP 96\nc=IN IP4 198.51.100.3\n",
    b"v=0\r\no=- 4 4 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n\
      m=audio 6000 RTP/SAVPF 111\r\na=rtcp-mux\r\na=candidate:1 1 UDP 1 2001:db8::1 6000 typ host\r\n\
      a=fingerprint:sha-256 AA:BB\r\n",
];

/// A rewritten description has the same streams, does not change when it is rewritten again, and
/// grows only by our addresses.
#[test]
fn a_rewritten_description_stays_as_it_is() {
    let relay = SocketAddr::from(([192, 0, 2, 9], 20_000));
    let origin = Origin { session_id: u64::MAX, version: u64::MAX, address: relay.ip() };
    bolero::check!().with_test_time(MOMENT).with_type::<Recipe>().for_each(|recipe| {
        let body = cook(&BODIES, recipe);
        let Ok(description) = SessionDescription::parse(&body) else { return };
        let plans = vec![StreamPlan::relay(relay); description.streams().len()];
        let once = description.rewrite(&origin, &plans);
        let read = SessionDescription::parse(&once)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&once)));
        assert_eq!(read.streams().len(), description.streams().len());
        let twice = read.rewrite(&origin, &plans);
        assert_eq!(
            String::from_utf8_lossy(&twice),
            String::from_utf8_lossy(&once),
            "of {}",
            String::from_utf8_lossy(&body)
        );
        let lines = body.iter().filter(|byte| **byte == b'\n').count() + 1;
        assert!(once.len() <= body.len() + 128 * lines, "{} of {}", once.len(), body.len());
    });
}
